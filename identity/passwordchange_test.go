package identity_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"peerage/identity"
	"peerage/store"
)

const another = "another horse and a cart"

func TestChangePasswordMovesTheSession(t *testing.T) {
	w := newWorld(t)
	u, secret := w.enrolled("ada")
	mine, other := browser(), browser()
	w.signIn2(&other, "ada", secret)
	w.nextStep()
	v := w.signIn2(&mine, "ada", secret)
	w.clock.Advance(20 * time.Minute)
	if w.Fresh(w.visitor(mine)) {
		t.Fatal("the factor counts as fresh after 20 minutes")
	}
	fresh, err := w.ChangePassword(w.ctx, mine, v, password, w.code(secret), another)
	if err != nil {
		t.Fatal(err)
	}
	w.dead(mine.Session, "the session's old secret")
	w.dead(other.Session, "the other browser")
	mine.Session = fresh
	after := w.visitor(mine)
	if after.Session.ID != v.Session.ID || !w.Fresh(after) {
		t.Errorf("session %s, fresh %v; want %s, fresh", after.Session.ID, w.Fresh(after), v.Session.ID)
	}
	if !slices.Contains(w.events(), "password_change success") || !slices.Contains(w.events(), "session_revoke success") {
		t.Errorf("events: %v", w.events())
	}
	rows, err := w.store.Events(w.ctx, store.EventFilter{Sub: u.Sub, Event: "session_revoke"})
	if err != nil || len(rows) != 1 {
		t.Errorf("the person's own trail has %d ended sessions, %v", len(rows), err)
	}
}

