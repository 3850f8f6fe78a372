package idp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"peerage/portal/portaltest"
)

const keyCallback = "https://keyed.example.net/cb"

// clientKey is the key of a client that authenticates by assertions.
type clientKey struct {
	private *ecdsa.PrivateKey
	id      string
}

func newClientKey(t testing.TB, id string) clientKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	return clientKey{private, id}
}

func (k clientKey) set(t testing.TB) []byte {
	t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.private.Public(), KeyID: k.id, Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatalf("writing a key set: %v", err)
	}
	return set
}

// assertion signs claims; change may spoil them.
func (k clientKey) assertion(t testing.TB, site *portaltest.Site, change func(map[string]any)) string {
	t.Helper()
	now := site.Clock.Now()
	claims := map[string]any{"iss": "keyed", "sub": "keyed", "aud": site.Issuer, "jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	if change != nil {
		change(claims)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: k.private, KeyID: k.id}}, nil)
	if err != nil {
		t.Fatalf("making a signer: %v", err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatalf("signing: %v", err)
	}
	return token
}

func withAssertion(assertion string, form url.Values) url.Values {
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return form
}

func keyedClient(extra string) string {
	return `{"client_id":"keyed","token_endpoint_auth_method":"private_key_jwt","redirect_uris":["` + keyCallback + `"],"grant_types":["authorization_code","client_credentials"]` + extra + `}`
}

func TestClientAssertions(t *testing.T) {
	key, stranger := newClientKey(t, "k1"), newClientKey(t, "k1")
	site := portaltest.New(t, portaltest.Options{Clients: "[" + keyedClient(`,"jwks":`+string(key.set(t))) + "]"})
	ask := func(assertion string) portaltest.Answer {
		return site.Token("", "", withAssertion(assertion, url.Values{"grant_type": {"client_credentials"}}))
	}
	once := key.assertion(t, site, nil)
	if a := ask(once); a.Status != http.StatusOK {
		t.Fatalf("a right assertion gives %d %s", a.Status, a.Body)
	}
	hmac := func() string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key.set(t)}, nil)
		if err != nil {
			t.Fatalf("making a signer: %v", err)
		}
		token, err := jwt.Signed(signer).Claims(map[string]any{"iss": "keyed", "sub": "keyed", "aud": site.Issuer, "jti": "h", "exp": site.Clock.Now().Add(time.Minute).Unix()}).Serialize()
		if err != nil {
			t.Fatalf("signing: %v", err)
		}
		return token
	}
	for name, assertion := range map[string]string{
		"used before (jti replay)":  once,
		"signed by another key":     stranger.assertion(t, site, nil),
		"HMAC with the public keys": hmac(),
		"alg none":                  "eyJhbGciOiJub25lIn0." + strings.Split(once, ".")[1] + ".",
		"for someone else":          key.assertion(t, site, func(c map[string]any) { c["aud"] = "https://other.example.net" }),
		"aud of numbers":            key.assertion(t, site, func(c map[string]any) { c["aud"] = []int{1} }),
		"no audience":               key.assertion(t, site, func(c map[string]any) { delete(c, "aud") }),
		"expired":                   key.assertion(t, site, func(c map[string]any) { c["exp"] = site.Clock.Now().Add(-2 * time.Minute).Unix() }),
		"good for too long":         key.assertion(t, site, func(c map[string]any) { c["exp"] = site.Clock.Now().Add(time.Hour).Unix() }),
		"no end":                    key.assertion(t, site, func(c map[string]any) { delete(c, "exp") }),
		"no jti":                    key.assertion(t, site, func(c map[string]any) { delete(c, "jti") }),
		"another issuer":            key.assertion(t, site, func(c map[string]any) { c["iss"] = "other" }),
		"another subject":           key.assertion(t, site, func(c map[string]any) { c["sub"] = "other" }),
		"not yet good":              key.assertion(t, site, func(c map[string]any) { c["nbf"] = site.Clock.Now().Add(time.Hour).Unix() }),
		"no JWT":                    "assertion",
		"64 KiB":                    strings.Repeat("a", 20<<10),
	} {
		t.Run(name, func(t *testing.T) {
			if a := ask(assertion); a.Status != http.StatusUnauthorized || a.Str("error") != "invalid_client" {
				t.Fatalf("got %d %s", a.Status, a.Body)
			}
		})
	}
	if a := ask(key.assertion(t, site, func(c map[string]any) { c["aud"] = []string{site.Issuer + "/oauth2/token"} })); a.Status != http.StatusOK {
		t.Fatalf("the token endpoint as audience gives %d %s", a.Status, a.Body)
	}
	if a := site.Token("keyed", "anything at all", url.Values{"grant_type": {"client_credentials"}}); a.Status != http.StatusUnauthorized {
		t.Fatalf("a secret instead of an assertion gives %d %s", a.Status, a.Body)
	}
}

