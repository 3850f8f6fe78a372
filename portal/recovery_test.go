package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

const freshPassword = "nine blue herons over Utrecht"

// path is the path of a link, which the test keeps an eye on.
func (w *world) path(t *testing.T, link string) string {
	t.Helper()
	u := mustParse(t, link)
	if !strings.HasPrefix(link, w.Issuer+"/") {
		t.Errorf("the link %s is not under the issuer", link)
	}
	w.leaks.keep("link", u.Path[strings.LastIndex(u.Path, "/")+1:])
	return u.Path
}

// forgets asks for a mail to an address, as somebody who cannot sign in.
func forgets(t *testing.T, b *portaltest.Browser, email string) *portaltest.Page {
	t.Helper()
	page := b.Submit(b.Get("/recover"), "email", email)
	if page.Status != http.StatusOK || page.URL.RequestURI() != "/recover?done=sent" {
		t.Fatalf("asking for %s leads to %s, %s", email, page.URL, outcome(page))
	}
	return page
}

// choose types a new password twice.
func choose(b *portaltest.Browser, page *portaltest.Page, password string) *portaltest.Page {
	return b.Submit(page, "new_password", password, "repeat_password", password)
}

// add makes a person of whom nothing is certain but what n says.
func (w *world) add(t *testing.T, n identity.NewUser) identity.User {
	t.Helper()
	u, err := w.Directory.CreateUser(t.Context(), n)
	if err != nil {
		t.Fatalf("making %s: %v", n.Username, err)
	}
	return u
}

// The whole story of a forgotten password of somebody with two factors.
func TestForgottenPassword(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.leaks.keep("new password", freshPassword)
	secret := w.AddTOTP(w.AddUser("ada"))
	before := w.signedIn(t, "ada", secret)
	w.Mails()
	w.skipEvents()

	b := w.Browser()
	page := b.Get("/login")
	if !strings.Contains(page.Body, `href="/recover"`) {
		t.Error("the sign-in page does not lead to /recover")
	}
	forgets(t, b, " Ada@Example.NET ")
	w.happened(t) // nothing before the answer
	mail, link := w.MailedLink()
	w.happened(t, "recovery_link_create success ada")
	for _, words := range []string{"Example IX", "ada", "127.0.0.1", "If it was not you, do nothing"} {
		if !strings.Contains(mail.Subject+strings.Join(strings.Fields(mail.Text), " "), words) {
			t.Errorf("the mail lacks %q:\n%s\n%s", words, mail.Subject, mail.Text)
		}
	}
	if mail.To != "ada@example.net" {
		t.Errorf("the mail goes to %s", mail.To)
	}
	path := w.path(t, link)
	for range 20 { // mail scanners follow links
		if got := w.Call(http.MethodGet, path, nil, nil); got.Status != http.StatusOK {
			t.Fatalf("GET gives %d", got.Status)
		}
	}
	page = b.Get(path)
	for typed, want := range map[string]string{"tiny": "422 password_too_short", "Password1234": "422 password_breached", "ada and the rest of it": "422 password_has_name", strings.Repeat("long ", 300): "422 password_too_long"} {
		if got := choose(b, page, typed); outcome(got) != want || strings.Contains(got.Body, typed) || !strings.Contains(got.Body, `id="new_password-fault"`) {
			t.Errorf("%.20q gives %s", typed, outcome(got))
		}
	}
	if got := b.Submit(page, "new_password", freshPassword, "repeat_password", freshPassword+"x"); outcome(got) != "422 password_repeat" {
		t.Errorf("two passwords give %s", outcome(got))
	}
	w.happened(t)
	page = choose(b, page, freshPassword)
	if page.URL.RequestURI() != "/login?done=password_set" || !strings.Contains(page.Body, "Your new password counts now.") {
		t.Fatalf("the new password leads to %s, %s", page.URL, outcome(page))
	}
	w.happened(t, "password_reset success ada")
	if cookie(t, b, "peerage") != "" {
		t.Error("the link signs somebody in")
	}
	if page := before.Get("/identity"); page.URL.Path != "/login" {
		t.Error("the session outlives the password")
	}
	if sent := w.Mails(); len(sent) != 1 || sent[0].Subject != "Your password at Example IX was changed" {
		t.Errorf("afterwards these mails go out: %+v", sent)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if page := w.Browser().Once(method, path, url.Values{"new_password": {freshPassword}, "repeat_password": {freshPassword}}, nil); outcome(page) != "410 link_expired" {
			t.Errorf("%s of the used link gives %s", method, outcome(page))
		}
	}
	// The second factor is still there, and asked for.
	page = b.Submit(b.Get("/login"), "username", "ada", "password", portaltest.Password)
	if outcome(page) != "422 wrong_credentials" {
		t.Errorf("the old password gives %s", outcome(page))
	}
	page = b.Submit(page, "username", "ada", "password", freshPassword)
	if page.URL.Path != "/login/totp" {
		t.Fatalf("the new password leads to %s, %s", page.URL, outcome(page))
	}
	if page = b.Submit(page, "code", w.Code(secret)); page.URL.Path != "/" {
		t.Errorf("the code leads to %s, %s", page.URL, outcome(page))
	}
}

