package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func key(kid, alg, state string) store.SigningKey {
	return store.SigningKey{KID: kid, Alg: alg, State: state, Private: []byte("private " + kid), PublicJWK: `{"kid":"` + kid + `"}`}
}

func TestOneActiveAndOneNextKeyForEachAlgorithm(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		for _, alg := range []string{"RS256", "ES256"} {
			for _, state := range []string{store.KeyActive, store.KeyNext} {
				want(t, w.AddSigningKey(ctx, key(alg+state, alg, state)), nil)
				want(t, w.AddSigningKey(ctx, key("second "+alg+state, alg, state)), store.ErrExists)
			}
		}
		keys, err := w.SigningKeys(ctx)
		want(t, err, nil)
		if len(keys) != 4 {
			t.Fatalf("%d keys, want 4", len(keys))
		}
		for _, k := range keys {
			expected := key(k.KID, k.Alg, k.State)
			expected.CreatedAt = beginning
			if k.State == store.KeyActive {
				expected.ActivatedAt = beginning
			}
			if diff := cmp.Diff(expected, k); diff != "" {
				t.Errorf("key (-added +read):\n%s", diff)
			}
		}
	})
}

func TestReplacedKeyRetiresForGood(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.AddSigningKey(ctx, key("first", "RS256", store.KeyActive)), nil)
		want(t, w.AddSigningKey(ctx, key("elliptic", "ES256", store.KeyActive)), nil)
		w.clock.Advance(time.Hour)
		want(t, w.ReplaceActiveKey(ctx, key("second", "RS256", "")), nil)
		states := map[string]string{}
		keys, err := w.SigningKeys(ctx)
		want(t, err, nil)
		for _, k := range keys {
			states[k.KID] = k.State
			if k.State == store.KeyRetired && !k.RetiredAt.Equal(w.clock.Now()) {
				t.Errorf("%s retired at %v", k.KID, k.RetiredAt)
			}
		}
		if diff := cmp.Diff(map[string]string{"first": "retired", "second": "active", "elliptic": "active"}, states); diff != "" {
			t.Fatalf("states (-want +got):\n%s", diff)
		}
		want(t, w.ReplaceActiveKey(ctx, key("first", "RS256", "")), store.ErrExists)
		want(t, w.AddSigningKey(ctx, key("first", "RS256", store.KeyNext)), store.ErrExists)
		// A refused replacement retired nothing.
		if n := w.rows(t, "SELECT COUNT(*) FROM signing_keys WHERE state = 'active'"); n != 2 {
			t.Fatalf("%d active keys, want 2", n)
		}
		// An algorithm without a key gets its first one the same way.
		want(t, w.ReplaceActiveKey(ctx, key("edwards", "EdDSA", "")), nil)
	})
}

func TestKeysRaceForOnePlace(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		replicas := []*store.Store{w.Store, w.replica(t)}
		errs := make([]error, 16)
		together(16, func(i int) {
			errs[i] = replicas[i%2].AddSigningKey(t.Context(), key(w.name("key"), "RS256", store.KeyActive))
		})
		added := 0
		for _, err := range errs {
			if err == nil {
				added++
			} else {
				want(t, err, store.ErrExists)
			}
		}
		if added != 1 {
			t.Fatalf("%d active keys were added, want 1", added)
		}
	})
}

func TestPublicKeysNeedNoSecretKey(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.AddSigningKey(ctx, key("first", "RS256", store.KeyActive)), nil)
		bare := w.replica(t, withoutKey)
		keys, err := bare.PublicKeys(ctx)
		want(t, err, nil)
		if len(keys) != 1 || keys[0].PublicJWK != `{"kid":"first"}` {
			t.Fatalf("keys %+v", keys)
		}
		_, err = bare.SigningKeys(ctx)
		want(t, err, store.ErrNoSecretKey)
		want(t, bare.AddSigningKey(ctx, key("next", "RS256", store.KeyNext)), store.ErrNoSecretKey)
		want(t, bare.ReplaceActiveKey(ctx, key("next", "RS256", "")), store.ErrNoSecretKey)
	})
}

func TestMarkKeysUsedKeepsTheLatest(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.AddSigningKey(ctx, key("k", "RS256", store.KeyActive)), nil)
		for _, when := range []time.Time{beginning.Add(time.Hour), beginning.Add(2 * time.Hour), beginning} {
			want(t, w.MarkKeysUsed(ctx, map[string]time.Time{"k": when, "unknown": when}), nil)
		}
		keys, err := w.PublicKeys(ctx)
		want(t, err, nil)
		if len(keys) != 1 || !keys[0].LastUsedAt.Equal(beginning.Add(2*time.Hour)) {
			t.Fatalf("keys %+v", keys)
		}
	})
}