// A client whose jwks_uri misbehaves costs nothing but its own request.
func TestJWKSURIThatMisbehaves(t *testing.T) {
	key := newClientKey(t, "k1")
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); w.Write(key.set(t)) })
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/good", http.StatusFound) })
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		io.CopyN(w, strings.NewReader(strings.Repeat("x", 1<<20)), 1<<20)
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{") })
	mux.HandleFunc("/private", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.private, KeyID: "k1"}}})
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, right := range map[string]bool{"/good": true, "/redirect": false, "/huge": false, "/broken": false, "/private": false, "/missing": false} {
		t.Run(path, func(t *testing.T) {
			site := portaltest.New(t, portaltest.Options{Clients: "[" + keyedClient(fmt.Sprintf(`,"jwks_uri":%q`, server.URL+path)) + "]"})
			a := site.Token("", "", withAssertion(key.assertion(t, site, nil), url.Values{"grant_type": {"client_credentials"}}))
			if right != (a.Status == http.StatusOK) || !right && a.Str("error") != "invalid_client" {
				t.Fatalf("got %d %s", a.Status, a.Body)
			}
		})
	}
	t.Run("link-local", func(t *testing.T) {
		site := portaltest.New(t, portaltest.Options{Clients: "[" + keyedClient(`,"jwks_uri":"http://169.254.169.254/latest/meta-data"`) + "]"})
		a := site.Token("", "", withAssertion(key.assertion(t, site, nil), url.Values{"grant_type": {"client_credentials"}}))
		if a.Status != http.StatusUnauthorized {
			t.Fatalf("got %d %s", a.Status, a.Body)
		}
	})
	t.Run("is asked once for a while", func(t *testing.T) {
		asked.Store(0)
		site := portaltest.New(t, portaltest.Options{Clients: "[" + keyedClient(fmt.Sprintf(`,"jwks_uri":%q`, server.URL+"/good")) + "]"})
		for range 5 {
			site.Token("", "", withAssertion(key.assertion(t, site, nil), url.Values{"grant_type": {"client_credentials"}}))
		}
		if n := asked.Load(); n != 1 {
			t.Fatalf("the key set was fetched %d times", n)
		}
	})
}

func TestPushedAuthorizationRequests(t *testing.T) {
	key := newClientKey(t, "k1")
	site := portaltest.New(t, portaltest.Options{Clients: "[" + keyedClient(`,"require_pushed_authorization_requests":true,"trusted":true,"jwks":`+string(key.set(t))) + "," + resource + "]"})
	site.AddUser("ada")
	b := site.Browser()
	if page := b.Submit(b.Get("/login"), "username", "ada", "password", portaltest.Password); page.URL.Path != "/" {
		t.Fatalf("signing in leads to %s", page.URL)
	}
	parameters := func(pairs ...string) url.Values {
		u, err := url.Parse(portaltest.Authorize("keyed", keyCallback, pairs...))
		if err != nil {
			t.Fatal(err)
		}
		return u.Query()
	}
	push := func(form url.Values) portaltest.Answer {
		return site.Call(http.MethodPost, "/oauth2/par", withAssertion(key.assertion(t, site, nil), form), nil)
	}
	direct := b.Get(portaltest.Authorize("keyed", keyCallback))
	if q := direct.Query(t); q.Get("error") != "invalid_request" || q.Get("code") != "" {
		t.Fatalf("a request that was not pushed answers %v", q)
	}
	pushed := push(parameters())
	uri := pushed.Str("request_uri")
	if pushed.Status != http.StatusCreated || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || pushed.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("pushing gives %d %s", pushed.Status, pushed.Body)
	}
	authorize := "/oauth2/authorize?" + url.Values{"client_id": {"keyed"}, "request_uri": {uri}, "scope": {"ignored"}, "state": {"ignored"}}.Encode()
	if foreign := b.Get("/oauth2/authorize?" + url.Values{"client_id": {"resource"}, "request_uri": {uri}}.Encode()); foreign.Status != http.StatusBadRequest || foreign.Left != "" {
		t.Fatalf("another client's use gives %d %q", foreign.Status, foreign.Left)
	}
	page := b.Get(authorize)
	if q := page.Query(t); q.Get("code") == "" || q.Get("state") != "state-1" {
		t.Fatalf("the pushed request answers %v", q)
	}
	if again := b.Get(authorize); again.Status != http.StatusBadRequest || again.Left != "" {
		t.Fatalf("its second use gives %d %q", again.Status, again.Left)
	}
	late := push(parameters()).Str("request_uri")
	site.Clock.Advance(2 * time.Minute)
	if page := b.Get("/oauth2/authorize?" + url.Values{"client_id": {"keyed"}, "request_uri": {late}}.Encode()); page.Status != http.StatusBadRequest {
		t.Fatalf("an old one gives %d", page.Status)
	}
	for name, form := range map[string]url.Values{
		"unregistered address": parameters("redirect_uri", "https://evil.example/"),
		"request_uri inside":   parameters("request_uri", "urn:x"),
		"plain PKCE":           parameters("code_challenge_method", "plain"),
		"no response_type":     parameters("response_type", ""),
	} {
		if a := push(form); a.Status != http.StatusBadRequest || a.Str("error") == "" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	mixed := site.Call(http.MethodPost, "/oauth2/par", parameters(), func(r *http.Request) { r.SetBasicAuth("resource", "resource-secret") })
	if mixed.Status != http.StatusBadRequest || mixed.Str("error") != "invalid_request" {
		t.Errorf("one client in the header and another in the body: %d %s", mixed.Status, mixed.Body)
	}
	if a := site.Call(http.MethodPost, "/oauth2/par", parameters(), nil); a.Status != http.StatusUnauthorized {
		t.Errorf("without authentication: %d %s", a.Status, a.Body)
	}
}
