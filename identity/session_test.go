package identity_test

import (
	"slices"
	"testing"
	"time"

	"peerage/identity"
	"peerage/store"
)

func TestSessionSecretChangesWithPrivilege(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	b := browser()
	b.Session = identity.NewSecret() // planted by somebody else
	planted := b.Session
	v := w.signIn(&b, "ada")
	if b.Session == planted {
		t.Fatal("the planted cookie became a session")
	}
	w.dead(planted, "the planted cookie")

	first := b.Session
	b.Session = secretOf(t)(w.Confirm(w.ctx, b, v, password, ""))
	w.dead(first, "the cookie from before Confirm")

	second := b.Session
	shown, err := w.BeginTOTP(w.ctx, b, u)
	if err != nil {
		t.Fatal(err)
	}
	b.Session = secretOf(t)(w.EnrolVisitor(w.ctx, b, w.visitor(b), w.code(shown.Secret)))
	w.dead(second, "the cookie from before the enrolment")

	third := b.Session
	w.nextStep()
	w.signIn2(&b, "ada", shown.Secret)
	w.dead(third, "the cookie from before the next sign-in")
	if sessions, err := w.store.Sessions(w.ctx, u.Sub); err != nil || len(sessions) != 1 {
		t.Errorf("%d sessions of one browser, %v", len(sessions), err)
	}
}

func secretOf(t *testing.T) func(string, error) string {
	return func(secret string, err error) string {
		t.Helper()
		if err != nil || len(secret) != 43 {
			t.Fatalf("%q, %v", secret, err)
		}
		return secret
	}
}

func TestSignInEndsAnotherPersonsSessionInTheBrowser(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	w.person("bob")
	b := browser()
	w.signIn(&b, "ada")
	adas := b.Session
	if v := w.signIn(&b, "bob"); v.User.Username != "bob" {
		t.Errorf("signed in as %s", v.User.Username)
	}
	w.dead(adas, "the session of the one before")
}

func TestDisabledPersonIsOutAtOnce(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	b := browser()
	v := w.signIn(&b, "ada")
	if err := w.SetDisabled(w.ctx, u, true); err != nil {
		t.Fatal(err)
	}
	w.dead(b.Session, "disabled")
	if _, err := w.Confirm(w.ctx, b, v, password, ""); err == nil {
		t.Error("a disabled person confirms")
	}
	if err := w.SetDisabled(w.ctx, u, false); err != nil {
		t.Fatal(err)
	}
	w.dead(b.Session, "enabled again")
	w.signIn(&b, "ada")
	wantSame(t, "events", w.events(), []string{"user_create success", "login_success success", "user_disable success", "login_failure failure", "user_enable success", "login_success success"})
}

func TestConfirmAndFresh(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	b := browser()
	v := w.signIn(&b, "ada")
	if proofs, err := w.Proofs(w.ctx, v.User); err != nil || proofs != (identity.Proofs{Password: true}) || !w.Fresh(v) {
		t.Errorf("just signed in: asks %+v (%v), fresh %v", proofs, err, w.Fresh(v))
	}
	w.clock.Advance(10 * time.Minute)
	if v = w.visitor(b); w.Fresh(v) {
		t.Error("still fresh after ten minutes")
	}
	_, err := w.Confirm(w.ctx, b, v, "wrong horse", "")
	wantErr(t, "wrong password", err, identity.ErrWrongCredentials)
	w.visitor(b) // a wrong password does not end the session
	b.Session = secretOf(t)(w.Confirm(w.ctx, b, v, password, ""))
	again := w.visitor(b)
	if !w.Fresh(again) || again.Session.ID != v.Session.ID || !again.Session.AuthTime.Equal(v.Session.AuthTime) || again.Session.ACR != identity.ACROneFactor {
		t.Errorf("after Confirm: %+v", again.Session)
	}
	stale := identity.Browser{ID: b.ID, Session: identity.NewSecret()}
	_, err = w.Confirm(w.ctx, stale, v, password, "")
	wantErr(t, "a session that is gone", err, identity.ErrNoSession)
}

func TestOneFactorIsNotFreshForWhoHasTwo(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	weak, strong := browser(), browser()
	w.signIn(&weak, "ada")
	v := w.signIn(&strong, "ada")
	shown, err := w.BeginTOTP(w.ctx, strong, u)
	if err != nil {
		t.Fatal(err)
	}
	strong.Session = secretOf(t)(w.EnrolVisitor(w.ctx, strong, v, w.code(shown.Secret)))
	if !w.Fresh(w.visitor(strong)) {
		t.Error("the browser that enrolled is not fresh")
	}
	other := w.visitor(weak)
	if w.Fresh(other) {
		t.Error("a session of the password alone is fresh for a person with two factors")
	}
	_, err = w.Confirm(w.ctx, weak, other, password, "")
	wantErr(t, "the password where a code is due", err, identity.ErrWrongCode)
	w.nextStep()
	weak.Session = secretOf(t)(w.Confirm(w.ctx, weak, other, "", w.code(shown.Secret)))
	if v := w.visitor(weak); !w.Fresh(v) || v.Session.ACR != identity.ACRTwoFactors || !slices.Equal(v.Session.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("after the code: %+v", v.Session)
	}
}

func TestSignOut(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	b := browser()
	w.signIn(&b, "ada")
	for _, secret := range []string{"", identity.NewSecret(), b.Session, b.Session} {
		if err := w.SignOut(w.ctx, secret); err != nil {
			t.Errorf("SignOut: %v", err)
		}
	}
	w.dead(b.Session, "signed out")
	wantSame(t, "events", w.events(), []string{"user_create success", "login_success success", "logout success"})
}

func TestExpireTellsOfSessionsThatEnded(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	w.person("bob")
	idle, busy := browser(), browser()
	w.signIn(&idle, "ada")
	w.signIn(&busy, "bob")
	for range 3 {
		w.clock.Advance(25 * time.Minute)
		w.visitor(busy)
	}
	w.dead(idle.Session, "idle for longer than an hour")
	rows, err := w.Expire(w.ctx, 100)
	if err != nil || rows != 1 {
		t.Errorf("Expire removed %d rows, %v", rows, err)
	}
	w.visitor(busy)
	for range 26 { // never idle, until the limit
		w.clock.Advance(25 * time.Minute)
		w.Visitor(w.ctx, busy.Session)
	}
	w.dead(busy.Session, "older than twelve hours")
	if _, err := w.Expire(w.ctx, 100); err != nil {
		t.Fatal(err)
	}
	w.audit.Flush()
	rowsOf := map[string]int{}
	events, err := w.store.Events(w.ctx, store.EventFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Event == "session_expired" {
			rowsOf[e.Username]++
		}
	}
	wantSame(t, "session_expired", rowsOf, map[string]int{"ada": 1, "bob": 1})
}

func TestSetPasswordSignsOutEverywhere(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	b := browser()
	w.signIn(&b, "ada")
	if err := w.SetPassword(w.ctx, u, "short"); err == nil {
		t.Error("a short password is accepted")
	}
	w.visitor(b)
	if err := w.SetPassword(w.ctx, u, "another horse"); err != nil {
		t.Fatal(err)
	}
	w.dead(b.Session, "before the new password")
	_, err := w.SignIn(w.ctx, b, "ada", password)
	wantErr(t, "the old password", err, identity.ErrWrongCredentials)
	if secret, err := w.SignIn(w.ctx, b, "ada", "another horse"); err != nil || secret == "" {
		t.Errorf("the new password: %v", err)
	}
}
