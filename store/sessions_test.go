package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestSessionIsFoundByItsSecret(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		u := w.person(t)
		s := store.Session{
			ID: "id", Sub: u.Sub, AuthTime: beginning, ACR: "acr", AMR: []string{"pwd", "otp", "mfa"}, FactorAt: beginning,
			IP: "2001:db8::1", UserAgent: "browser", BackendToken: []byte("s.token"), ExpiresAt: beginning.Add(24 * time.Hour),
		}
		want(t, w.CreateSession(ctx, s, hash("secret"), nil), nil)
		s.CreatedAt, s.LastSeenAt = beginning, beginning
		got, err := w.Session(ctx, hash("secret"), idle)
		want(t, err, nil)
		if diff := cmp.Diff(s, got); diff != "" {
			t.Fatalf("session (-created +read):\n%s", diff)
		}
		for _, secret := range [][]byte{hash("other"), []byte("id"), nil} {
			_, err = w.Session(ctx, secret, idle)
			want(t, err, store.ErrNotFound)
		}
		if u, err = w.User(ctx, u.Sub); err != nil || !u.LastLoginAt.Equal(beginning) {
			t.Fatalf("last login %v, %v", u.LastLoginAt, err)
		}
		disabled := w.person(t)
		want(t, w.SetDisabled(ctx, disabled.Sub, true), nil)
		s.ID, s.Sub = "other", disabled.Sub
		want(t, w.CreateSession(ctx, s, hash("other"), nil), store.ErrRevoked)
		s.Sub = "nobody"
		want(t, w.CreateSession(ctx, s, hash("other"), nil), store.ErrRevoked)
	})
}

func TestSessionLimits(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		seen := func(secret []byte, expected error) {
			t.Helper()
			_, err := w.Session(ctx, secret, idle)
			want(t, err, expected)
		}
		_, idled := w.signedIn(t, w.person(t).Sub)
		_, busy := w.signedIn(t, w.person(t).Sub)
		w.clock.Advance(idle - time.Microsecond)
		seen(busy, nil) // and is touched
		w.clock.Advance(time.Microsecond)
		seen(idled, store.ErrNotFound)
		for w.clock.Now().Before(beginning.Add(24*time.Hour - time.Hour)) {
			w.clock.Advance(time.Hour)
			seen(busy, nil)
		}
		// Used all the time, and still at its absolute limit.
		w.clock.Advance(beginning.Add(24*time.Hour - time.Microsecond).Sub(w.clock.Now()))
		seen(busy, nil)
		w.clock.Advance(time.Microsecond)
		seen(busy, store.ErrNotFound)
	})
}

func TestReadingASessionRarelyWrites(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		_, secret := w.signedIn(t, w.person(t).Sub)
		lastSeen := func() time.Time {
			s, err := w.Session(t.Context(), secret, idle)
			want(t, err, nil)
			return s.LastSeenAt
		}
		w.clock.Advance(59 * time.Second)
		lastSeen()
		if got := lastSeen(); !got.Equal(beginning) {
			t.Fatalf("touched after 59 s: %v", got)
		}
		w.clock.Advance(time.Second)
		lastSeen()
		if got := lastSeen(); !got.Equal(beginning.Add(time.Minute)) {
			t.Fatalf("not touched after a minute: %v", got)
		}
	})
}

func TestSessionIsReplacedAtSignIn(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		c := w.issued(t)
		want(t, w.redeem(ctx, c, "online", false), nil)
		fresh := store.Session{ID: "fresh", Sub: c.Sub, AuthTime: beginning, FactorAt: beginning, ExpiresAt: beginning.Add(time.Hour)}
		want(t, w.CreateSession(ctx, fresh, hash("fresh"), c.sessionSecret), nil)
		_, err := w.Session(ctx, c.sessionSecret, idle)
		want(t, err, store.ErrNotFound)
		_, err = w.Session(ctx, hash("fresh"), idle)
		want(t, err, nil)
		w.alive(t, hash("access online"), false)
	})
}

