package portal_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

const httpsIssuer = "https://id.example.net"

// Cookies follow the issuer, not the listener, which is plain in both.
func TestCookiesFollowTheIssuer(t *testing.T) {
	for issuer, want := range map[string]map[string]string{
		"": {
			"peerage-browser": "Path=/; HttpOnly; SameSite=Lax",
			"peerage":         "Path=/; Max-Age=86400; HttpOnly; SameSite=Lax",
		},
		httpsIssuer: {
			"__Host-peerage-browser": "Path=/; HttpOnly; Secure; SameSite=Lax",
			"__Host-peerage":         "Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax",
		},
	} {
		w := newWorld(t, portaltest.Options{Issuer: issuer})
		w.AddUser("bob")
		got := map[string]string{}
		remember := func(p *portaltest.Page) {
			for _, line := range p.Header.Values("Set-Cookie") {
				name, rest, _ := strings.Cut(line, "=")
				_, got[name], _ = strings.Cut(rest, "; ")
			}
		}
		b := w.Browser()
		remember(b.Once(http.MethodGet, "/login", nil, nil))
		remember(b.Once(http.MethodPost, "/login", url.Values{"username": {"bob"}, "password": {portaltest.Password}}, nil))
		for name, flags := range want {
			if got[name] != flags {
				t.Errorf("issuer %q: cookie %s is %q, want %q", issuer, name, got[name], flags)
			}
		}
		if len(got) != len(want) {
			t.Errorf("issuer %q: cookies %v", issuer, got)
		}
		if page := b.Get("/identity"); page.Status != http.StatusOK || page.URL.Path != "/identity" {
			t.Errorf("issuer %q: the session does not hold: %s", issuer, page.URL)
		}
		page := b.Once(http.MethodPost, "/logout", url.Values{"logout": {"yes"}}, nil)
		if line := page.Header.Get("Set-Cookie"); !strings.Contains(line, "Max-Age=0") || !strings.Contains(line, "peerage=;") {
			t.Errorf("issuer %q: signing out sets %q", issuer, line)
		}
	}
}

// With an https issuer the names without __Host-, which a neighbouring host
// could plant, count nothing.
func TestPlainCookieNamesDoNotCountOnHTTPS(t *testing.T) {
	w := newWorld(t, portaltest.Options{Issuer: httpsIssuer})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	session := cookie(t, b, "__Host-peerage")
	answer := w.Call(http.MethodGet, "/identity", nil, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "peerage", Value: session}) })
	if answer.Status != http.StatusSeeOther {
		t.Errorf("a session under the wrong name gives %d", answer.Status)
	}
}

// An attacker plants a session cookie and a browser cookie of their own
// choice in a victim's browser. After the victim's sign-in neither is worth
// anything: the session's secret is new at each change of privilege.
func TestPlantedCookies(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("mallory")
	w.AddUser("bob")
	attacker := w.signedIn(t, "mallory", "")
	planted := identity.NewSecret()
	for name, values := range map[string][2]string{
		"made up":           {planted, planted},
		"of the attacker":   {cookie(t, attacker, "peerage"), cookie(t, attacker, "peerage-browser")}, // in force until now
		"not even a secret": {"x", "x"},
	} {
		victim := w.Browser()
		plant(t, victim, "peerage", values[0])
		plant(t, victim, "peerage-browser", values[1])
		page := victim.Post("/login", url.Values{"username": {"bob"}, "password": {portaltest.Password}})
		if page.URL.Path != "/" {
			t.Fatalf("%s: the victim comes to %s (%d)", name, page.URL, page.Status)
		}
		session := cookie(t, victim, "peerage")
		if session == values[0] || len(session) != 43 {
			t.Errorf("%s: the session keeps the planted secret", name)
		}
		with := w.Call(http.MethodGet, "/identity", nil, func(r *http.Request) {
			r.AddCookie(&http.Cookie{Name: "peerage", Value: values[0]})
			r.AddCookie(&http.Cookie{Name: "peerage-browser", Value: values[1]})
		})
		if with.Status != http.StatusSeeOther {
			t.Errorf("%s: the planted cookies open /identity: %d", name, with.Status)
		}
	}
}

// plant puts a cookie into a browser; an attacker cannot read it back.
func plant(t *testing.T, b *portaltest.Browser, name, value string) {
	t.Helper()
	b.Client.Jar.SetCookies(mustParse(t, b.Site.Issuer), []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// A planted browser cookie binds a half-done sign-in to a secret that the
// attacker knows; the code is still needed, and the session that follows is
// the victim's alone.
func TestPlantedBrowserCookieDoesNotShareTheSession(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("ada", "admins"))
	attacker, victim := w.Browser(), w.Browser()
	attacker.Get("/login")
	plant(t, victim, "peerage-browser", cookie(t, attacker, "peerage-browser"))
	page := victim.Submit(victim.Get("/login"), "username", "ada", "password", portaltest.Password)
	if page.URL.Path != "/login/totp" {
		t.Fatalf("the victim comes to %s", page.URL)
	}
	if got := attacker.Get("/identity"); got.URL.Path == "/identity" {
		t.Fatal("the attacker is signed in with the password alone")
	}
	page = victim.Submit(page, "code", w.Code(secret))
	if page.URL.Path != "/" {
		t.Fatalf("the victim's code leads to %s", page.URL)
	}
	if got := attacker.Get("/identity"); got.URL.Path != "/login" {
		t.Errorf("the attacker comes to %s", got.URL)
	}
}

// Every change of privilege gives the session another secret, and the one
// before opens nothing.
func TestSecretChangesWithPrivilege(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	seen := []string{cookie(t, b, "peerage")}
	changed := func(when string) {
		t.Helper()
		now := cookie(t, b, "peerage")
		if slices.Contains(seen, now) {
			t.Errorf("after %s the session has an old secret", when)
		}
		for _, old := range seen {
			answer := w.Call(http.MethodGet, "/identity", nil, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "peerage", Value: old}) })
			if answer.Status != http.StatusSeeOther {
				t.Errorf("after %s an old secret still opens /identity: %d", when, answer.Status)
			}
		}
		seen = append(seen, now)
	}
	w.Clock.Advance(11 * time.Minute)
	page := b.Submit(b.Get("/identity/totp"), "password", portaltest.Password)
	changed("a fresh password")
	secret := w.enrolmentSecret(t, page)
	page = b.Submit(page, "code", w.Code(secret))
	if page.Status != http.StatusOK || page.URL.Path != "/identity/totp" {
		t.Fatalf("enrolling leads to %s (%d)", page.URL, page.Status)
	}
	changed("an enrolment")
	w.Clock.Advance(11 * time.Minute)
	b.Submit(b.Get("/login/confirm"), "code", w.Code(secret))
	changed("a fresh code")
	w.Clock.Advance(time.Minute)
	if page = b.Submit(b.Get("/identity/totp"), "code", w.Code(secret), "action", "disable"); page.URL.Path != "/identity" {
		t.Fatalf("removing leads to %s (%d)", page.URL, page.Status)
	}
	changed("removing the factor")
	b.Submit(b.Get("/login/confirm"), "logout", "yes")
	signIn(b, "bob", "")
	changed("another sign-in")
}
