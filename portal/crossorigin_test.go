package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"peerage/portal/portaltest"
)

// foreign are the ways in which browsers say that another site sends a form.
var foreign = map[string]func(*http.Request){
	"Sec-Fetch-Site": func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", "https://evil.example")
	},
	"a neighbour": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
	"old browser": func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://evil.example")
	},
	"other port": func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "http://127.0.0.1:1")
	},
	"sandbox": func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "null")
	},
}

// Forms that other sites send are refused before anything looks at them.
func TestFormsOfOtherSites(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	ada := w.AddUser("ada", "admins")
	secret := w.AddTOTP(ada)
	bob := w.AddUser("bob")
	reset := w.AddUser("reset")
	link, err := w.Directory.ResetMFA(t.Context(), reset)
	if err != nil {
		t.Fatal(err)
	}
	w.leaks.keep("link", link.Token)
	b := w.signedIn(t, "ada", secret)
	consent := b.Get(portaltest.Authorize("grafana", callback))
	half := w.Browser() // a password was right, the code is outstanding
	half.Submit(half.Get("/login"), "username", "ada", "password", portaltest.Password)
	session, browserCookie := cookie(t, b, "peerage"), cookie(t, b, "peerage-browser")

	forms := []struct {
		b       *portaltest.Browser
		address string
		form    url.Values
	}{
		{b, "/login", url.Values{"username": {"bob"}, "password": {portaltest.Password}}},
		{b, "/login/confirm", url.Values{"code": {w.Code(secret)}}},
		{b, "/identity/totp", url.Values{"code": {w.Code(secret)}, "action": {"disable"}}},
		{b, consent.URL.RequestURI(), url.Values{"decision": {"allow"}}},
		{b, "/device", url.Values{"user_code": {"BCDF-GHJK"}, "decision": {"allow"}}},
		{b, "/logout", url.Values{"logout": {"yes"}}},
		{b, "/recover/" + link.Token, url.Values{"password": {portaltest.Password}}},
		{half, "/login/totp", url.Values{"code": {w.Code(secret)}}},
		{half, "/login/enrol", url.Values{"code": {"000000"}}},
		{b, "/nowhere", url.Values{}},
	}
	for name, change := range foreign {
		for _, f := range forms {
			page := f.b.Once(http.MethodPost, f.address, f.form, change)
			if page.Status != http.StatusForbidden || page.Error != "not_allowed" || len(page.Header.Values("Set-Cookie")) > 0 {
				t.Errorf("%s: POST %s: %d %q, cookies %d", name, f.address, page.Status, page.Error, len(page.Header.Values("Set-Cookie")))
			}
		}
	}
	if cookie(t, b, "peerage") != session || cookie(t, b, "peerage-browser") != browserCookie {
		t.Error("cookies have changed")
	}
	if page := b.Get("/identity"); !strings.Contains(page.Body, "ada@example.net") {
		t.Errorf("somebody else is signed in: %s", page.URL)
	}
	if cookie(t, half, "peerage") != "" {
		t.Error("a code of another site has signed somebody in")
	}
	u, err := w.Directory.User(t.Context(), ada.Sub)
	if err != nil || !u.TOTP {
		t.Errorf("the second factor has gone (%v)", err)
	}
	if consents, err := w.Store.Consents(t.Context(), ada.Sub); err != nil || len(consents) != 0 {
		t.Errorf("consents: %v, %v", consents, err)
	}
	if sessions, err := w.Store.Sessions(t.Context(), bob.Sub); err != nil || len(sessions) != 0 {
		t.Errorf("sessions of bob: %v, %v", sessions, err)
	}
	if _, err := w.Directory.FactorLink(t.Context(), link.Token); err != nil {
		t.Errorf("the link was used: %v", err)
	}
	// None of the codes was spent.
	if page := half.Once(http.MethodPost, "/login/totp", url.Values{"code": {w.Code(secret)}}, nil); page.Status != http.StatusSeeOther {
		t.Errorf("the site's own form gives %d %q", page.Status, page.Error)
	}
}

// The protocol's callers are other sites: a POST to authorize may come from
// one, without our cookies, and goes on in the browser that follows.
func TestAuthorizeTakesFormsOfOtherSites(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	_, query, _ := strings.Cut(portaltest.Authorize("grafana", callback), "?")
	form, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range foreign {
		answer := w.Call(http.MethodPost, "/oauth2/authorize", form, change) // Call has no cookies, as Lax ones stay home
		if answer.Status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", name, answer.Status, answer.Body)
		}
		page := b.Get(answer.Header.Get("Location"))
		if page.URL.Path != "/consent" {
			t.Errorf("%s: goes on at %s (%d, error %q)", name, page.URL, page.Status, page.Error)
		}
		// Another browser that learns the address cannot go on with it.
		if other := w.Browser().Get(answer.Header.Get("Location")); outcome(other) != "400 invalid_request" {
			t.Errorf("%s: another browser gets %s at %s", name, outcome(other), other.URL)
		}
	}
}
