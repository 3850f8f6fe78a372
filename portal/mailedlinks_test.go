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

// invite makes an invited person and returns the path of the invitation.
func (w *world) invite(t *testing.T, name string) string {
	t.Helper()
	link, err := w.Directory.Invite(t.Context(), identity.NewUser{Username: name, Email: name + "@example.net"})
	if err != nil {
		t.Fatalf("inviting %s: %v", name, err)
	}
	return w.path(t, link.URL)
}

// Class 19 (CVE-2026-1529): an invitation is for one person, one purpose and
// one use; forged ones are nothing.
func TestInvitationForgeryAndReuse(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.leaks.keep("new password", freshPassword)
	bob := w.AddUser("bob")
	ada, carol := w.invite(t, "ada"), w.invite(t, "carol")
	w.happened(t, "user_create success bob", "user_create success ada", "user_invite success ada", "user_create success carol", "user_invite success carol")
	sent := w.Mails()
	if len(sent) != 2 || sent[0].To != "ada@example.net" || !strings.Contains(sent[0].Text, ada) || strings.Contains(sent[0].Text, carol) {
		t.Errorf("mails: %+v", sent)
	}
	token := strings.TrimPrefix(ada, "/invite/")
	recovery, err := w.Directory.RecoveryLink(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	w.skipEvents()
	typed := url.Values{"new_password": {freshPassword}, "repeat_password": {freshPassword}, "username": {"bob"}, "sub": {bob.Sub}, "email": {"bob@example.net"}}
	for _, forged := range []string{"/invite/" + strings.Repeat("A", 43), ada + "x", ada[:len(ada)-1], "/invite/" + recovery.Token, "/recover/" + token, "/verify-email/" + token, "/verify-email/" + recovery.Token, "/invite/%00", "/invite/..%2frecover%2f" + token} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if page := w.Browser().Once(method, forged, typed, nil); outcome(page) != "410 link_expired" {
				t.Errorf("%s %.60s gives %s", method, forged, outcome(page))
			}
		}
	}
	w.happened(t)
	// What else a form says does not make it somebody else's invitation, and
	// who is signed in does not either.
	b := w.signedIn(t, "bob", "")
	w.skipEvents()
	page := b.Once(http.MethodPost, ada, typed, nil)
	if outcome(page) != "303 /login?done=password_chosen" {
		t.Fatalf("the invitation gives %s", outcome(page))
	}
	w.happened(t, "password_reset success ada", "logout success bob")
	if page := b.Submit(b.Get("/login"), "username", "bob", "password", freshPassword); outcome(page) != "422 wrong_credentials" {
		t.Errorf("bob's password was set: %s", outcome(page))
	}
	if page := b.Submit(b.Get("/login"), "username", "ada", "password", freshPassword); page.URL.Path != "/" {
		t.Errorf("ada comes to %s, %s", page.URL, outcome(page))
	}
	if page := w.Browser().Once(http.MethodPost, ada, typed, nil); outcome(page) != "410 link_expired" {
		t.Errorf("the used invitation gives %s", outcome(page))
	}
	w.Clock.Advance(identity.InvitationLifetime)
	if page := w.Browser().Get(carol); outcome(page) != "410 link_expired" || !strings.Contains(page.Body, `<a class="button" href="/">`) {
		t.Errorf("the old invitation gives %s", outcome(page))
	}
}

// What a link dies of, beside its use.
func TestMailedLinksThatNoLongerWork(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	ada := w.AddUser("ada")
	make := func() string {
		forgets(t, w.Browser(), "ada@example.net")
		_, link := w.MailedLink()
		return w.path(t, link)
	}
	dead := func(why, path string) {
		t.Helper()
		if page := w.Browser().Once(http.MethodPost, path, url.Values{"new_password": {freshPassword}, "repeat_password": {freshPassword}}, nil); outcome(page) != "410 link_expired" {
			t.Errorf("%s: %s", why, outcome(page))
		}
	}
	older, newer := make(), make()
	dead("a newer one", older)
	w.Clock.Advance(15 * time.Minute)
	dead("15 minutes", newer)
	byMail := make()
	if _, err := w.Directory.RecoveryLink(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	dead("an administrator's", byMail)
	w.Clock.Advance(time.Hour)
	byMail = make()
	if err := w.Directory.SetPassword(t.Context(), ada, freshPassword+"!"); err != nil {
		t.Fatal(err)
	}
	dead("another new password", byMail)
	w.Mails()
	byMail = make()
	if err := w.Directory.SetDisabled(t.Context(), ada, true); err != nil {
		t.Fatal(err)
	}
	dead("disabled", byMail)
	if err := w.Directory.SetDisabled(t.Context(), ada, false); err != nil {
		t.Fatal(err)
	}
	dead("enabled again", byMail)
}

// Class 19 once more: the link that proves an address belongs to one person
// and one address.
func TestVerifyEmail(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.add(t, identity.NewUser{Username: "ada", Email: "ada@example.net", Password: portaltest.Password})
	b := w.signedIn(t, "ada", "")
	w.skipEvents()
	page := b.Submit(b.Get("/identity"), "action", "verify-email")
	if page.URL.RequestURI() != "/identity?done=verification_sent" || !strings.Contains(page.Body, "A mail is on its way") {
		t.Fatalf("the button leads to %s, %s", page.URL, outcome(page))
	}
	mail, link := w.MailedLink()
	path := w.path(t, link)
	if mail.To != "ada@example.net" {
		t.Errorf("the mail goes to %s", mail.To)
	}
	other := w.Browser() // not signed in: a phone, say
	page = other.Get(path)
	other.Get(path)
	w.happened(t)
	if page = other.Submit(page); page.Status != http.StatusOK || !strings.Contains(page.Body, "Your address is verified") {
		t.Fatalf("the link gives %s", outcome(page))
	}
	w.happened(t, "email_verify success ada")
	if cookie(t, other, "peerage") != "" {
		t.Error("the link signs somebody in")
	}
	if page := other.Once(http.MethodPost, path, url.Values{}, nil); outcome(page) != "410 link_expired" {
		t.Errorf("the used link gives %s", outcome(page))
	}
	if page := b.Get("/identity"); strings.Contains(page.Body, "verify-email") || !strings.Contains(page.Body, "Verified") {
		t.Errorf("the profile shows:\n%s", page.Body)
	}
	if u, err := w.Directory.UserByName(t.Context(), "ada"); err != nil || !u.EmailVerified {
		t.Errorf("verified: %v, %v", u.EmailVerified, err)
	}
}
