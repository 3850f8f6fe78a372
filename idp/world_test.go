package idp_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"peerage/identity"
	"peerage/idp"
	"peerage/portal/portaltest"
	"peerage/store"
)

// testClient is what a test knows of a registered client.
type testClient struct{ secret, callback string }

// The clients of the tests: one for each kind that the rules tell apart.
var testClients = map[string]testClient{
	"web":     {"web-secret", "https://web.example.net/cb"},
	"other":   {"other-secret", "https://other.example.net/cb"},
	"trusted": {"trusted-secret", "https://trusted.example.net/cb"},
	"spa":     {"", "https://spa.example.net/cb"},
	"kube":    {"", "http://localhost:8000/cb"},
	"plain":   {"plain-secret", "https://plain.example.net/cb"},
	"basic":   {"basic-secret", "https://basic.example.net/cb"},
	"post":    {"post-secret", "https://post.example.net/cb"},
	"mfa":     {"mfa-secret", "https://mfa.example.net/cb"},
	"noc":     {"noc-secret", "https://noc.example.net/cb"},
	"es":      {"es-secret", "https://es.example.net/cb"},
	"ed":      {"ed-secret", "https://ed.example.net/cb"},
}

var testClientJSON = map[string]string{
	"web":     `"name":"Web App","launch_uri":"https://web.example.net/","post_logout_redirect_uris":["https://web.example.net/bye","https://web.example.net/bye?x=1"]`,
	"other":   `"post_logout_redirect_uris":["https://other.example.net/bye"]`,
	"trusted": `"trusted":true`,
	"spa":     `"token_endpoint_auth_method":"none"`,
	"kube":    `"name":"kubectl","token_endpoint_auth_method":"none","application_type":"native"`,
	"plain":   `"trusted":true,"require_pkce":false`,
	"basic":   `"trusted":true,"token_endpoint_auth_method":"client_secret_basic"`,
	"post":    `"trusted":true,"token_endpoint_auth_method":"client_secret_post"`,
	"mfa":     `"trusted":true,"require_mfa":true`,
	"noc":     `"trusted":true,"allowed_groups":["noc"]`,
	"es":      `"trusted":true,"id_token_signed_response_alg":"ES256","claims":{"groups":"both","email":"id_token","name":"none"}`,
	"ed":      `"trusted":true,"id_token_signed_response_alg":"EdDSA"`,
}

// clientsJSON is the list as PEERAGE_CLIENTS would hold it; extra are further objects.
func clientsJSON(extra ...string) string {
	var list []string
	for id, c := range testClients {
		fields := []string{`"client_id":"` + id + `"`, testClientJSON[id]}
		if c.secret != "" {
			fields = append(fields, `"client_secret":"`+c.secret+`"`)
		}
		redirects := []string{c.callback}
		if id == "kube" {
			redirects = append(redirects, "http://127.0.0.1/cb", "http://localhost", "com.example.kube:/cb")
		}
		text, _ := json.Marshal(redirects)
		list = append(list, "{"+strings.Join(append(fields, `"redirect_uris":`+string(text)), ",")+"}")
	}
	return "[" + strings.Join(append(list, extra...), ",") + "]"
}

// world is a whole site with the clients above.
type world struct {
	*portaltest.Site
	t testing.TB
}

func newWorld(t testing.TB, extra ...string) *world {
	t.Helper()
	return openWorld(t, portaltest.Options{Clients: clientsJSON(extra...)})
}

// namedWorld is a world where passkeys work: browsers have none for addresses.
func namedWorld(t testing.TB) *world {
	t.Helper()
	return openWorld(t, portaltest.Options{Clients: clientsJSON(), Issuer: "https://id.example.net"})
}

func openWorld(t testing.TB, o portaltest.Options) *world {
	t.Helper()
	site := portaltest.New(t, o)
	for _, group := range []string{"noc", "staff"} {
		if err := site.Store.CreateGroup(t.Context(), group); err != nil {
			t.Fatal(err)
		}
	}
	return &world{site, t}
}

// on is the same world in a subtest.
func (w *world) on(t testing.TB) *world { return &world{w.Site, t} }

// person makes somebody who never types a password: making hashes is slow.
func (w *world) person(name string, groups ...string) identity.User {
	w.t.Helper()
	u, err := w.Directory.CreateUser(w.t.Context(), identity.NewUser{Username: name, Name: name + " Example", Email: name + "@example.net", EmailVerified: true, Groups: groups})
	if err != nil {
		w.t.Fatalf("making %s: %v", name, err)
	}
	return u
}

// signedIn is a browser in which u signed in just now; the clock moves on.
func (w *world) signedIn(u identity.User, acr string) *portaltest.Browser {
	w.t.Helper()
	b := w.Browser()
	w.session(b, u, acr)
	return b
}