// Nobody learns from the form who has an account, and only those get a mail
// whose address is verified and who have a password of ours.
func TestRecoveryTellsNothing(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("ada")
	disabled := w.AddUser("disabled")
	if err := w.Directory.SetDisabled(t.Context(), disabled, true); err != nil {
		t.Fatal(err)
	}
	w.add(t, identity.NewUser{Username: "unverified", Email: "unverified@example.net", Password: portaltest.Password})
	w.add(t, identity.NewUser{Username: "passwordless", Email: "passwordless@example.net", EmailVerified: true})
	w.Mails()
	answer := ""
	for _, name := range []string{"ada", "nobody", "disabled", "unverified", "passwordless"} {
		page := forgets(t, w.Browser(), name+"@example.net")
		body := strings.ReplaceAll(page.Body, page.Header.Get("X-Request-Id"), "")
		if answer == "" {
			answer = body
		} else if body != answer {
			t.Errorf("%s gets another answer", name)
		}
	}
	if sent := w.Mails(); len(sent) != 1 || sent[0].To != "ada@example.net" {
		t.Errorf("mails went out: %+v", sent)
	}
	for _, typed := range []string{"", "ada", "ada@example.net\r\nBcc: eve@example.net", "ada@example.net, eve@example.net", "Ada <ada@example.net>"} {
		page := w.Browser()
		got := page.Submit(page.Get("/recover"), "email", typed)
		if outcome(got) != "422 wrong_email" || !strings.Contains(typed, "\n") && got.Forms[0].Fields.Get("email") != typed {
			t.Errorf("%q gives %s", typed, outcome(got))
		}
	}
}

// Without mail the page says whom to ask, and the form does nothing.
func TestRecoveryWithoutMail(t *testing.T) {
	w := newWorld(t, portaltest.Options{NoMail: true})
	w.AddUser("ada")
	page := w.Browser().Get("/recover")
	if page.Status != http.StatusOK || len(page.Forms) != 0 || !strings.Contains(page.Body, "noc@example.net") {
		t.Errorf("/recover gives %s:\n%s", outcome(page), page.Body)
	}
	if got := w.Browser().Once(http.MethodPost, "/recover", url.Values{"email": {"ada@example.net"}}, nil); outcome(got) != "303 /recover" {
		t.Errorf("the form gives %s", outcome(got))
	}
	if sent := w.Mails(); len(sent) != 0 {
		t.Errorf("mails went out: %+v", sent)
	}
}

