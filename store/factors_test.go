package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestTOTPIsEnrolledInTwoSteps(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		u := w.person(t)
		factor := func(read func() (store.Factor, error), expected store.Factor) {
			t.Helper()
			got, err := read()
			want(t, err, nil)
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Fatalf("factor (-want +got):\n%s", diff)
			}
		}
		pending := func() (store.Factor, error) { return w.PendingTOTP(ctx, u.Sub) }
		active := func() (store.Factor, error) { return w.TOTP(ctx, u.Sub) }
		missing := func(read func() (store.Factor, error)) {
			t.Helper()
			_, err := read()
			want(t, err, store.ErrNotFound)
		}
		missing(pending)
		missing(active)
		want(t, w.ActivateTOTP(ctx, u.Sub, 1), store.ErrNotFound)
		want(t, w.PutPendingTOTP(ctx, u.Sub, []byte("first"), nil, time.Minute), nil)
		want(t, w.PutPendingTOTP(ctx, u.Sub, []byte("second"), nil, time.Minute), nil)
		factor(pending, store.Factor{Sub: u.Sub, Kind: store.KindTOTP, Secret: []byte("second"), CreatedAt: beginning, ExpiresAt: beginning.Add(time.Minute)})
		missing(active)
		want(t, w.ClaimStep(ctx, u.Sub, 5), store.ErrStepUsed) // pending ones prove nothing

		w.clock.Advance(time.Second)
		want(t, w.ActivateTOTP(ctx, u.Sub, 7), nil)
		missing(pending)
		factor(active, store.Factor{Sub: u.Sub, Kind: store.KindTOTP, Secret: []byte("second"), LastStep: 7, CreatedAt: w.clock.Now(), LastUsedAt: w.clock.Now()})
		if got, err := w.User(ctx, u.Sub); err != nil || !got.TOTP {
			t.Fatalf("TOTP is %v, %v", got.TOTP, err)
		}
		// A second active one cannot push the first aside.
		want(t, w.PutPendingTOTP(ctx, u.Sub, []byte("third"), nil, time.Minute), nil)
		want(t, w.ActivateTOTP(ctx, u.Sub, 8), store.ErrExists)
		if got, err := active(); err != nil || string(got.Secret) != "second" {
			t.Fatalf("active secret %q, %v", got.Secret, err)
		}
		want(t, w.RemoveTOTP(ctx, u.Sub), nil)
		missing(pending)
		missing(active)
	})
}

func TestPendingTOTPExpires(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		sub := w.person(t).Sub
		want(t, w.PutPendingTOTP(t.Context(), sub, []byte("secret"), nil, time.Minute), nil)
		w.clock.Advance(time.Minute)
		_, err := w.PendingTOTP(t.Context(), sub)
		want(t, err, store.ErrNotFound)
		want(t, w.ActivateTOTP(t.Context(), sub, 1), store.ErrNotFound)
	})
}

func (w world) enrolled(t testing.TB) store.User {
	t.Helper()
	u := w.person(t)
	want(t, w.PutPendingTOTP(t.Context(), u.Sub, []byte("secret"), nil, time.Minute), nil)
	want(t, w.ActivateTOTP(t.Context(), u.Sub, 100), nil)
	return u
}

func TestClaimStepNeverGoesBack(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		u := w.enrolled(t)
		for _, claim := range []struct {
			step     int64
			expected error
		}{{100, store.ErrStepUsed}, {102, nil}, {102, store.ErrStepUsed}, {101, store.ErrStepUsed}, {103, nil}} {
			if err := w.ClaimStep(t.Context(), u.Sub, claim.step); err != claim.expected {
				t.Errorf("step %d: got %v, want %v", claim.step, err, claim.expected)
			}
		}
		want(t, w.ClaimStep(t.Context(), w.person(t).Sub, 1), store.ErrStepUsed)
	})
}

func TestClaimStepOnceInParallel(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		u := w.enrolled(t)
		replicas := []*store.Store{w.Store, w.replica(t)}
		var claimed atomic.Int64
		together(64, func(i int) {
			switch err := replicas[i%2].ClaimStep(t.Context(), u.Sub, 101); err {
			case nil:
				claimed.Add(1)
			case store.ErrStepUsed:
			default:
				t.Errorf("claiming: %v", err)
			}
		})
		if claimed.Load() != 1 {
			t.Fatalf("the step was claimed %d times, want once", claimed.Load())
		}
	})
}
