package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"peerage/store"
)

var (
	soft = store.Throttle{Free: 3, MaxDelay: time.Minute, Window: time.Hour}
	hard = store.Throttle{Free: 10, Hard: true, Window: 15 * time.Minute}
)

func keyed(t store.Throttle, key string) store.Throttle {
	t.Key = key
	return t
}

// attempt tries once and fails unless it had to wait that long.
func (w world) attempt(t testing.TB, wait time.Duration, throttles ...store.Throttle) {
	t.Helper()
	got, err := w.TakeAttempt(t.Context(), throttles...)
	want(t, err, nil)
	if got != wait {
		t.Fatalf("wait %v, want %v", got, wait)
	}
}

func TestDelayDoublesToItsLimitAndNeverLocks(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		throttle := keyed(soft, "account")
		for range 3 {
			w.attempt(t, 0, throttle)
		}
		for _, seconds := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60} {
			delay := seconds * time.Second
			w.attempt(t, delay, throttle)
			w.clock.Advance(delay - time.Microsecond)
			w.attempt(t, time.Microsecond, throttle) // what was refused did not count
			w.clock.Advance(time.Microsecond)
			w.attempt(t, 0, throttle)
		}
		w.attempt(t, 0, keyed(soft, "another account"))
		w.clock.Advance(time.Hour)
		for range 3 { // all is forgotten
			w.attempt(t, 0, throttle)
		}
		w.attempt(t, time.Second, throttle)
	})
}

func TestHardThrottleCountsInAWindow(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		throttle := keyed(hard, "codes of a person")
		for range 10 {
			w.attempt(t, 0, throttle)
			w.clock.Advance(time.Minute)
		}
		w.attempt(t, 5*time.Minute, throttle)
		w.clock.Advance(5*time.Minute - time.Second)
		w.attempt(t, time.Second, throttle)
		w.clock.Advance(time.Second)
		for range 10 { // a new window, counted anew
			w.attempt(t, 0, throttle)
		}
		w.attempt(t, 15*time.Minute, throttle)
	})
}

// Another system counts anew only when nothing went wrong for a while, however
// slowly somebody guesses.
func TestTrailingThrottleForgetsAfterTheLast(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		throttle := keyed(hard, "passwords of a person")
		throttle.Free, throttle.Trailing = 3, true
		for range 3 {
			w.attempt(t, 0, throttle)
			w.clock.Advance(14 * time.Minute)
		}
		w.attempt(t, time.Minute, throttle)
		w.clock.Advance(time.Minute)
		for range 3 {
			w.attempt(t, 0, throttle)
		}
		w.attempt(t, 15*time.Minute, throttle)
	})
}

func TestAttemptCountsForAllKeysOrNone(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		account, address := keyed(soft, "account"), keyed(soft, "address")
		for range 3 {
			w.attempt(t, 0, account)
		}
		w.attempt(t, time.Second, address, account)
		for range 3 { // the refused attempt did not count for the address
			w.attempt(t, 0, address)
		}
		w.attempt(t, time.Second, address)
	})
}

func TestForgiveAttempt(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		account, address := keyed(soft, "account"), keyed(soft, "address")
		for range 3 {
			w.attempt(t, 0, account, address)
		}
		want(t, w.ForgiveAttempt(ctx, "account", true), nil)
		want(t, w.ForgiveAttempt(ctx, "address", false), nil)
		w.attempt(t, 0, account, address)
		w.attempt(t, 0, account)
		w.attempt(t, time.Second, address)
		// More forgiving than failing gives no credit.
		want(t, w.ForgiveAttempt(ctx, "fresh", false), nil)
		for range 3 {
			want(t, w.ForgiveAttempt(ctx, "account", false), nil)
			want(t, w.ForgiveAttempt(ctx, "account", false), nil)
		}
		for range 3 {
			w.attempt(t, 0, account)
		}
		w.attempt(t, time.Second, account)
	})
}

func TestParallelAttemptsCannotSlipThrough(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		replicas := []*store.Store{w.Store, w.replica(t)}
		for name, test := range map[string]struct {
			throttle store.Throttle
			passed   int64
		}{"soft": {keyed(soft, "soft"), 3}, "hard": {keyed(hard, "hard"), 10}} {
			var passed atomic.Int64
			together(64, func(i int) {
				wait, err := replicas[i%2].TakeAttempt(t.Context(), test.throttle)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if wait == 0 {
					passed.Add(1)
				}
			})
			if passed.Load() != test.passed {
				t.Errorf("%s: %d of 64 guesses passed, want %d", name, passed.Load(), test.passed)
			}
		}
	})
}
