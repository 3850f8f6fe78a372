package store_test

import (
	"testing"

	"peerage/store"
)

func TestPasswordHash(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		sub := w.person(t).Sub
		holds := func(expected string) {
			t.Helper()
			got, err := w.PasswordHash(ctx, sub)
			want(t, err, nil)
			if got != expected {
				t.Fatalf("hash %q, want %q", got, expected)
			}
		}
		_, err := w.PasswordHash(ctx, sub)
		want(t, err, store.ErrNotFound)
		want(t, w.SetPassword(ctx, sub, "first", ""), nil)
		holds("first")
		want(t, w.ReplacePasswordHash(ctx, sub, "first", "first, new parameters"), nil)
		holds("first, new parameters")
		// A rehash that comes after a change must not bring the old password back.
		want(t, w.SetPassword(ctx, sub, "second", ""), nil)
		want(t, w.ReplacePasswordHash(ctx, sub, "first, new parameters", "first, newer parameters"), nil)
		holds("second")
		want(t, w.SetPassword(ctx, "nobody", "hash", ""), store.ErrNotFound)
		want(t, w.CreateUser(ctx, store.User{Sub: "s", Username: "ana"}, "at once", nil), nil)
		if got, err := w.PasswordHash(ctx, "s"); err != nil || got != "at once" {
			t.Fatalf("hash %q, %v", got, err)
		}
	})
}

func TestNewPasswordSignsOutSaveOneSession(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p, other := w.signedUp(t), w.signedUp(t)
		kept, keptSecret := w.signedIn(t, p.Sub)
		want(t, w.SetPassword(ctx, p.Sub, "hash", kept.ID), nil)
		_, err := w.Session(ctx, keptSecret, idle)
		want(t, err, nil)
		_, err = w.Session(ctx, p.session, idle)
		want(t, err, store.ErrNotFound)
		_, err = w.SignIn(ctx, p.browser)
		want(t, err, store.ErrNotFound)
		w.alive(t, p.access(), false)
		want(t, w.redeem(ctx, p.waiting, "late", true), store.ErrNotFound)
		w.untouched(t, other)
		want(t, w.SetPassword(ctx, p.Sub, "hash", ""), nil)
		_, err = w.Session(ctx, keptSecret, idle)
		want(t, err, store.ErrNotFound)
	})
}
