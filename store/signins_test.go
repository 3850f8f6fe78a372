package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestSignInBelongsToItsBrowser(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		in := store.SignIn{Sub: "sub", Username: "ana", Origin: "openbao", Challenge: []byte("mfa-request"), MayEnrol: true}
		want(t, w.PutSignIn(ctx, hash("browser"), in, 5*time.Minute), nil)
		in.CreatedAt, in.ExpiresAt = beginning, beginning.Add(5*time.Minute)
		got, err := w.SignIn(ctx, hash("browser"))
		want(t, err, nil)
		if diff := cmp.Diff(in, got); diff != "" {
			t.Fatalf("sign-in (-put +got):\n%s", diff)
		}
		_, err = w.SignIn(ctx, hash("other"))
		want(t, err, store.ErrNotFound)
		want(t, w.TakeSignIn(ctx, hash("other")), store.ErrNotFound)

		// A second password in the same browser forgets all of the first.
		want(t, w.PutSignIn(ctx, hash("browser"), store.SignIn{Sub: "sub2", Username: "ben", Origin: "local"}, time.Minute), nil)
		got, err = w.SignIn(ctx, hash("browser"))
		want(t, err, nil)
		second := store.SignIn{Sub: "sub2", Username: "ben", Origin: "local", CreatedAt: beginning, ExpiresAt: beginning.Add(time.Minute)}
		if diff := cmp.Diff(second, got); diff != "" {
			t.Fatalf("second sign-in (-put +got):\n%s", diff)
		}
		w.clock.Advance(time.Minute)
		_, err = w.SignIn(ctx, hash("browser"))
		want(t, err, store.ErrNotFound)
		want(t, w.TakeSignIn(ctx, hash("browser")), store.ErrNotFound)
	})
}

func TestSignInIsTakenOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.PutSignIn(ctx, hash("browser"), store.SignIn{Sub: "sub"}, time.Minute), nil)
		var taken atomic.Int64
		together(16, func(int) {
			switch err := w.TakeSignIn(ctx, hash("browser")); err {
			case nil:
				taken.Add(1)
			case store.ErrNotFound:
			default:
				t.Errorf("taking: %v", err)
			}
		})
		if taken.Load() != 1 {
			t.Fatalf("taken %d times", taken.Load())
		}
	})
}