func TestEndSession(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		sub := w.person(t).Sub
		online, offline, other := granted{w.issuedTo(t, sub, "a"), "online"}, granted{w.issuedTo(t, sub, "b"), "offline"}, granted{w.issuedTo(t, sub, "c"), "other"}
		want(t, w.redeem(ctx, online.issuedCode, online.name, false), nil)
		want(t, w.redeem(ctx, offline.issuedCode, offline.name, true), nil)
		want(t, w.redeem(ctx, other.issuedCode, other.name, false), nil)
		ended, err := w.EndSession(ctx, online.sessionSecret)
		want(t, err, nil)
		if ended.ID != online.SessionID || ended.Sub != sub {
			t.Fatalf("ended %+v", ended)
		}
		_, err = w.EndSession(ctx, offline.sessionSecret)
		want(t, err, nil)
		w.alive(t, online.access(), false)
		w.alive(t, offline.access(), true)
		w.alive(t, other.access(), true)
		_, err = w.EndSession(ctx, online.sessionSecret)
		want(t, err, store.ErrNotFound)
		for id, expected := range map[string]bool{online.SessionID: false, other.SessionID: true, "never": false} {
			alive, err := w.SessionAlive(ctx, id)
			want(t, err, nil)
			if alive != expected {
				t.Errorf("session %s alive is %v", id, alive)
			}
		}
	})
}

func TestEndedSessionReturnsItsBackendToken(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		s := store.Session{ID: "id", Sub: w.person(t).Sub, AuthTime: beginning, FactorAt: beginning, BackendToken: []byte("s.token"), ExpiresAt: beginning.Add(time.Hour)}
		want(t, w.CreateSession(t.Context(), s, hash("secret"), nil), nil)
		ended, err := w.EndSession(t.Context(), hash("secret"))
		want(t, err, nil)
		if string(ended.BackendToken) != "s.token" {
			t.Fatalf("backend token %q", ended.BackendToken)
		}
	})
}

func TestStrengthenSessionMovesItToANewSecret(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		before, secret := w.signedIn(t, w.person(t).Sub)
		w.clock.Advance(time.Minute)
		want(t, w.StrengthenSession(ctx, secret, hash("new"), "strong", []string{"pwd", "otp"}), nil)
		_, err := w.Session(ctx, secret, idle)
		want(t, err, store.ErrNotFound)
		got, err := w.Session(ctx, hash("new"), idle)
		want(t, err, nil)
		before.ACR, before.AMR, before.FactorAt = "strong", []string{"pwd", "otp"}, w.clock.Now()
		before.CreatedAt, before.LastSeenAt = beginning, w.clock.Now()
		if diff := cmp.Diff(before, got); diff != "" {
			t.Fatalf("strengthened (-want +got):\n%s", diff)
		}
		want(t, w.StrengthenSession(ctx, secret, hash("newer"), "strong", nil), store.ErrNotFound)
	})
}

func TestListsOfSessions(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		sub := w.person(t).Sub
		first, _ := w.signedIn(t, sub)
		w.signedIn(t, w.person(t).Sub)
		w.clock.Advance(time.Hour)
		second, _ := w.signedIn(t, sub)
		list, err := w.Sessions(ctx, sub)
		want(t, err, nil)
		if len(list) != 2 || list[0].ID != second.ID || list[1].ID != first.ID {
			t.Fatalf("sessions %+v", list)
		}
		count := func(expected int64) {
			t.Helper()
			n, err := w.CountSessions(ctx)
			want(t, err, nil)
			if n != expected {
				t.Fatalf("%d sessions, want %d", n, expected)
			}
		}
		count(3)
		w.clock.Advance(23 * time.Hour)
		count(1)
		if list, err = w.Sessions(ctx, sub); err != nil || len(list) != 1 || list[0].ID != second.ID {
			t.Fatalf("after the first one's limit: %+v, %v", list, err)
		}
	})
}
