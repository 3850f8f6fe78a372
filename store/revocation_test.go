package store_test

import (
	"slices"
	"testing"
	"time"

	"peerage/store"
)

// told are the sign-outs that clients wait to be told of, as client and session.
func (w world) told(t *testing.T) []string {
	t.Helper()
	list, err := w.TakeLogouts(t.Context(), 100, time.Minute)
	want(t, err, nil)
	var told []string
	for _, l := range list {
		told = append(told, l.ClientID+" "+l.SessionID)
		want(t, w.DoneLogout(t.Context(), l.ID), nil)
	}
	slices.Sort(told)
	return told
}

// Whoever ends a session from elsewhere does not trust its browser: what it
// gave for offline use and its unused codes die too, nobody else's.
func TestRevokedSessionTakesOfflineTokensAlong(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		g := w.granted(t, true)
		mine, _ := w.signedIn(t, g.Sub)
		waiting := w.issuedTo(t, g.Sub, "waiting")
		bystander := w.granted(t, true)

		_, err := w.RevokeSession(ctx, bystander.Sub, g.SessionID)
		want(t, err, store.ErrNotFound)
		_, err = w.RevokeSession(ctx, g.Sub, "unknown")
		want(t, err, store.ErrNotFound)
		w.alive(t, g.access(), true)

		ended, err := w.RevokeSession(ctx, g.Sub, g.SessionID)
		want(t, err, nil)
		if ended.ID != g.SessionID || ended.Sub != g.Sub {
			t.Fatalf("ended %+v", ended)
		}
		w.alive(t, g.access(), false)
		_, err = w.RotateRefresh(ctx, g.refresh(), w.rotation(g.ClientID, "late"))
		want(t, err, store.ErrRevoked)
		if told := w.told(t); !slices.Equal(told, []string{g.ClientID + " " + g.SessionID}) {
			t.Errorf("told %q", told)
		}

		list, err := w.RevokeOtherSessions(ctx, g.Sub, mine.ID)
		want(t, err, nil)
		if len(list) != 1 || list[0].ID != waiting.SessionID {
			t.Fatalf("ended %+v", list)
		}
		want(t, w.redeem(ctx, waiting, "late", true), store.ErrNotFound)
		w.alive(t, bystander.access(), true)
		for id, alive := range map[string]bool{mine.ID: true, waiting.SessionID: false, bystander.SessionID: true} {
			if got, err := w.SessionAlive(ctx, id); got != alive || err != nil {
				t.Errorf("session %s alive: %v, %v", id, got, err)
			}
		}
	})
}

// A changed password ends everything but one session, once: what was proved
// with the old one is worth nothing after a change elsewhere.
func TestChangePasswordEndsEverythingElse(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		g := w.granted(t, true)
		mine, _ := w.signedIn(t, g.Sub)
		want(t, w.SetPassword(ctx, g.Sub, "old hash", mine.ID), nil)
		other, _ := w.signedIn(t, g.Sub)
		w.putSignIn(t, hash("half"), store.SignIn{Sub: g.Sub}, time.Hour)
		want(t, w.PutPendingTOTP(ctx, g.Sub, []byte("secret"), nil, time.Hour), nil)
		waiting := w.issuedTo(t, g.Sub, "waiting")

		_, err := w.ChangePassword(ctx, g.Sub, "another hash", "new hash", mine.ID)
		want(t, err, store.ErrNotFound)
		if alive, err := w.SessionAlive(ctx, other.ID); !alive || err != nil {
			t.Fatalf("a change that was refused ended a session: %v", err)
		}
		ended, err := w.ChangePassword(ctx, g.Sub, "old hash", "new hash", mine.ID)
		want(t, err, nil)
		var ids []string
		for _, s := range ended {
			ids = append(ids, s.ID)
		}
		slices.Sort(ids)
		expected := []string{other.ID, waiting.SessionID}
		slices.Sort(expected)
		if !slices.Equal(ids, expected) {
			t.Errorf("ended %q, want %q", ids, expected)
		}
		if stored, err := w.PasswordHash(ctx, g.Sub); stored != "new hash" || err != nil {
			t.Errorf("the hash is %q, %v", stored, err)
		}
		_, err = w.SignIn(ctx, hash("half"))
		want(t, err, store.ErrNotFound)
		_, err = w.PendingTOTP(ctx, g.Sub)
		want(t, err, store.ErrNotFound)
		want(t, w.redeem(ctx, waiting, "late", true), store.ErrNotFound)
		w.alive(t, g.access(), false)
		if alive, err := w.SessionAlive(ctx, mine.ID); !alive || err != nil {
			t.Errorf("the session that goes on: %v, %v", alive, err)
		}
	})
}

