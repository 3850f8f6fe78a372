package identity_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/identity"
)

func TestEnrolFromASession(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	one := browser()
	v := w.signIn(&one, "ada")
	shown, err := w.BeginTOTP(w.ctx, one, u)
	if err != nil || !strings.Contains(shown.URL, shown.Secret) || !strings.HasPrefix(shown.URL, "otpauth://totp/Example%20IX:ada?") {
		t.Fatalf("BeginTOTP: %+v, %v", shown, err)
	}
	if again, err := w.BeginTOTP(w.ctx, one, u); err != nil || again != shown {
		t.Errorf("another tab shows %+v, %v", again, err)
	}
	if w.again(u).TOTP {
		t.Error("a secret without a code counts")
	}
	_, err = w.EnrolVisitor(w.ctx, one, v, w.wrongCode(shown.Secret))
	wantErr(t, "wrong code", err, identity.ErrWrongCode)
	session, err := w.EnrolVisitor(w.ctx, one, v, w.code(shown.Secret))
	if err != nil {
		t.Fatalf("right code: %v", err)
	}
	w.dead(one.Session, "the cookie from before the enrolment")
	one.Session = session
	now := w.visitor(one)
	if now.Session.ID != v.Session.ID || now.Session.ACR != identity.ACRTwoFactors || !slices.Equal(now.Session.AMR, []string{"pwd", "otp", "mfa"}) || !now.User.TOTP {
		t.Errorf("the session became %+v", now.Session)
	}
	_, err = w.BeginTOTP(w.ctx, one, now.User)
	wantErr(t, "BeginTOTP again", err, identity.ErrAlreadyEnrolled)
	_, err = w.EnrolVisitor(w.ctx, one, now, w.code(shown.Secret))
	wantErr(t, "EnrolVisitor again", err, identity.ErrAlreadyEnrolled)
	b := browser()
	w.half(b, "ada")
	_, err = w.Answer(w.ctx, b, w.code(shown.Secret))
	wantErr(t, "the code that enrolled", err, identity.ErrWrongCode)
	w.nextStep()
	if _, err = w.Answer(w.ctx, b, w.code(shown.Secret)); err != nil {
		t.Errorf("the next code: %v", err)
	}
	wantSame(t, "events", w.events(), []string{"user_create success", "login_success success", "totp_enable failure", "totp_enable success",
		"mfa_challenge success", "mfa_failure failure", "mfa_success success", "login_success success"})
}

func TestEnrolmentTooOld(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	b := browser()
	v := w.signIn(&b, "ada")
	shown, err := w.BeginTOTP(w.ctx, b, u)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(10 * time.Minute)
	_, err = w.EnrolVisitor(w.ctx, b, v, w.code(shown.Secret))
	wantErr(t, "after ten minutes", err, identity.ErrWrongCode)
	again, err := w.BeginTOTP(w.ctx, b, u)
	if err != nil || again.Secret == shown.Secret {
		t.Errorf("the new enrolment: %v, the same secret %v", err, again.Secret == shown.Secret)
	}
	_, err = w.EnrolVisitor(w.ctx, b, v, w.code(shown.Secret))
	wantErr(t, "a code of the old secret", err, identity.ErrWrongCode)
}

func TestTabsThatBeginAtOnceShowOneSecret(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	b := browser()
	var mu sync.Mutex
	secrets := map[string]bool{}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			e, err := w.BeginTOTP(w.ctx, b, u)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			secrets[e.Secret] = true
		})
	}
	all.Wait()
	if len(secrets) != 1 {
		t.Errorf("%d secrets were shown, and one counts", len(secrets))
	}
}

func TestParallelEnrolmentsActivateOnce(t *testing.T) {
	w := newWorld(t, requireMFA(identity.RequireMFAAll))
	u := w.person("ada")
	b := browser()
	w.half(b, "ada")
	shown, err := w.BeginTOTP(w.ctx, b, u)
	if err != nil {
		t.Fatal(err)
	}
	code := w.code(shown.Secret)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { w.EnrolSignIn(w.ctx, b, code) })
	}
	all.Wait()
	if sessions, err := w.store.Sessions(w.ctx, u.Sub); err != nil || len(sessions) != 1 {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
}

