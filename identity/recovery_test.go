package identity_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/identity"
)

var codeShape = regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{4}-[0-9a-hjkmnp-tv-z]{4}-[0-9a-hjkmnp-tv-z]{4}$`)

// withCodes is a person with a second factor and recovery codes.
func (w *world) withCodes(name string) (u identity.User, secret string, codes []string) {
	w.t.Helper()
	u, secret = w.enrolled(name)
	b := browser()
	codes, err := w.CreateRecoveryCodes(w.ctx, w.signIn2(&b, name, secret))
	if err != nil {
		w.t.Fatalf("CreateRecoveryCodes: %v", err)
	}
	w.nextStep()
	return u, secret, codes
}

func (w *world) left(u identity.User) int64 {
	w.t.Helper()
	state, err := w.RecoveryState(w.ctx, u)
	if err != nil {
		w.t.Fatalf("RecoveryState: %v", err)
	}
	return state.Left
}

func TestRecoveryCodeStandsInForTheSecondFactor(t *testing.T) {
	w := newWorld(t)
	u, _, codes := w.withCodes("ada")
	if len(codes) != 10 || w.left(u) != 10 {
		t.Fatalf("%d codes, %d left", len(codes), w.left(u))
	}
	for i, code := range codes {
		if !codeShape.MatchString(code) || slices.Contains(codes[:i], code) {
			t.Errorf("the code %q", code)
		}
	}
	b := browser()
	w.half(b, "ada")
	session, err := w.AnswerRecovery(w.ctx, b, " "+strings.ToUpper(strings.ReplaceAll(codes[3], "-", " "))+"\t")
	if err != nil {
		t.Fatalf("AnswerRecovery: %v", err)
	}
	b.Session = session
	v := w.visitor(b)
	if v.Session.ACR != identity.ACRTwoFactors || !slices.Equal(v.Session.AMR, []string{"pwd", "otp", "mfa"}) || !w.Fresh(v) || w.left(u) != 9 {
		t.Errorf("the session is %+v, %d left", v.Session, w.left(u))
	}
	w.clock.Advance(11 * time.Minute)
	if proofs, err := w.Proofs(w.ctx, v.User); err != nil || proofs != (identity.Proofs{Code: true, Recovery: true}) {
		t.Errorf("asks for %+v, %v", proofs, err)
	}
	if b.Session, err = w.Confirm(w.ctx, b, v, "", codes[4]); err != nil || !w.Fresh(w.visitor(b)) || w.left(u) != 8 {
		t.Errorf("Confirm: %v, %d left", err, w.left(u))
	}
	wantSame(t, "events", w.events(), []string{"user_create success", "mfa_challenge success", "mfa_success success", "login_success success", "recovery_codes_create success",
		"mfa_challenge success", "mfa_success success", "recovery_code_use success", "login_success success", "mfa_success success", "recovery_code_use success"})
}

// A code is written down, overlooked or photographed: it works once, for its
// person, and only until new ones are made.
func TestRecoveryCodeWorksOnce(t *testing.T) {
	w := newWorld(t)
	u, _, codes := w.withCodes("ada")
	_, bobSecret, bobs := w.withCodes("bob")
	try := func(name, code string) error {
		t.Helper()
		b := browser()
		w.half(b, name)
		_, err := w.AnswerRecovery(w.ctx, b, code)
		return err
	}
	if err := try("ada", codes[0]); err != nil {
		t.Fatalf("a right code: %v", err)
	}
	wantErr(t, "the same code again", try("ada", codes[0]), identity.ErrWrongCode)
	wantErr(t, "bob's code", try("ada", bobs[0]), identity.ErrWrongCode)
	wantErr(t, "no code", try("ada", ""), identity.ErrWrongCode)
	b := browser()
	v := w.signIn2(&b, "bob", bobSecret)
	fresh, err := w.CreateRecoveryCodes(w.ctx, v)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "a replaced code", try("bob", bobs[1]), identity.ErrWrongCode)
	if err := try("bob", fresh[1]); err != nil {
		t.Errorf("a new code: %v", err)
	}
	if _, err := w.ResetMFA(w.ctx, u); err != nil {
		t.Fatal(err)
	}
	if w.left(u) != 0 {
		t.Error("codes are left after the reset")
	}
	if _, err := w.AnswerRecovery(w.ctx, browser(), codes[1]); !errors.Is(err, identity.ErrNoSignIn) {
		t.Errorf("a code without a password: %v", err)
	}
}

func TestRecoveryCodeUsedTwiceInParallel(t *testing.T) {
	w := newWorld(t)
	_, _, codes := w.withCodes("ada")
	replica := openWorld(t, w.store, w.clock)
	var wg sync.WaitGroup
	results := make(chan error, 8)
	for i := range 8 {
		at := []*world{w, replica}[i%2]
		b := browser()
		at.half(b, "ada")
		wg.Go(func() {
			_, err := at.AnswerRecovery(at.ctx, b, codes[0])
			results <- err
		})
	}
	wg.Wait()
	close(results)
	in := 0
	for err := range results {
		if err == nil {
			in++
		} else if !errors.Is(err, identity.ErrWrongCode) {
			t.Errorf("another answer: %v", err)
		}
	}
	if in != 1 {
		t.Errorf("one code signed in %d times", in)
	}
}

// Whoever guesses has ten tries for codes of both kinds together.
func TestRecoveryCodesAreThrottledWithTheOthers(t *testing.T) {
	w := newWorld(t)
	_, secret, codes := w.withCodes("ada")
	b := browser()
	w.half(b, "ada")
	for i := range 10 {
		w.ctx = from("192.0.2." + string(rune('1'+i%9)))(t.Context())
		var err error
		if i%2 == 0 {
			_, err = w.AnswerRecovery(w.ctx, b, "0000-0000-0000")
		} else {
			_, err = w.Answer(w.ctx, b, w.wrongCode(secret))
		}
		wantErr(t, "a guess", err, identity.ErrWrongCode)
	}
	_, err := w.AnswerRecovery(w.ctx, b, codes[0])
	if _, wait := throttled(err); !wait {
		t.Errorf("the eleventh try: %v", err)
	}
	_, err = w.Answer(w.ctx, b, w.code(secret))
	if _, wait := throttled(err); !wait {
		t.Errorf("the eleventh try, with a code: %v", err)
	}
	w.clock.Advance(15 * time.Minute)
	w.half(b, "ada")
	if _, err := w.AnswerRecovery(w.ctx, b, codes[0]); err != nil {
		t.Errorf("a quarter of an hour later: %v", err)
	}
}

// Codes without a factor would lie in wait for the next one.
func TestRecoveryCodesGoWithTheLastFactor(t *testing.T) {
	w := newWorld(t, named)
	plain := w.person("carol")
	b := browser()
	_, err := w.CreateRecoveryCodes(w.ctx, w.signIn(&b, "carol"))
	wantErr(t, "codes without a factor", err, identity.ErrNoSecondFactor)
	if w.left(plain) != 0 {
		t.Error("codes all the same")
	}

	u, secret := w.enrolled("ada")
	b = browser()
	w.signIn2(&b, "ada", secret)
	key := w.addPasskey(&b, "key")
	v := w.visitor(b)
	if _, err := w.CreateRecoveryCodes(w.ctx, v); err != nil {
		t.Fatal(err)
	}
	// The phone is lost, the passkey is there: no code is asked for.
	if _, err := w.DisableTOTP(w.ctx, b, v, "", ""); err != nil {
		t.Fatalf("DisableTOTP: %v", err)
	}
	if u = w.again(u); u.TOTP || !u.HasSecondFactor() || w.left(u) != 10 {
		t.Fatalf("after one of two factors: %+v, %d codes", u, w.left(u))
	}
	if err := w.RemovePasskey(w.ctx, u, identity.PasskeyID(key.ID)); err != nil {
		t.Fatal(err)
	}
	if u = w.again(u); u.HasSecondFactor() || w.left(u) != 0 {
		t.Errorf("after the last factor: %+v, %d codes", u, w.left(u))
	}

	// The other way round, and with TOTP as the last one.
	u, secret = w.enrolled("dora")
	b = browser()
	w.signIn2(&b, "dora", secret)
	key = w.addPasskey(&b, "key")
	v = w.visitor(b)
	if _, err := w.CreateRecoveryCodes(w.ctx, v); err != nil {
		t.Fatal(err)
	}
	if err := w.RemovePasskey(w.ctx, v.User, identity.PasskeyID(key.ID)); err != nil || w.left(u) != 10 {
		t.Fatalf("RemovePasskey: %v, %d codes", err, w.left(u))
	}
	v = w.visitor(b)
	_, err = w.DisableTOTP(w.ctx, b, v, "", "")
	wantErr(t, "the last factor without a code", err, identity.ErrWrongCode)
	w.nextStep()
	if _, err := w.DisableTOTP(w.ctx, b, v, "", w.code(secret)); err != nil || w.left(u) != 0 || w.again(u).HasSecondFactor() {
		t.Errorf("DisableTOTP: %v, %d codes", err, w.left(u))
	}
}

func TestNormalizeRecoveryCode(t *testing.T) {
	for typed, want := range map[string]string{
		"x4k2-9mfd-07qt": "x4k29mfd07qt", " X4K2 9MFD 07QT ": "x4k29mfd07qt", "x4k29mfdO7qt": "x4k29mfd07qt", "x4k2–9mfd–l7qi": "x4k29mfd17q1",
		"x4k2-9mfd-07q": "", "x4k2-9mfd-07qtt": "", "x4k2-9mfd-07qu": "", "123456": "", "": "", strings.Repeat("-", 65): "",
	} {
		got, ok := identity.NormalizeRecoveryCode(typed)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v, want %q", typed, got, ok, want)
		}
	}
}
