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

// mailed checks that one notice went out, to that address.
func (w *world) mailed(t *testing.T, to, subject string) {
	t.Helper()
	sent := w.Mails()
	if len(sent) != 1 || sent[0].To != to || sent[0].Subject != subject || !strings.Contains(sent[0].Text, "If it was not you, change your password at once") {
		t.Errorf("mails %+v, want %q to %s", sent, subject, to)
	}
}

// unmailed checks that no mail went out.
func (w *world) unmailed(t *testing.T, after string) {
	t.Helper()
	if sent := w.Mails(); len(sent) != 0 {
		t.Errorf("%s is told by %+v", after, sent)
	}
}

// unverify takes back that somebody's address is known to be theirs.
func (w *world) unverify(t *testing.T, name string) {
	t.Helper()
	u := w.person(t, name)
	if _, err := w.Directory.EditUser(t.Context(), u, identity.Edit{Name: u.Name, Email: u.Email, Groups: u.Groups}); err != nil {
		t.Fatalf("taking back that the address of %s is theirs: %v", name, err)
	}
}

// Who gets at an open session cannot give themselves a way back in without the
// person hearing of it.
func TestPasskeysAreToldByMail(t *testing.T) {
	w := newWorld(t, portaltest.Options{Issuer: named})
	w.AddUser("ada")
	b := w.signedIn(t, "ada", "")
	w.unmailed(t, "a sign-in")
	key := addPasskey(t, b, "Blue key")
	w.mailed(t, "ada@example.net", "A passkey was added to your account at Example IX")
	if refused := b.Post(w.Issuer+"/identity/passkeys", url.Values{"credential": {"{}"}, "name": {"none"}}); refused.Status != http.StatusUnprocessableEntity {
		t.Errorf("rubbish gives %s", outcome(refused))
	}
	w.unmailed(t, "a refused passkey")
	other := w.Browser()
	use(t, other, other.Get("/login/passkey"), key)
	w.unmailed(t, "a sign-in with a passkey")
	remove := url.Values{"action": {"remove"}, "id": {identity.PasskeyID(key.ID)}}
	b.Post(w.Issuer+"/identity/passkeys", remove)
	w.mailed(t, "ada@example.net", "A passkey of your account at Example IX was removed")
	b.Post(w.Issuer+"/identity/passkeys", remove)
	w.unmailed(t, "removing what is gone")

	w.unverify(t, "ada")
	key = addPasskey(t, b, "Pale key")
	b.Post(w.Issuer+"/identity/passkeys", url.Values{"action": {"remove"}, "id": {identity.PasskeyID(key.ID)}})
	w.unmailed(t, "a passkey of somebody whose address is not verified")
}

func TestRecoveryCodesAreToldByMail(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("ada"))
	b := w.signedIn(t, "ada", secret)
	codes, page := w.makeCodes(t, b)
	w.mailed(t, "ada@example.net", "New recovery codes were made for your account at Example IX")
	b.Submit(page, "codes", codes[0])
	w.unmailed(t, "the file of the codes")

	thief := w.Browser()
	signIn(thief, "ada", "")
	door := thief.Get("/login/recovery")
	thief.Submit(door, "code", "0000-0000-0000")
	w.unmailed(t, "a wrong code")
	if page = thief.Submit(door, "code", codes[0]); page.URL.Path != "/" {
		t.Fatalf("a right code leads to %s", page.URL)
	}
	w.mailed(t, "ada@example.net", "A recovery code of your account at Example IX was used")
	w.Clock.Advance(11 * time.Minute)
	if page = thief.Submit(thief.Get("/login/confirm?return=/identity/totp"), "code", codes[1]); page.URL.Path != "/identity/totp" {
		t.Fatalf("a right code as fresh factor leads to %s", page.URL)
	}
	w.mailed(t, "ada@example.net", "A recovery code of your account at Example IX was used")

	w.unverify(t, "ada")
	w.makeCodes(t, thief)
	w.Clock.Advance(11 * time.Minute)
	thief.Submit(thief.Get("/login/confirm"), "code", codes[2])
	w.unmailed(t, "a code of somebody whose address is not verified")
}

// The notice of another address goes to the one of before: the new one may be
// the thief's.
func TestAnotherAddressIsToldToTheOldOne(t *testing.T) {
	w, b, _ := adminWorld(t)
	eve := w.AddUser("eve")
	w.unmailed(t, "a new person")
	save := func(pairs ...string) {
		t.Helper()
		w.Clock.Advance(time.Second)
		page := b.Get("/admin/users/" + eve.Sub)
		if page = b.Submit(page, append(pairs, "action", "save")...); page.Status != http.StatusOK {
			t.Fatalf("saving %v gives %s", pairs, outcome(page))
		}
	}
	save("name", "Eve Other")
	w.unmailed(t, "another name")
	save("email", "eve@new.example")
	if w.person(t, "eve").Email != "eve@new.example" {
		t.Fatal("the address was not changed")
	}
	w.mailed(t, "eve@example.net", "The e-mail address of your account at Example IX was changed")

	w.unverify(t, "eve")
	w.unmailed(t, "an address that is no longer verified")
	eve = w.person(t, "eve")
	if _, err := w.Directory.EditUser(t.Context(), eve, identity.Edit{Name: eve.Name, Email: "eve@newer.example", EmailVerified: true}); err != nil {
		t.Fatal(err)
	}
	w.unmailed(t, "the change of an address that was not verified")
	save("email", "")
	w.mailed(t, "eve@newer.example", "The e-mail address of your account at Example IX was changed")

	// What else an administrator does, people see when they are next here.
	bob := w.AddUser("bob")
	ctx := t.Context()
	for what, act := range map[string]func() error{
		"disabling":   func() error { return w.Directory.SetDisabled(ctx, bob, true) },
		"enabling":    func() error { return w.Directory.SetDisabled(ctx, bob, false) },
		"unlocking":   func() error { return w.Directory.Unlock(ctx, bob) },
		"signing out": func() error { return w.Directory.SignOutEverywhere(ctx, bob, true) },
		"a group": func() error {
			_, err := w.Directory.ChangeMembers(ctx, "admins", []identity.User{bob}, true)
			return err
		},
	} {
		if err := act(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		w.unmailed(t, what)
	}
}

// A person's own new password is told once, a refused one not at all.
func TestOwnNewPasswordIsToldByMail(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.leaks.keep("new password", freshPassword)
	w.AddUser("ada")
	b := w.signedIn(t, "ada", "")
	change := func(current, password string) error {
		t.Helper()
		held := identity.Browser{ID: cookie(t, b, "peerage-browser"), Session: cookie(t, b, "peerage")}
		v, err := w.Directory.Visitor(t.Context(), held.Session)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Directory.ChangePassword(t.Context(), held, v, current, "", password)
		return err
	}
	if err := change("not the password", freshPassword); err == nil {
		t.Error("a wrong password changes it")
	}
	if err := change(portaltest.Password, "short"); err == nil {
		t.Error("a short password is taken")
	}
	w.unmailed(t, "a refused password")
	if err := change(portaltest.Password, freshPassword); err != nil {
		t.Fatalf("changing the password: %v", err)
	}
	w.mailed(t, "ada@example.net", "Your password at Example IX was changed")
	w.unverify(t, "ada")
	if err := w.Directory.SetPassword(t.Context(), w.person(t, "ada"), portaltest.Password); err != nil {
		t.Fatal(err)
	}
	w.unmailed(t, "a password of somebody whose address is not verified")
}
