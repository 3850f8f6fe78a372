package store_test

import (
	"context"
	"testing"
	"time"

	"peerage/store"
)

func TestDeleteExpiredKeepsWhatIsStillOfUse(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p := w.signedUp(t)
		w.attempt(t, 0, keyed(soft, "account"))
		clean := func(expected map[string]int) {
			t.Helper()
			_, _, err := w.DeleteExpired(ctx, 100, idle)
			want(t, err, nil)
			_, err = w.ExpireSignIns(ctx, 100)
			want(t, err, nil)
			for table, n := range expected {
				if got := w.rows(t, "SELECT COUNT(*) FROM "+table); got != n {
					t.Errorf("after %v: %d rows in %s, want %d", w.clock.Now().Sub(beginning), got, table, n)
				}
			}
		}
		all := map[string]int{"requests": 3, "codes": 2, "families": 1, "access_tokens": 1, "refresh_tokens": 1, "sessions": 2, "signins": 1, "links": 1, "attempts": 1, "consents": 1, "users": 1, "factors": 1}
		clean(all)
		w.clock.Advance(time.Hour)
		all["access_tokens"], all["signins"], all["links"] = 0, 0, 0
		clean(all)
		// A spent code is still known, so its replay revokes the family.
		want(t, w.redeem(ctx, p.issuedCode, "replay", true), store.ErrReplayed)
		w.clock.Advance(24 * time.Hour)
		all["requests"], all["codes"], all["sessions"], all["attempts"] = 0, 0, 0, 0
		clean(all)
		w.clock.Advance(refreshLifetime - time.Hour)
		all["families"], all["refresh_tokens"] = 0, 0
		clean(all)
	})
}

func TestDeleteExpiredWorksInBatches(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		for range 5 {
			w.request(t, "app")
		}
		live, browser := w.request(t, "app")
		sub := w.person(t).Sub
		for range 3 {
			w.signedIn(t, sub)
		}
		w.clock.Advance(48 * time.Hour)
		if _, err := w.Writer().ExecContext(ctx, "UPDATE requests SET expires_at = $2 WHERE id = $1", live, w.clock.Now().Add(time.Minute).UnixMicro()); err != nil {
			t.Fatal(err)
		}
		for i, expected := range []struct {
			rows  int64
			ended int
		}{{4, 2}, {3, 1}, {1, 0}, {0, 0}} {
			rows, ended, err := w.DeleteExpired(ctx, 2, idle)
			want(t, err, nil)
			if rows != expected.rows || len(ended) != expected.ended {
				t.Fatalf("run %d: %d rows with %d sessions, want %d with %d", i, rows, len(ended), expected.rows, expected.ended)
			}
			for _, s := range ended {
				if s.Sub != sub {
					t.Fatalf("ended session %+v", s)
				}
			}
		}
		_, err := w.Request(ctx, live, browser)
		want(t, err, nil)
	})
}

// An idle session that is cleared away takes its tokens along, like one that
// was ended by hand.
func TestExpiredSessionRevokesItsFamilies(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		online, offline := w.granted(t, false), w.granted(t, true)
		_, ended, err := w.DeleteExpired(context.WithoutCancel(t.Context()), 10, -time.Second)
		want(t, err, nil)
		if len(ended) != 2 {
			t.Fatalf("%d sessions ended, want 2", len(ended))
		}
		w.alive(t, online.access(), false)
		w.alive(t, offline.access(), true)
	})
}
