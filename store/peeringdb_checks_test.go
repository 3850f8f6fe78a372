package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"peerage/store"
)

// One person every three seconds, whoever asks, and nobody twice.
func TestChecksKeepThePaceOverAllServers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		replicas := []*store.Store{w.Store, w.replica(t)}
		for i := range 6 {
			w.linked(t, int64(i+1))
		}
		w.clock.Advance(6 * time.Hour)
		seen := map[string]int{}
		for range 6 {
			var mu sync.Mutex
			var taken int
			together(8, func(i int) {
				link, token, err := replicas[i%2].TakePeeringDBCheck(ctx, "", checkLease, checkPace)
				if errors.Is(err, store.ErrNotFound) {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil || string(token) != "token" {
					t.Errorf("token %q, %v", token, err)
				}
				seen[link.Sub]++
				taken++
			})
			if taken != 1 {
				t.Fatalf("%d checks at one moment", taken)
			}
			w.clock.Advance(checkPace)
		}
		if len(seen) != 6 {
			t.Errorf("checked %v", seen)
		}
		_, _, err := w.TakePeeringDBCheck(ctx, "", checkLease, checkPace)
		want(t, err, store.ErrNotFound) // all are leased
		w.clock.Advance(checkLease)
		_, _, err = w.TakePeeringDBCheck(ctx, "", checkLease, checkPace)
		want(t, err, nil) // a server that died is followed
	})
}

func TestWhoWaitsIsCheckedFirst(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		w.linked(t, 1)
		w.clock.Advance(time.Hour)
		late := w.linked(t, 2)
		due, err := w.DuePeeringDBCheck(ctx)
		want(t, err, nil)
		if due {
			t.Error("somebody is due already")
		}
		w.clock.Advance(5 * time.Hour)
		want(t, w.HurryPeeringDB(ctx, late.Sub), nil)
		link, _, err := w.TakePeeringDBCheck(ctx, "", checkLease, checkPace)
		want(t, err, nil)
		if link.Sub != late.Sub {
			t.Errorf("checked %s first", link.Sub)
		}
		people, err := w.RecheckPeeringDB(ctx)
		want(t, err, nil)
		if people != 0 {
			t.Errorf("%d people are let go earlier, though all are due", people)
		}
	})
}

// P0, P1, P2: a refusal stops the checks, for as long as it says.
func TestAPauseStopsTheChecks(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		w.linked(t, 1)
		w.clock.Advance(6 * time.Hour)
		until := w.clock.Now().Add(time.Minute)
		want(t, w.PausePeeringDB(ctx, until, true, "token answers 429"), nil)
		want(t, w.PausePeeringDB(ctx, until.Add(-time.Second), false, "shorter"), nil)
		pause, err := w.PeeringDBPause(ctx)
		want(t, err, nil)
		if !pause.Until.Equal(until) || !pause.Refused.Equal(until) || pause.Fault != "shorter" {
			t.Errorf("%+v", pause)
		}
		_, _, err = w.TakePeeringDBCheck(ctx, "", checkLease, checkPace)
		want(t, err, store.ErrNotFound)
		w.clock.Advance(time.Minute)
		due, err := w.DuePeeringDBCheck(ctx)
		if err != nil || !due {
			t.Errorf("due %t, %v", due, err)
		}
		want(t, w.PeeringDBAnswered(ctx, checkPace), nil)
		_, _, err = w.TakePeeringDBCheck(ctx, "", checkLease, checkPace)
		want(t, err, store.ErrNotFound) // a sign-in went first
		w.clock.Advance(checkPace)
		_, _, err = w.TakePeeringDBCheck(ctx, "", checkLease, checkPace)
		want(t, err, nil)
	})
}

// P17: the answer to a token that was replaced meanwhile says nothing.
func TestAnOlderTokenChangesNothing(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		u := w.linked(t, 1, 64500)
		link, _, err := w.TakePeeringDBCheck(ctx, u.Sub, checkLease, checkPace)
		want(t, err, nil)
		_, err = w.PutPeeringDBAnswer(ctx, w.answer(u.Sub, 1, store.PeeringDBVerdict{})) // they signed in meanwhile
		want(t, err, nil)
		_, err = w.KeepPeeringDBToken(ctx, u.Sub, link.Generation, []byte("older"))
		want(t, err, store.ErrConflict)
		want(t, w.PutPeeringDBFault(ctx, u.Sub, link.Generation, "gone", time.Time{}), store.ErrConflict)
		old := w.answer(u.Sub, 1, store.PeeringDBVerdict{Remove: []store.Affiliation{network(64500)}})
		old.Generation, old.RefreshToken = link.Generation, nil
		_, err = w.PutPeeringDBAnswer(ctx, old)
		want(t, err, store.ErrConflict)
		if got := w.networks(t, u.Sub); got != "peeringdb:64500" {
			t.Errorf("networks %s", got)
		}
		now, err := w.PeeringDBLink(ctx, u.Sub)
		want(t, err, nil)
		next, err := w.KeepPeeringDBToken(ctx, u.Sub, now.Generation, []byte("newer"))
		want(t, err, nil)
		want(t, w.PutPeeringDBFault(ctx, u.Sub, next, "gone", time.Time{}), nil)
		troubles, err := w.PeeringDBTroubles(ctx, 10)
		want(t, err, nil)
		overview, err := w.PeeringDBOverview(ctx, beginning.Add(time.Second))
		want(t, err, nil)
		if len(troubles) != 1 || !troubles[0].NeedsSignIn || troubles[0].Fault != "gone" || overview != (store.PeeringDBOverview{Links: 1, NeedSignIn: 1, Faulty: 1, Stale: 1}) {
			t.Errorf("%+v, %+v", troubles, overview)
		}
		w.clock.Advance(24 * time.Hour)
		_, _, err = w.TakePeeringDBCheck(ctx, "", checkLease, checkPace)
		want(t, err, store.ErrNotFound)
	})
}
