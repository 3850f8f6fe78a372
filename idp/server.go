package idp

import (
	"context"
	"net/http"
	"net/url"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
)

// server is the library's view of this package: one method a grant, each one
// transaction. What it does not override answers "not supported".
type server struct {
	op.UnimplementedServer
	p *Provider
}

// VerifyClient authenticates a client (RFC 6749 section 2.3): none, basic or
// post. A method that was registered by name is enforced; otherwise either
// form of the secret will do, for some clients use both in turn.
func (s *server) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	basicID, _, basic := basicAuth(r.Header)
	if basic && r.Form.Get("client_id") != "" && r.Form.Get("client_id") != r.Data.ClientID {
		return nil, &oidc.Error{ErrorType: oidc.InvalidRequest, Description: "client_id in the body is not that of the Authorization header " + printable(basicID)}
	}
	client, err := s.p.authenticateForm(ctx, r.Form, r.Data.ClientID, r.Data.ClientSecret, basic)
	if err != nil {
		tried, _ := s.p.clients.Client(r.Data.ClientID)
		s.p.tellToken(ctx, tried, identity.User{}, r.Form.Get("grant_type"), err)
		return nil, s.p.tokenError(ctx, err)
	}
	return client, nil
}

// authenticateForm authenticates by assertion when there is one, else by
// secret or by nothing.
func (p *Provider) authenticateForm(ctx context.Context, form url.Values, id, secret string, basic bool) (client *Client, err error) {
	switch {
	case !form.Has("client_assertion") && !form.Has("client_assertion_type"):
		client, err = p.authenticate(ctx, id, secret, basic)
	case basic || secret != "" || form.Get("client_assertion_type") != oidc.ClientAssertionTypeJWTAssertion:
		err = errInvalidClient()
	default:
		client, err = p.authenticateByKey(ctx, id, form.Get("client_assertion"))
	}
	if err == nil && !client.public() {
		authenticated(ctx) // it speaks for all its people and is not counted
	}
	return client, err
}

// authenticate gives one answer for unknown clients, wrong secrets and wrong methods.
func (p *Provider) authenticate(ctx context.Context, id, secret string, basic bool) (*Client, error) {
	client, ok := p.clients.Client(id)
	if !ok {
		p.nobody.checkSecret(ctx, p.passwords, secret, p.now()) // costs the same
		return nil, errInvalidClient()
	}
	switch method := client.TokenEndpointAuthMethod; {
	case method == "none":
		// x/oauth2 probes with Basic and an empty secret first.
		if secret != "" {
			return nil, errInvalidClient()
		}
		return client, nil
	case secret == "", method == methodPrivateKeyJWT, method == "client_secret_basic" && !basic, method == "client_secret_post" && basic:
		return nil, errInvalidClient()
	}
	right, err := client.checkSecret(ctx, p.passwords, secret, p.now())
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, errInvalidClient()
	}
	return client, nil
}

// basicAuth reads HTTP Basic from headers alone.
func basicAuth(h http.Header) (id, secret string, ok bool) {
	return (&http.Request{Header: h}).BasicAuth()
}
