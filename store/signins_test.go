package store_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

// putSignIn replaces nothing.
func (w world) putSignIn(t testing.TB, browser []byte, i store.SignIn, lifetime time.Duration) {
	t.Helper()
	replaced, err := w.PutSignIn(t.Context(), browser, i, lifetime)
	want(t, err, nil)
	if len(replaced) != 0 {
		t.Fatalf("replaced %+v", replaced)
	}
}

func TestSignInBelongsToItsBrowser(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		in := store.SignIn{Sub: "sub", Username: "ana", Origin: "openbao", Challenge: []byte("mfa-request"), MayEnrol: true}
		w.putSignIn(t, hash("browser"), in, 5*time.Minute)
		in.CreatedAt, in.ExpiresAt = beginning, beginning.Add(5*time.Minute)
		got, err := w.SignIn(ctx, hash("browser"))
		want(t, err, nil)
		if diff := cmp.Diff(in, got); diff != "" {
			t.Fatalf("sign-in (-put +got):\n%s", diff)
		}
		_, err = w.SignIn(ctx, hash("other"))
		want(t, err, store.ErrNotFound)
		_, err = w.TakeSignIn(ctx, hash("other"))
		want(t, err, store.ErrNotFound)

		// A second password in the same browser forgets all of the first.
		replaced, err := w.PutSignIn(ctx, hash("browser"), store.SignIn{Sub: "sub2", Username: "ben", Origin: "local"}, time.Minute)
		want(t, err, nil)
		if diff := cmp.Diff([]store.SignIn{in}, replaced); diff != "" {
			t.Fatalf("replaced (-first +got):\n%s", diff)
		}
		got, err = w.SignIn(ctx, hash("browser"))
		want(t, err, nil)
		second := store.SignIn{Sub: "sub2", Username: "ben", Origin: "local", CreatedAt: beginning, ExpiresAt: beginning.Add(time.Minute)}
		if diff := cmp.Diff(second, got); diff != "" {
			t.Fatalf("second sign-in (-put +got):\n%s", diff)
		}
		w.clock.Advance(time.Minute)
		_, err = w.SignIn(ctx, hash("browser"))
		want(t, err, store.ErrNotFound)
		_, err = w.TakeSignIn(ctx, hash("browser"))
		want(t, err, store.ErrNotFound)
	})
}

// Whoever ends a half-done sign-in learns what the backend has to be given
// back, each of them once.
func TestEndedSignInsAreHandedOut(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		put := func(browser string, lifetime time.Duration) {
			t.Helper()
			w.putSignIn(t, hash(browser), store.SignIn{Sub: "sub", Origin: "openbao", Challenge: []byte("token of " + browser)}, lifetime)
		}
		for _, browser := range []string{"one", "two", "three"} {
			put(browser, time.Minute)
		}
		put("taken", time.Hour)
		put("waiting", time.Hour)
		w.clock.Advance(time.Minute)
		var ended []string
		for _, most := range []int{2, 1, 0} {
			gone, err := w.ExpireSignIns(ctx, 2)
			want(t, err, nil)
			if len(gone) != most {
				t.Fatalf("%d expired, want %d", len(gone), most)
			}
			for _, i := range gone {
				ended = append(ended, i.Origin+": "+string(i.Challenge))
			}
		}
		taken, err := w.TakeSignIn(ctx, hash("taken"))
		want(t, err, nil)
		ended = append(ended, taken.Origin+": "+string(taken.Challenge))
		slices.Sort(ended)
		if diff := cmp.Diff([]string{"openbao: token of one", "openbao: token of taken", "openbao: token of three", "openbao: token of two"}, ended); diff != "" {
			t.Fatalf("ended (-want +got):\n%s", diff)
		}
		_, err = w.SignIn(ctx, hash("waiting"))
		want(t, err, nil)
	})
}

func TestSignInIsTakenOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		w.putSignIn(t, hash("browser"), store.SignIn{Sub: "sub"}, time.Minute)
		var taken atomic.Int64
		together(16, func(int) {
			switch _, err := w.TakeSignIn(ctx, hash("browser")); err {
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
