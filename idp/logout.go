package idp

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"peerage/identity"
)

// LogoutReturn is where a sign-out goes back to: an address that the client
// registered, or nowhere.
type LogoutReturn struct {
	Client *Client // nil when not known
	URI    string  // "" when not asked for
	State  string
}

// Target is the address with its state.
func (l LogoutReturn) Target() string {
	if l.State == "" {
		return l.URI
	}
	return withQuery(l.URI, []Field{{"state", l.State}})
}

// Query carries it through our own confirmation page, which checks it again.
func (l LogoutReturn) Query() url.Values {
	q := url.Values{}
	if l.Client != nil {
		q.Set("client_id", l.Client.ClientID)
	}
	if l.URI != "" {
		q.Set("post_logout_redirect_uri", l.URI)
	}
	if l.State != "" {
		q.Set("state", l.State)
	}
	return q
}

// ParseLogout reads where a sign-out is to end. An address that the client
// did not register is a fault and never followed (CVE-2024-8883).
func (p *Provider) ParseLogout(form url.Values) (LogoutReturn, *Fault) {
	for _, name := range []string{"client_id", "post_logout_redirect_uri", "state", "id_token_hint"} {
		if len(form[name]) > 1 {
			return LogoutReturn{}, faultf("invalid_request", "%s stands more than once", name)
		}
	}
	id := form.Get("client_id")
	if h, ok := p.verifyHint(form.Get("id_token_hint")); ok {
		if id != "" && id != h.ClientID {
			return LogoutReturn{}, faultf("invalid_request", "client_id is not that of id_token_hint")
		}
		id = h.ClientID
	}
	var back LogoutReturn
	if client, ok := p.clients.Client(id); ok {
		back.Client = client
	}
	address := form.Get("post_logout_redirect_uri")
	if address == "" {
		return back, nil
	}
	switch {
	case back.Client == nil && id != "":
		return LogoutReturn{}, faultf("invalid_request", "post_logout_redirect_uri of an application that is not registered")
	case back.Client == nil:
		return back, nil // nobody's address is not followed; the person is asked all the same
	}
	if !matchRedirectURI(back.Client.Client.PostLogoutRedirectURIs, back.Client.native(), address) {
		return LogoutReturn{}, faultf("invalid_request", "post_logout_redirect_uri is not registered for this application")
	}
	if state := form.Get("state"); len(state) > parameterLimits["state"] || hasControls(state) {
		return LogoutReturn{}, faultf("invalid_request", "state is too long or has control characters")
	}
	back.URI, back.State = address, form.Get("state")
	return back, nil
}

// logout is the end session endpoint (OIDC RP-Initiated Logout section 2). It
// signs out at once only when the hint proves that the client speaks of the
// very person who is signed in; otherwise a page asks. A POST from another
// site comes without cookies, so it always asks.
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) {
	if !p.take(w, r) {
		return
	}
	if err := r.ParseForm(); err != nil {
		p.pages.Error(w, r, ErrorPage{Status: formStatus(err), Fault: Fault{"invalid_request", "the request cannot be read"}, Reason: formReason(err)})
		return
	}
	back, fault := p.ParseLogout(r.Form)
	if fault != nil {
		page := ErrorPage{Status: http.StatusBadRequest, Fault: *fault, Reason: ReasonRequest, Client: back.Client}
		if address := r.Form.Get("post_logout_redirect_uri"); address != "" {
			page.Reason, page.Address = ReasonAddress, address
		}
		p.pages.Error(w, r, page)
		return
	}
	if r.Method == http.MethodGet && p.hintProves(r, back) {
		if err := p.directory.SignOut(r.Context(), p.directory.Cookies.Session(r)); err != nil {
			p.broken(w, r, back.Client, err)
			return
		}
		p.directory.Cookies.ClearSession(w)
		if back.URI == "" {
			see(w, "/logout?done=yes")
			return
		}
		see(w, back.Target())
		return
	}
	see(w, "/logout?"+back.Query().Encode())
}

// hintProves: a living hint of that client for the person of this session.
func (p *Provider) hintProves(r *http.Request, back LogoutReturn) bool {
	h, ok := p.verifyHint(r.Form.Get("id_token_hint"))
	if !ok || h.Expired || back.Client == nil {
		return false
	}
	visitor, err := p.directory.Visitor(r.Context(), p.directory.Cookies.Session(r))
	if errors.Is(err, identity.ErrNoSession) {
		return true // nothing to end, and the client proved itself
	}
	return err == nil && visitor.User.Sub == h.Sub
}

// allowOrigin lets scripts of this client's own origins read the answer.
func (p *Provider) allowOrigin(w http.ResponseWriter, r *http.Request, client *Client) {
	w.Header().Add("Vary", "Origin")
	if o := r.Header.Get("Origin"); o != "" && slices.Contains(client.origins, o) {
		w.Header().Set("Access-Control-Allow-Origin", o)
	}
}
