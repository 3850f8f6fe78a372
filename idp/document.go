package idp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// document is a prebuilt JSON answer with its entity tag (RFC 9110 section 8.8.3).
type document struct {
	body []byte
	etag string
	// header goes with the body and with the answer that it has not changed;
	// content with the body alone.
	header, content http.Header
}

func newDocument(v any) (document, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return document{}, fmt.Errorf("writing a document: %w", err)
	}
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return document{
		body: body,
		etag: etag,
		// Any site's script may read what is the same for everyone. max-age is
		// short because kube-apiserver does not look again for an unknown key
		// before its copy has aged.
		header:  http.Header{"Access-Control-Allow-Origin": {"*"}, "Cache-Control": {"public, max-age=60"}, "Etag": {etag}},
		content: http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(body))}},
	}, nil
}

// serve answers with prebuilt bytes and headers.
func (d document) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	maps.Copy(h, d.header)
	if seen := r.Header.Get("If-None-Match"); seen != "" {
		for tag := range strings.SplitSeq(seen, ",") {
			if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == d.etag || tag == "*" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
	}
	maps.Copy(h, d.content)
	w.Write(d.body)
}