// A session that ends while its password is changed does not come back to life.
func TestChangePasswordInASessionThatEnds(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	mine := browser()
	v := w.signIn(&mine, "ada")
	if err := w.SignOut(w.ctx, mine.Session); err != nil {
		t.Fatal(err)
	}
	_, err := w.ChangePassword(w.ctx, mine, v, password, "", another)
	wantErr(t, "the session has gone", err, identity.ErrNoSession)
	w.dead(mine.Session, "the session")
	if _, err := w.SignIn(w.ctx, browser(), "ada", another); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

// The password alone does not make the factor of somebody with a passkey fresh.
func TestChangePasswordIsNoPasskey(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	mine := browser()
	v := w.signIn(&mine, "ada")
	v.User.Passkeys, v.Session.ACR = 1, identity.ACRPasskey
	w.clock.Advance(20 * time.Minute)
	_, err := w.ChangePassword(w.ctx, mine, v, password, "", another)
	wantErr(t, "the passkey was given 20 minutes ago", err, identity.ErrNotFresh)
	v.Session.FactorAt = w.clock.Now()
	before := w.visitor(mine).Session
	secret, err := w.ChangePassword(w.ctx, mine, v, password, "", another)
	if err != nil {
		t.Fatal(err)
	}
	w.dead(mine.Session, "the session's old secret")
	mine.Session = secret
	if after := w.visitor(mine); !after.Session.FactorAt.Equal(before.FactorAt) || after.Session.ACR != before.ACR {
		t.Errorf("the factor was given at %v (%s), not at %v (%s)", after.Session.FactorAt, after.Session.ACR, before.FactorAt, before.ACR)
	}
}

// Wrong passwords do not use up the few codes, and right ones do not hide
// wrong codes: ten in all, over the sign-in and the change.
func TestChangePasswordCountsWhatWasWrong(t *testing.T) {
	w := newWorld(t)
	_, secret := w.enrolled("ada")
	mine := browser()
	v := w.signIn2(&mine, "ada", secret)
	try := func(current, code string) error {
		w.clock.Advance(2 * time.Minute) // past the pause after wrong passwords, within the window of wrong codes
		_, err := w.ChangePassword(w.ctx, mine, v, current, code, another)
		return err
	}
	for range 12 {
		wantErr(t, "wrong password", try("wrong horse", w.code(secret)), identity.ErrWrongCredentials)
	}
	w.clock.Advance(time.Hour)
	pause := func(current, code string) error {
		w.clock.Advance(time.Minute + time.Second)
		_, err := w.ChangePassword(w.ctx, mine, v, current, code, another)
		return err
	}
	for i := range 10 {
		wantErr(t, "wrong code", pause(password, w.wrongCode(secret)), identity.ErrWrongCode)
		if i == 5 {
			wantErr(t, "wrong password between", pause("wrong horse", w.code(secret)), identity.ErrWrongCredentials)
		}
	}
	if _, ok := throttled(pause(password, w.code(secret))); !ok {
		t.Error("after ten wrong codes the right one is tried")
	}
	half := browser()
	w.half(half, "ada")
	if _, err := w.Answer(w.ctx, half, w.code(secret)); err == nil {
		t.Error("the sign-in takes codes again")
	}
}

func TestChangePasswordRefusesWhatThePolicyRefuses(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	mine := browser()
	v := w.signIn(&mine, "ada")
	for range 8 { // it is no guess, so it is not throttled
		_, err := w.ChangePassword(w.ctx, mine, v, "wrong horse", "", "password1234")
		wantErr(t, "a common password", err, identity.ErrPasswordBreached)
	}
	if _, err := w.ChangePassword(w.ctx, mine, v, password, "", another); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

// The sessions that a remote backend gave credentials for give them back, and
// the one that goes on gets the new credential and its end.
func TestRemoteChangePasswordGivesTokensBack(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	mine, other := browser(), browser()
	v := w.signIn(&mine, "ada")
	w.signIn(&other, "ada")
	if r.living() != 2 {
		t.Fatalf("%d tokens live", r.living())
	}
	w.clock.Advance(time.Minute)
	fresh, err := w.ChangePassword(w.ctx, mine, v, password, "", another)
	if err != nil {
		t.Fatal(err)
	}
	if r.living() != 1 || r.lives(v.Session.BackendToken) {
		t.Errorf("%d tokens live, the old one: %v", r.living(), r.lives(v.Session.BackendToken))
	}
	mine.Session = fresh
	if after := w.visitor(mine); !r.lives(after.Session.BackendToken) {
		t.Error("the session that goes on has no living token")
	}
	r.breakDown(true)
	_, err = w.ChangePassword(w.ctx, mine, w.visitor(mine), another, "", "yet another horse")
	wantErr(t, "the backend is down", err, identity.ErrUnavailable)
}

// People of an upstream have no password of ours.
func TestHasPassword(t *testing.T) {
	w := newWorld(t)
	without, err := w.CreateUser(w.ctx, identity.NewUser{Username: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	dora := store.User{Sub: "sub-dora", Origin: "peeringdb", Username: "dora"}
	if err := w.store.CreateUser(w.ctx, dora, "", nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		u    identity.User
		want bool
	}{{w.person("ada"), true}, {without, false}, {identity.User{User: dora}, false}} {
		if got, err := w.HasPassword(w.ctx, c.u); got != c.want || err != nil {
			t.Errorf("HasPassword(%s) = %v, %v", c.u.Username, got, err)
		}
	}
	_, err = w.ChangePassword(w.ctx, browser(), identity.Visitor{User: identity.User{User: dora}}, "x", "", another)
	wantErr(t, "a change", err, errors.ErrUnsupported)
	_, err = w.ChangePassword(w.ctx, browser(), identity.Visitor{User: without}, "", "", another)
	wantErr(t, "a change without a password before", err, identity.ErrWrongCredentials)
}

// Each group has the origin that says so; one that both name is local.
func TestMembershipsTellTheirOrigin(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password, "staff", "noc", "as64500")
	b := browser()
	v := w.signIn(&b, "ada")
	for _, g := range []string{"noc", "wiki"} {
		if err := w.store.CreateGroup(w.ctx, g); err != nil {
			t.Fatal(err)
		}
		if err := w.store.ChangeMembers(w.ctx, g, []string{v.User.Sub}, true); err != nil {
			t.Fatal(err)
		}
	}
	u := w.again(v.User)
	wantSame(t, "memberships", u.Memberships, []identity.Membership{{"noc", identity.OriginLocal}, {"staff", originRemote}, {"wiki", identity.OriginLocal}})
	wantSame(t, "groups", u.Groups, []string{"noc", "staff", "wiki"})
}

// A person ends their own sessions only, and an idle one is none any more.
func TestSessionsOfAPerson(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	w.person("bob")
	mine, idle, bobs := browser(), browser(), browser()
	w.signIn(&idle, "ada")
	w.clock.Advance(50 * time.Minute)
	v, bob := w.signIn(&mine, "ada"), w.signIn(&bobs, "bob")
	count := func(u identity.User) int {
		t.Helper()
		list, err := w.Sessions(w.ctx, u)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n := count(v.User); n != 2 {
		t.Errorf("%d sessions", n)
	}
	wantErr(t, "bob ends ada's", w.RevokeSession(w.ctx, bob.User, v.Session.ID), identity.ErrNoSession)
	w.clock.Advance(11 * time.Minute)
	if n := count(v.User); n != 1 {
		t.Errorf("%d sessions after one was idle for an hour", n)
	}
	if n, err := w.RevokeOtherSessions(w.ctx, v); n != 1 || err != nil {
		t.Errorf("%d others ended, %v", n, err)
	}
	w.visitor(mine)
	w.visitor(bobs)
	if err := w.RevokeSession(w.ctx, v.User, v.Session.ID); err != nil {
		t.Fatal(err)
	}
	w.dead(mine.Session, "the ended session")
}

// A wrong password at somebody's name is part of their trail; one at nobody's
// is nobody's.
func TestWrongSignInsAreInThePersonsTrail(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	for _, name := range []string{"ADA", "nobody"} {
		_, err := w.SignIn(w.ctx, browser(), name, "wrong horse")
		wantErr(t, name, err, identity.ErrWrongCredentials)
	}
	w.audit.Flush()
	rows, err := w.store.Events(w.ctx, store.EventFilter{Event: "login_failure"})
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		want := ""
		if row.Username == "ada" {
			want = u.Sub
		}
		if row.Sub != want {
			t.Errorf("the row of %s is of %q", row.Username, row.Sub)
		}
	}
}
