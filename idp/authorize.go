package idp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"peerage/identity"
	"peerage/store"
)

// requestLifetime is how long a person may take over the pages.
const requestLifetime = 30 * time.Minute

// authorize is the authorization endpoint (RFC 6749 section 3.1), by GET and
// POST (OIDC Core section 3.1.2.1).
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	if !p.take(w, r) {
		return
	}
	if err := r.ParseForm(); err != nil {
		p.pages.Error(w, r, ErrorPage{Status: formStatus(err), Fault: Fault{"invalid_request", "the request cannot be read"}, Reason: formReason(err)})
		return
	}
	form := r.Form
	if r.Method == http.MethodPost {
		form = r.PostForm
		for name := range r.URL.Query() {
			form = mergeQuery(form, name, r.URL.Query()[name])
		}
	}
	form, pushed, refused, err := p.pulled(r, form)
	if err != nil {
		p.broken(w, r, nil, err)
		return
	}
	var client *Client
	var a *AuthRequest
	if refused == nil {
		client, a, refused = p.parseAddress(form)
	}
	if refused != nil {
		p.countAuthorize(client, "failure")
		p.audit(r, "oidc_authorize", client, identity.User{}, "error", refused.Code)
		p.pages.Error(w, r, ErrorPage{Status: http.StatusBadRequest, Fault: refused.Fault, Reason: refused.kind, Address: refused.address, Client: client})
		return
	}
	fault := p.parseAuthorize(client, form, a)
	if fault == nil && client.RequirePAR && !pushed {
		fault = faultf("invalid_request", "this client must push its authorization requests (RFC 9126)")
	}
	if fault != nil {
		p.refuse(w, r, client, a, false, fault)
		return
	}
	p.begin(w, r, client, a)
}

// mergeQuery: a POST may repeat nothing that stands in its query.
func mergeQuery(form url.Values, name string, values []string) url.Values {
	form[name] = append(slices.Clone(form[name]), values...)
	return form
}

// begin goes on to the authorization's first step. A POST comes without our
// cookies when another site sent it, so its row stays unbound until resume
// binds it.
func (p *Provider) begin(w http.ResponseWriter, r *http.Request, client *Client, a *AuthRequest) {
	if r.Method == http.MethodPost {
		row := p.request(client, a, nil)
		if err := p.keep(r, &row, a); err != nil {
			p.broken(w, r, client, err)
			return
		}
		see(w, ResumePath(row.ID))
		return
	}
	p.enter(w, r, identity.Browser{ID: p.directory.Cookies.EnsureBrowser(w, r), Session: p.directory.Cookies.Session(r)}, client, a)
}

// enter begins an authorization in this browser. One that ends at once, since
// the person is signed in and has consented, never becomes a row: that would
// be a second commit for every sign-in to an application.
func (p *Provider) enter(w http.ResponseWriter, r *http.Request, browser identity.Browser, client *Client, a *AuthRequest) {
	flight, err := p.inFlight(r.Context(), browser, p.request(client, a, identity.Hash(browser.ID)), *a)
	if err == nil && flight.Step != Done && flight.Step != Deny {
		err = p.keep(r, &flight.row, a)
	}
	if err != nil {
		p.broken(w, r, client, err)
		return
	}
	p.dispatch(w, r, browser, flight)
}

// request is a new authorization in flight; it is no row yet.
func (p *Provider) request(client *Client, a *AuthRequest, browserHash []byte) store.Request {
	now := p.now().UTC().Truncate(time.Microsecond)
	row := store.Request{ID: uuid.NewString(), ClientID: client.ClientID, BrowserHash: browserHash, CreatedAt: now}
	if slices.Contains(a.Prompts, "login") {
		row.LoginAfter = now
	}
	return row
}

// keep makes the authorization a row.
func (p *Provider) keep(r *http.Request, row *store.Request, a *AuthRequest) error {
	parameters, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("writing an authorization: %w", err)
	}
	row.Parameters = string(parameters)
	*row, err = p.store.CreateRequest(r.Context(), *row, requestLifetime)
	return err
}

// ResumePath is where a page hands back to the authorization in flight.
func ResumePath(requestID string) string {
	return PathResume + "?request=" + url.QueryEscape(requestID)
}

func see(w http.ResponseWriter, path string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}

// refuse sends a fault back to the client and tells of it.
func (p *Provider) refuse(w http.ResponseWriter, r *http.Request, client *Client, a *AuthRequest, behindForm bool, fault *Fault) {
	p.countAuthorize(client, "failure")
	result := "error"
	if fault.Code == "access_denied" {
		result = "denied"
	}
	p.audit(r, "oidc_authorize", client, identity.User{}, result, fault.Code)
	p.respondFault(w, r, client, a, behindForm, fault)
}

// broken shows a page for what is our fault.
func (p *Provider) broken(w http.ResponseWriter, r *http.Request, client *Client, err error) {
	page := ErrorPage{Status: http.StatusInternalServerError, Fault: Fault{"server_error", ""}, Reason: ReasonInternal, Client: client}
	result := "failure"
	if isUnavailable(err) {
		result = "unavailable"
		page.Status, page.Code, page.Reason = http.StatusServiceUnavailable, "temporarily_unavailable", ReasonUnavailable
	}
	p.log.ErrorContext(r.Context(), "an authorization stopped", "error", err)
	p.countAuthorize(client, result)
	p.pages.Error(w, r, page)
}
