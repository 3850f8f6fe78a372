package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestKnownStateIsTheNewestThatWasSaid(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p, other := w.person(t), w.person(t)
		_, err := w.KnownState(ctx, p.Sub)
		want(t, err, store.ErrNotFound)
		known := func(expected store.KnownState) {
			t.Helper()
			got, err := w.KnownState(ctx, p.Sub)
			want(t, err, nil)
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Errorf("known (-want +got):\n%s", diff)
			}
		}
		first := store.KnownState{Sub: p.Sub, Groups: []string{"noc", "with \"space\", and comma"}, AskedAt: beginning}
		want(t, w.PutKnownState(ctx, first), nil)
		known(first)
		w.clock.Advance(time.Minute)
		second := store.KnownState{Sub: p.Sub, Groups: []string{}, TOTP: true, Disabled: true, AskedAt: w.clock.Now()}
		want(t, w.PutKnownState(ctx, second), nil)
		known(second)
		// An answer that took its time does not let back in who was kept out since.
		want(t, w.PutKnownState(ctx, first), nil)
		known(second)
		_, err = w.KnownState(ctx, other.Sub)
		want(t, err, store.ErrNotFound)

		// A clock that was wrong is no reason to believe it for years.
		wrong := second
		wrong.AskedAt = w.clock.Now().Add(1000 * time.Hour)
		want(t, w.PutKnownState(ctx, wrong), nil)
		w.clock.Advance(time.Minute)
		third := store.KnownState{Sub: p.Sub, Groups: []string{"noc"}, AskedAt: w.clock.Now()}
		want(t, w.PutKnownState(ctx, third), nil)
		known(third)

		want(t, w.DeleteUser(ctx, p.Sub), nil)
		_, err = w.KnownState(ctx, p.Sub)
		want(t, err, store.ErrNotFound)
		want(t, w.PutKnownState(ctx, third), store.ErrNotFound)
	})
}

func TestKnownStatesAreForgotten(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p := w.person(t)
		want(t, w.PutKnownState(ctx, store.KnownState{Sub: p.Sub, AskedAt: w.clock.Now()}), nil)
		for _, step := range []struct {
			wait time.Duration
			err  error
		}{{30 * 24 * time.Hour, nil}, {time.Hour, store.ErrNotFound}} {
			w.clock.Advance(step.wait - time.Minute)
			_, _, err := w.DeleteExpired(ctx, 100, idle)
			want(t, err, nil)
			_, err = w.KnownState(ctx, p.Sub)
			want(t, err, step.err)
		}
	})
}
