package idp_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// requestOf is the authorization in flight that a page belongs to.
func requestOf(page *portaltest.Page) string { return page.URL.Query().Get("request") }

func resumePath(id string) string { return "/oauth2/authorize/resume?request=" + url.QueryEscape(id) }

// An attacker begins an authorization, the victim signs in to it, and the
// attacker's browser fetches the code: in the library it did.
func TestResumeFromAnotherBrowser(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	attacker, victim := w.Browser(), w.signedIn(ada, identity.ACROneFactor)
	page := attacker.Get(authorize("trusted"))
	id := requestOf(page)
	if page.URL.Path != "/login" || id == "" {
		t.Fatalf("the authorization leads to %s", page.URL)
	}
	for _, path := range []string{resumePath(id), "/login?request=" + id, "/login/totp?request=" + id, "/login/enrol?request=" + id, "/consent?request=" + id} {
		page = victim.Get(path)
		if page.Left != "" || page.Status != http.StatusBadRequest || page.Error != "invalid_request" {
			t.Errorf("another browser's %s: %d %q, leaves for %q", path, page.Status, page.Error, page.Left)
		}
	}
	for _, path := range []string{"/login", "/consent"} {
		page = victim.Post(path+"?request="+id, url.Values{"decision": {"allow"}, "username": {"ada"}, "password": {portaltest.Password}})
		if page.Left != "" || page.Status != http.StatusBadRequest {
			t.Errorf("posting to another browser's %s: %d %q, leaves for %q", path, page.Status, page.Error, page.Left)
		}
	}
	// The victim gained nothing for the attacker, whose own request still waits.
	if page = attacker.Get(resumePath(id)); page.URL.Path != "/login" || page.Left != "" {
		t.Errorf("the first browser's own request: %s %q", page.URL, page.Left)
	}
	// The session cookie alone does not bind: a browser cookie that was planted does not help either.
	naked := w.Browser()
	if page = naked.Get(resumePath(id)); page.Status != http.StatusBadRequest {
		t.Errorf("a browser without cookies: %d", page.Status)
	}
}

func TestSecondResumeOfAnAnsweredRequest(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	b := w.signedIn(ada, identity.ACROneFactor)
	page := b.Get(authorize("web"))
	id := requestOf(page)
	page = b.Submit(page, "decision", "allow")
	if page.Query(t).Get("code") == "" {
		t.Fatalf("consent leads to %q", page.Left)
	}
	for range 2 {
		page = b.Get(resumePath(id))
		if page.Left != "" || page.Status != http.StatusBadRequest || page.Error != "invalid_request" || !strings.Contains(page.Body, `href="https://web.example.net/"`) {
			t.Errorf("a second resume: %d %q, leaves for %q; it must offer a new start", page.Status, page.Error, page.Left)
		}
	}
	for _, decision := range []string{"allow", "deny"} {
		if page = b.Post("/consent?request="+id, url.Values{"decision": {decision}}); page.Left != "" || page.Status != http.StatusBadRequest {
			t.Errorf("a second answer: %d, leaves for %q", page.Status, page.Left)
		}
	}
	for _, id := range []string{"", "no-such-request", strings.Repeat("x", 4096), "\x00", "\xff", "' OR 1=1 --"} {
		if page = b.Get(resumePath(id)); page.Left != "" || page.Status != http.StatusBadRequest {
			t.Errorf("resume of %.20q: %d, leaves for %q", id, page.Status, page.Left)
		}
	}
	w.calm()
}

func TestRequestExpires(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	page := b.Get(authorize("web"))
	w.Clock.Advance(31 * time.Minute)
	if page = b.Submit(page, "decision", "allow"); page.Left != "" || page.Status != http.StatusBadRequest {
		t.Errorf("after half an hour: %d, leaves for %q", page.Status, page.Left)
	}
}

