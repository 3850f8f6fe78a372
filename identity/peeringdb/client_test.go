package peeringdb_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity/peeringdb"
)

const (
	testVerifier = "verifier-verifier-verifier-verifier-verifier-1"
	testRedirect = "https://id.example.net/login/peeringdb/callback"
)

// registered is a client beside a look-alike at which it is registered.
func registered(t *testing.T) (*peeringdb.Client, *lookalike.Server) {
	t.Helper()
	server, err := lookalike.New(lookalike.Config{Clients: []lookalike.Client{{ID: "peerage", Secret: "secret", RedirectURIs: []string{testRedirect}, Algorithm: "RS256"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	config := peeringdb.Config{ClientID: "peerage", ClientSecret: "secret", RedirectURL: testRedirect}
	return peeringdb.NewClient(config.Endpoints(server.URL()), nil, time.Now), server
}

// code is what ada's browser brings back.
func code(t *testing.T, c *peeringdb.Client, server *lookalike.Server) string {
	t.Helper()
	sum := sha256.Sum256([]byte(testVerifier))
	back, err := server.Authorize(t.Context(), c.AuthorizationURL("state", "nonce", base64.RawURLEncoding.EncodeToString(sum[:]), false), "ada")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil || u.Query().Get("state") != "state" {
		t.Fatalf("back at %s, %v", back, err)
	}
	return u.Query().Get("code")
}

func tokens(t *testing.T, c *peeringdb.Client, server *lookalike.Server) peeringdb.Tokens {
	t.Helper()
	got, sub, amr, err := c.Exchange(t.Context(), code(t, c, server), testVerifier, "nonce")
	if err != nil || sub != "1" || !slices.Equal(amr, []string{"pwd", "otp", "mfa"}) {
		t.Fatalf("P11: sub %q by %v, %v", sub, amr, err)
	}
	return got
}

func TestClient(t *testing.T) {
	refusedFor := func(t *testing.T, err error, refused bool) {
		t.Helper()
		var e *peeringdb.UnavailableError
		if !errors.As(err, &e) || e.Refused != refused || e.Wait < time.Minute && !refused || strings.Contains(e.Error(), "secret") {
			t.Errorf("error %v (%+v)", err, e)
		}
	}
	t.Run("P9 prompt=none is never sent", func(t *testing.T) {
		c, _ := registered(t)
		for anew, want := range map[bool]string{true: "login", false: ""} {
			u, err := url.Parse(c.AuthorizationURL("s", "n", "c", anew))
			if err != nil || u.Query().Get("prompt") != want || !strings.HasSuffix(u.Path, "/oauth2/authorize/") {
				t.Errorf("%s, %v", u, err)
			}
		}
	})
	t.Run("P16 no iss comes back, and no discovery is asked", func(t *testing.T) {
		c, server := registered(t)
		back, err := server.Authorize(t.Context(), c.AuthorizationURL("state", "nonce", base64.RawURLEncoding.EncodeToString(make([]byte, 32)), false), "ada")
		if u, bad := url.Parse(back); err != nil || bad != nil || u.Query().Has("iss") {
			t.Errorf("back at %s, %v", back, err)
		}
		got := tokens(t, c, server)
		if err := c.Revoke(t.Context(), got.Refresh); err != nil {
			t.Errorf("revoking without discovery: %v", err)
		}
		for _, path := range []string{"/oauth2/.well-known/openid-configuration", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
			if n := server.Calls(path); n != 0 {
				t.Errorf("%s was asked %d times", path, n)
			}
		}
	})
	t.Run("P11 a profile, after the factors of the ID token", func(t *testing.T) {
		c, server := registered(t)
		p, err := c.Profile(t.Context(), tokens(t, c, server).Access)
		if err != nil || p.ID != 1 || len(p.Networks) != 1 || p.Networks[0].ASN != 64500 {
			t.Errorf("%+v, %v", p, err)
		}
	})
	t.Run("a nonce of another sign-in", func(t *testing.T) {
		c, server := registered(t)
		if _, _, _, err := c.Exchange(t.Context(), code(t, c, server), testVerifier, "another nonce"); !errors.Is(err, peeringdb.ErrResponse) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a verifier of another sign-in", func(t *testing.T) {
		c, server := registered(t)
		if _, _, _, err := c.Exchange(t.Context(), code(t, c, server), testVerifier+"x", "nonce"); !errors.Is(err, peeringdb.ErrInvalidGrant) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an ID token for another application", func(t *testing.T) {
		c, server := registered(t)
		got := code(t, c, server)
		config := c.Config
		config.Issuer = "https://auth.peeringdb.example/oauth2"
		other := peeringdb.NewClient(config, nil, time.Now)
		if _, _, _, err := other.Exchange(t.Context(), got, testVerifier, "nonce"); !errors.Is(err, peeringdb.ErrResponse) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an ID token that is over", func(t *testing.T) {
		c, server := registered(t)
		late := peeringdb.NewClient(c.Config, nil, func() time.Time { return time.Now().Add(11 * time.Hour) })
		if _, _, _, err := late.Exchange(t.Context(), code(t, c, server), testVerifier, "nonce"); !errors.Is(err, peeringdb.ErrResponse) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("P6 P7 a refresh token works once, and its twin's access token dies", func(t *testing.T) {
		c, server := registered(t)
		first := tokens(t, c, server)
		second, err := c.Refresh(t.Context(), first.Refresh)
		if err != nil || second.Refresh == first.Refresh {
			t.Fatal(err)
		}
		if _, err := c.Refresh(t.Context(), first.Refresh); !errors.Is(err, peeringdb.ErrInvalidGrant) {
			t.Errorf("the second time: %v", err)
		}
		_, err = c.Profile(t.Context(), first.Access)
		refusedFor(t, err, false)
		if _, err := c.Profile(t.Context(), second.Access); err != nil {
			t.Errorf("P7: the next token: %v", err)
		}
	})
	t.Run("P8 an empty scope is a dead grant, and holds the next token", func(t *testing.T) {
		c, server := registered(t)
		first := tokens(t, c, server)
		server.DropAccess("ada")
		if next, err := c.Refresh(t.Context(), first.Refresh); !errors.Is(err, peeringdb.ErrNoScope) || next.Refresh == "" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("P8 revoking the refresh token ends both", func(t *testing.T) {
		c, server := registered(t)
		got := tokens(t, c, server)
		if err := c.Revoke(t.Context(), got.Refresh); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Refresh(t.Context(), got.Refresh); !errors.Is(err, peeringdb.ErrInvalidGrant) {
			t.Errorf("refreshing: %v", err)
		}
		if _, err := c.Profile(t.Context(), got.Access); err == nil {
			t.Error("the access token lives")
		}
	})
	t.Run("P4 a dead token is 403 without a word, and no reason to take anything away", func(t *testing.T) {
		c, _ := registered(t)
		_, err := c.Profile(t.Context(), "garbage")
		refusedFor(t, err, false)
	})
	t.Run("P1 P3 a wrong secret is refused for everybody behind this address", func(t *testing.T) {
		c, server := registered(t)
		got := code(t, c, server)
		config := c.Config
		config.ClientSecret = "wrong secret"
		_, _, _, err := peeringdb.NewClient(config, nil, time.Now).Exchange(t.Context(), got, testVerifier, "nonce")
		refusedFor(t, err, true)
	})
	for fault, wait := range map[lookalike.Fault]time.Duration{lookalike.RateLimited: 47 * time.Second, lookalike.TooManyRefusals: time.Minute, lookalike.Throttled: time.Minute} {
		t.Run("P0 P2 P14 "+string(fault), func(t *testing.T) {
			c, server := registered(t)
			server.Break(fault)
			_, err := c.Refresh(t.Context(), "token")
			refusedFor(t, err, true)
			var e *peeringdb.UnavailableError
			if errors.As(err, &e) && e.Wait != wait {
				t.Errorf("PeeringDB is left alone for %s, want %s", e.Wait, wait)
			}
		})
	}
	t.Run("P1 after 401 a minute at least", func(t *testing.T) {
		hasty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusUnauthorized)
		}))
		defer hasty.Close()
		_, err := peeringdb.NewClient(peeringdb.Config{}.Endpoints(hasty.URL), nil, time.Now).Refresh(t.Context(), "token")
		var e *peeringdb.UnavailableError
		if !errors.As(err, &e) || e.Wait != time.Minute {
			t.Errorf("error %v (%+v)", err, e)
		}
	})
	t.Run("the secret follows no redirect", func(t *testing.T) {
		elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was asked", r.Method, r.URL) }))
		defer elsewhere.Close()
		away := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
		defer away.Close()
		c := peeringdb.NewClient(peeringdb.Config{ClientSecret: "secret"}.Endpoints(away.URL), nil, time.Now)
		_, err := c.Refresh(t.Context(), "token")
		refusedFor(t, err, false)
		_, err = c.Profile(t.Context(), "token")
		refusedFor(t, err, false)
	})
	for _, fault := range []lookalike.Fault{lookalike.Down, lookalike.ServerError, lookalike.HTMLError, lookalike.HugeBody} {
		t.Run(string(fault), func(t *testing.T) {
			c, server := registered(t)
			server.Break(fault)
			_, err := c.Refresh(t.Context(), "token")
			refusedFor(t, err, false)
			_, err = c.Profile(t.Context(), "token")
			refusedFor(t, err, false)
		})
	}
}
