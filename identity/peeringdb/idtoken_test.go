package peeringdb_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"peerage/identity/peeringdb"
)

// OIDC Core section 3.1.3.7: each claim of an ID token is held against what was
// asked for.
func TestIDToken(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "https://auth.peeringdb.example/oauth2"
	exchange := func(t *testing.T, by *rsa.PrivateKey, claims map[string]any) (string, []string, error) {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: by, KeyID: "k"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jwt.Signed(signer).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var answer any = map[string]string{"access_token": "a", "refresh_token": "r", "id_token": raw}
			if r.Method == http.MethodGet {
				answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}}
			}
			if err := json.NewEncoder(w).Encode(answer); err != nil {
				t.Error(err)
			}
		}))
		defer server.Close()
		c := peeringdb.NewClient(peeringdb.Config{ClientID: "peerage", ClientSecret: "s", Issuer: issuer}.Endpoints(server.URL), nil, time.Now)
		_, sub, amr, err := c.Exchange(t.Context(), "code", testVerifier, "nonce")
		return sub, amr, err
	}
	now := time.Now().Unix()
	good := map[string]any{"iss": issuer, "sub": "4711", "aud": "peerage", "iat": now, "exp": now + 36000, "nonce": "nonce", "amr": []string{"pwd", "otp", "mfa"}}
	if sub, amr, err := exchange(t, key, good); err != nil || sub != "4711" || !slices.Equal(amr, []string{"pwd", "otp", "mfa"}) {
		t.Fatalf("a good one: %s by %v, %v", sub, amr, err)
	}
	for _, c := range []struct {
		name, claim string
		value       any
	}{
		{"another issuer", "iss", "https://auth.peeringdb.example"},
		{"no issuer", "iss", nil},
		{"another application", "aud", "another"},
		{"no application", "aud", nil},
		{"several other applications", "aud", []string{"one", "two"}},
		{"over", "exp", now - 3600},
		{"without an end", "exp", nil},
		{"of tomorrow", "iat", now + 86400},
		{"not yet", "nbf", now + 3600},
		{"of another sign-in", "nonce", "another"},
		{"of no sign-in", "nonce", nil},
		{"of nobody", "sub", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims := maps.Clone(good)
			if claims[c.claim] = c.value; c.value == nil {
				delete(claims, c.claim)
			}
			if sub, _, err := exchange(t, key, claims); !errors.Is(err, peeringdb.ErrResponse) {
				t.Errorf("signs %q in, %v", sub, err)
			}
		})
	}
	t.Run("of another key", func(t *testing.T) {
		if sub, _, err := exchange(t, stranger, good); !errors.Is(err, peeringdb.ErrResponse) {
			t.Errorf("signs %q in, %v", sub, err)
		}
	})
}
