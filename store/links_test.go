package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestResetFactorsDemandsALink(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p, other := w.signedUp(t), w.signedUp(t)
		u, err := w.User(ctx, p.Sub)
		want(t, err, nil)
		link, err := w.ResetFactors(ctx, p.Sub, hash("link"), time.Hour)
		want(t, err, nil)
		expected := store.Link{TokenHash: hash("link"), Sub: p.Sub, Purpose: store.PurposeFactor, Email: u.Email, CreatedAt: beginning, ExpiresAt: beginning.Add(time.Hour)}
		if diff := cmp.Diff(expected, link); diff != "" {
			t.Fatalf("link (-want +got):\n%s", diff)
		}
		w.signedOut(t, p) // its earlier link is dead too
		w.untouched(t, other)
		u, err = w.User(ctx, p.Sub)
		want(t, err, nil)
		if u.TOTP || !u.NeedsLink {
			t.Fatalf("TOTP %v, needs a link %v", u.TOTP, u.NeedsLink)
		}
		// Looking does not use it up (mail scanners look).
		for range 2 {
			got, err := w.Link(ctx, hash("link"), store.PurposeFactor)
			want(t, err, nil)
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Fatalf("link (-want +got):\n%s", diff)
			}
		}
		_, err = w.Link(ctx, hash("link"), "other purpose")
		want(t, err, store.ErrNotFound)
		// Enrolling again lifts the demand and voids the link.
		want(t, w.PutPendingTOTP(ctx, p.Sub, []byte("new"), nil, time.Minute), nil)
		want(t, w.ActivateTOTP(ctx, p.Sub, 1), nil)
		_, err = w.Link(ctx, hash("link"), store.PurposeFactor)
		want(t, err, store.ErrNotFound)
		if u, err = w.User(ctx, p.Sub); err != nil || u.NeedsLink || !u.TOTP {
			t.Fatalf("after enrolling: needs a link %v, TOTP %v, %v", u.NeedsLink, u.TOTP, err)
		}
		_, err = w.ResetFactors(ctx, "nobody", hash("x"), time.Hour)
		want(t, err, store.ErrNotFound)
	})
}

func TestLinkIsReplacedByANewerOne(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		sub := w.person(t).Sub
		for _, token := range []string{"older", "newer"} {
			_, err := w.ResetFactors(ctx, sub, hash(token), time.Hour)
			want(t, err, nil)
		}
		_, err := w.TakeLink(ctx, hash("older"), store.PurposeFactor)
		want(t, err, store.ErrNotFound)
		got, err := w.TakeLink(ctx, hash("newer"), store.PurposeFactor)
		want(t, err, nil)
		if got.Sub != sub {
			t.Fatalf("link of %s, want %s", got.Sub, sub)
		}
	})
}

func TestLinkExpires(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		_, err := w.ResetFactors(t.Context(), w.person(t).Sub, hash("link"), time.Hour)
		want(t, err, nil)
		w.clock.Advance(time.Hour)
		_, err = w.Link(t.Context(), hash("link"), store.PurposeFactor)
		want(t, err, store.ErrNotFound)
		_, err = w.TakeLink(t.Context(), hash("link"), store.PurposeFactor)
		want(t, err, store.ErrNotFound)
	})
}

func TestLinkIsTakenOnceInParallel(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		_, err := w.ResetFactors(ctx, w.person(t).Sub, hash("link"), time.Hour)
		want(t, err, nil)
		_, err = w.TakeLink(ctx, hash("link"), "other purpose")
		want(t, err, store.ErrNotFound)
		replicas := []*store.Store{w.Store, w.replica(t)}
		var taken atomic.Int64
		together(64, func(i int) {
			switch _, err := replicas[i%2].TakeLink(ctx, hash("link"), store.PurposeFactor); err {
			case nil:
				taken.Add(1)
			case store.ErrNotFound:
			default:
				t.Errorf("taking: %v", err)
			}
		})
		if taken.Load() != 1 {
			t.Fatalf("the link was taken %d times, want once", taken.Load())
		}
	})
}
