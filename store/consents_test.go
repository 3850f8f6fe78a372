package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestConsentIsSavedWithTheProgress(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		sub := w.person(t).Sub
		_, err := w.Consent(ctx, sub, "app")
		want(t, err, store.ErrNotFound)
		id, browser := w.request(t, "app")
		agreed := store.Progress{DecidedBy: sub, Consented: true}
		want(t, w.SaveConsent(ctx, id, browser, agreed, sub, "app", []string{"openid", "email"}), nil)
		r, err := w.Request(ctx, id, browser)
		want(t, err, nil)
		if diff := cmp.Diff(agreed, r.Progress); diff != "" {
			t.Fatalf("progress (-saved +read):\n%s", diff)
		}
		w.clock.Advance(time.Minute)
		want(t, w.SaveConsent(ctx, id, browser, agreed, sub, "app", []string{"openid", "email", "groups"}), nil)
		got, err := w.Consent(ctx, sub, "app")
		want(t, err, nil)
		expected := store.Consent{Sub: sub, ClientID: "app", Scopes: []string{"openid", "email", "groups"}, GrantedAt: beginning, UpdatedAt: w.clock.Now()}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Fatalf("consent (-want +got):\n%s", diff)
		}
		// Neither without the other: a request that is over gives no consent.
		want(t, w.FinishRequest(ctx, id, browser), nil)
		want(t, w.SaveConsent(ctx, id, browser, agreed, sub, "another", nil), store.ErrNotFound)
		_, err = w.Consent(ctx, sub, "another")
		want(t, err, store.ErrNotFound)
	})
}

func TestConsentNotesItsUse(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		g, _ := w.holds(t, "app")
		w.clock.Advance(time.Minute)
		w.issuedTo(t, g.Sub, "app")
		c, err := w.Consent(t.Context(), g.Sub, "app")
		want(t, err, nil)
		if !c.LastUsedAt.Equal(w.clock.Now()) || !c.UpdatedAt.Equal(beginning) {
			t.Fatalf("last used %v, updated %v", c.LastUsedAt, c.UpdatedAt)
		}
	})
}

func TestRevokedConsentTakesTheTokensAlong(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		g, waiting := w.holds(t, "app")
		other, _ := w.holds(t, "app") // another person at the same client
		elsewhere := granted{w.issuedTo(t, g.Sub, "elsewhere"), "elsewhere"}
		want(t, w.redeem(ctx, elsewhere.issuedCode, "elsewhere", true), nil)

		want(t, w.RevokeConsent(ctx, g.Sub, "app"), nil)
		w.alive(t, g.access(), false)
		_, err := w.RotateRefresh(ctx, g.refresh(), w.rotation("app", "late"))
		want(t, err, store.ErrRevoked)
		want(t, w.redeem(ctx, waiting, "late", true), store.ErrNotFound)
		want(t, w.RevokeConsent(ctx, g.Sub, "app"), store.ErrNotFound)
		w.alive(t, other.access(), true)
		w.alive(t, elsewhere.access(), true)
	})
}

func TestListOfConsents(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		sub := w.person(t).Sub
		for _, client := range []string{"b", "a"} {
			id, browser := w.request(t, client)
			want(t, w.SaveConsent(t.Context(), id, browser, store.Progress{}, sub, client, []string{"openid"}), nil)
		}
		w.holds(t, "of another person")
		list, err := w.Consents(t.Context(), sub)
		want(t, err, nil)
		if len(list) != 2 || list[0].ClientID != "a" || list[1].ClientID != "b" {
			t.Fatalf("consents %+v", list)
		}
	})
}
