package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"peerage/store"
)

// lease asks for the lease "job" and fails unless the answer is right.
func (w world) lease(t testing.TB, on *store.Store, holder string, expected bool) {
	t.Helper()
	held, err := on.Lease(t.Context(), "job", holder, time.Minute)
	want(t, err, nil)
	if held != expected {
		t.Fatalf("%s holds the lease: %t, want %t", holder, held, expected)
	}
}

func TestLeaseHasOneHolder(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		other := w.replica(t)
		w.lease(t, w.Store, "one", true)
		w.lease(t, other, "two", false)
		// Renewed, it lasts from then on.
		w.clock.Advance(40 * time.Second)
		w.lease(t, w.Store, "one", true)
		w.clock.Advance(59 * time.Second)
		w.lease(t, other, "two", false)
		// The holder died: at the end of the minute it is anybody's.
		w.clock.Advance(time.Second)
		w.lease(t, other, "two", true)
		w.lease(t, w.Store, "one", false)
	})
}

// Whoever stops gives back what it holds and nothing else.
func TestReleasedLeaseIsFreeAtOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		other := w.replica(t)
		w.lease(t, w.Store, "one", true)
		want(t, other.ReleaseLeases(t.Context(), "two"), nil)
		w.lease(t, other, "two", false)
		want(t, w.ReleaseLeases(t.Context(), "one"), nil)
		w.lease(t, other, "two", true)
		w.lease(t, w.Store, "one", false)
	})
}

// 64 takers on two replicas, at the first taking and again when the lease has
// run out: one of them gets it.
func TestParallelTakersOfALease(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		other := w.replica(t)
		for round := range 2 {
			var held atomic.Int64
			together(64, func(i int) {
				on := w.Store
				if i%2 == 1 {
					on = other
				}
				got, err := on.Lease(ctx, "job", fmt.Sprintf("round %d taker %d", round, i), time.Minute)
				if err != nil {
					t.Errorf("taker %d: %v", i, err)
				}
				if got {
					held.Add(1)
				}
			})
			if held.Load() != 1 {
				t.Fatalf("round %d: %d takers hold the lease", round, held.Load())
			}
			w.clock.Advance(time.Minute)
		}
		if n := w.rows(t, "SELECT COUNT(*) FROM leases"); n != 1 {
			t.Fatalf("%d rows for one lease", n)
		}
	})
}
