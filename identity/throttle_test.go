package identity_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/store"
	"peerage/store/storetest"
)

func TestVariantsOfANameAreThrottledAsOne(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	for i, name := range []string{"ada", "ADA", " ada ", "ＡＤＡ", "𝒶𝒹𝒶"} {
		if _, err := w.SignIn(from(fmt.Sprint("192.0.2.", i))(w.ctx), browser(), name, "wrong horse"); err != identity.ErrWrongCredentials {
			t.Fatalf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"ada", "Ada", "ａda\u00a0"} {
		if _, err := w.SignIn(from("198.51.100.7")(w.ctx), browser(), name, password); !isThrottled(err) {
			t.Errorf("%q after five wrong ones: %v", name, err)
		}
	}
}

func isThrottled(err error) bool { _, is := throttled(err); return is }

func TestThrottleGrowsToAMinuteAndNeverLocks(t *testing.T) {
	for _, name := range []string{"ada", "nobody"} { // it tells no name apart
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.person("ada")
			var waits []time.Duration
			for range 16 {
				_, err := w.SignIn(w.ctx, browser(), name, "wrong horse")
				wait, is := throttled(err)
				if is {
					_, right := w.SignIn(w.ctx, browser(), name, password)
					if again, is := throttled(right); !is || again != wait {
						t.Errorf("the right password inside a wait of %v: %v", wait, right)
					}
					w.clock.Advance(wait - time.Microsecond)
					if _, err := w.SignIn(w.ctx, browser(), name, password); !isThrottled(err) {
						t.Errorf("just before the end of %v: %v", wait, err)
					}
					w.clock.Advance(time.Microsecond)
					_, err = w.SignIn(w.ctx, browser(), name, "wrong horse")
				}
				wantErr(t, fmt.Sprint("wrong after ", wait), err, identity.ErrWrongCredentials)
				waits = append(waits, wait/time.Second)
			}
			wantSame(t, "waits in seconds", waits, []time.Duration{0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60})
		})
	}
}

func TestRightPasswordForgivesTheAccountAndNotTheAddress(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	w.person("mallory")
	wrong := func(name string, times int) {
		t.Helper()
		for range times {
			if _, err := w.SignIn(w.ctx, browser(), name, "wrong horse"); err != identity.ErrWrongCredentials {
				t.Fatalf("wrong at %s: %v", name, err)
			}
		}
	}
	for range 4 { // an account of his own between the guesses does not clear his address
		wrong("ada", 4)
		w.signIn(new(browser()), "ada")
		w.signIn(new(browser()), "mallory")
		wrong("victim", 1)
	}
	if _, err := w.SignIn(w.ctx, browser(), "mallory", password); !isThrottled(err) {
		t.Errorf("after 20 wrong ones from one address: %v", err)
	}
	if _, err := w.SignIn(from("192.0.2.2")(w.ctx), browser(), "ada", password); err != nil {
		t.Errorf("from another address: %v", err)
	}
	w.clock.Advance(15 * time.Minute)
	w.signIn(new(browser()), "mallory")
}

func TestManyRightPasswordsFromOneAddress(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	for range 50 { // an office behind one address
		w.signIn(new(browser()), "ada")
	}
}

func TestCodesAreLimitedOverSessionsAddressesAndReplicas(t *testing.T) {
	database := storetest.Engines()[0].Fresh(t)
	clock := storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	open := func() *store.Store {
		return storetest.Open(t, storetest.WithClock(clock), storetest.WithDatabase(database))
	}
	replicas := []*world{openWorld(t, open(), clock), openWorld(t, open(), clock)}
	w := replicas[0]
	_, secret := w.enrolled("ada")
	for i := range 10 {
		w := replicas[i%2]
		w.ctx = from(fmt.Sprint("192.0.2.", i))(t.Context())
		b := browser()
		w.half(b, "ada") // a right password does not forgive codes
		_, err := w.Answer(w.ctx, b, w.wrongCode(secret))
		wantErr(t, fmt.Sprint("wrong code ", i), err, identity.ErrWrongCode)
	}
	b := browser()
	w.ctx = from("198.51.100.1")(t.Context())
	w.half(b, "ada")
	_, err := w.Answer(w.ctx, b, w.code(secret))
	if wait, is := throttled(err); !is || wait != 15*time.Minute {
		t.Errorf("the eleventh code, which is right: %v", err)
	}
	clock.Advance(15*time.Minute - time.Second)
	w.half(b, "ada")
	if _, err := w.Answer(w.ctx, b, w.code(secret)); !isThrottled(err) {
		t.Errorf("a second before the end: %v", err)
	}
	clock.Advance(time.Second)
	if _, err := w.Answer(w.ctx, b, w.code(secret)); err != nil {
		t.Errorf("after 15 minutes: %v", err)
	}
}

