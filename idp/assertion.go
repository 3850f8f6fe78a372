package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/sync/singleflight"

	"peerage/identity"
	"peerage/store"
)

// assertionAlgorithms are asymmetric only: "none" and HMAC are how algorithms
// get confused (RFC 8725 section 3.1).
var assertionAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

const (
	// assertionLife is the longest time that an assertion may be good for.
	assertionLife = 5 * time.Minute
	assertionSkew = time.Minute
	maxAssertion  = 16 << 10
)

// authenticateByKey checks a client assertion (RFC 7523 section 3): signed by
// a key of the client, for us, short-lived, used once on all replicas.
func (p *Provider) authenticateByKey(ctx context.Context, id, assertion string) (*Client, error) {
	if len(assertion) > maxAssertion {
		return nil, errInvalidClient()
	}
	token, err := jwt.ParseSigned(assertion, assertionAlgorithms)
	if err != nil || len(token.Headers) != 1 {
		return nil, errInvalidClient()
	}
	var unverified jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&unverified); err != nil || id != "" && id != unverified.Subject {
		return nil, errInvalidClient()
	}
	client, ok := p.clients.Client(unverified.Subject)
	if !ok || client.TokenEndpointAuthMethod != methodPrivateKeyJWT {
		return nil, errInvalidClient()
	}
	claims, err := p.verifyAssertion(ctx, client, token)
	if err != nil {
		return nil, err
	}
	err = p.store.UseAssertion(ctx, identity.Hash(client.ClientID+"\n"+claims.ID), claims.Expiry.Time().Add(assertionSkew))
	if errors.Is(err, store.ErrExists) {
		return nil, errInvalidClient()
	}
	return client, err
}

func (p *Provider) verifyAssertion(ctx context.Context, client *Client, token *jwt.JSONWebToken) (jwt.Claims, error) {
	header := token.Headers[0]
	keys, err := p.clientKeys.find(ctx, client, header.KeyID, p.now())
	if err != nil {
		// The client's own server is to blame, and the client must know.
		return jwt.Claims{}, &oidc.Error{ErrorType: oidc.InvalidClient, Description: "the keys of the client cannot be read"}
	}
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		var claims jwt.Claims
		if token.Claims(key.Key, &claims) == nil && p.assertionHolds(client, claims) {
			return claims, nil
		}
	}
	return jwt.Claims{}, errInvalidClient()
}

// assertionHolds checks what the assertion says: issued by and about the
// client, to us, with an end that is near, and named so that it counts once.
func (p *Provider) assertionHolds(client *Client, c jwt.Claims) bool {
	now := p.now()
	audience := slices.Contains(c.Audience, p.Issuer) || slices.Contains(c.Audience, p.Issuer+PathToken) || slices.Contains(c.Audience, p.Issuer+PathPAR)
	return c.Issuer == client.ClientID && c.Subject == client.ClientID && audience && c.ID != "" && len(c.ID) <= 256 && c.Expiry != nil &&
		c.Expiry.Time().After(now.Add(-assertionSkew)) && c.Expiry.Time().Before(now.Add(assertionLife+assertionSkew)) &&
		(c.NotBefore == nil || c.NotBefore.Time().Before(now.Add(assertionSkew))) && (c.IssuedAt == nil || c.IssuedAt.Time().Before(now.Add(assertionSkew)))
}

// parseClientKeys reads a client's key set: public keys only, strong ones.
func parseClientKeys(text []byte) ([]jose.JSONWebKey, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("it is not a JSON Web Key Set")
	}
	var keys []jose.JSONWebKey
	for _, key := range set.Keys {
		if key.Use == "enc" || !key.Valid() {
			continue
		}
		if !key.IsPublic() {
			return nil, errors.New("it holds a private key, which nobody but the client may have")
		}
		if _, symmetric := key.Key.([]byte); !symmetric {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 || len(keys) > 32 {
		return nil, fmt.Errorf("it holds %d keys that can verify, it needs 1 to 32", len(keys))
	}
	return keys, nil
}

// clientKeys remembers the key sets behind jwks_uri.
type clientKeys struct {
	client *http.Client
	group  singleflight.Group
	mu     sync.Mutex
	sets   map[string]fetchedKeys
}

type fetchedKeys struct {
	keys []jose.JSONWebKey
	err  error
	at   time.Time
}

const (
	keysGood = 10 * time.Minute // a set is used so long
	keysWait = 30 * time.Second // an unknown kid, or a fault, asks again no sooner
)

func newClientKeys(client *http.Client) *clientKeys {
	return &clientKeys{client: client, sets: map[string]fetchedKeys{}}
}

// find gives the keys of a client. A key that is not in the remembered set
// makes it ask again, but not more often than the client's server deserves.
func (k *clientKeys) find(ctx context.Context, c *Client, kid string, now time.Time) ([]jose.JSONWebKey, error) {
	if len(c.JWKS) > 0 {
		return parseClientKeys(c.JWKS)
	}
	k.mu.Lock()
	known, ok := k.sets[c.JWKSURI]
	k.mu.Unlock()
	age := now.Sub(known.at)
	has := slices.ContainsFunc(known.keys, func(key jose.JSONWebKey) bool { return kid == "" || key.KeyID == kid })
	if ok && (age < keysWait || known.err == nil && has && age < keysGood) {
		return known.keys, known.err
	}
	fresh, _, _ := k.group.Do(c.JWKSURI, func() (any, error) {
		var f fetchedKeys
		body, err := fetch(context.WithoutCancel(ctx), k.client, c.JWKSURI, "jwks_uri")
		if err == nil {
			f.keys, err = parseClientKeys(body)
		}
		f.err, f.at = err, now
		k.mu.Lock()
		k.sets[c.JWKSURI] = f
		k.mu.Unlock()
		return f, nil
	})
	f := fresh.(fetchedKeys)
	return f.keys, f.err
}
