package portal_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

// What was typed comes back, but never the password, and the fault stands
// beside its field.
func TestSignInFormFaults(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	w.skipEvents()
	b := w.Browser()
	const hostile, secret = `"><script>alert(1)</script>`, "typed-password-0123456789"
	page := b.Submit(b.Get("/login?return=/identity/totp"), "username", hostile, "password", secret)
	if outcome(page) != "422 wrong_credentials" {
		t.Fatalf("a wrong name gives %s", outcome(page))
	}
	if form := page.Forms[0]; form.Fields.Get("username") != hostile || form.Fields.Get("password") != "" || form.Fields.Get("return") != "/identity/totp" {
		t.Errorf("the form comes back with %v", form.Fields)
	}
	if strings.Contains(page.Body, "<script>") || strings.Contains(page.Body, secret) {
		t.Errorf("the page repeats what was typed as it is:\n%s", page.Body)
	}
	for _, want := range []string{`aria-describedby="credentials-fault"`, `id="credentials-fault"`, `aria-invalid="true"`, `role="alert"`, `autocomplete="username"`, `autocomplete="current-password"`} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	w.happened(t, `login_failure failure "><script>alert(1)</script>`)
	page = b.Submit(page, "username", "bob", "password", portaltest.Password)
	if page.URL.Path != "/login/confirm" && page.URL.Path != "/identity/totp" {
		t.Fatalf("a right password then leads to %s", page.URL)
	}
	w.happened(t, "login_success success bob")
	// Control characters in a name reach neither line nor row.
	w.Browser().Post("/login", url.Values{"username": {"mallory\nlevel=INFO event=login_success\x1b[2J"}, "password": {secret}})
	w.happened(t, "login_failure failure mallorylevel=info event=login_success[2j")
	if strings.Contains(w.Log.String(), secret) {
		t.Error("a typed password is in the log")
	}
}

// Nobody learns whether a person exists, is disabled or has a second factor.
func TestSameAnswerForEveryWrongSignIn(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("known")
	w.AddTOTP(w.AddUser("second"))
	if err := w.Directory.SetDisabled(t.Context(), w.AddUser("gone"), true); err != nil {
		t.Fatal(err)
	}
	var bodies, headers []string
	for _, name := range []string{"known", "second", "gone", "nobody"} {
		password := "wrong wrong wrong"
		if name == "gone" {
			password = portaltest.Password
		}
		page := w.Browser().Once(http.MethodPost, "/login", url.Values{"username": {name}, "password": {password}}, nil)
		if outcome(page) != "422 wrong_credentials" {
			t.Fatalf("%s: %s", name, outcome(page))
		}
		bodies = append(bodies, strings.ReplaceAll(withoutNumber(page.Body, page.Header), `value="`+name+`"`, "NAME"))
		var names []string
		for header, values := range page.Header {
			if header == "Content-Length" || header == "Date" || header == "X-Request-Id" || header == "Set-Cookie" {
				values = nil
			}
			names = append(names, header+": "+strings.Join(values, ","))
		}
		slices.Sort(names)
		headers = append(headers, strings.Join(names, "\n"))
	}
	for i := range bodies {
		if bodies[i] != bodies[0] || headers[i] != headers[0] {
			t.Errorf("answer %d differs:\n%s\n%s\nfrom\n%s\n%s", i, headers[i], bodies[i], headers[0], bodies[0])
		}
	}
}

// Guessing is slowed down, for one account over all browsers, and a right
// password works again after the wait.
func TestGuessingPasswordsIsThrottled(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	w.skipEvents()
	guess := func(name, password string) *portaltest.Page {
		return w.Browser().Once(http.MethodPost, "/login", url.Values{"username": {name}, "password": {password}}, nil)
	}
	var page *portaltest.Page
	for n := 0; ; n++ {
		page = guess([]string{"bob", " BOB", "Ｂｏｂ"}[n%3], "wrong wrong wrong") // spellings of one name
		if page.Status == http.StatusTooManyRequests {
			break
		}
		if outcome(page) != "422 wrong_credentials" || n > 20 {
			t.Fatalf("guess %d: %s", n, outcome(page))
		}
	}
	if page.Error != "throttled" || page.Header.Get("Retry-After") != "1" || !strings.Contains(page.Body, "Wait 1 second") {
		t.Errorf("%s, Retry-After %q:\n%s", outcome(page), page.Header.Get("Retry-After"), page.Body)
	}
	if page := guess("bob", portaltest.Password); outcome(page) != "429 throttled" {
		t.Errorf("the right password while throttled: %s", outcome(page))
	}
	// Nobody learns from the throttle who exists, either.
	for range 5 {
		guess("nobody", "wrong wrong wrong")
	}
	if page := guess("nobody", "wrong wrong wrong"); outcome(page) != "429 throttled" {
		t.Errorf("an unknown name: %s", outcome(page))
	}
	if got := metric(t, w.Site, "peerage_rate_limited_total", "rule", "login"); got != 3 {
		t.Errorf("%v refusals are counted, want 3", got)
	}
	if got := metric(t, w.Site, "peerage_login_total", "result", "throttled"); got != 3 {
		t.Errorf("%v throttled sign-ins are counted, want 3", got)
	}
	w.Clock.Advance(time.Minute)
	if page := guess("bob", portaltest.Password); outcome(page) != "303 /" {
		t.Errorf("the right password after the wait: %s", outcome(page))
	}
}

