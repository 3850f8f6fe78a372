package identity_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"peerage/identity"
)

// The token of a sign-in that no session comes of lives no longer than it: not
// when it is too old, when another takes its place, nor when it is forgotten.
func TestTokenOfAnUnfinishedSignInIsGivenBack(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r, requireMFA(identity.RequireMFAAll))
	r.add("ada", password)
	_, localSecret := w.enrolled("local")
	living := func(what string, want int) {
		t.Helper()
		if got := r.living(); got != want {
			t.Errorf("%s: %d tokens live, want %d", what, got, want)
		}
	}
	b := browser()
	w.half(b, "ada")
	living("an enrolment is outstanding", 1)
	w.half(b, "ada")
	living("the password again", 1)
	w.half(browser(), "ada")
	living("in another browser", 2)
	w.half(b, "local")
	living("somebody else's password", 1)
	w.signIn2(&b, "local", localSecret)
	if err := w.ForgetSignIn(w.ctx, b); err != nil {
		t.Error(err)
	}
	living("another browser is none of theirs", 1)
	w.half(b, "ada")
	if err := w.ForgetSignIn(w.ctx, b); err != nil {
		t.Error(err)
	}
	living("forgotten", 1)
	w.clock.Advance(10 * time.Minute)
	for _, want := range []int64{1, 0} {
		if rows, err := w.Expire(w.ctx, 1); err != nil || rows != want {
			t.Errorf("%d rows are too old, want %d; %v", rows, want, err)
		}
	}
	living("too old", 0)
}

// A token that came just before something failed here, or the caller went away,
// does not wait for its end.
func TestTokenOfAFailedSignInIsGivenBack(t *testing.T) {
	ctx, goAway := context.Background(), func() {}
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	b := browser()
	v := w.signIn(&b, "ada")
	// The backend ended the session's token.
	if err := errors.Join(r.SignOut(w.ctx, v.Session.BackendToken), w.ForgetToken(w.ctx, v)); err != nil {
		t.Fatal(err)
	}
	v = w.visitor(b)
	r.onToken = func() { goAway() }
	for what, try := range map[string]func() error{
		"a sign-in":      func() error { _, err := w.SignIn(ctx, browser(), "ada", password); return err },
		"a confirmation": func() error { _, err := w.Confirm(ctx, b, v, password, ""); return err },
	} {
		ctx, goAway = context.WithCancel(w.ctx)
		if err := try(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s whose caller goes away: %v", what, err)
		}
		if n := r.living(); n != 0 {
			t.Errorf("after %s that failed %d tokens live", what, n)
		}
	}
	// Disabled here between password and session.
	goAway = func() {
		if _, err := w.store.SetDisabled(w.ctx, v.User.Sub, true); err != nil {
			t.Error(err)
		}
	}
	_, err := w.SignIn(w.ctx, browser(), "ada", password)
	wantErr(t, "disabled meanwhile", err, identity.ErrWrongCredentials)
	if n := r.living(); n != 0 {
		t.Errorf("%d tokens live", n)
	}
}

// While a sign-in is being completed the password may be given anew in another
// tab. The person's own makes the session one with the token that still lives;
// with somebody else's there is none.
func TestPasswordGivenAnewWhileASignInEnds(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r, requireMFA(identity.RequireMFAAll))
	enrol := func(name, meanwhile string) (identity.Browser, error) {
		t.Helper()
		b := browser()
		w.half(b, name)
		_, u, err := w.Pending(w.ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := w.BeginTOTP(w.ctx, b, u)
		if err != nil {
			t.Fatal(err)
		}
		r.onActivate = func() { w.half(b, meanwhile) }
		b.Session, err = w.EnrolSignIn(w.ctx, b, w.code(shown.Secret))
		return b, err
	}
	for _, name := range []string{"ada", "bob", "carol"} {
		r.add(name, password)
	}
	_, err := enrol("ada", "bob")
	wantErr(t, "with somebody else's password", err, identity.ErrNoSignIn)
	if n := r.living(); n != 0 {
		t.Errorf("%d tokens live", n)
	}
	b, err := enrol("carol", "carol")
	if err != nil {
		t.Fatal(err)
	}
	if v := w.visitor(b); !r.lives(v.Session.BackendToken) || r.living() != 1 {
		t.Errorf("the session's token lives: %v, of %d", r.lives(v.Session.BackendToken), r.living())
	}
}
