package identity_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"peerage/identity"
	"peerage/store/storetest"
)

// What a backend elsewhere does not know stands in for its code: the session
// is one of two factors, and holds no credential of the backend.
func TestRemotePersonWithFactorsOfOurs(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r, named)
	p := r.add("ada", password)
	secret := w.enrolRemote("ada")
	b := browser()
	w.signIn2(&b, "ada", secret)
	codes, err := w.CreateRecoveryCodes(w.ctx, w.visitor(b))
	if err != nil {
		t.Fatal(err)
	}
	key := w.addPasskey(&b, "key")
	if proofs, err := w.Proofs(w.ctx, w.visitor(b).User); err != nil || proofs != (identity.Proofs{Password: true, Code: true, Recovery: true, Passkey: true}) {
		t.Errorf("asks for %+v, %v", proofs, err)
	}
	signedIn := func(how, acr string, answer func(identity.Browser, *identity.User) (string, error)) {
		t.Helper()
		b := browser()
		w.half(b, "ada")
		_, user, err := w.Pending(w.ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if b.Session, err = answer(b, &user); err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		if v := w.visitor(b); v.User.Sub != p.sub || v.Session.ACR != acr || v.Session.BackendToken != nil || !w.Fresh(v) {
			t.Errorf("%s: the session is %+v", how, v.Session)
		}
	}
	signedIn("a recovery code", identity.ACRTwoFactors, func(b identity.Browser, _ *identity.User) (string, error) {
		return w.AnswerRecovery(w.ctx, b, codes[0])
	})
	signedIn("a passkey", identity.ACRPasskey, func(b identity.Browser, u *identity.User) (string, error) {
		return w.AnswerPasskey(w.ctx, b, key.Use(t, w.ask(b, identity.PasskeyAnswer, u)))
	})
	r.people["ada"].disabled = true
	alone := browser()
	_, err = w.SignInPasskey(w.ctx, alone, key.Use(t, w.ask(alone, identity.PasskeySignIn, nil)))
	wantErr(t, "a passkey of who is disabled at the backend", err, identity.ErrWrongPasskey)
}

// enrolRemote gives a remote person a second factor from a session.
func (w *world) enrolRemote(name string) (secret string) {
	w.t.Helper()
	b := browser()
	v := w.signIn(&b, name)
	shown, err := w.BeginTOTP(w.ctx, b, v.User)
	if err != nil {
		w.t.Fatal(err)
	}
	if b.Session, err = w.EnrolVisitor(w.ctx, b, v, w.code(shown.Secret)); err != nil {
		w.t.Fatal(err)
	}
	if err := w.SignOut(w.ctx, b.Session); err != nil {
		w.t.Fatal(err)
	}
	w.nextStep()
	return shown.Secret
}

func TestRemoteSignIn(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	p := r.add("ada", password, "noc", "as64500")
	_, localSecret := w.enrolled("local")
	secret := w.enrolRemote("ada")

	b := browser()
	v := w.signIn2(&b, "ada", secret)
	if v.User.Sub != p.sub || v.User.Origin != originRemote || !v.User.TOTP || !slices.Equal(v.User.Groups, []string{"noc"}) {
		t.Errorf("signed in as %+v", v.User)
	}
	if v.Session.ACR != identity.ACRTwoFactors || !w.Fresh(v) {
		t.Errorf("the session is %+v", v.Session)
	}
	if proofs, err := w.Proofs(w.ctx, v.User); err != nil || proofs != (identity.Proofs{Password: true, Code: true}) {
		t.Errorf("Confirm asks: %+v, %v", proofs, err)
	}
	w.nextStep()
	session, err := w.Confirm(w.ctx, b, v, password, w.code(secret))
	if err != nil {
		t.Fatalf("Confirm: %v", err)
	}
	b.Session = session
	if again := w.visitor(b); !bytes.Equal(again.Session.BackendToken, v.Session.BackendToken) {
		t.Error("the token is lost with the new secret")
	}
	local := browser()
	if v := w.signIn2(&local, "local", localSecret); v.User.Origin != identity.OriginLocal {
		t.Errorf("the local person comes from %s", v.User.Origin)
	}
	_, err = w.SignIn(w.ctx, browser(), "nobody", password)
	wantErr(t, "unknown name", err, identity.ErrWrongCredentials)
}

