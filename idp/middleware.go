package idp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
)

const (
	maxBody  = 64 << 10
	formType = "application/x-www-form-urlencoded"
	// So many wrong secrets are an attack and not a client that tries both
	// ways of sending its own.
	guessesPerSecond = 1
	guessesAtOnce    = 100
)

// take counts a request of a browser against its address's limit.
func (p *Provider) take(w http.ResponseWriter, r *http.Request) bool {
	wait := p.limit(r)
	if wait == 0 {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		return true
	}
	w.Header().Set("Retry-After", retryAfter(wait))
	p.pages.Error(w, r, ErrorPage{Status: http.StatusTooManyRequests, Fault: Fault{"temporarily_unavailable", "too many requests"}, Reason: ReasonTooMany})
	return false
}

// limit tells how long an address must wait; 0 when its request may go on.
func (p *Provider) limit(r *http.Request) time.Duration {
	wait := p.limiter.Take(identity.CallerFrom(r.Context()).Network)
	if wait > 0 {
		p.directory.Limited("address")
	}
	return wait
}

func retryAfter(wait time.Duration) string {
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}

func tooMany(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", retryAfter(wait))
	writeOAuthError(w, http.StatusTooManyRequests, "temporarily_unavailable", "too many requests, wait "+retryAfter(wait)+" s")
}

// backChannel guards an endpoint that programs call: POST only, a form, no
// secrets in the query (they end in logs), no parameter twice (RFC 6749
// section 3.2), a small body, nothing cached.
func (p *Provider) backChannel(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Pragma", "no-cache")
		if r.Method == http.MethodOptions {
			p.preflight(w, r)
			return
		}
		if status, problem := checkForm(w, r); problem != "" {
			if wait := p.limit(r); wait > 0 {
				tooMany(w, wait)
				return
			}
			writeOAuthError(w, status, "invalid_request", problem)
			return
		}
		if o := r.Header.Get("Origin"); o != "" {
			if client, ok := p.clients.Client(formClientID(r)); ok {
				p.allowOrigin(w, r, client)
			}
		}
		client, known := p.clients.Client(formClientID(r))
		if known && client.public() { // nobody has proved to be this client
			if wait := p.limit(r); wait > 0 {
				tooMany(w, wait)
				return
			}
		}
		guesses := ""
		if known {
			guesses = identity.CallerFrom(r.Context()).Network + " for client " + client.ClientID
		}
		// Past the limit of wrong secrets nothing is compared any more: an answer
		// to a right one would tell it from the wrong ones.
		if wait := p.guesses.Wait(guesses); wait > 0 {
			tooMany(w, wait)
			return
		}
		answer := &answer{header: w.Header(), uncounted: !known || !client.public(), guesses: guesses}
		if formClientID(r) == "" && !r.PostForm.Has("client_assertion") {
			p.refuseClient(answer, r)
		} else {
			next.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), answerContext{}, answer)))
		}
		p.finish(w, r, answer)
	})
}

// refuseClient answers a request without any client authentication, which to
// the library is merely an incomplete one (RFC 6749 section 5.2).
func (p *Provider) refuseClient(w http.ResponseWriter, r *http.Request) {
	err := errInvalidClient()
	p.tellToken(r.Context(), nil, identity.User{}, r.PostForm.Get("grant_type"), err)
	op.WriteError(w, r, p.tokenError(r.Context(), err), nil)
}

// checkForm reads the body and says what is wrong with it.
func checkForm(w http.ResponseWriter, r *http.Request) (status int, problem string) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, "the method must be POST"
	}
	if r.URL.RawQuery != "" {
		return http.StatusBadRequest, "parameters belong into the body, not into the address"
	}
	if !IsForm(r) {
		return http.StatusUnsupportedMediaType, "the body must be " + formType
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return formStatus(err), "the body cannot be read as a form of at most 64 KiB"
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return http.StatusBadRequest, printable(name) + " stands more than once"
		}
		if hasControls(values[0]) {
			return http.StatusBadRequest, printable(name) + " has control characters or is not UTF-8"
		}
	}
	if len(r.Header.Values("Authorization")) > 1 {
		return http.StatusBadRequest, "the Authorization header stands more than once"
	}
	return 0, ""
}

// IsForm tells whether a request's body is a form. Nothing at all is an empty
// one: most programs send no Content-Type with it.
func IsForm(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	if kind == "" {
		return r.ContentLength == 0
	}
	t, _, err := mime.ParseMediaType(kind)
	return err == nil && t == formType
}

func formStatus(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

func formReason(err error) PageReason {
	if formStatus(err) == http.StatusRequestEntityTooLarge {
		return ReasonTooLarge
	}
	return ReasonRequest
}

func formClientID(r *http.Request) string {
	if id, _, ok := r.BasicAuth(); ok {
		if plain, err := url.QueryUnescape(id); err == nil {
			return plain
		}
	}
	return r.PostForm.Get("client_id")
}

// preflight answers a browser that asks whether a script may call (Fetch
// standard): yes for the origins of registered redirect addresses.
func (p *Provider) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if p.allowKnownOrigin(w, r) {
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// allowKnownOrigin lets a script of any client read an answer that holds
// nothing of any: that its token has expired, say, so that it gets another.
func (p *Provider) allowKnownOrigin(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	o := r.Header.Get("Origin")
	if o == "" || !p.clients.knowsOrigin(o) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", o)
	return true
}

// answer holds back what the library writes, for two of its statuses are wrong.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	// uncounted: the request is still to be counted against its address,
	// unless its client authenticates.
	uncounted bool
	// guesses is where wrong secrets for this client from this network count.
	guesses string
}

// answerContext finds the answer in a request's context.
type answerContext struct{}

// authenticated notes that a client proved itself: it speaks for all its
// people, so its requests are not counted against its address.
func authenticated(ctx context.Context) {
	if a, ok := ctx.Value(answerContext{}).(*answer); ok {
		a.uncounted = false
	}
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// finish sends the answer on: every invalid_client is 401 with
// WWW-Authenticate (RFC 6749 section 5.2), and a failed or absent
// authentication counts against the address.
func (p *Provider) finish(w http.ResponseWriter, r *http.Request, a *answer) {
	var body struct {
		Error string `json:"error"`
	}
	if a.status >= 400 {
		_ = json.Unmarshal(a.body.Bytes(), &body) // what is no OAuth error has no code
	}
	if body.Error == "invalid_client" {
		p.guesses.Take(a.guesses)
	}
	if a.uncounted {
		if wait := p.limit(r); wait > 0 {
			tooMany(w, wait)
			return
		}
	}
	if body.Error == "invalid_client" {
		a.status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="peerage", charset="UTF-8"`)
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(a.status)
	if _, err := w.Write(a.body.Bytes()); err != nil {
		p.log.DebugContext(r.Context(), "sending an answer", "error", err)
	}
}

func writeOAuthError(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": description})
	fmt.Fprintf(w, "%s\n", body)
}
