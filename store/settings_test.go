package store_test

import (
	"bytes"
	"testing"

	"peerage/store"
	"peerage/store/storetest"
)

func TestSettings(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		_, err := w.Setting(ctx, "backend")
		want(t, err, store.ErrNotFound)
		for _, value := range []string{"local", "openbao", ""} {
			want(t, w.PutSetting(ctx, "backend", value), nil)
			got, err := w.Setting(ctx, "backend")
			want(t, err, nil)
			if got != value {
				t.Fatalf("setting %q, want %q", got, value)
			}
		}
	})
}

func TestSecretKeyProbe(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		first, second := bytes.Repeat([]byte{1}, store.MinSecretKey), bytes.Repeat([]byte{2}, store.MinSecretKey)
		want(t, w.replica(t, withoutKey).CheckSecretKey(ctx), store.ErrNoSecretKey)
		old := w.replica(t, storetest.WithSecretKey(first))
		want(t, old.CheckSecretKey(ctx), nil)
		want(t, old.CheckSecretKey(ctx), nil)
		want(t, w.replica(t, storetest.WithSecretKey(second)).CheckSecretKey(ctx), store.ErrWrongSecretKey)
		want(t, w.replica(t, withoutKey).CheckSecretKey(ctx), store.ErrNoSecretKey)
		// With the old key beside it the new one is fine, and from then on alone too.
		want(t, w.replica(t, storetest.WithSecretKey(second, first)).CheckSecretKey(ctx), nil)
		want(t, w.replica(t, storetest.WithSecretKey(second)).CheckSecretKey(ctx), nil)
		want(t, old.CheckSecretKey(ctx), store.ErrWrongSecretKey)
	})
}

// A command has kept a signing key, and the first server starts with another
// secret key by mistake: it must not make the right key a wrong one.
func TestSecretKeyProbeDoesNotLockTheRightKeyOut(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		want(t, w.AddSigningKey(t.Context(), store.SigningKey{KID: "kid", Alg: "RS256", State: store.KeyNext, Private: []byte("key")}), nil)
		wrong := w.replica(t, storetest.WithSecretKey(bytes.Repeat([]byte{2}, store.MinSecretKey)))
		want(t, wrong.CheckSecretKey(t.Context()), store.ErrWrongSecretKey)
		want(t, w.CheckSecretKey(t.Context()), nil)
	})
}

// Of two servers that start first with different keys one must be told.
func TestSecretKeyProbeOfTwoFirstServers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		replicas := make([]*store.Store, 8)
		for i := range replicas {
			replicas[i] = w.replica(t, storetest.WithSecretKey(bytes.Repeat([]byte{byte(i)}, store.MinSecretKey)))
		}
		errs := make([]error, len(replicas))
		together(len(replicas), func(i int) { errs[i] = replicas[i].CheckSecretKey(t.Context()) })
		right := 0
		for _, err := range errs {
			if err == nil {
				right++
			} else {
				want(t, err, store.ErrWrongSecretKey)
			}
		}
		if right != 1 {
			t.Fatalf("%d of %d different keys were right", right, len(replicas))
		}
	})
}

func TestShortSecretKeyIsRefused(t *testing.T) {
	for name, o := range map[string]store.Options{
		"current": {SecretKey: make([]byte, store.MinSecretKey-1)},
		"old":     {SecretKey: storetest.SecretKey(), OldSecretKeys: [][]byte{{1}}},
	} {
		o.Database, o.Create = storetest.Engines()[0].Fresh(t), true
		if s, err := store.Open(t.Context(), o); err == nil {
			s.Close()
			t.Errorf("%s: a short key was taken", name)
		}
	}
}
