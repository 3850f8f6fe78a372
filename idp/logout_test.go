package idp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// alive tells whether somebody is signed in, in this browser.
func (w *world) alive(b *portaltest.Browser) bool {
	w.t.Helper()
	return w.leads(b.Get(authorize("trusted", "prompt", "none", "scope", "openid")), "trusted") == "code"
}

func TestLogout(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.person("ada"), w.person("bob")
	const bye = "https://web.example.net/bye"
	hint := func(u identity.User, client string) string {
		return w.tokens(w.signedIn(u, identity.ACROneFactor), client, "scope", "openid").Str("id_token")
	}
	expired := hint(ada, "web")
	w.Clock.Advance(time.Hour)
	ofAda, ofBob, ofOther := hint(ada, "web"), hint(bob, "web"), hint(ada, "other")
	access := w.tokens(w.signedIn(ada, identity.ACROneFactor), "web", "scope", "openid").Str("access_token")
	asAccess := w.sign(map[string]any{"iss": w.Issuer, "sub": ada.Sub, "aud": "web", "exp": w.Clock.Now().Add(time.Hour).Unix()}, "at+jwt")
	foreign := w.sign(map[string]any{"iss": "https://evil.example", "sub": ada.Sub, "aud": "web", "exp": w.Clock.Now().Add(time.Hour).Unix()}, "JWT")
	for _, c := range []struct {
		what  string
		pairs []string
		// out: signed out at once; left: where it goes; path: the page otherwise.
		out  bool
		left string
		path string
	}{
		{"hint of this session", []string{"id_token_hint", ofAda, "post_logout_redirect_uri", bye, "state", "s 1&x"}, true, bye + "?state=s+1%26x", ""},
		{"without state", []string{"id_token_hint", ofAda, "post_logout_redirect_uri", bye}, true, bye, ""},
		{"address with a query", []string{"id_token_hint", ofAda, "post_logout_redirect_uri", bye + "?x=1", "state", "s"}, true, bye + "?x=1&state=s", ""},
		{"hint alone", []string{"id_token_hint", ofAda}, true, "", "/logout"},
		{"hint and its client", []string{"id_token_hint", ofAda, "client_id", "web", "post_logout_redirect_uri", bye}, true, bye, ""},
		{"expired hint", []string{"id_token_hint", expired, "post_logout_redirect_uri", bye, "state", "s"}, false, "", "/logout"},
		{"no hint", []string{"client_id", "web", "post_logout_redirect_uri", bye}, false, "", "/logout"},
		{"nothing", nil, false, "", "/logout"},
		{"hint of another person", []string{"id_token_hint", ofBob, "post_logout_redirect_uri", bye}, false, "", "/logout"},
		{"hint that is none", []string{"id_token_hint", "nonsense", "client_id", "web", "post_logout_redirect_uri", bye}, false, "", "/logout"},
		{"opaque access token as hint", []string{"id_token_hint", access, "client_id", "web", "post_logout_redirect_uri", bye}, false, "", "/logout"},
		{"JWT access token as hint", []string{"id_token_hint", asAccess, "client_id", "web"}, false, "", "/logout"},
		{"another issuer's", []string{"id_token_hint", foreign, "client_id", "web"}, false, "", "/logout"},
		{"unregistered address", []string{"id_token_hint", ofAda, "post_logout_redirect_uri", "https://evil.example/"}, false, "", "/oauth2/logout invalid_request"},
		{"longer address", []string{"id_token_hint", ofAda, "post_logout_redirect_uri", bye + "/x"}, false, "", "/oauth2/logout invalid_request"},
		{"address that signs in", []string{"id_token_hint", ofAda, "post_logout_redirect_uri", "https://web.example.net/cb"}, false, "", "/oauth2/logout invalid_request"},
		{"another client's address", []string{"id_token_hint", ofOther, "post_logout_redirect_uri", bye}, false, "", "/oauth2/logout invalid_request"},
		{"address of nobody is asked about", []string{"post_logout_redirect_uri", bye}, false, "", "/logout"},
		{"script", []string{"id_token_hint", ofAda, "post_logout_redirect_uri", "javascript:alert(1)"}, false, "", "/oauth2/logout invalid_request"},
		{"client that the hint denies", []string{"id_token_hint", ofAda, "client_id", "other"}, false, "", "/oauth2/logout invalid_request"},
	} {
		b := w.signedIn(ada, identity.ACROneFactor)
		page := b.Get("/oauth2/logout?" + with(url.Values{}, c.pairs...).Encode())
		if c.left != page.Left {
			t.Errorf("%s: leaves for %q, want %q", c.what, page.Left, c.left)
		}
		if c.path != "" && strings.TrimSpace(page.URL.Path+" "+page.Error) != c.path {
			t.Errorf("%s: leads to %s %q, want %s", c.what, page.URL, page.Error, c.path)
		}
		if got := !w.alive(b); got != c.out {
			t.Errorf("%s: signed out: %v, want %v", c.what, got, c.out)
		}
	}
	if got := w.events("logout"); len(got) != 5 {
		t.Errorf("audit has %v for five sign-outs", got)
	}
	w.calm()
}

