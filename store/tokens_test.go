package store_test

import (
	"testing"
	"time"

	"peerage/store"
)

func TestAccessTokenLives(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		_, err := w.AccessToken(ctx, hash("unknown"))
		want(t, err, store.ErrNotFound)

		g := w.granted(t, true)
		w.clock.Advance(accessLifetime - time.Microsecond)
		w.alive(t, g.access(), true)
		w.clock.Advance(time.Microsecond)
		w.alive(t, g.access(), false)

		revoked, other := w.granted(t, true), w.granted(t, true)
		want(t, w.RevokeFamily(ctx, revoked.FamilyID), nil)
		w.alive(t, revoked.access(), false)
		w.alive(t, other.access(), true)
		want(t, w.RevokeFamily(ctx, "no such family"), nil)
	})
}

func TestAccessTokenDiesWithItsFamily(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		c := w.issued(t)
		want(t, w.RedeemCode(t.Context(), c.Hash, c.ClientID, true, beginning.Add(time.Minute), w.tokens("short")), nil)
		w.clock.Advance(time.Minute)
		w.alive(t, hash("access short"), false)
	})
}

func TestFamilyAlive(t *testing.T) {
	for _, test := range []struct {
		name   string
		family store.Family
		alive  bool
	}{
		{"before its end", store.Family{ExpiresAt: beginning.Add(1)}, true},
		{"at its end", store.Family{ExpiresAt: beginning}, false},
		{"revoked", store.Family{ExpiresAt: beginning.Add(time.Hour), RevokedAt: beginning.Add(-time.Hour)}, false},
	} {
		if got := test.family.Alive(beginning); got != test.alive {
			t.Errorf("%s: alive is %v", test.name, got)
		}
	}
}

func TestRevokingKeepsTheFirstTime(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		g := w.granted(t, true)
		want(t, w.RevokeFamily(t.Context(), g.FamilyID), nil)
		w.clock.Advance(time.Hour)
		want(t, w.RevokeFamily(t.Context(), g.FamilyID), nil)
		token, err := w.RefreshToken(t.Context(), g.refresh())
		want(t, err, nil)
		if !token.Family.RevokedAt.Equal(beginning) {
			t.Fatalf("revoked at %v, want %v", token.Family.RevokedAt, beginning)
		}
	})
}