func TestEnrolADemandedFactor(t *testing.T) {
	w := newWorld(t, requireMFA(identity.RequireMFAAll))
	w.person("ada")
	b := browser()
	w.half(b, "ada")
	_, err := w.Answer(w.ctx, b, "123456")
	wantErr(t, "answering where nothing was asked", err, identity.ErrNoSignIn)
	_, u, err := w.Pending(w.ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.EnrolSignIn(w.ctx, b, "123456")
	wantErr(t, "before a secret was shown", err, identity.ErrWrongCode)
	shown, err := w.BeginTOTP(w.ctx, b, u)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.EnrolSignIn(w.ctx, b, w.wrongCode(shown.Secret))
	wantErr(t, "wrong code", err, identity.ErrWrongCode)
	_, err = w.EnrolSignIn(w.ctx, browser(), w.code(shown.Secret))
	wantErr(t, "another browser", err, identity.ErrNoSignIn)
	session, err := w.EnrolSignIn(w.ctx, b, w.code(shown.Secret))
	if err != nil {
		t.Fatal(err)
	}
	b.Session = session
	if v := w.visitor(b); v.Session.ACR != identity.ACRTwoFactors || !slices.Equal(v.Session.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("the session is %+v", v.Session)
	}
	_, err = w.EnrolSignIn(w.ctx, b, w.code(shown.Secret))
	wantErr(t, "again", err, identity.ErrNoSignIn)
}

func TestDisableTOTPNeedsACode(t *testing.T) {
	w := newWorld(t)
	u, secret := w.enrolled("ada")
	b := browser()
	v := w.signIn2(&b, "ada", secret)
	_, err := w.DisableTOTP(w.ctx, b, v, "", w.code(secret))
	wantErr(t, "the code that signed in", err, identity.ErrWrongCode)
	if !w.again(u).TOTP {
		t.Fatal("a wrong code removed the factor")
	}
	w.nextStep()
	session, err := w.DisableTOTP(w.ctx, b, v, "", w.code(secret))
	if err != nil || w.again(u).TOTP {
		t.Fatalf("a right code: %v", err)
	}
	w.dead(b.Session, "the cookie from before")
	b.Session = session
	w.visitor(b)
	other := browser()
	if v := w.signIn(&other, "ada"); v.Session.ACR != identity.ACROneFactor {
		t.Errorf("afterwards signed in with %s", v.Session.ACR)
	}
}

// reset resets a person's second factor and gives the link.
func (w *world) reset(u identity.User) identity.Link {
	w.t.Helper()
	link, err := w.ResetMFA(w.ctx, u)
	if err != nil {
		w.t.Fatalf("ResetMFA: %v", err)
	}
	if link.Token == "" || !link.Expires.Equal(w.clock.Now().Add(identity.LinkLifetime)) {
		w.t.Fatalf("the link %+v", link)
	}
	return link
}

func TestResetNeedsLinkToEnrolAgain(t *testing.T) {
	w := newWorld(t)
	u, secret := w.enrolled("ada")
	signedIn := browser()
	w.signIn2(&signedIn, "ada", secret)
	link := w.reset(u)
	w.dead(signedIn.Session, "a session from before the reset")

	thief := browser()
	w.half(thief, "ada")
	p, pending, err := w.Pending(w.ctx, thief)
	if err != nil || p.Challenged || p.MayEnrol || !pending.NeedsLink {
		t.Fatalf("the password alone: %+v of %+v, %v", p, pending, err)
	}
	_, err = w.BeginTOTP(w.ctx, thief, pending)
	wantErr(t, "the password alone begins an enrolment", err, identity.ErrNeedsLink)
	_, err = w.EnrolSignIn(w.ctx, thief, "123456")
	wantErr(t, "the password alone enrols", err, identity.ErrNeedsLink)

	b := browser()
	if whose, err := w.FactorLink(w.ctx, link.Token); err != nil || whose.Sub != u.Sub {
		t.Fatalf("FactorLink: %s, %v", whose.Sub, err)
	}
	wantErr(t, "wrong password", w.UseFactorLink(w.ctx, b, link.Token, "wrong horse"), identity.ErrWrongCredentials)
	if _, err := w.FactorLink(w.ctx, link.Token); err != nil {
		t.Fatalf("a wrong password used the link up: %v", err)
	}
	if err := w.UseFactorLink(w.ctx, b, link.Token, password); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "the second use", w.UseFactorLink(w.ctx, thief, link.Token, password), identity.ErrLinkExpired)

	_, mine, err := w.Pending(w.ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := w.BeginTOTP(w.ctx, b, mine)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever knows the password must not see the secret of the one with the link.
	_, err = w.BeginTOTP(w.ctx, thief, pending)
	wantErr(t, "the other browser is shown the secret", err, identity.ErrNeedsLink)
	_, err = w.EnrolSignIn(w.ctx, thief, w.code(shown.Secret))
	wantErr(t, "the other browser enrols", err, identity.ErrNeedsLink)
	if _, err := w.EnrolSignIn(w.ctx, b, w.code(shown.Secret)); err != nil {
		t.Fatal(err)
	}
	if w.again(u).NeedsLink {
		t.Error("the person still needs a link")
	}
	_, err = w.EnrolSignIn(w.ctx, thief, w.code(shown.Secret))
	if err == nil {
		t.Error("the half-done sign-in of the other browser came to something")
	}
}

func TestFactorLinkDies(t *testing.T) {
	for _, c := range []struct {
		what string
		end  func(w *world, u identity.User) error
	}{
		{"too old", func(w *world, _ identity.User) error { w.clock.Advance(identity.LinkLifetime); return nil }},
		{"replaced", func(w *world, u identity.User) error { _, err := w.ResetMFA(w.ctx, u); return err }},
		{"disabled", func(w *world, u identity.User) error { return w.SetDisabled(w.ctx, u, true) }},
		{"disabled and enabled", func(w *world, u identity.User) error {
			if err := w.SetDisabled(w.ctx, u, true); err != nil {
				return err
			}
			return w.SetDisabled(w.ctx, u, false)
		}},
		{"deleted", func(w *world, u identity.User) error { _, err := w.store.DeleteUser(w.ctx, u.Sub); return err }},
		{"enrolled by another way", func(w *world, u identity.User) error {
			if err := w.store.PutPendingTOTP(w.ctx, u.Sub, []byte(rfcSecret()), nil, time.Minute); err != nil {
				return err
			}
			return w.store.ActivateTOTP(w.ctx, u.Sub, 0)
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			u, _ := w.enrolled("ada")
			link := w.reset(u)
			if err := c.end(w, u); err != nil {
				t.Fatal(err)
			}
			_, err := w.FactorLink(w.ctx, link.Token)
			wantErr(t, "FactorLink", err, identity.ErrLinkExpired)
			b := browser()
			wantErr(t, "UseFactorLink", w.UseFactorLink(w.ctx, b, link.Token, password), identity.ErrLinkExpired)
			_, _, err = w.Pending(w.ctx, b)
			wantErr(t, "Pending", err, identity.ErrNoSignIn)
		})
	}
	w := newWorld(t)
	for _, token := range []string{"", "x", identity.NewSecret(), strings.Repeat("a", 1<<20)} {
		_, err := w.FactorLink(w.ctx, token)
		wantErr(t, "an unknown link", err, identity.ErrLinkExpired)
	}
}

func TestFactorLinkIsUsedOnce(t *testing.T) {
	w := newWorld(t)
	u, _ := w.enrolled("ada")
	link := w.reset(u)
	wins := make(chan identity.Browser, 4)
	var all sync.WaitGroup
	for range cap(wins) {
		all.Go(func() {
			if b := browser(); w.UseFactorLink(w.ctx, b, link.Token, password) == nil {
				wins <- b
			}
		})
	}
	all.Wait()
	if len(wins) != 1 {
		t.Errorf("the link let %d browsers enrol", len(wins))
	}
}

// Whoever has only the password of somebody who must enrol is not shown the
// secret that the person then enrols: each browser gets its own, and the last
// one counts.
func TestPendingSecretBelongsToOneBrowser(t *testing.T) {
	w := newWorld(t, requireMFA(identity.RequireMFAAll))
	w.person("ada")
	thief, ada := browser(), browser()
	w.half(thief, "ada")
	w.half(ada, "ada")
	_, u, err := w.Pending(w.ctx, ada)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := w.BeginTOTP(w.ctx, thief, u)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := w.BeginTOTP(w.ctx, ada, u)
	if err != nil || shown.Secret == seen.Secret {
		t.Fatalf("both browsers are shown one secret: %v, %v", shown.Secret == seen.Secret, err)
	}
	_, err = w.EnrolSignIn(w.ctx, thief, w.code(seen.Secret))
	wantErr(t, "the thief's code", err, identity.ErrWrongCode)
	_, err = w.EnrolSignIn(w.ctx, thief, w.code(shown.Secret))
	wantErr(t, "ada's code in the thief's browser", err, identity.ErrWrongCode)
	if _, err := w.EnrolSignIn(w.ctx, ada, w.code(shown.Secret)); err != nil {
		t.Fatalf("ada's code: %v", err)
	}
}