func TestConfirmAndEnrolCountCodesToo(t *testing.T) {
	w := newWorld(t)
	_, secret := w.enrolled("ada")
	b := browser()
	v := w.signIn2(&b, "ada", secret)
	for range 5 {
		_, err := w.Confirm(w.ctx, b, v, "", w.wrongCode(secret))
		wantErr(t, "Confirm", err, identity.ErrWrongCode)
		_, err = w.DisableTOTP(w.ctx, b, v, "", w.wrongCode(secret))
		wantErr(t, "DisableTOTP", err, identity.ErrWrongCode)
	}
	w.nextStep()
	if _, err := w.Confirm(w.ctx, b, v, "", w.code(secret)); !isThrottled(err) {
		t.Errorf("after ten wrong codes: %v", err)
	}

	bob := w.person("bob")
	b = browser()
	v = w.signIn(&b, "bob")
	shown, err := w.BeginTOTP(w.ctx, b, bob)
	if err != nil {
		t.Fatal(err)
	}
	w.ctx = from("198.51.100.1")(t.Context())
	for range 10 {
		_, err := w.EnrolVisitor(w.ctx, b, v, w.wrongCode(shown.Secret))
		wantErr(t, "EnrolVisitor", err, identity.ErrWrongCode)
	}
	if _, err := w.EnrolVisitor(w.ctx, b, v, w.code(shown.Secret)); !isThrottled(err) {
		t.Errorf("after ten wrong codes: %v", err)
	}
}

func TestParallelGuessesDoNotSlipThrough(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	const tries = 32
	answers := make(chan error, tries)
	for range tries {
		go func() {
			_, err := w.SignIn(w.ctx, browser(), "ada", "wrong horse")
			answers <- err
		}()
	}
	checked := 0
	for range tries {
		if err := <-answers; errors.Is(err, identity.ErrWrongCredentials) {
			checked++
		} else if !isThrottled(err) {
			t.Errorf("%v", err)
		}
	}
	if checked != 5 {
		t.Errorf("%d of %d parallel guesses were checked, want 5", checked, tries)
	}
}

func TestSenselessInputIsRefusedUncounted(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	for range 30 {
		for _, c := range [][2]string{{"", password}, {" \t", password}, {"ada", ""}, {strings.Repeat("a", 1<<20), password}} {
			if _, err := w.SignIn(w.ctx, browser(), c[0], c[1]); err != identity.ErrWrongCredentials {
				t.Fatalf("%.10q: %v", c[0], err)
			}
		}
	}
	w.signIn(new(browser()), "ada")
}

func TestUnavailableBackendIsNotCounted(t *testing.T) {
	r := newRemote()
	w := newRemoteWorld(t, r)
	r.add("ada", password)
	r.breakDown(true)
	for range 30 {
		_, err := w.SignIn(w.ctx, browser(), "ada", password)
		wantErr(t, "SignIn", err, identity.ErrUnavailable)
	}
	// Nor is who gave up waiting.
	r.onLogin = func(ctx context.Context) { ctx.Value(cancelKey{}).(context.CancelFunc)() }
	for range 30 {
		ctx, cancel := context.WithCancel(w.ctx)
		_, err := w.SignIn(context.WithValue(ctx, cancelKey{}, cancel), browser(), "ada", password)
		wantErr(t, "SignIn given up", err, identity.ErrUnavailable)
	}
	r.onLogin = nil
	r.breakDown(false)
	w.signIn(new(browser()), "ada")
}

type cancelKey struct{}
