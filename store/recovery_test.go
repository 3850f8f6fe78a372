package store_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"peerage/store"
	"peerage/store/storetest"
)

func (w world) recovery(t testing.TB, sub string) store.RecoveryState {
	t.Helper()
	state, err := w.RecoveryState(t.Context(), sub)
	want(t, err, nil)
	return state
}

func TestRecoveryCodesAreTakenOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p, other := w.person(t), w.person(t)
		if state := w.recovery(t, p.Sub); state.Left != 0 || !state.CreatedAt.IsZero() {
			t.Errorf("before: %+v", state)
		}
		want(t, w.PutRecoveryCodes(ctx, p.Sub, []string{"one", "two"}), nil)
		want(t, w.PutRecoveryCodes(ctx, other.Sub, []string{"three"}), nil)
		if state := w.recovery(t, p.Sub); state.Left != 2 || !state.CreatedAt.Equal(beginning) {
			t.Errorf("after: %+v", state)
		}
		take := func(sub, code string, left int64, expected error) {
			t.Helper()
			got, err := w.TakeRecoveryCode(ctx, sub, code)
			want(t, err, expected)
			if got != left {
				t.Errorf("%d left, want %d", got, left)
			}
		}
		take(p.Sub, "three", 0, store.ErrNotFound)
		take(p.Sub, "one", 1, nil)
		take(p.Sub, "one", 0, store.ErrNotFound)
		want(t, w.PutRecoveryCodes(ctx, p.Sub, []string{"four"}), nil)
		take(p.Sub, "two", 0, store.ErrNotFound)
		// The row of one person is worth nothing as another's.
		if _, err := w.Writer().ExecContext(ctx, "UPDATE recovery_codes SET sub = $1 WHERE sub = $2", p.Sub, other.Sub); err != nil {
			t.Fatal(err)
		}
		take(p.Sub, "three", 0, store.ErrNotFound)
		var in atomic.Int32
		together(16, func(int) {
			if _, err := w.TakeRecoveryCode(ctx, p.Sub, "four"); err == nil {
				in.Add(1)
			}
		})
		if in.Load() != 1 {
			t.Errorf("one code was taken %d times", in.Load())
		}
	})
}

// A copy of the database without the secret key is no list to try codes
// against; after a change of the key the old codes still work.
func TestRecoveryCodesAreHashedUnderTheSecretKey(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p := w.person(t)
		want(t, w.PutRecoveryCodes(ctx, p.Sub, []string{"one", "two"}), nil)
		current := bytes.Repeat([]byte{'n'}, store.MinSecretKey)
		changed := w.replica(t, storetest.WithSecretKey(current, storetest.SecretKey()))
		if _, err := changed.TakeRecoveryCode(ctx, p.Sub, "one"); err != nil {
			t.Errorf("under the old key: %v", err)
		}
		lost := w.replica(t, storetest.WithSecretKey(current))
		_, err := lost.TakeRecoveryCode(ctx, p.Sub, "two")
		want(t, err, store.ErrNotFound)
		_, err = w.replica(t, withoutKey).TakeRecoveryCode(ctx, p.Sub, "two")
		want(t, err, store.ErrNoSecretKey)
		want(t, w.replica(t, withoutKey).PutRecoveryCodes(ctx, p.Sub, []string{"x"}), store.ErrNoSecretKey)
	})
}

// A passkey of a person, and what is kept of it.
func (w world) passkey(t testing.TB, sub, id string) store.Passkey {
	t.Helper()
	p := store.Passkey{ID: []byte(id), Sub: sub, Name: "key " + id, Credential: []byte("record " + id), SignCount: 5}
	want(t, w.AddPasskey(context.WithoutCancel(t.Context()), p), nil)
	return p
}

