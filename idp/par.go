package idp

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
	"peerage/store"
)

const (
	requestURIPrefix = "urn:ietf:params:oauth:request_uri:"
	pushedLifetime   = 90 * time.Second
)

// push is the pushed authorization request endpoint (RFC 9126): the client
// authenticates and sends the whole request; the browser carries only a
// reference that is good for one authorization. The back channel's guard has
// read the form.
func (p *Provider) push(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if basic {
		var errID, errSecret error
		id, errID = url.QueryUnescape(id)
		secret, errSecret = url.QueryUnescape(secret)
		if errID != nil || errSecret != nil || r.PostForm.Get("client_secret") != "" {
			writeOAuthError(w, http.StatusUnauthorized, "invalid_client", "client authentication failed")
			return
		}
		if body := r.PostForm.Get("client_id"); body != "" && body != id {
			writeOAuthError(w, http.StatusBadRequest, "invalid_request", "client_id in the body is not that of the Authorization header")
			return
		}
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	client, err := p.authenticateForm(r.Context(), r.PostForm, id, secret, basic)
	if err != nil {
		p.writeTokenError(w, r, err)
		return
	}
	form := url.Values{}
	for name, values := range r.PostForm {
		if !strings.HasPrefix(name, "client_secret") && !strings.HasPrefix(name, "client_assertion") {
			form[name] = values
		}
	}
	form.Set("client_id", client.ClientID)
	if form.Has("request_uri") {
		writeOAuthError(w, http.StatusBadRequest, "invalid_request", "request_uri cannot be pushed")
		return
	}
	_, a, refused := p.parseAddress(form)
	var fault *Fault
	if refused != nil {
		fault = &refused.Fault
	} else {
		fault = p.parseAuthorize(client, form, a)
	}
	if fault != nil {
		writeOAuthError(w, http.StatusBadRequest, fault.Code, fault.Description)
		return
	}
	uri := requestURIPrefix + identity.NewSecret()
	if err := p.store.PutPushed(r.Context(), identity.Hash(uri), client.ClientID, form.Encode(), pushedLifetime); err != nil {
		p.writeTokenError(w, r, p.tokenError(r.Context(), err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	body, _ := json.Marshal(map[string]any{"request_uri": uri, "expires_in": int(pushedLifetime.Seconds())})
	if _, err := w.Write(body); err != nil {
		p.log.DebugContext(r.Context(), "sending an answer", "error", err)
	}
}

// writeTokenError writes an error as the library does for its own endpoints.
func (p *Provider) writeTokenError(w http.ResponseWriter, r *http.Request, err error) {
	op.WriteError(w, r, p.tokenError(r.Context(), err), nil)
}

// pulled replaces the parameters of an authorization by those that were
// pushed; nothing beside client_id counts that came through the browser
// (RFC 9126 section 4).
func (p *Provider) pulled(r *http.Request, form url.Values) (_ url.Values, pushed bool, refused *addressFault, err error) {
	uri, id := form["request_uri"], form["client_id"]
	if len(uri) != 1 || !strings.HasPrefix(uri[0], requestURIPrefix) {
		return form, false, nil, nil
	}
	if len(id) != 1 {
		return nil, false, &addressFault{Fault{"invalid_request", "client_id must stand once"}, ReasonDuplicate, ""}, nil
	}
	if _, known := p.clients.Client(id[0]); !known {
		return form, false, nil, nil // told as such by whoever reads the address
	}
	parameters, err := p.store.TakePushed(r.Context(), identity.Hash(uri[0]), id[0])
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, &addressFault{Fault{"invalid_request_uri", "the pushed request is unknown, used or too old"}, ReasonExpired, ""}, nil
	}
	if err != nil {
		return nil, false, nil, err
	}
	form, err = url.ParseQuery(parameters)
	return form, true, nil, err
}