func TestRemoteTokenIsGivenBack(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	_, localSecret := w.enrolled("local")
	b := browser()
	token := w.signIn(&b, "ada").Session.BackendToken
	if !r.lives(token) {
		t.Fatal("the session's token is not the backend's")
	}
	next := w.signIn(&b, "ada").Session.BackendToken
	if r.lives(token) || !r.lives(next) {
		t.Error("the replaced session's token lives on")
	}
	w.signIn2(&b, "local", localSecret)
	if r.lives(next) {
		t.Error("the token lives on after another person signed in")
	}
	w.signIn(&b, "ada")
	if err := w.SignOut(w.ctx, b.Session); err != nil || r.living() != 0 {
		t.Errorf("after signing out %d tokens live, %v", r.living(), err)
	}
	w.signIn(&b, "ada")
	w.clock.Advance(time.Hour)
	if _, err := w.Expire(w.ctx, 10); err != nil || r.living() != 0 {
		t.Errorf("after the session was idle %d tokens live, %v", r.living(), err)
	}
	w.signIn(&b, "ada")
	r.breakDown(true)
	if err := w.SignOut(w.ctx, b.Session); err != nil {
		t.Errorf("signing out while the backend is away: %v", err)
	}
	w.dead(b.Session, "signed out while the backend is away")
}

func TestRemoteTokenBoundsTheSession(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	b := browser()
	v := w.signIn(&b, "ada")
	if want := w.clock.Now().Add(remoteTokenLife); !v.Session.ExpiresAt.Equal(want) {
		t.Errorf("the session ends at %v, its token at %v", v.Session.ExpiresAt, want)
	}
	for range 4 {
		w.clock.Advance(30 * time.Minute)
		w.Visitor(w.ctx, b.Session)
	}
	w.dead(b.Session, "after the token's end")
}

func TestRemoteDemandedEnrolmentKeepsTheToken(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r, requireMFA(identity.RequireMFAAll))
	r.add("ada", password)
	b := browser()
	w.half(b, "ada")
	end := w.clock.Now().Add(remoteTokenLife)
	_, u, err := w.Pending(w.ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := w.BeginTOTP(w.ctx, b, u)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	if b.Session, err = w.EnrolSignIn(w.ctx, b, w.code(shown.Secret)); err != nil {
		t.Fatal(err)
	}
	v := w.visitor(b)
	if !r.lives(v.Session.BackendToken) || !v.Session.ExpiresAt.Equal(end) {
		t.Errorf("the session has the token %q and ends at %v", v.Session.BackendToken, v.Session.ExpiresAt)
	}
}

