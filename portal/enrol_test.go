package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

// An administrator without a second factor comes no further than to enrol one.
func TestDemandedEnrolment(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	ada := w.AddUser("ada", "admins")
	w.skipEvents()
	b := w.Browser()
	page := signIn(b, "ada", "")
	if page.URL.Path != "/login/enrol" || page.Status != http.StatusOK || cookie(t, b, "peerage") != "" {
		t.Fatalf("the password leads to %s (%d), session %q", page.URL, page.Status, cookie(t, b, "peerage"))
	}
	w.happened(t, "mfa_challenge success ada") // nobody has signed in yet
	secret := w.enrolmentSecret(t, page)
	if !strings.Contains(page.Body, `href="otpauth://totp/`) || !strings.Contains(page.Body, "<svg viewBox") {
		t.Error("the page shows no QR code or no link to an app on the device")
	}
	for _, path := range []string{"/", "/identity", "/identity/totp", "/login/confirm"} {
		if got := b.Get(path); got.URL.Path != "/login/enrol" || w.enrolmentSecret(t, got) != secret {
			t.Errorf("%s leads to %s, or the secret has changed", path, got.URL)
		}
	}
	if again := b.Get("/login/enrol"); w.enrolmentSecret(t, again) != secret {
		t.Error("a reload shows another secret: the app would hold a wrong one")
	}
	page = b.Submit(page, "code", "000000")
	if outcome(page) != "422 wrong_code" || w.enrolmentSecret(t, page) != secret || cookie(t, b, "peerage") != "" {
		t.Fatalf("a wrong code gives %s", outcome(page))
	}
	// The password alone is no more in another browser.
	if got := w.Browser().Get("/login/enrol"); got.URL.Path != "/login" {
		t.Errorf("another browser sees %s", got.URL)
	}
	page = b.Submit(page, "code", w.Code(secret))
	if page.URL.Path != "/" || page.Status != http.StatusOK {
		t.Fatalf("the right code leads to %s (%d, %q)", page.URL, page.Status, page.Error)
	}
	w.happened(t, "totp_enable failure ada", "totp_enable success ada", "login_success success ada")
	sessions, err := w.Store.Sessions(t.Context(), ada.Sub)
	if err != nil || len(sessions) != 1 || sessions[0].ACR != "2" || strings.Join(sessions[0].AMR, " ") != "pwd otp mfa" {
		t.Errorf("sessions %+v, %v", sessions, err)
	}
	if got := b.Get("/login/enrol"); got.URL.Path == "/login/enrol" {
		t.Error("the enrolment can be seen again")
	}
	if page := w.signedInAgain(t, "ada", secret); page.URL.Path != "/" {
		t.Errorf("the next sign-in leads to %s", page.URL)
	}
}

// signedInAgain signs in with the code of the next step.
func (w *world) signedInAgain(t *testing.T, name, secret string) *portaltest.Page {
	t.Helper()
	w.Clock.Advance(time.Minute)
	return signIn(w.Browser(), name, secret)
}

// A demanded enrolment goes on to where the person wanted to go.
func TestDemandedEnrolmentReturns(t *testing.T) {
	w := newWorld(t, portaltest.Options{RequireMFA: "all"})
	w.AddUser("bob")
	b := w.Browser()
	page := b.Submit(b.Get("/identity"), "username", "bob", "password", portaltest.Password)
	if page.URL.Path != "/login/enrol" {
		t.Fatalf("the password leads to %s", page.URL)
	}
	secret := w.enrolmentSecret(t, page)
	if page = b.Submit(b.Submit(page, "code", "000000"), "code", w.Code(secret)); page.URL.Path != "/identity" {
		t.Errorf("the enrolment leads to %s", page.URL)
	}
	// A half-done one is forgotten after ten minutes.
	w.AddUser("eve")
	late := w.Browser()
	page = signIn(late, "eve", "")
	secret = w.enrolmentSecret(t, page)
	w.Clock.Advance(11 * time.Minute)
	if page = late.Submit(page, "code", w.Code(secret)); page.URL.Path != "/login" {
		t.Errorf("a late code leads to %s (%d)", page.URL, page.Status)
	}
}

