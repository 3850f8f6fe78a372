package portal_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

var shownCode = regexp.MustCompile(`<code>([0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4})</code>`)

// makeCodes makes recovery codes in a browser with a fresh factor.
func (w *world) makeCodes(t *testing.T, b *portaltest.Browser) (codes []string, page *portaltest.Page) {
	t.Helper()
	page = b.Post(w.Issuer+"/identity/recovery-codes", url.Values{})
	for _, found := range shownCode.FindAllStringSubmatch(page.Body, -1) {
		codes = append(codes, found[1])
		w.leaks.keep("recovery code", found[1])
	}
	if len(codes) != 10 || page.Status != http.StatusOK || page.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d codes (%d)", len(codes), page.Status)
	}
	return codes, page
}

func TestRecoveryCodesOnThePages(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("ada"))
	b := w.signedIn(t, "ada", secret)
	if body := b.Get("/identity/recovery-codes").Body; !strings.Contains(body, "You have no recovery code.") {
		t.Error("the page does not say that there are none")
	}
	codes, page := w.makeCodes(t, b)
	file := b.Submit(page, "codes", codes[0]) // a form in a test sends one of them
	if file.Status != http.StatusOK || file.Header.Get("Content-Type") != "text/plain; charset=utf-8" || file.Header.Get("Cache-Control") != "no-store" ||
		!strings.HasPrefix(file.Header.Get("Content-Disposition"), "attachment;") || !strings.Contains(file.Body, "Recovery codes for ada at Example IX.") || !strings.Contains(file.Body, codes[0]+"\r\n") {
		t.Errorf("the file is %d %v %q", file.Status, file.Header, file.Body)
	}
	if all := b.Once(http.MethodPost, "/identity/recovery-codes/file", url.Values{"codes": codes}, nil); strings.Count(all.Body, "-") < 20 || !strings.Contains(all.Body, codes[9]) {
		t.Errorf("the file is %q", all.Body)
	}
	page = b.Get("/identity/recovery-codes")
	if len(shownCode.FindAllString(page.Body, -1)) != 0 || !strings.Contains(page.Body, `<span class="badge good">10</span>`) {
		t.Error("the codes are shown again, or not counted")
	}

	// The phone is lost: password, then a code.
	lost := w.Browser()
	w.skipEvents()
	page = signIn(lost, "ada", "")
	if !strings.Contains(page.Body, `href="/login/recovery`) {
		t.Fatalf("%s offers no recovery code", page.URL)
	}
	page = lost.Get("/login/recovery?return=/identity/sessions-that-are-not")
	page = lost.Submit(page, "code", "0000 0000 0000")
	if outcome(page) != "422 wrong_code" || !strings.Contains(page.Body, "Compare it with your list.") {
		t.Errorf("a wrong code gives %s", outcome(page))
	}
	page = lost.Submit(page, "code", strings.ToUpper(strings.ReplaceAll(codes[0], "-", " ")))
	if page.URL.Path != "/" || page.Status != http.StatusOK {
		t.Fatalf("a right code leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}
	w.happened(t, "mfa_challenge success ada", "mfa_failure failure ada", "mfa_success success ada", "recovery_code_use success ada", "login_success success ada")

	// As a fresh factor; then few are left.
	for i := range 6 {
		w.Clock.Advance(11 * time.Minute)
		page = lost.Get("/login/confirm?return=/identity/recovery-codes")
		if !strings.Contains(page.Body, "A recovery code will do too.") {
			t.Fatal("the page does not say that a recovery code will do")
		}
		if page = lost.Submit(page, "code", codes[i+1]); page.URL.Path != "/identity/recovery-codes" {
			t.Fatalf("code %d leads to %s (%d, error %q)", i+1, page.URL, page.Status, page.Error)
		}
	}
	if !strings.Contains(page.Body, "You have 3 recovery codes left.") {
		t.Error("nothing warns of the last three codes")
	}
	fresh, _ := w.makeCodes(t, lost)
	third := w.Browser()
	signIn(third, "ada", "")
	if page = third.Submit(third.Get("/login/recovery"), "code", codes[9]); outcome(page) != "422 wrong_code" {
		t.Errorf("a replaced code gives %s", outcome(page))
	}
	// The last second factor takes the codes with it.
	page = lost.Submit(lost.Get("/identity/totp"), "code", fresh[0], "action", "disable")
	if page.URL.Path != "/identity" {
		t.Fatalf("removing the factor leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}
	if body := lost.Get("/identity/recovery-codes").Body; !strings.Contains(body, "You have no second factor.") {
		t.Error("codes are offered without a second factor")
	}
	if page = lost.Post(w.Issuer+"/identity/recovery-codes", url.Values{}); page.Status != http.StatusUnprocessableEntity || shownCode.MatchString(page.Body) {
		t.Errorf("codes without a second factor: %d", page.Status)
	}
}

// The file writes codes and nothing else: a form of somebody else's making
// must not put words of theirs into a file of ours.
func TestRecoveryFileHoldsCodesAlone(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	for name, codes := range map[string][]string{"nothing": nil, "a command": {"rm -rf / #####"}, "one of two": {"x4k2-9mfd-07qt", "<script>"}, "too many": strings.Fields(strings.Repeat("x4k2-9mfd-07qt ", 11))} {
		page := b.Once(http.MethodPost, "/identity/recovery-codes/file", url.Values{"codes": codes}, nil)
		if got := outcome(page); got != "303 /identity/recovery-codes" || page.Header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