// Of two changes at once from the same old password one wins.
func TestChangePasswordOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		sub := w.person(t).Sub
		want(t, w.SetPassword(t.Context(), sub, "old hash", ""), nil)
		results := make([]error, 8)
		together(len(results), func(i int) {
			_, results[i] = w.ChangePassword(t.Context(), sub, "old hash", "new hash", "")
		})
		wins := 0
		for _, err := range results {
			if err == nil {
				wins++
			} else {
				want(t, err, store.ErrNotFound)
			}
		}
		if wins != 1 {
			t.Errorf("%d changes won", wins)
		}
	})
}

func TestReplaceBackendToken(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		s, secret := w.signedIn(t, w.person(t).Sub)
		soon := w.clock.Now().Add(time.Hour)
		want(t, w.ReplaceBackendToken(ctx, s.ID, []byte("the new token"), soon), nil)
		got, err := w.Session(ctx, secret, idle)
		want(t, err, nil)
		if string(got.BackendToken) != "the new token" || !got.ExpiresAt.Equal(soon) {
			t.Errorf("token %q, ends %v", got.BackendToken, got.ExpiresAt)
		}
		// A longer one, or one without end, does not make the session longer.
		for _, expires := range []time.Time{soon.Add(time.Hour), {}} {
			want(t, w.ReplaceBackendToken(ctx, s.ID, []byte("another"), expires), nil)
			if got, err = w.Session(ctx, secret, idle); err != nil || !got.ExpiresAt.Equal(soon) {
				t.Errorf("ends %v, %v", got.ExpiresAt, err)
			}
		}
		want(t, w.ReplaceBackendToken(ctx, "unknown", []byte("token"), soon), store.ErrNotFound)
	})
}

// A client whose consent is taken back is told: of the sessions that live here
// by their ids, of the others all at once, and nobody else is told anything.
func TestRevokedConsentTellsTheClient(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		g, _ := w.holds(t, "app")
		gone := w.issuedTo(t, g.Sub, "app")
		want(t, w.redeem(ctx, gone, w.name("gone"), true), nil)
		_, err := w.EndSession(ctx, gone.sessionSecret)
		want(t, err, nil)
		other, _ := w.holds(t, "app")
		w.told(t)
		want(t, w.RevokeConsent(ctx, g.Sub, "app"), nil)
		if told := w.told(t); !slices.Equal(told, []string{"app ", "app " + g.SessionID}) {
			t.Errorf("told %q", told)
		}
		w.alive(t, other.access(), true)
		want(t, w.RevokeConsent(ctx, other.Sub, "app"), nil)
		if told := w.told(t); !slices.Equal(told, []string{"app " + other.SessionID}) {
			t.Errorf("told %q", told)
		}
	})
}

func TestRefreshIsAUseOfTheConsent(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		g, _ := w.holds(t, "app")
		w.clock.Advance(time.Hour)
		w.rotate(t, g.refresh(), "app", "next")
		c, err := w.Consent(t.Context(), g.Sub, "app")
		want(t, err, nil)
		if !c.LastUsedAt.Equal(w.clock.Now()) {
			t.Fatalf("last used %v", c.LastUsedAt)
		}
	})
}
