package peeringdb

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// keysFresh is how long a key set counts, as PeeringDB says of it; keysAgain
	// is the least time between two readings for a key that is not in it.
	keysFresh = time.Hour
	keysAgain = time.Minute
	// leeway is how far its clock may be from ours.
	leeway = 2 * time.Minute
)

type keySet struct {
	jose.JSONWebKeySet
	readAt time.Time
}

// checkIDToken holds an ID token against OIDC Core section 3.1.3.7. Only RS256:
// what PeeringDB signs by HS256 is keyed with something that nobody has.
func (c *Client) checkIDToken(ctx context.Context, raw, nonce string) (sub string, amr []string, err error) {
	bad := func(what string) error { return fmt.Errorf("%w: the ID token %s", ErrResponse, what) }
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(token.Headers) != 1 {
		return "", nil, bad("is none that is signed by RS256; choose RSA at the application's page")
	}
	key, err := c.key(ctx, token.Headers[0].KeyID)
	if err != nil {
		return "", nil, err
	}
	var claims struct {
		jwt.Claims
		Nonce string          `json:"nonce"`
		AMR   json.RawMessage `json:"amr"`
	}
	if key == nil || token.Claims(key, &claims) != nil {
		return "", nil, bad("has a wrong signature")
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{Issuer: c.Issuer, AnyAudience: jwt.Audience{c.ClientID}, Time: c.now()}, leeway); err != nil {
		return "", nil, bad("does not count: " + clean(err.Error()))
	}
	if claims.Expiry == nil || claims.Subject == "" {
		return "", nil, bad("has no end or names nobody")
	}
	if subtle.ConstantTimeCompare([]byte(claims.Nonce), []byte(nonce)) != 1 {
		return "", nil, bad("is not for this sign-in")
	}
	if claims.AMR != nil {
		amr = methods(claims.AMR)
	}
	return claims.Subject, amr, nil
}

// key finds a key of PeeringDB's; nil when there is none of that id.
func (c *Client) key(ctx context.Context, kid string) (*jose.JSONWebKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	age := c.now().Sub(c.keys.readAt)
	if found := c.keys.find(kid); found != nil && age < keysFresh || age >= 0 && age < keysAgain && !c.keys.readAt.IsZero() {
		return found, nil
	}
	set, err := c.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	c.keys = keySet{set, c.now()}
	return c.keys.find(kid), nil
}

func (c *Client) readKeys(ctx context.Context) (set jose.JSONWebKeySet, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.JWKSURL, nil)
	if err != nil {
		return set, fmt.Errorf("%w: %w", ErrResponse, err)
	}
	status, header, body, err := c.do(request, "keys")
	if err == nil && status != http.StatusOK {
		err = refusal("keys", status, header, body)
	}
	if err != nil {
		return set, err
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return set, fmt.Errorf("%w: the key set: %s", ErrResponse, clean(err.Error()))
	}
	return set, nil
}

// Answers tells whether PeeringDB gives its keys: a question that shows it no
// secret. Errors: *UnavailableError, ErrResponse.
func (c *Client) Answers(ctx context.Context) error {
	_, err := c.readKeys(ctx)
	return err
}

// find is the key of that id, or the only one for a token that names none.
func (k keySet) find(kid string) *jose.JSONWebKey {
	for i, key := range k.Keys {
		if (key.KeyID == kid || kid == "" && len(k.Keys) == 1) && key.IsPublic() {
			return &k.Keys[i]
		}
	}
	return nil
}
