package idp

import (
	"net/http"
	"net/url"
	"strings"
)

// respond sends an authorization response, success or error, to the client.
// Every one carries iss (RFC 9207). behindForm: a page of ours led here, so
// the way on is a page and not a redirect.
func (p *Provider) respond(w http.ResponseWriter, r *http.Request, client *Client, a *AuthRequest, behindForm bool, fields ...Field) {
	answer := Answer{Client: client, Action: a.RedirectURI}
	for _, f := range append(fields, Field{"state", a.State}, Field{"iss", p.Issuer}) {
		if f.Value == "" {
			continue
		}
		answer.Fields = append(answer.Fields, f)
		if f.Name == "error" {
			answer.Code = f.Value
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	if a.ResponseMode == modeFormPost {
		p.pages.FormPost(w, r, answer)
		return
	}
	answer.Target = withQuery(a.RedirectURI, answer.Fields)
	if behindForm {
		p.pages.Leave(w, r, answer)
		return
	}
	w.Header().Set("Location", answer.Target)
	w.WriteHeader(http.StatusSeeOther)
}

func (p *Provider) respondFault(w http.ResponseWriter, r *http.Request, client *Client, a *AuthRequest, behindForm bool, f *Fault) {
	p.respond(w, r, client, a, behindForm, Field{"error", f.Code}, Field{"error_description", f.Description})
}

// withQuery appends parameters to the very text that was registered; parsing
// and writing it again could change it (http://h:p is answered at http://h:p?code=…).
func withQuery(address string, fields []Field) string {
	var b strings.Builder
	b.WriteString(address)
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
		if strings.HasSuffix(address, "?") || strings.HasSuffix(address, "&") {
			separator = ""
		}
	}
	for _, f := range fields {
		b.WriteString(separator + f.Name + "=" + url.QueryEscape(f.Value))
		separator = "&"
	}
	return b.String()
}