// A code can be guessed ten times in a quarter of an hour, whatever the browser.
func TestGuessingCodesIsThrottled(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("ada", "admins"))
	w.skipEvents()
	b := w.Browser()
	page := b.Submit(b.Get("/login"), "username", "ada", "password", portaltest.Password)
	page = b.Submit(page, "code", "<b>123")
	if outcome(page) != "422 wrong_code" || strings.Contains(page.Body, "<b>123") || !strings.Contains(page.Body, `aria-describedby="code-hint code-fault"`) || !strings.Contains(page.Body, `id="code-fault"`) {
		t.Errorf("a wrong code gives %s:\n%s", outcome(page), page.Body)
	}
	w.happened(t, "mfa_challenge success ada", "mfa_failure failure ada")
	for n := 1; page.Status != http.StatusTooManyRequests; n++ {
		if n > 10 {
			t.Fatal("an eleventh code was looked at")
		}
		page = b.Submit(page, "code", "000000")
	}
	if page.Error != "throttled" || page.Header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q", outcome(page), page.Header.Get("Retry-After"))
	}
	other := w.Browser()
	page = other.Submit(other.Get("/login"), "username", "ada", "password", portaltest.Password)
	if page = other.Submit(page, "code", w.Code(secret)); outcome(page) != "429 throttled" {
		t.Errorf("the right code from another browser: %s", outcome(page))
	}
	w.Clock.Advance(15*time.Minute + time.Second)
	page = other.Submit(other.Get("/login"), "username", "ada", "password", portaltest.Password)
	if page = other.Submit(page, "code", w.Code(secret)); page.URL.Path != "/" {
		t.Errorf("after the wait: %s at %s", outcome(page), page.URL)
	}
}

// A code counts once: not again in another browser, nor for another form.
func TestCodeCountsOnce(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("ada", "admins"))
	first, second := w.Browser(), w.Browser()
	one := first.Submit(first.Get("/login"), "username", "ada", "password", portaltest.Password)
	two := second.Submit(second.Get("/login"), "username", "ada", "password", portaltest.Password)
	code := w.Code(secret)
	if one = first.Submit(one, "code", code); one.URL.Path != "/" {
		t.Fatalf("a right code leads to %s", one.URL)
	}
	if two = second.Submit(two, "code", code); outcome(two) != "422 wrong_code" {
		t.Errorf("the same code once more: %s", outcome(two))
	}
	if page := first.Once(http.MethodPost, "/identity/totp", url.Values{"code": {code}, "action": {"disable"}}, nil); outcome(page) != "422 wrong_code" {
		t.Errorf("the same code to remove the factor: %s", outcome(page))
	}
}

// Without an application a sign-in ends where the person wanted to go.
func TestSignInReturns(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("ada", "admins"))
	b := w.Browser()
	page := b.Get("/identity?done=x")
	if page.URL.Path != "/login" || page.URL.Query().Get("return") != "/identity?done=x" {
		t.Fatalf("a page of the house leads to %s", page.URL)
	}
	page = b.Submit(page, "username", "ada", "password", portaltest.Password)
	if page.URL.Path != "/login/totp" || page.Forms[0].Fields.Get("return") != "/identity?done=x" {
		t.Fatalf("the password leads to %s with %v", page.URL, page.Forms[0].Fields)
	}
	if page = b.Submit(page, "code", "000000"); page.Forms[0].Fields.Get("return") != "/identity?done=x" {
		t.Fatalf("a wrong code loses the way back: %v", page.Forms[0].Fields)
	}
	page = b.Submit(page, "code", w.Code(secret))
	if page.Status != http.StatusOK || page.URL.RequestURI() != "/identity?done=x" {
		t.Fatalf("the code leads to %s", page.URL)
	}
	// The code page is not for who has waited too long.
	late := w.Browser()
	page = late.Submit(late.Get("/login?return=/identity"), "username", "ada", "password", portaltest.Password)
	w.Clock.Advance(6 * time.Minute)
	if page = late.Submit(page, "code", w.Code(secret)); page.URL.Path != "/login" || page.URL.Query().Get("return") != "/identity" {
		t.Errorf("a late code leads to %s", page.URL)
	}
}