// session signs u in, in a browser, with one factor or two.
func (w *world) session(b *portaltest.Browser, u identity.User, acr string) {
	w.t.Helper()
	secret, now := identity.NewSecret(), w.Clock.Now()
	amr := []string{"pwd"}
	if acr == identity.ACRTwoFactors {
		amr = []string{"pwd", "otp", "mfa"}
	}
	err := w.Store.CreateSession(w.t.Context(), store.Session{ID: uuid.NewString(), Sub: u.Sub, AuthTime: now, ACR: acr, AMR: amr, FactorAt: now, IP: "192.0.2.1", ExpiresAt: now.Add(24 * time.Hour)},
		identity.Hash(secret), nil)
	if err != nil {
		w.t.Fatalf("beginning a session: %v", err)
	}
	site, err := url.Parse(w.Issuer)
	if err != nil {
		w.t.Fatal(err)
	}
	b.Client.Jar.SetCookies(site, []*http.Cookie{{Name: "peerage", Value: secret, Path: "/"}})
	w.Clock.Advance(time.Second)
}

// authorize is the path of an authorization request of a test's client.
func authorize(client string, pairs ...string) string {
	return portaltest.Authorize(client, testClients[client].callback, pairs...)
}

// allow goes through authorize and says yes to what is asked.
func (w *world) allow(b *portaltest.Browser, client string, pairs ...string) *portaltest.Page {
	w.t.Helper()
	page := b.Get(authorize(client, pairs...))
	if page.Left == "" && (page.URL.Path == "/consent" || page.URL.Path == "/login") {
		page = b.Submit(page, "decision", "allow")
	}
	return page
}

// code is an authorization code that the person of this browser gave to the client.
func (w *world) code(b *portaltest.Browser, client string, pairs ...string) string {
	w.t.Helper()
	page := w.allow(b, client, pairs...)
	if page.Left == "" {
		w.t.Fatalf("the authorization of %s shows %s (%d %q)", client, page.URL, page.Status, page.Error)
	}
	code := page.Query(w.t).Get("code")
	if code == "" {
		w.t.Fatalf("the authorization of %s goes to %s", client, page.Left)
	}
	return code
}

// grantForm is the body of a code exchange by somebody else than Basic.
func grantForm(client, code string, pairs ...string) url.Values {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {testClients[client].callback}, "code_verifier": {portaltest.Verifier}}
	return with(form, pairs...)
}

func refreshForm(token string, pairs ...string) url.Values {
	return with(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, pairs...)
}

// with sets pairs of name and value; "" removes.
func with(form url.Values, pairs ...string) url.Values {
	form = maps.Clone(form)
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			form.Del(pairs[i])
		}
	}
	return form
}

// as sends a form to the token endpoint as that client: by Basic, or by its
// id alone when it is public.
func (w *world) as(client string, form url.Values) portaltest.Answer {
	w.t.Helper()
	if c := testClients[client]; c.secret != "" && client != "post" {
		return w.Token(client, c.secret, form)
	}
	return w.Token("", "", with(form, "client_id", client, "client_secret", testClients[client].secret))
}

// tokens are what the client gets for a code.
func (w *world) tokens(b *portaltest.Browser, client string, pairs ...string) portaltest.Answer {
	w.t.Helper()
	answer := w.as(client, grantForm(client, w.code(b, client, pairs...)))
	if answer.Status != http.StatusOK {
		w.t.Fatalf("the exchange of %s gives %d %s", client, answer.Status, answer.Body)
	}
	return answer
}

// offline asks for a refresh token too.
const offline = "openid profile email groups offline_access"

// wantOAuth checks status and error code of an answer.
func wantOAuth(t testing.TB, what string, a portaltest.Answer, status int, code string) {
	t.Helper()
	if a.Status != status || a.Str("error") != code {
		t.Errorf("%s: %d %s; want %d %s", what, a.Status, a.Body, status, code)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: Cache-Control %q", what, a.Header.Get("Cache-Control"))
	}
}

// wantFault checks that a fault goes back to the client, with state and iss.
func (w *world) wantFault(what string, page *portaltest.Page, client, code string) {
	w.t.Helper()
	if !strings.HasPrefix(page.Left, testClients[client].callback+"?") {
		w.t.Errorf("%s: stays at %s (%d %q) or leaves for %q", what, page.URL, page.Status, page.Error, page.Left)
		return
	}
	q := page.Query(w.t)
	if q.Get("error") != code || q.Get("state") != "state-1" || q.Get("iss") != w.Issuer || q.Get("code") != "" {
		w.t.Errorf("%s: the answer is %v, want error %s", what, q, code)
	}
}

// events are the results of the audit events of that name.
func (w *world) events(name string) (results []string) {
	for _, e := range w.Log.Events(name) {
		result, _ := e["result"].(string)
		results = append(results, result)
	}
	return results
}

// calm checks that nothing broke on the site.
func (w *world) calm() {
	w.t.Helper()
	for _, line := range strings.Split(w.Log.String(), "\n") {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"status":500`) {
			w.t.Errorf("the log has: %.2000s", line)
		}
	}
}

var hashSecret = idp.HashClientSecret

// stored is a confidential client as the commands would store it.
func stored(id, secretHash string) store.Client {
	return store.Client{ClientID: id, ClientSecretHash: secretHash, RedirectURIs: []string{testClients["web"].callback}, Trusted: true}
}
