package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

// The button in the header signs out at once.
func TestSignOutByButton(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	bob := w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	w.skipEvents()
	session := cookie(t, b, "peerage")
	page := b.Submit(b.Get("/identity"), "logout", "yes")
	if page.URL.Path != "/logout" || page.Status != http.StatusOK || !strings.Contains(page.Body, "You are signed out") || cookie(t, b, "peerage") != "" {
		t.Fatalf("the button leads to %s (%d):\n%s", page.URL, page.Status, page.Body)
	}
	w.happened(t, "logout success bob")
	if answer := w.Call(http.MethodGet, "/identity", nil, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "peerage", Value: session}) }); answer.Status != http.StatusSeeOther {
		t.Errorf("the old cookie still opens /identity: %d", answer.Status)
	}
	if sessions, err := w.Store.Sessions(t.Context(), bob.Sub); err != nil || len(sessions) != 0 {
		t.Errorf("sessions: %v, %v", sessions, err)
	}
	// Once more does no harm and is no event.
	if page = b.Post("/logout", url.Values{"logout": {"yes"}}); page.Status != http.StatusOK {
		t.Errorf("signing out twice gives %s", outcome(page))
	}
	w.happened(t)
}

// A GET never signs out: it asks.
func TestSignOutAsks(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	w.skipEvents()
	for _, path := range []string{"/logout", "/logout?logout=yes", "/oauth2/logout", "/oauth2/logout?client_id=grafana", "/oauth2/logout?id_token_hint=garbage"} {
		page := b.Get(path)
		if page.URL.Path != "/logout" || page.Status != http.StatusOK || !strings.Contains(page.Body, "bob") {
			t.Errorf("%s leads to %s (%d)", path, page.URL, page.Status)
		}
	}
	if page := b.Post("/logout", url.Values{"logout": {"no"}}); page.URL.Path != "/logout" || !strings.Contains(page.Body, "bob") {
		t.Errorf("anything but yes leads to %s", page.URL)
	}
	if page := b.Post("/logout?logout=yes", url.Values{}); page.URL.Path != "/logout" || !strings.Contains(page.Body, "bob") {
		t.Errorf("yes in the address leads to %s", page.URL)
	}
	w.happened(t)
	if page := b.Submit(b.Get("/logout"), "logout", "yes"); !strings.Contains(page.Body, "You are signed out") {
		t.Errorf("yes leads to %s", page.URL)
	}
}

const (
	bye = "https://grafana.example.net/bye"
	// hostileState must come back to the application as it is, and only there.
	hostileState = `a b&c=d"><script>alert(1)</script>#/é`
)

// An application asks to sign out and to come back (OIDC RP-Initiated Logout).
func TestSignOutForAnApplication(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	w.skipEvents()
	ask := "/oauth2/logout?" + url.Values{"client_id": {"grafana"}, "post_logout_redirect_uri": {bye}, "state": {hostileState}}.Encode()
	page := b.Get(ask)
	if page.URL.Path != "/logout" || !strings.Contains(page.Body, "Grafana") || !strings.Contains(page.Body, "grafana.example.net") || strings.Contains(page.Body, "<script>") {
		t.Fatalf("the application's request leads to %s:\n%s", page.URL, page.Body)
	}
	page = b.Submit(page, "logout", "yes")
	// Behind a form it is a page that leaves: CSP's form-action holds for redirects.
	if page.Status != http.StatusOK || !strings.HasPrefix(page.Left, bye+"?state=") || page.Query(t).Get("state") != hostileState || strings.Contains(page.Body, "<script>") {
		t.Fatalf("yes leads to %d %q", page.Status, page.Left)
	}
	if !strings.Contains(page.Body, `href="`+bye) || !strings.Contains(page.Body, "Continue to") || cookie(t, b, "peerage") != "" {
		t.Errorf("the page has no link, or the cookie stays:\n%s", page.Body)
	}
	w.happened(t, "logout success bob")
	// Nobody is signed in any more: back at once.
	if page = b.Get(ask); page.Status != http.StatusSeeOther || page.Query(t).Get("state") != hostileState {
		t.Errorf("without session: %d %q", page.Status, page.Left)
	}
}