// Nobody is flooded from here: mails are limited by who asks and by who gets them.
func TestMailBombing(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("ada")
	w.Mails()
	b := w.Browser()
	refused := ""
	for range 8 {
		page := b.Once(http.MethodPost, "/recover", url.Values{"email": {"ada@example.net"}}, nil)
		if page.Status != http.StatusSeeOther {
			refused = outcome(page)
			if page.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
	}
	if refused != "429 throttled" || len(w.Mails()) != 5 {
		t.Errorf("refused with %q", refused)
	}
	for range 30 { // the same for addresses that nobody has
		refused = outcome(b.Once(http.MethodPost, "/recover", url.Values{"email": {identity.NewSecret() + "@example.net"}}, nil))
	}
	if refused != "429 throttled" {
		t.Errorf("many addresses give %q", refused)
	}
	w.Clock.Advance(time.Hour)
	forgets(t, b, "ada@example.net")
}

// Class 17 (CVE-2024-47070): whatever host or proxy headers a request has, the
// link in the mail is under the issuer.
func TestPoisonedLinksInMails(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("ada")
	w.Mails()
	for _, header := range []http.Header{
		{"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"host=evil.example"}, "X-Original-Host": {"evil.example"}},
		{"X-Forwarded-For": {"203.0.113.7"}, "X-Host": {"evil.example"}},
	} {
		if got := w.Browser().Once(http.MethodPost, "/recover", url.Values{"email": {"ada@example.net"}}, func(r *http.Request) {
			for name, values := range header {
				r.Header[name] = values
			}
		}); outcome(got) != "303 /recover?done=sent" {
			t.Fatalf("asking gives %s", outcome(got))
		}
		mail, link := w.MailedLink()
		w.path(t, link)
		if strings.Contains(mail.Text+mail.Subject, "evil.example") || strings.Contains(mail.Text, "203.0.113.7") {
			t.Errorf("the mail believes the headers:\n%s", mail.Text)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.Address+"/recover", strings.NewReader("email=ada@example.net"))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "evil.example"
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMisdirectedRequest || len(w.Mails()) != 0 {
		t.Errorf("another Host gives %d", response.StatusCode)
	}
}

// Class 24 (GHSA-8g9r-9wjw-37j4): a link to a new password removes no factor,
// and every change of a factor is told by mail.
func TestFactorChangesAreToldByMail(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	ada := w.AddUser("ada")
	w.add(t, identity.NewUser{Username: "unverified", Email: "unverified@example.net", Password: portaltest.Password})
	told := func(want string) {
		t.Helper()
		sent := w.Mails()
		if len(sent) != 1 || sent[0].To != "ada@example.net" || sent[0].Subject != want || !strings.Contains(sent[0].Text, "change your password at once") {
			t.Errorf("mails %+v, want %q", sent, want)
		}
	}
	b := w.signedIn(t, "ada", "")
	page := b.Get("/identity/totp")
	secret := w.enrolmentSecret(t, page)
	b.Submit(page, "code", w.Code(secret))
	told("A second factor was added to your account at Example IX")

	link, err := w.Directory.RecoveryLink(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	stranger := w.Browser()
	choose(stranger, stranger.Get(w.path(t, link.URL)), freshPassword)
	told("Your password at Example IX was changed")
	if page := stranger.Submit(stranger.Get("/login"), "username", "ada", "password", freshPassword); page.URL.Path != "/login/totp" {
		t.Fatalf("after the link the password alone leads to %s", page.URL)
	}
	if page := stranger.Get("/identity/totp"); page.URL.Path != "/login/totp" {
		t.Errorf("the second factor can be reached without it: %s", page.URL)
	}
	w.Clock.Advance(time.Minute)
	stranger.Submit(stranger.Get("/login/totp"), "code", w.Code(secret))
	w.Clock.Advance(time.Minute)
	page = stranger.Submit(stranger.Get("/identity/totp"), "code", w.Code(secret), "action", "disable")
	if page.Status != http.StatusOK {
		t.Fatalf("removing gives %s", outcome(page))
	}
	told("The second factor of your account at Example IX was removed")

	for _, name := range []string{"unverified", "ada"} {
		u, err := w.Directory.UserByName(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Directory.ResetMFA(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	told("An administrator reset the second factor of your account at Example IX")
}