func TestPasskeys(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		ada, bob := w.person(t), w.person(t)
		first := w.passkey(t, ada.Sub, "first")
		w.clock.Advance(time.Minute)
		w.passkey(t, ada.Sub, "second")
		want(t, w.AddPasskey(ctx, store.Passkey{ID: first.ID, Sub: bob.Sub, Credential: []byte("x")}), store.ErrExists)
		if u, err := w.User(ctx, ada.Sub); err != nil || u.Passkeys != 2 || u.TOTP || !u.HasSecondFactor() {
			t.Errorf("the person is %+v, %v", u, err)
		}
		list, err := w.Passkeys(ctx, ada.Sub)
		want(t, err, nil)
		if len(list) != 2 || string(list[0].ID) != "first" || string(list[1].Credential) != "record second" || !list[0].CreatedAt.Equal(beginning) {
			t.Errorf("the list is %+v", list)
		}
		use := func(count uint32, expected error) {
			t.Helper()
			want(t, w.UsePasskey(ctx, first.ID, count, []byte("used")), expected)
		}
		use(5, store.ErrSignCount)
		use(0, store.ErrSignCount)
		use(6, nil)
		use(6, store.ErrSignCount)
		if p, err := w.Passkey(ctx, first.ID); err != nil || p.SignCount != 6 || string(p.Credential) != "used" || !p.LastUsedAt.Equal(w.clock.Now()) {
			t.Errorf("after its use: %+v, %v", p, err)
		}
		want(t, w.UsePasskey(ctx, []byte("nobody's"), 1, []byte("x")), store.ErrNotFound)
		// Most passkeys that are synchronised keep no counter.
		want(t, w.AddPasskey(ctx, store.Passkey{ID: []byte("third"), Sub: bob.Sub, Credential: []byte("x")}), nil)
		for range 2 {
			want(t, w.UsePasskey(ctx, []byte("third"), 0, []byte("x")), nil)
		}

		want(t, w.RenamePasskey(ctx, bob.Sub, first.ID, "Mine"), store.ErrNotFound)
		want(t, w.RenamePasskey(ctx, ada.Sub, []byte("nobody's"), "Mine"), store.ErrNotFound)
		want(t, w.RenamePasskey(ctx, ada.Sub, first.ID, "Another name"), nil)
		if p, err := w.Passkey(ctx, first.ID); err != nil || p.Name != "Another name" {
			t.Errorf("after its renaming: %+v, %v", p, err)
		}
		want(t, w.PutRecoveryCodes(ctx, ada.Sub, []string{"one"}), nil)
		want(t, w.RemovePasskey(ctx, bob.Sub, first.ID, true), store.ErrNotFound)
		want(t, w.RemovePasskey(ctx, ada.Sub, first.ID, false), nil)
		_, err = w.Passkey(ctx, first.ID)
		want(t, err, store.ErrNotFound)
		want(t, w.RemoveOrphanedRecoveryCodes(ctx, ada.Sub), nil)
		if state := w.recovery(t, ada.Sub); state.Left != 1 {
			t.Errorf("with a passkey left there are %+v", state)
		}
		want(t, w.RemovePasskey(ctx, ada.Sub, []byte("second"), false), nil)
		if state := w.recovery(t, ada.Sub); state.Left != 0 {
			t.Errorf("without a factor there are %+v", state)
		}
		want(t, w.PutRecoveryCodes(ctx, bob.Sub, []string{"one"}), nil)
		_, err = w.ResetFactors(ctx, bob.Sub, hash("link"), time.Hour)
		want(t, err, nil)
		if u, err := w.User(ctx, bob.Sub); err != nil || u.HasSecondFactor() || w.recovery(t, bob.Sub).Left != 0 {
			t.Errorf("after a reset: %+v, %v", u, err)
		}
	})
}

func TestCeremoniesAreBoundAndGoodOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		put := func(challenge string) {
			t.Helper()
			want(t, w.PutCeremony(ctx, hash("browser"), store.Ceremony{Challenge: challenge, Purpose: "use", Sub: "ada", Document: "{}"}, time.Minute), nil)
		}
		put("one")
		for _, wrong := range []struct{ browser, challenge, purpose string }{{"other", "one", "use"}, {"browser", "two", "use"}, {"browser", "one", "add"}} {
			_, err := w.TakeCeremony(ctx, hash(wrong.browser), wrong.challenge, wrong.purpose)
			want(t, err, store.ErrNotFound)
		}
		var in atomic.Int32
		together(8, func(int) {
			if c, err := w.TakeCeremony(ctx, hash("browser"), "one", "use"); err == nil && c.Sub == "ada" && c.Document == "{}" {
				in.Add(1)
			}
		})
		if in.Load() != 1 {
			t.Errorf("one challenge was taken %d times", in.Load())
		}
		put("late")
		w.clock.Advance(time.Minute)
		_, err := w.TakeCeremony(ctx, hash("browser"), "late", "use")
		want(t, err, store.ErrNotFound)
		_, _, err = w.DeleteExpired(ctx, 10, idle)
		want(t, err, nil)
		if n := w.rows(t, "SELECT COUNT(*) FROM ceremonies"); n != 0 {
			t.Errorf("%d challenges are kept", n)
		}
	})
}