// A living ID token of this very session signs out without asking.
func TestSignOutByHint(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	hint := w.idToken(t, b)
	ask := "/oauth2/logout?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}, "state": {"s"}}.Encode()
	w.AddUser("eve")
	other := w.signedIn(t, "eve", "")
	if page := other.Get(ask); page.URL.Path != "/logout" || !strings.Contains(page.Body, "eve") {
		t.Errorf("a hint about bob signs eve out: %s", page.URL)
	}
	w.skipEvents()
	page := b.Get(ask)
	if page.Status != http.StatusSeeOther || page.Left != bye+"?state=s" || cookie(t, b, "peerage") != "" {
		t.Errorf("the hint leads to %d %q", page.Status, page.Left)
	}
	w.happened(t, "logout success bob")
	// An expired one leads to the question, never to an error.
	b = w.signedIn(t, "bob", "")
	w.Clock.Advance(2 * time.Hour)
	if page := b.Get(ask); page.URL.Path != "/logout" || page.Status != http.StatusOK || !strings.Contains(page.Body, "bob") {
		t.Errorf("an expired hint leads to %s (%d)", page.URL, page.Status)
	}
}

// idToken gets an ID token for the person in that browser.
func (w *world) idToken(t *testing.T, b *portaltest.Browser) string {
	t.Helper()
	page := b.Get(portaltest.Authorize("grafana", callback))
	if page.URL.Path == "/consent" && page.Left == "" {
		page = b.Submit(page, "decision", "allow")
	}
	tokens := w.Redeem("grafana", "grafana-secret", code(t, page, callback), callback)
	if tokens.Str("id_token") == "" {
		t.Fatalf("no ID token: %d %s", tokens.Status, tokens.Body)
	}
	// An application may put it into an address of ours; there it is no leak,
	// but nowhere else may it appear.
	return tokens.Str("id_token")
}

// Addresses that the application did not register are never followed, on
// either page (CVE-2024-8883).
func TestSignOutGoesToRegisteredAddressesOnly(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	for _, q := range []url.Values{
		{"client_id": {"grafana"}, "post_logout_redirect_uri": {"https://evil.example/"}},
		{"client_id": {"grafana"}, "post_logout_redirect_uri": {bye + "/"}},
		{"client_id": {"grafana"}, "post_logout_redirect_uri": {bye + "?x"}},
		{"client_id": {"grafana"}, "post_logout_redirect_uri": {callback}}, // that one is for sign-ins
		{"client_id": {"grafana"}, "post_logout_redirect_uri": {"javascript:alert(1)"}},
		{"client_id": {"unknown"}, "post_logout_redirect_uri": {bye}},
		{"client_id": {"grafana", "grafana"}, "post_logout_redirect_uri": {bye}},
		{"client_id": {"grafana"}, "post_logout_redirect_uri": {bye, "https://evil.example/"}},
		{"client_id": {"grafana"}, "post_logout_redirect_uri": {bye}, "state": {"a\r\nb"}},
	} {
		yes := url.Values{"logout": {"yes"}}
		for name, values := range q {
			yes[name] = values
		}
		for name, page := range map[string]*portaltest.Page{"protocol": b.Get("/oauth2/logout?" + q.Encode()), "page": b.Get("/logout?" + q.Encode()), "form": b.Post("/logout", yes)} {
			if outcome(page) != "400 invalid_request" || page.Left != "" || strings.Contains(page.Body, `href="https://evil`) {
				t.Errorf("%s with %v: %s, leaves to %q", name, q, outcome(page), page.Left)
			}
		}
	}
	if page := b.Get("/identity"); page.URL.Path != "/identity" {
		t.Error("a refused sign-out signs out")
	}
	// An address that is nobody's is no error, and not followed either.
	page := b.Get("/oauth2/logout?" + url.Values{"post_logout_redirect_uri": {bye}}.Encode())
	if page = b.Submit(page, "logout", "yes"); page.Left != "" || page.Error != "" || page.Status != http.StatusOK {
		t.Errorf("an address of nobody leads to %s, %q", outcome(page), page.Left)
	}
}