// Adding and removing a second factor by oneself.
func TestSecondFactorOnAndOff(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	bob := w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	w.skipEvents()
	if home := b.Get("/"); !strings.Contains(home.Body, `href="/identity/totp"`) || !strings.Contains(home.Body, "one factor only") {
		t.Error("home does not offer a second factor")
	}
	page := b.Get("/identity/totp")
	secret := w.enrolmentSecret(t, page)
	if again := b.Get("/identity/totp"); w.enrolmentSecret(t, again) != secret {
		t.Error("a reload shows another secret")
	}
	page = b.Submit(page, "code", "000000")
	if outcome(page) != "422 wrong_code" || w.enrolmentSecret(t, page) != secret || !strings.Contains(page.Body, `id="code-fault"`) {
		t.Fatalf("a wrong code gives %s", outcome(page))
	}
	page = b.Submit(page, "code", w.Code(secret))
	if page.URL.RequestURI() != "/identity/totp?done=second_factor_added" || !strings.Contains(page.Body, "Your second factor is on.") || strings.Contains(page.Body, secret) {
		t.Fatalf("the right code leads to %s:\n%s", page.URL, page.Body)
	}
	w.happened(t, "totp_enable failure bob", "totp_enable success bob")
	if home := b.Get("/"); strings.Contains(home.Body, "one factor only") {
		t.Error("home still asks for a second factor")
	}
	// Sent again (the back button), the enrolment does nothing.
	if got := b.Once(http.MethodPost, "/identity/totp", url.Values{"code": {w.Code(secret)}}, nil); outcome(got) != "303 /identity/totp" {
		t.Errorf("a second enrolment gives %s", outcome(got))
	}
	if got := b.Once(http.MethodPost, "/identity/totp", url.Values{"code": {w.Code(secret)}, "action": {"remove"}}, nil); outcome(got) != "422 invalid_request" {
		t.Errorf("an action that there is not gives %s", outcome(got))
	}
	w.Clock.Advance(time.Minute)
	page = b.Submit(b.Get("/identity/totp"), "code", "000000", "action", "disable")
	if outcome(page) != "422 wrong_code" {
		t.Fatalf("removing with a wrong code gives %s", outcome(page))
	}
	page = b.Submit(page, "code", w.Code(secret), "action", "disable")
	if page.URL.RequestURI() != "/identity?done=second_factor_removed" || !strings.Contains(page.Body, "Your second factor is removed.") {
		t.Fatalf("removing leads to %s (%d, %q)", page.URL, page.Status, page.Error)
	}
	w.happened(t, "mfa_failure failure bob", "mfa_success success bob", "totp_disable success bob")
	u, err := w.Directory.User(t.Context(), bob.Sub)
	if err != nil || u.TOTP {
		t.Errorf("the factor is still there (%v)", err)
	}
	if strings.Contains(b.Get("/identity?done=%3Cscript%3E").Body, "<script>") {
		t.Error("any word in done= is shown")
	}
	// A new enrolment has a new secret.
	if w.enrolmentSecret(t, b.Get("/identity/totp")) == secret {
		t.Error("the removed secret comes back")
	}
}

// An administrator who removes the factor is told, and must enrol again at the
// next sign-in.
func TestRequiredFactorRemoved(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("ada", "admins"))
	b := w.signedIn(t, "ada", secret)
	page := b.Get("/identity/totp")
	if !strings.Contains(page.Body, "</bdi> demands one for your account") {
		t.Error("the page does not say that the factor is required")
	}
	if page = b.Submit(page, "code", w.Code(secret), "action", "disable"); page.URL.Path != "/identity" {
		t.Fatalf("removing leads to %s (%d)", page.URL, page.Status)
	}
	if page = signIn(w.Browser(), "ada", ""); page.URL.Path != "/login/enrol" {
		t.Errorf("the next sign-in leads to %s", page.URL)
	}
}
