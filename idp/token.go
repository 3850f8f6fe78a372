package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"peerage/identity"
	"peerage/store"
)

// grant is what a person agreed to; each token of the family is made from it
// and from the person of now.
type grant struct {
	Scopes   []string `json:"scopes"`
	Nonce    string   `json:"nonce,omitempty"`
	AuthTime int64    `json:"auth_time"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	// SID is the session that it was made in.
	SID string `json:"sid,omitempty"`
	// Claims are those asked for by name.
	Claims *claimsRequest `json:"claims,omitempty"`
}

func parseGrant(document string) (grant, error) {
	var g grant
	if err := json.Unmarshal([]byte(document), &g); err != nil {
		return grant{}, fmt.Errorf("reading a grant: %w", err)
	}
	return g, nil
}

// recheck asks before every token what may have changed since the person
// agreed (CVE-2026-43983): are they enabled, may they use the application, is
// the consent still there, is a second factor demanded now.
func (p *Provider) recheck(ctx context.Context, client *Client, sub string, g grant) (identity.User, error) {
	user, err := p.directory.User(ctx, sub)
	if errors.Is(err, store.ErrNotFound) || err == nil && user.Disabled {
		return identity.User{}, invalidGrant("the person is no longer here")
	}
	if err != nil {
		return identity.User{}, err
	}
	if !client.AllowsUser(user) {
		return identity.User{}, invalidGrant("the person may no longer use this application")
	}
	if (client.RequireMFA || p.directory.MustHaveMFA(user)) && g.ACR == identity.ACROneFactor {
		return identity.User{}, invalidGrant("a second factor is demanded now, the person must sign in again")
	}
	if client.Trusted {
		return user, nil
	}
	consent, err := p.store.Consent(ctx, sub, client.ClientID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return identity.User{}, err
	}
	for _, s := range slices.Concat(g.Scopes, g.Claims.scopes(client)) {
		if !slices.Contains(consent.Scopes, s) {
			return identity.User{}, invalidGrant("the person took the consent back")
		}
	}
	return user, nil
}

// tokens are what one grant hands out, and what the store keeps of it.
type tokens struct {
	response oidc.AccessTokenResponse
	issue    store.Issue
}

// mint makes the tokens of one grant: an access token, a refresh token when
// asked, and an ID token only with scope openid.
func (p *Provider) mint(ctx context.Context, client *Client, user identity.User, g grant, scopes []string, nonce string, refresh bool, familyExpires time.Time) (tokens, error) {
	access, issue, err := p.access(client, user.Sub, g, scopes)
	if err != nil {
		return tokens{}, err
	}
	t := tokens{
		response: oidc.AccessTokenResponse{AccessToken: access, TokenType: oidc.BearerToken, ExpiresIn: uint64(p.accessTTL(client) / time.Second), Scope: scopes},
		issue:    issue,
	}
	if refresh {
		token := "prt_" + identity.NewSecret()
		t.response.RefreshToken = token
		t.issue.RefreshHash = identity.Hash(token)
		t.issue.RefreshExpires = earlier(p.now().Add(p.refreshIdle(client)), familyExpires)
	}
	if slices.Contains(scopes, oidc.ScopeOpenID) {
		t.response.IDToken, err = p.idToken(ctx, client, user, g, scopes, nonce, access)
	}
	return t, err
}

// access makes an access token: opaque, or for clients that want one a JWT
// (RFC 9068). Both have a row under their hash, so both can be revoked at once.
func (p *Provider) access(client *Client, sub string, g grant, scopes []string) (token string, issue store.Issue, err error) {
	now := p.now()
	issue = store.Issue{AccessExpires: now.Add(p.accessTTL(client)), Scopes: scopes}
	token = "pat_" + identity.NewSecret()
	if client.AccessTokenFormat == "jwt" {
		claims := map[string]any{"iss": p.Issuer, "sub": sub, "aud": client.audience(), "client_id": client.ClientID, "jti": uuid.NewString(),
			"iat": now.Unix(), "exp": issue.AccessExpires.Unix()}
		if len(scopes) > 0 { // RFC 9068 section 2.2.3
			claims["scope"] = strings.Join(scopes, " ")
		}
		if g.AuthTime != 0 {
			maps.Copy(claims, map[string]any{"auth_time": g.AuthTime, "acr": g.ACR, "amr": g.AMR})
		}
		if token, err = p.keys.sign(client.alg(), typeAccessToken, claims); err != nil {
			return "", store.Issue{}, err
		}
	}
	issue.AccessHash = identity.Hash(token)
	return token, issue, nil
}

// idToken makes an ID token (OIDC Core section 2) with the claims that the
// client wants in it.
func (p *Provider) idToken(ctx context.Context, client *Client, user identity.User, g grant, scopes []string, nonce, access string) (string, error) {
	claims, err := p.idTokenClaims(client, user, g, scopes, nonce, access)
	if err != nil {
		return "", err
	}
	token, err := p.keys.sign(client.alg(), typeIDToken, claims)
	if err != nil {
		return "", err
	}
	p.tellSize(ctx, client, user, "ID token", SizeOfIDToken(claims, token, access))
	return token, nil
}

// idTokenClaims are the claims of an ID token beside that access token.
func (p *Provider) idTokenClaims(client *Client, user identity.User, g grant, scopes []string, nonce, access string) (map[string]any, error) {
	now := p.now()
	hash, err := oidc.ClaimHash(access, jose.SignatureAlgorithm(client.alg()))
	if err != nil {
		return nil, fmt.Errorf("hashing an access token: %w", err)
	}
	claims := client.claimsAt("id_token", user, g, scopes)
	maps.Copy(claims, map[string]any{
		"iss": p.Issuer, "sub": user.Sub, "aud": client.ClientID, "iat": now.Unix(), "exp": now.Add(p.idTokenTTL(client)).Unix(),
		"auth_time": g.AuthTime, "acr": g.ACR, "amr": g.AMR, "at_hash": hash,
	})
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if client.BackchannelLogoutURI != "" && g.SID != "" {
		claims["sid"] = g.SID
	}
	return claims, nil
}

func (p *Provider) accessTTL(c *Client) time.Duration {
	return orTTL(c.AccessTokenTTL, p.AccessTokenTTL)
}

func (p *Provider) idTokenTTL(c *Client) time.Duration { return orTTL(c.IDTokenTTL, p.IDTokenTTL) }

func (p *Provider) refreshIdle(c *Client) time.Duration {
	return orTTL(c.RefreshTokenTTL, p.RefreshIdle)
}

func orTTL(own store.Duration, usual time.Duration) time.Duration {
	if own != 0 {
		return time.Duration(own)
	}
	return usual
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// requestedScopes reads the scope parameter of a refresh: nothing means all,
// a part narrows, more is refused (RFC 6749 section 6).
func requestedScopes(asked string, granted []string) ([]string, error) {
	var scopes []string
	for _, s := range strings.Fields(asked) {
		if !slices.Contains(granted, s) {
			return nil, &oidc.Error{ErrorType: oidc.InvalidScope, Description: "scope was not granted"}
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	if len(scopes) == 0 {
		return granted, nil
	}
	return scopes, nil
}
