package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

// reset takes a person's second factor away, as an administrator does, and
// returns the path of their one-time link.
func (w *world) reset(t *testing.T, name string) string {
	t.Helper()
	u, err := w.Directory.UserByName(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	link, err := w.Directory.ResetMFA(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	w.leaks.keep("link", link.Token)
	return "/recover/" + link.Token
}

// After a reset the password alone enrols nothing: a page says that a link is
// needed, and shows no secret.
func TestPasswordAfterResetNeedsLink(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	secret := w.AddTOTP(w.AddUser("ada", "admins"))
	before := w.signedIn(t, "ada", secret)
	w.reset(t, "ada")
	if page := before.Get("/identity"); page.URL.Path != "/login" {
		t.Errorf("the session outlives the reset: %s", page.URL)
	}
	w.skipEvents()
	for _, start := range []string{"/login", portaltest.Authorize("grafana", callback)} {
		b := w.Browser()
		page := b.Submit(b.Get(start), "username", "ada", "password", portaltest.Password)
		if page.URL.Path != "/login/enrol" || outcome(page) != "403 not_allowed" || !strings.Contains(page.Body, "one-time link") || len(page.Forms) != 0 || shownSecret.MatchString(page.Body) {
			t.Errorf("%s: the password leads to %s, %s:\n%s", start, page.URL, outcome(page), page.Body)
		}
		page = b.Once(http.MethodPost, page.URL.RequestURI(), url.Values{"code": {w.Code(secret)}}, nil)
		if outcome(page) != "403 not_allowed" {
			t.Errorf("%s: enrolling anyway gives %s", start, outcome(page))
		}
		if cookie(t, b, "peerage") != "" {
			t.Errorf("%s: somebody is signed in", start)
		}
	}
	w.happened(t, "mfa_challenge success ada", "mfa_challenge success ada")
}

// The whole story of a lost phone.
func TestRecovery(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	ada := w.AddUser("ada", "admins")
	w.AddTOTP(ada)
	w.AddUser("bob")
	link := w.reset(t, "ada")
	w.skipEvents()
	// Mail scanners follow links: a GET or HEAD changes nothing, however often.
	for range 100 {
		if answer := w.Call(http.MethodGet, link, nil, nil); answer.Status != http.StatusOK || !strings.Contains(answer.Body, "ada") {
			t.Fatalf("GET gives %d:\n%s", answer.Status, answer.Body)
		}
	}
	if answer := w.Call(http.MethodHead, link, nil, nil); answer.Status != http.StatusOK || answer.Body != "" {
		t.Errorf("HEAD gives %d", answer.Status)
	}
	w.happened(t)
	b := w.Browser()
	signIn(b, "bob", "") // somebody else used this browser before
	w.skipEvents()
	page := b.Submit(b.Get(link), "password", "wrong wrong wrong")
	if outcome(page) != "422 wrong_credentials" || page.Forms[0].Fields.Get("password") != "" || !strings.Contains(page.Body, `aria-describedby="password-fault"`) {
		t.Fatalf("a wrong password gives %s:\n%s", outcome(page), page.Body)
	}
	w.happened(t, "login_failure failure ada")
	page = b.Submit(page, "password", portaltest.Password) // the link is still good
	if page.URL.Path != "/login/enrol" || page.Status != http.StatusOK {
		t.Fatalf("the right password leads to %s, %s", page.URL, outcome(page))
	}
	if cookie(t, b, "peerage") != "" {
		t.Error("the link signs somebody in, or leaves bob signed in")
	}
	w.happened(t, "logout success bob")
	if got := b.Get("/identity"); got.URL.Path != "/login/enrol" {
		t.Errorf("before the enrolment /identity leads to %s", got.URL)
	}
	// The link is used up, in every browser and method.
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		for _, other := range []*portaltest.Browser{b, w.Browser()} {
			page := other.Once(method, link, url.Values{"password": {portaltest.Password}}, nil)
			if page.Status != http.StatusGone || method != http.MethodHead && page.Error != "link_expired" {
				t.Errorf("%s of the used link gives %s", method, outcome(page))
			}
		}
	}
	secret := w.enrolmentSecret(t, page)
	page = b.Submit(page, "code", w.Code(secret))
	if page.URL.Path != "/" || page.Status != http.StatusOK {
		t.Fatalf("the code leads to %s, %s", page.URL, outcome(page))
	}
	w.happened(t, "totp_enable success ada", "login_success success ada")
	if page := w.signedInAgain(t, "ada", secret); page.URL.Path != "/" {
		t.Errorf("the next sign-in leads to %s", page.URL)
	}
}

// What a link dies of, beside its use.
func TestLinksThatNoLongerWork(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	ada := w.AddUser("ada", "admins")
	first := w.reset(t, "ada")
	second := w.reset(t, "ada")
	works := func(link string) bool {
		t.Helper()
		answer := w.Call(http.MethodGet, link, nil, nil)
		if answer.Status != http.StatusOK && (answer.Status != http.StatusGone || !strings.Contains(answer.Body, `data-error="link_expired"`)) {
			t.Errorf("a link gives %d", answer.Status)
		}
		return answer.Status == http.StatusOK
	}
	if works(first) || !works(second) {
		t.Error("a newer link does not take the place of the older")
	}
	for _, made := range []string{"/recover/x", "/recover/" + strings.Repeat("x", 43), "/recover/" + strings.Repeat("x", 4000), "/recover/%00", "/recover/..%2fx", second + "x", second[:len(second)-1]} {
		if works(made) {
			t.Errorf("%.60s works", made)
		}
	}
	w.AddUser("other", "admins") // the last administrator could not be disabled
	if err := w.Directory.SetDisabled(t.Context(), ada, true); err != nil {
		t.Fatal(err)
	}
	if works(second) {
		t.Error("the link of a disabled person works")
	}
	if err := w.Directory.SetDisabled(t.Context(), ada, false); err != nil {
		t.Fatal(err)
	}
	third := w.reset(t, "ada")
	w.Clock.Advance(24*time.Hour - time.Second)
	if !works(third) {
		t.Error("an administrator's link dies before 24 hours")
	}
	w.Clock.Advance(2 * time.Second)
	if works(third) {
		t.Error("an administrator's link lives longer than 24 hours")
	}
}