// postAuthorize posts an authorization request as another site does: without
// our cookies, which are Lax. It returns where the answer leads.
func (w *world) postAuthorize(path string) string {
	w.t.Helper()
	path, query, _ := strings.Cut(path, "?")
	form, err := url.ParseQuery(query)
	if err != nil {
		w.t.Fatal(err)
	}
	a := w.Call(http.MethodPost, path, form, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	if a.Status != http.StatusSeeOther {
		w.t.Fatalf("posting an authorization gives %d %s", a.Status, a.Body)
	}
	return a.Header.Get("Location")
}

func TestPostedAuthorizationBindsAtResume(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	b, other := w.signedIn(ada, identity.ACROneFactor), w.signedIn(ada, identity.ACROneFactor)
	location := w.postAuthorize(authorize("trusted"))
	if !strings.HasPrefix(location, "/oauth2/authorize/resume?request=") {
		t.Fatalf("the request leads to %s", location)
	}
	// Nobody has it before a browser resumes it.
	id := strings.TrimPrefix(location, "/oauth2/authorize/resume?request=")
	if page := b.Get("/consent?request=" + id); page.Status != http.StatusBadRequest {
		t.Errorf("a page of an unbound request: %d", page.Status)
	}
	page := w.Browser().Get(location) // binds it, and asks to sign in
	if page.URL.Path != "/login" {
		t.Fatalf("resume leads to %s", page.URL)
	}
	if page = b.Get(location); page.Left != "" || page.Status != http.StatusBadRequest {
		t.Errorf("a second browser: %d, leaves for %q", page.Status, page.Left)
	}
	// The usual way: the browser that posted follows.
	page = other.Get(w.postAuthorize(authorize("trusted")))
	if page.Query(t).Get("code") == "" {
		t.Errorf("resume leaves for %q", page.Left)
	}
	// Parameters of the address count as parameters of the request.
	a := w.Call(http.MethodPost, authorize("trusted"), url.Values{"state": {"another"}}, nil)
	if l := a.Header.Get("Location"); !strings.Contains(l, "error=invalid_request") {
		t.Errorf("state in address and body leads to %q", l)
	}
}

// A program on the device may plant a request before the person signs in for
// something else: with a public native client no code leaves without a page.
func TestPostedAuthorizationOfANativeClientIsConfirmed(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	w.code(w.signedIn(ada, identity.ACROneFactor), "kube") // consent is there
	location := w.postAuthorize(authorize("kube"))
	choose := w.postAuthorize(authorize("trusted", "prompt", "select_account"))
	w.Clock.Advance(time.Second)
	b := w.signedIn(ada, identity.ACROneFactor)
	if page := b.Get(location); page.Left != "" || page.URL.Path != "/login" {
		t.Errorf("a planted request leaves for %q", page.Left)
	}
	if page := b.Get(choose); page.Left != "" || page.URL.Path != "/login" {
		t.Errorf("prompt=select_account without a page leaves for %q", page.Left)
	}
}

// Ids rotate when somebody signs in, so nobody can plant a session
// (CVE-2026-7507), and a session that ended is nobody's (CVE-2025-12390).
func TestSessionFixation(t *testing.T) {
	w := newWorld(t)
	ada, err := w.Directory.CreateUser(t.Context(), identity.NewUser{Username: "ada", Password: portaltest.Password})
	if err != nil {
		t.Fatal(err)
	}
	bob := w.person("bob")
	b := w.signedIn(bob, identity.ACROneFactor)
	site, _ := url.Parse(w.Issuer)
	before := map[string]string{}
	for _, c := range b.Client.Jar.Cookies(site) {
		before[c.Name] = c.Value
	}
	page := b.Get(authorize("trusted", "prompt", "login"))
	page = b.Submit(page, "username", "ada", "password", portaltest.Password)
	if page.Query(t).Get("code") == "" {
		t.Fatalf("signing in leads to %s %q", page.URL, page.Left)
	}
	info := w.UserInfo(w.as("trusted", grantForm("trusted", page.Query(t).Get("code"))).Str("access_token"))
	if info.Str("sub") != ada.Sub {
		t.Errorf("the code is %s's, not ada's", info.Str("sub"))
	}
	for _, c := range b.Client.Jar.Cookies(site) {
		if c.Name == "peerage" && c.Value == before["peerage"] {
			t.Error("the session's secret is the one from before")
		}
	}
	old := w.Browser()
	old.Client.Jar, _ = cookiejar.New(nil)
	old.Client.Jar.SetCookies(site, []*http.Cookie{{Name: "peerage", Value: before["peerage"], Path: "/"}})
	if page = old.Get(authorize("trusted", "prompt", "none")); page.Query(t).Get("error") != "login_required" {
		t.Errorf("the session from before still works: %q", page.Left)
	}
}