// The page that asks keeps where the person was going, and asks only once.
func TestLogoutConfirmation(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	const query = "client_id=web&post_logout_redirect_uri=https%3A%2F%2Fweb.example.net%2Fbye&state=s+1"
	page := b.Get("/oauth2/logout?" + query)
	if again := b.Post("/logout", url.Values{"client_id": {"web"}}); !w.alive(b) || again.URL.Path != "/logout" {
		t.Error("a form without the button signs out")
	}
	page = b.Submit(page, "logout", "yes")
	if page.Status != http.StatusOK || page.Left != "https://web.example.net/bye?state=s+1" || w.alive(b) {
		t.Errorf("yes: %d, leaves for %q, signed in %v", page.Status, page.Left, w.alive(b))
	}
	// Nobody is signed in any more: there is nothing to ask.
	if page = b.Get("/oauth2/logout?" + query); page.Left != "https://web.example.net/bye?state=s+1" {
		t.Errorf("the second time leaves for %q", page.Left)
	}
	if page = b.Get("/oauth2/logout"); page.Left != "" || page.Status != http.StatusOK {
		t.Errorf("without address: %d, leaves for %q", page.Status, page.Left)
	}
	// The form cannot be turned to an address that is not registered.
	b = w.signedIn(w.person("bob"), identity.ACROneFactor)
	page = b.Post("/logout", url.Values{"logout": {"yes"}, "client_id": {"web"}, "post_logout_redirect_uri": {"https://evil.example/"}})
	if page.Left != "" || page.Status != http.StatusBadRequest || !w.alive(b) {
		t.Errorf("a turned form: %d, leaves for %q", page.Status, page.Left)
	}
}

// Other sites post without our cookies, so whose session it is is not known.
func TestPostedLogoutAsks(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	b := w.signedIn(ada, identity.ACROneFactor)
	hint := w.tokens(b, "web", "scope", "openid").Str("id_token")
	form := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://web.example.net/bye"}, "state": {"s"}}
	a := w.Call(http.MethodPost, "/oauth2/logout", form, nil)
	location := a.Header.Get("Location")
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(location, "/logout?") || strings.Contains(location, "id_token_hint") {
		t.Fatalf("a POST gives %d %q", a.Status, location)
	}
	page := b.Get(location)
	if page.URL.Path != "/logout" || page.Left != "" || !w.alive(b) {
		t.Fatalf("it leads to %s %q", page.URL, page.Left)
	}
	if page = b.Submit(page, "logout", "yes"); page.Left != "https://web.example.net/bye?state=s" || w.alive(b) {
		t.Errorf("yes leaves for %q", page.Left)
	}
	for _, name := range []string{"client_id", "post_logout_redirect_uri", "state", "id_token_hint"} {
		doubled := "/oauth2/logout?" + url.Values{name: {"x", "x"}}.Encode()
		if a := w.Call(http.MethodGet, doubled, nil, nil); a.Status != http.StatusBadRequest || a.Header.Get("Location") != "" {
			t.Errorf("two %s: %d", name, a.Status)
		}
	}
}
