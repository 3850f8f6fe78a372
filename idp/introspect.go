package idp

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
	"peerage/store"
)

// inactive is the one answer for everything that a caller may not know.
type inactive struct {
	Active bool `json:"active"`
}

// introspection is what a token is (RFC 7662 section 2.2). The library's
// struct would add empty members.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id"`
	Username  string   `json:"username,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Exp       int64    `json:"exp"`
	Iat       int64    `json:"iat"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
	Sub       string   `json:"sub"`
	Aud       []string `json:"aud,omitempty"`
	Iss       string   `json:"iss"`
}

// Introspect implements token introspection for clients with a secret. A
// token is active only for the client that it was given to and for those in
// its audience.
func (s *server) Introspect(ctx context.Context, r *op.Request[op.IntrospectionRequest]) (*op.Response, error) {
	_, _, basic := basicAuth(r.Header)
	client, err := s.p.authenticateForm(ctx, r.Form, r.Data.ClientID, r.Data.ClientSecret, basic)
	if err == nil && client.public() {
		err = errInvalidClient()
	}
	if err != nil {
		return nil, s.p.tokenError(ctx, err)
	}
	answer, err := s.p.introspect(ctx, client, r.Form.Get("token"))
	if err != nil {
		return nil, s.p.tokenError(ctx, err)
	}
	return op.NewResponse(answer), nil
}

func (p *Provider) introspect(ctx context.Context, caller *Client, value string) (any, error) {
	hash := identity.Hash(value)
	answer := introspection{Active: true, TokenType: oidc.BearerToken, Iss: p.Issuer}
	var family store.Family
	var person func() (identity.User, error)
	access, err := p.store.AccessToken(ctx, hash)
	switch {
	case err == nil:
		family = access.Family
		person = func() (identity.User, error) { return p.directory.Person(ctx, access.Person) }
		answer.Scope, answer.Iat, answer.Exp = strings.Join(access.Scopes, " "), access.CreatedAt.Unix(), access.ExpiresAt.Unix()
	case errors.Is(err, store.ErrNotFound):
		refresh, err := p.store.RefreshToken(ctx, hash)
		if errors.Is(err, store.ErrNotFound) || err == nil && !alive(refresh, p) {
			return inactive{}, nil
		}
		if err != nil {
			return nil, err
		}
		family, answer.TokenType = refresh.Family, ""
		person = func() (identity.User, error) { return p.directory.User(ctx, family.Sub) }
		answer.Iat, answer.Exp = refresh.CreatedAt.Unix(), refresh.ExpiresAt.Unix()
	default:
		return nil, err
	}
	owner, ok := p.clients.Client(family.ClientID)
	if !ok || caller.ClientID != owner.ClientID && !slices.Contains(owner.audience(), caller.ClientID) {
		return inactive{}, nil
	}
	return p.describe(owner, family, person, answer)
}

func alive(t store.RefreshToken, p *Provider) bool {
	return t.SpentAt.IsZero() && t.ExpiresAt.After(p.now()) && t.Family.Alive(p.now())
}

// describe adds whose token it is, if they may still use it.
func (p *Provider) describe(owner *Client, family store.Family, person func() (identity.User, error), answer introspection) (any, error) {
	answer.ClientID, answer.Aud = owner.ClientID, owner.audience()
	g, err := parseGrant(family.Grant)
	if err != nil {
		return nil, err
	}
	if answer.Scope == "" {
		answer.Scope = strings.Join(g.Scopes, " ")
	}
	if family.Sub == "" {
		answer.Sub = owner.ClientID
		return answer, nil
	}
	user, err := person()
	if errors.Is(err, store.ErrNotFound) || err == nil && (user.Disabled || !owner.AllowsUser(user)) {
		return inactive{}, nil
	}
	if err != nil {
		return nil, err
	}
	answer.Sub, answer.Username, answer.AuthTime, answer.ACR = user.Sub, user.Username, g.AuthTime, g.ACR
	return answer, nil
}
