package idp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
	"peerage/store"
)

// CodeExchange implements the authorization code grant (RFC 6749 section
// 4.1.3): one signature and one transaction that spends the code and begins
// its token family.
func (s *server) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	client := r.Client.(*Client)
	response, user, err := s.p.exchange(ctx, client, r.Form.Get("code"), r.Form.Get("redirect_uri"), r.Form.Get("code_verifier"))
	s.p.tellToken(ctx, client, user, grantCode, err)
	if err != nil {
		return nil, s.p.tokenError(ctx, err)
	}
	return op.NewResponse(response), nil
}

func (p *Provider) exchange(ctx context.Context, client *Client, value, redirectURI, verifier string) (any, identity.User, error) {
	hash := identity.Hash(value)
	code, err := p.store.Code(ctx, hash)
	if errors.Is(err, store.ErrNotFound) {
		return nil, identity.User{}, errCode()
	}
	if err != nil {
		return nil, identity.User{}, err
	}
	if code.UsedAt.IsZero() && (code.ClientID != client.ClientID || code.RedirectURI != redirectURI || !checkVerifier(code.CodeChallenge, verifier)) {
		// Whoever sends a code with the wrong proof may have stolen it.
		if err := p.store.BurnCode(ctx, hash); err != nil {
			return nil, identity.User{}, err
		}
		return nil, identity.User{}, errCode()
	}
	if !code.UsedAt.IsZero() {
		return nil, identity.User{}, p.redeem(ctx, client, code, false, tokens{}) // revokes what it gave
	}
	g, err := parseGrant(code.Grant)
	if err != nil {
		return nil, identity.User{}, err
	}
	user, err := p.recheck(ctx, client, code.Sub, g)
	if err != nil {
		return nil, user, err
	}
	offline := slices.Contains(g.Scopes, "offline_access") && client.allows(grantRefresh)
	t, err := p.mint(ctx, client, user, g, g.Scopes, g.Nonce, offline, p.now().Add(p.RefreshMax))
	if err != nil {
		return nil, user, err
	}
	return t.response, user, p.redeem(ctx, client, code, offline, t)
}

// redeem spends the code in the store. A replay has revoked the family there.
func (p *Provider) redeem(ctx context.Context, client *Client, code store.Code, offline bool, t tokens) error {
	expires := t.issue.AccessExpires
	if offline {
		expires = p.now().Add(p.RefreshMax)
	}
	err := p.store.RedeemCode(ctx, code.Hash, client.ClientID, offline, expires, t.issue)
	switch {
	case errors.Is(err, store.ErrReplayed):
		p.directory.Audit.Event(ctx, identity.Event{Name: "code_replay", Sub: code.Sub, Client: client.ClientID, Result: "failure"})
		return errCode()
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrRevoked):
		return errCode()
	}
	return err
}

// errCode is one answer for all that can be wrong with a code.
func errCode() error {
	return invalidGrant("the code is wrong, too old, was used before, or belongs to another client, redirect_uri or code_verifier")
}

// checkVerifier compares with the stored challenge (RFC 7636 section 4.6). A
// verifier where no challenge was sent is a downgrade: somebody took the
// challenge out of the request.
func checkVerifier(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	if len(verifier) < 43 || len(verifier) > 128 || strings.Trim(verifier, unreserved) != "" {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
