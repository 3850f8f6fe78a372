package idp

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
	"golang.org/x/crypto/chacha20poly1305"

	"peerage/identity"
	"peerage/store"
)

// refreshGrace is how long a spent refresh token gets its answer again: for
// lost responses and for two replicas of a client that refresh at once.
const refreshGrace = 30 * time.Second

// RefreshToken implements the refresh grant (RFC 6749 section 6) with
// rotation and reuse detection (RFC 9700 section 4.14.2).
func (s *server) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	client := r.Client.(*Client)
	response, user, err := s.p.refresh(ctx, client, r.Form.Get("refresh_token"), r.Form.Get("scope"))
	s.p.tellToken(ctx, client, user, grantRefresh, err)
	if err != nil {
		return nil, s.p.tokenError(ctx, err)
	}
	return op.NewResponse(response), nil
}

func (p *Provider) refresh(ctx context.Context, client *Client, value, scope string) (any, identity.User, error) {
	token, err := p.store.RefreshToken(ctx, identity.Hash(value))
	if errors.Is(err, store.ErrNotFound) || err == nil && token.Family.ClientID != client.ClientID {
		return nil, identity.User{}, errRefresh()
	}
	if err != nil {
		return nil, identity.User{}, err
	}
	g, err := parseGrant(token.Family.Grant)
	if err != nil {
		return nil, identity.User{}, err
	}
	scopes, err := requestedScopes(scope, g.Scopes)
	if err != nil {
		return nil, identity.User{}, err
	}
	// A repeat passes every check of a first use.
	user, err := p.recheck(ctx, client, token.Family.Sub, g)
	if err != nil {
		return nil, user, err
	}
	rotation := store.Rotation{ClientID: client.ClientID, Scope: scope, Grace: refreshGrace}
	if !token.SpentAt.IsZero() {
		response, err := p.rotate(ctx, client, user, value, token.Hash, rotation)
		return response, user, err
	}
	// No nonce: it belongs to the first ID token (OIDC Core section 12.2).
	t, err := p.mint(ctx, client, user, g, scopes, "", true, token.Family.ExpiresAt)
	if err != nil {
		return nil, user, err
	}
	rotation.Issue = t.issue
	if rotation.Answer, err = sealAnswer(value, t.response); err != nil {
		return nil, user, err
	}
	repeated, err := p.rotate(ctx, client, user, value, token.Hash, rotation)
	if err != nil || repeated != nil {
		return repeated, user, err
	}
	return t.response, user, nil
}

// rotate spends the token in the store; the answer of another request that
// was faster comes back opened.
func (p *Provider) rotate(ctx context.Context, client *Client, user identity.User, value string, hash []byte, r store.Rotation) (any, error) {
	answer, err := p.store.RotateRefresh(ctx, hash, r)
	switch {
	case errors.Is(err, store.ErrReused):
		p.directory.Audit.Event(ctx, identity.Event{Name: "refresh_reuse", User: user.Username, Sub: user.Sub, Client: client.ClientID, Result: "failure"})
		return nil, errRefresh()
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrRevoked):
		return nil, errRefresh()
	case err != nil:
		return nil, err
	case answer == nil:
		return nil, nil
	}
	return openAnswer(value, answer)
}

func errRefresh() error {
	return invalidGrant("the refresh token is wrong, too old, revoked, or was used before")
}

// The answer that a spent token gave lies in the store under a key that only
// the token's holder can derive: the store keeps no more than the hash of it.
func answerKey(token string) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(token), nil, "peerage refresh answer 1", chacha20poly1305.KeySize)
}

func sealAnswer(token string, response oidc.AccessTokenResponse) ([]byte, error) {
	key, err := answerKey(token)
	if err != nil {
		return nil, fmt.Errorf("deriving an answer's key: %w", err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("sealing an answer: %w", err)
	}
	plain, err := json.Marshal(response)
	if err != nil {
		return nil, fmt.Errorf("writing an answer: %w", err)
	}
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, nil), nil
}

func openAnswer(token string, sealed []byte) (json.RawMessage, error) {
	key, err := answerKey(token)
	if err != nil {
		return nil, fmt.Errorf("deriving an answer's key: %w", err)
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("opening an answer: %w", err)
	}
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, errors.New("opening an answer: it is too short")
	}
	plain, err := aead.Open(nil, sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:], nil)
	if err != nil {
		return nil, fmt.Errorf("opening an answer: %w", err)
	}
	return plain, nil
}
