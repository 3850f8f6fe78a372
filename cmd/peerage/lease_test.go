package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"peerage/store"
	"peerage/store/storetest"
)

// twoServers share one store and one clock.
func twoServers(t *testing.T, engine storetest.Engine) (one, two *server, clock *storetest.Clock) {
	t.Helper()
	clock = storetest.NewClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	s := testSettings(t, "PEERAGE_DATABASE="+engine.Fresh(t))
	make := func() *server {
		server, err := newServer(t.Context(), s, serverOptions{log: newLogger(t.Output(), s), now: clock.Now})
		if err != nil {
			t.Fatalf("making a server: %v", err)
		}
		t.Cleanup(func() { server.close() })
		return server
	}
	return make(), make(), clock
}

// Whatever the order of their turns, a job is done by one of two servers, by
// the other one soon after the first has died, and at once when it stopped.
func TestJobIsDoneByOneServer(t *testing.T) {
	for _, engine := range storetest.Engines() {
		t.Run(engine.Name, func(t *testing.T) {
			one, two, clock := twoServers(t, engine)
			done := map[*server]int{}
			turn := func(s *server) {
				t.Helper()
				job := s.alone("job", func(context.Context) error { done[s]++; return nil })
				if err := job(t.Context()); err != nil {
					t.Fatalf("doing the job: %v", err)
				}
			}
			expect := func(first, second int) {
				t.Helper()
				if done[one] != first || done[two] != second {
					t.Fatalf("the job was done %d times by the first and %d times by the second server, want %d and %d", done[one], done[two], first, second)
				}
			}
			for range 5 {
				turn(one)
				turn(two)
				clock.Advance(keyRingEvery)
			}
			expect(5, 0)
			// The first dies: after the lease and one interval the job goes on.
			for range int(leaseTTL/keyRingEvery) + 1 {
				turn(two)
				clock.Advance(keyRingEvery)
			}
			if done[two] == 0 {
				t.Fatal("the job of a server that died is done by nobody")
			}
			turn(one)
			expect(5, done[two])
			// The second stops as an operator stops it.
			two.releaseLeases(t.Context())
			turn(one)
			expect(6, done[two])
		})
	}
}

// Two servers find the same key due at the same time: it is promoted once, and
// the audit trail tells of one rotation.
func TestKeyIsRotatedByOneServer(t *testing.T) {
	for _, engine := range storetest.Engines() {
		t.Run(engine.Name, func(t *testing.T) {
			one, two, clock := twoServers(t, engine)
			keep := func(s *server) {
				t.Helper()
				if err := s.alone("keys", s.keepKeys)(t.Context()); err != nil {
					t.Fatalf("keeping the keys: %v", err)
				}
			}
			keep(one)
			rotated, err := one.keys.Rotate(t.Context(), "ES256", false)
			if err != nil || !rotated.At.After(clock.Now()) {
				t.Fatalf("rotating: %+v, %v; want a time to come", rotated, err)
			}
			if err := two.keys.Reload(t.Context()); err != nil {
				t.Fatalf("reading the keys: %v", err)
			}
			clock.Advance(25 * time.Hour)
			keep(two)
			keep(one)
			one.audit.Close()
			two.audit.Close()
			events, err := one.store.Events(t.Context(), store.EventFilter{Event: "key_rotate", Limit: 10})
			if err != nil || len(events) != 1 {
				t.Fatalf("%d events tell of one rotation, %v", len(events), err)
			}
		})
	}
}

// A job that takes long keeps its lease; one whose lease another server got
// (this one was suspended, say) ends.
func TestLongJobKeepsItsLeaseOrEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _ := testServer(t)
		defer server.close()
		other := func(expected bool) {
			t.Helper()
			held, err := server.store.Lease(t.Context(), "job", "another", leaseTTL)
			if err != nil || held != expected {
				t.Fatalf("another server gets the lease: %t, %v; want %t", held, err, expected)
			}
		}
		ended := make(chan error, 1)
		go func() {
			ended <- server.alone("job", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })(t.Context())
		}()
		time.Sleep(3*leaseTTL + leaseTTL/7) // not at the moment of a renewal
		other(false)
		server.releaseLeases(t.Context())
		other(true)
		if err := <-ended; !errors.Is(err, errLeaseLost) {
			t.Fatalf("the job ended with %v", err)
		}
		// Not by releasing what it has no more.
		server.releaseLeases(t.Context())
		held, err := server.store.Lease(t.Context(), "job", "third", leaseTTL)
		if err != nil || held {
			t.Fatalf("the lease of the other server is gone: %v", err)
		}
	})
}
