package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"peerage/store"
)

// A session's end notes each client that got tokens in it, once, and 16
// senders on two replicas take each note once.
func TestLogoutsAreTakenOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		const sessions = 20
		for range sessions {
			g := w.granted(t, true)
			u, err := w.AccessToken(ctx, g.access())
			want(t, err, nil)
			want(t, w.SignOutEverywhere(ctx, u.Family.Sub, false), nil)
		}
		other := w.replica(t)
		var mu sync.Mutex
		taken := map[string]int{}
		together(16, func(i int) {
			s := w.Store
			if i%2 == 1 {
				s = other
			}
			for range 8 {
				list, err := s.TakeLogouts(ctx, 3, time.Minute)
				if err != nil {
					t.Errorf("taking: %v", err)
				}
				mu.Lock()
				for _, l := range list {
					taken[l.ID]++
				}
				mu.Unlock()
			}
		})
		for id, n := range taken {
			if n != 1 {
				t.Errorf("logout %s was taken %d times", id, n)
			}
		}
		if len(taken) != sessions {
			t.Fatalf("%d of %d logouts were taken", len(taken), sessions)
		}
		// What is not done comes again after the lease; what is done does not.
		list, err := w.TakeLogouts(ctx, sessions, time.Minute)
		want(t, err, nil)
		if len(list) != 0 {
			t.Fatalf("%d came before the lease ended", len(list))
		}
		w.clock.Advance(time.Minute)
		list, err = w.TakeLogouts(ctx, sessions, time.Minute)
		want(t, err, nil)
		if len(list) != sessions || list[0].Attempts != 2 {
			t.Fatalf("after the lease %d came, attempt %d", len(list), list[0].Attempts)
		}
		want(t, w.DoneLogout(ctx, list[0].ID), nil)
		want(t, w.RetryLogout(ctx, list[1].ID, time.Hour), nil)
		w.clock.Advance(time.Minute)
		list, err = w.TakeLogouts(ctx, sessions, time.Minute)
		want(t, err, nil)
		if len(list) != sessions-2 {
			t.Fatalf("%d came, want all but the one that is done and the one that waits", len(list))
		}
	})
}

// Pushed requests and assertions count once over replicas.
func TestPushedRequestsAndAssertionsCountOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		other := w.replica(t)
		want(t, w.PutPushed(ctx, hash("uri"), "app", "scope=openid", time.Minute), nil)
		_, err := w.TakePushed(ctx, hash("uri"), "another")
		want(t, err, store.ErrNotFound)
		var mu sync.Mutex
		results := map[string]int{}
		note := func(what string, err error) {
			mu.Lock()
			results[fmt.Sprintf("%s: %v", what, err)]++
			mu.Unlock()
		}
		together(16, func(i int) {
			s := w.Store
			if i%2 == 1 {
				s = other
			}
			_, err := s.TakePushed(ctx, hash("uri"), "app")
			note("pushed", err)
			note("assertion", s.UseAssertion(ctx, hash("jti"), w.clock.Now().Add(time.Minute)))
		})
		if results["pushed: <nil>"] != 1 || results["assertion: <nil>"] != 1 || results["pushed: not found"] != 15 || results["assertion: already exists"] != 15 {
			t.Fatalf("the outcomes were %v", results)
		}
		want(t, w.PutPushed(ctx, hash("late"), "app", "", time.Minute), nil)
		w.clock.Advance(time.Minute)
		_, err = w.TakePushed(ctx, hash("late"), "app")
		want(t, err, store.ErrNotFound)
		_, _, err = w.DeleteExpired(ctx, 100, time.Hour)
		want(t, err, nil)
		if n := w.rows(t, "SELECT COUNT(*) FROM assertions") + w.rows(t, "SELECT COUNT(*) FROM pushed_requests"); n != 0 {
			t.Fatalf("%d rows outlive their use", n)
		}
	})
}
