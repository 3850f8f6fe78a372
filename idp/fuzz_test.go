package idp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"peerage/portal/portaltest"
)

// FuzzTokenRequest: whatever is posted to the token endpoint gets an OAuth
// error, never tokens, a page or a broken server.
func FuzzTokenRequest(f *testing.F) {
	site := portaltest.New(f, portaltest.Options{Clients: "[" + grafanaLike + "]"})
	for _, seed := range []string{
		"", "grant_type=authorization_code", "grant_type=authorization_code&client_id=app&client_secret=app-secret-1&code=x&redirect_uri=https://app.example.net/cb&code_verifier=y",
		"grant_type=refresh_token&client_id=app&client_secret=app-secret-1&refresh_token=%00", "grant_type=client_credentials&client_id=app&client_secret=app-secret-1",
		"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=a.b.c", "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=x",
		"grant_type=a&grant_type=b", "client_id=app&client_id=app", "grant_type=%ff%fe", "a=" + strings.Repeat("b", 1000), ";=&&%zz",
		"grant_type=refresh_token&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=e30.e30.e30",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a := post(t, site, "/oauth2/token", body)
		if a.Status < 400 || a.Status >= 500 || a.Str("error") == "" || a.Str("access_token") != "" {
			t.Fatalf("%q gives %d %s", body, a.Status, a.Body)
		}
	})
}

// FuzzClientAssertion: no text that is no signature of the client's key
// authenticates it.
func FuzzClientAssertion(f *testing.F) {
	key := newClientKey(f, "k1")
	site := portaltest.New(f, portaltest.Options{Clients: "[" + keyedClient(`,"jwks":`+string(key.set(f))) + "]"})
	right := key.assertion(f, site, func(c map[string]any) { c["aud"] = "https://other.example.net" })
	for _, seed := range []string{"", "a.b.c", right, strings.ToUpper(right), right + "=", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
		`{"payload":"e30","signatures":[]}`, strings.Repeat(".", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, assertion string) {
		form := withAssertion(assertion, map[string][]string{"grant_type": {"client_credentials"}})
		a := post(t, site, "/oauth2/token", form.Encode())
		if a.Status < 400 || a.Status >= 500 {
			t.Fatalf("%q gives %d %s", assertion, a.Status, a.Body)
		}
	})
}

const grafanaLike = `{"client_id":"app","client_secret":"app-secret-1","redirect_uris":["https://app.example.net/cb"]}`

// post sends a body as it is. It asks nothing of the site's own test, which is
// the fuzz target's and may not be used inside it.
func post(t *testing.T, site *portaltest.Site, path, body string) portaltest.Answer {
	t.Helper()
	response, err := http.Post(site.Issuer+path, "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := portaltest.Answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
	_ = json.Unmarshal(text, &a.JSON) // what is no JSON has no error either
	return a
}