func TestRemoteResetAndLink(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	w.enrolRemote("ada")
	u, err := w.UserByName(w.ctx, "ada")
	if err != nil || !u.TOTP {
		t.Fatalf("%+v, %v", u, err)
	}
	link := w.reset(u)
	w.half(browser(), "ada")
	b := browser()
	if err := w.UseFactorLink(w.ctx, b, link.Token, password); err != nil {
		t.Fatal(err)
	}
	_, u, err = w.Pending(w.ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := w.BeginTOTP(w.ctx, b, u)
	if err != nil {
		t.Fatal(err)
	}
	if b.Session, err = w.EnrolSignIn(w.ctx, b, w.code(shown.Secret)); err != nil {
		t.Fatal(err)
	}
	if v := w.visitor(b); !v.User.TOTP || v.User.NeedsLink || !r.lives(v.Session.BackendToken) {
		t.Errorf("after the link: %+v", v)
	}
}

func TestRemoteChallengeDies(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	secret := w.enrolRemote("ada")
	b := browser()
	w.half(b, "ada")
	r.breakDown(true)
	_, err := w.Answer(w.ctx, b, w.code(secret))
	wantErr(t, "while the backend is away", err, identity.ErrUnavailable)
	r.breakDown(false)
	if _, err := w.Answer(w.ctx, b, w.code(secret)); err != nil {
		t.Fatalf("when it is back: %v", err)
	}
	w.nextStep()
	w.half(b, "ada")
	r.forget()
	_, err = w.Answer(w.ctx, b, w.code(secret))
	wantErr(t, "a challenge that died", err, identity.ErrNoSignIn)
	_, _, err = w.Pending(w.ctx, b)
	wantErr(t, "the browser still waits", err, identity.ErrNoSignIn)
}

func TestRemoteAnswerForAnotherPersonIsRefused(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	secret := w.enrolRemote("ada")
	living := r.living()
	b := browser()
	w.half(b, "ada")
	r.answersAs = w.person("bob").Sub
	_, err := w.Answer(w.ctx, b, w.code(secret))
	wantErr(t, "the name is another person's now", err, identity.ErrNoSignIn)
	if r.living() != living {
		t.Error("the other person's token lives on")
	}
}

func TestRemoteDisabledPersonIsOutAtOnce(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	p := r.add("ada", password)
	b := browser()
	w.signIn(&b, "ada")
	p.disabled = true
	w.dead(b.Session, "disabled at the backend")
	_, err := w.SignIn(w.ctx, browser(), "ada", password)
	wantErr(t, "SignIn", err, identity.ErrWrongCredentials)
}

func TestRemoteTokenAndChallengeAreSealed(t *testing.T) {
	database := filepath.Join(t.TempDir(), "peerage.db")
	clock := storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	s := storetest.Open(t, storetest.WithClock(clock), storetest.WithDatabase(database))
	r := newRemote()
	r.store, r.now = s, clock.Now
	r.add("ada", password)
	w := openWorld(t, s, clock, func(_ *identity.Config, d *identity.Deps) { d.Backends = []identity.Backend{r} })
	secret := w.enrolRemote("ada")
	b := browser()
	token := w.signIn2(&b, "ada", secret).Session.BackendToken
	half := browser()
	w.half(half, "ada")
	p, _, err := w.Pending(w.ctx, half)
	if err != nil || len(token) == 0 || len(p.Challenge) == 0 {
		t.Fatalf("token %q, challenge %q, %v", token, p.Challenge, err)
	}
	files, err := filepath.Glob(database + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for what, value := range map[string][]byte{"token": token, "challenge": p.Challenge, "cookie": []byte(b.Session), "TOTP secret": []byte(secret), "browser": []byte(half.ID)} {
			if bytes.Contains(data, value) {
				t.Errorf("%s holds the %s in clear", filepath.Base(file), what)
			}
		}
		if !bytes.Contains(data, []byte("SQLite format 3")) && filepath.Ext(file) == ".db" {
			t.Errorf("%s is no database", file)
		}
	}
}

// Whether a name is that of a local person beside another backend cannot be
// found out by wrong passwords, neither while that backend answers nor while it
// is away; and then they come in all the same.
func TestNamesOfLocalPeopleCannotBeFoundOut(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	w.enrolled("root")
	for _, c := range []struct {
		broken bool
		want   error
	}{{false, identity.ErrWrongCredentials}, {true, identity.ErrUnavailable}} {
		r.breakDown(c.broken)
		for _, name := range []string{"root", "ada", "nobody"} {
			_, err := w.SignIn(w.ctx, browser(), name, "wrong horse")
			wantErr(t, fmt.Sprintf("%s, broken: %v", name, c.broken), err, c.want)
		}
		w.half(browser(), "root")
	}
}
