package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

const (
	deviceLifetime = 10 * time.Minute
	deviceInterval = 5 * time.Second
)

// device begins a device authorization of that client.
func (w world) device(t testing.TB, clientID string) store.DeviceCode {
	t.Helper()
	name := w.name("device")
	d := store.DeviceCode{Hash: hash(name), UserCodeHash: hash("user code of " + name), ClientID: clientID, Scopes: []string{"openid", "email"},
		State: store.DevicePending, FamilyID: "family of " + name, Interval: deviceInterval}
	want(t, w.PutDevice(t.Context(), d, deviceLifetime), nil)
	d.CreatedAt, d.ExpiresAt = w.clock.Now(), w.clock.Now().Add(deviceLifetime)
	return d
}

// allowedDevice is a device authorization that somebody allowed.
type allowedDevice struct {
	store.DeviceCode
	sessionSecret []byte
}

func (w world) allowDevice(t testing.TB, sub, clientID string) allowedDevice {
	t.Helper()
	d := w.device(t, clientID)
	session, secret := w.signedIn(t, sub)
	d.State, d.Sub, d.SessionID, d.Grant = store.DeviceAllowed, sub, session.ID, `{"scopes":["openid"]}`
	want(t, w.AnswerDevice(t.Context(), d.UserCodeHash, store.DeviceAnswer{Allow: true, Sub: sub, SessionID: session.ID, Grant: d.Grant}), nil)
	return allowedDevice{d, secret}
}

// deviceGrant are the tokens of a device under that name.
func (w world) deviceGrant(name string, offline bool) *store.DeviceGrant {
	return &store.DeviceGrant{Offline: offline, FamilyExpires: w.clock.Now().Add(refreshLifetime), Issue: w.tokens(name)}
}

func TestDeviceStory(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		d := w.device(t, "tv")
		found, err := w.DeviceByUserCode(ctx, d.UserCodeHash)
		want(t, err, nil)
		if diff := cmp.Diff(d, found); diff != "" {
			t.Fatalf("by user code (-want +got):\n%s", diff)
		}
		want(t, w.PollDevice(ctx, d.Hash, "tv", nil), store.ErrPending)
		sub := w.person(t).Sub
		session, _ := w.signedIn(t, sub)
		answer := store.DeviceAnswer{Allow: true, Sub: sub, SessionID: session.ID, Grant: `{"scopes":["openid"]}`}
		want(t, w.AnswerDevice(ctx, d.UserCodeHash, answer), nil)
		d.State, d.Sub, d.SessionID, d.Grant, d.LastPollAt = store.DeviceAllowed, sub, session.ID, answer.Grant, beginning
		found, err = w.Device(ctx, d.Hash)
		want(t, err, nil)
		if diff := cmp.Diff(d, found); diff != "" {
			t.Fatalf("by device code (-want +got):\n%s", diff)
		}
		// What a poll that saw no answer yet finds does not spend it.
		w.clock.Advance(deviceInterval)
		want(t, w.PollDevice(ctx, d.Hash, "tv", nil), store.ErrPending)
		want(t, w.PollDevice(ctx, d.Hash, "tv", w.deviceGrant("tv", false)), nil)
		token, err := w.AccessToken(ctx, hash("access tv"))
		want(t, err, nil)
		expected := store.Family{ID: d.FamilyID, ClientID: "tv", Sub: sub, SessionID: session.ID, Grant: answer.Grant, CreatedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(refreshLifetime)}
		if diff := cmp.Diff(expected, token.Family); diff != "" {
			t.Fatalf("family (-want +got):\n%s", diff)
		}
		consent, err := w.Consent(ctx, sub, "tv")
		want(t, err, nil)
		if diff := cmp.Diff([]string{"openid", "email"}, consent.Scopes); diff != "" || consent.LastUsedAt.IsZero() {
			t.Fatalf("consent used at %v (-want +got):\n%s", consent.LastUsedAt, diff)
		}
	})
}

func TestDeviceUserCodeIsUnique(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		d := w.device(t, "tv")
		again := d
		again.Hash = hash("another device")
		want(t, w.PutDevice(t.Context(), again, deviceLifetime), store.ErrExists)
	})
}

// RFC 8628 section 3.5: each poll that comes too soon makes the interval five
// seconds longer, for all that follow.
func TestPollingTooSoonSlowsDown(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		d := w.device(t, "tv")
		for i, poll := range []struct {
			after    time.Duration
			expected error
			interval time.Duration
		}{
			{0, store.ErrPending, 5 * time.Second},
			{5 * time.Second, store.ErrPending, 5 * time.Second},
			{4500 * time.Millisecond, store.ErrPending, 5 * time.Second}, // jitter
			{time.Second, store.ErrSlowDown, 10 * time.Second},
			{5 * time.Second, store.ErrSlowDown, 15 * time.Second},
			{15 * time.Second, store.ErrPending, 15 * time.Second},
			{10 * time.Second, store.ErrSlowDown, 20 * time.Second},
		} {
			w.clock.Advance(poll.after)
			if err := w.PollDevice(t.Context(), d.Hash, "tv", nil); !errors.Is(err, poll.expected) {
				t.Fatalf("poll %d: %v, want %v", i, err, poll.expected)
			}
			got, err := w.Device(t.Context(), d.Hash)
			want(t, err, nil)
			if got.Interval != poll.interval || !got.LastPollAt.Equal(w.clock.Now()) {
				t.Fatalf("poll %d: interval %v after %v, want %v", i, got.Interval, got.LastPollAt, poll.interval)
			}
		}
		// Being slowed down costs nothing once there is an answer.
		sub := w.person(t).Sub
		session, _ := w.signedIn(t, sub)
		want(t, w.AnswerDevice(t.Context(), d.UserCodeHash, store.DeviceAnswer{Allow: true, Sub: sub, SessionID: session.ID, Grant: "{}"}), nil)
		want(t, w.PollDevice(t.Context(), d.Hash, "tv", w.deviceGrant("slow", false)), nil)
	})
}

func TestAnswerDeviceOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		d := w.device(t, "tv")
		sub := w.person(t).Sub
		session, _ := w.signedIn(t, sub)
		errs := make([]error, 16)
		together(16, func(i int) {
			errs[i] = w.AnswerDevice(ctx, d.UserCodeHash, store.DeviceAnswer{Allow: i%2 == 0, Sub: sub, SessionID: session.ID, Grant: "{}"})
		})
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Fatalf("answers %d and %d both count", winner, i)
			default:
				want(t, err, store.ErrNotFound)
			}
		}
		if winner < 0 {
			t.Fatal("no answer counts")
		}
		_, err := w.DeviceByUserCode(ctx, d.UserCodeHash)
		want(t, err, store.ErrNotFound)
		expected := store.ErrDenied
		if winner%2 == 0 {
			expected = nil
		}
		want(t, w.PollDevice(ctx, d.Hash, "tv", w.deviceGrant("once", false)), expected)
	})
}

func TestAnswerDeviceNeedsSessionOfThePerson(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		for name, spoil := range map[string]func(t *testing.T, a *store.DeviceAnswer, secret []byte){
			"the session ended": func(t *testing.T, _ *store.DeviceAnswer, secret []byte) {
				_, err := w.EndSession(ctx, secret)
				want(t, err, nil)
			},
			"the person was disabled": func(t *testing.T, a *store.DeviceAnswer, _ []byte) {
				want(t, w.SetDisabled(ctx, a.Sub, true), nil)
			},
			"it is another one's session": func(t *testing.T, a *store.DeviceAnswer, _ []byte) { a.Sub = w.person(t).Sub },
		} {
			t.Run(name, func(t *testing.T) {
				d := w.device(t, "tv")
				session, secret := w.signedIn(t, w.person(t).Sub)
				a := store.DeviceAnswer{Allow: true, Sub: session.Sub, SessionID: session.ID, Grant: "{}"}
				spoil(t, &a, secret)
				want(t, w.AnswerDevice(ctx, d.UserCodeHash, a), store.ErrRevoked)
				// Nothing happened: the person may sign in again and go on.
				_, err := w.DeviceByUserCode(ctx, d.UserCodeHash)
				want(t, err, nil)
				_, err = w.Consent(ctx, a.Sub, "tv")
				want(t, err, store.ErrNotFound)
			})
		}
		want(t, w.AnswerDevice(ctx, hash("no such code"), store.DeviceAnswer{}), store.ErrNotFound)
		late := w.device(t, "tv")
		w.clock.Advance(deviceLifetime)
		want(t, w.AnswerDevice(ctx, late.UserCodeHash, store.DeviceAnswer{}), store.ErrNotFound)
		_, err := w.DeviceByUserCode(ctx, late.UserCodeHash)
		want(t, err, store.ErrNotFound)
		want(t, w.PollDevice(ctx, late.Hash, "tv", nil), store.ErrExpired)
	})
}

func TestPollDeviceOnceInParallel(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		d := w.allowDevice(t, w.person(t).Sub, "tv")
		replicas := []world{w, w}
		replicas[1].Store = w.replica(t)
		names := make([]string, 64)
		errs := make([]error, 64)
		together(64, func(i int) {
			names[i] = w.name("parallel")
			errs[i] = replicas[i%2].PollDevice(ctx, d.Hash, "tv", w.deviceGrant(names[i], true))
		})
		winner := ""
		for i, err := range errs {
			switch {
			case err == nil && winner == "":
				winner = names[i]
			case err == nil:
				t.Fatalf("%s and %s both got tokens", winner, names[i])
			default:
				want(t, err, store.ErrReplayed)
			}
		}
		if winner == "" {
			t.Fatal("nobody got tokens")
		}
		if n := w.rows(t, "SELECT COUNT(*) FROM access_tokens"); n != 1 {
			t.Fatalf("%d access tokens are stored, want 1", n)
		}
		w.alive(t, hash("access "+winner), false)
	})
}

func TestPollDeviceRefuses(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		for _, test := range []struct {
			name     string
			spoil    func(t *testing.T, d *allowedDevice)
			expected error
		}{
			{"an unknown code", func(_ *testing.T, d *allowedDevice) { d.Hash = hash("unknown") }, store.ErrNotFound},
			{"another client", func(_ *testing.T, d *allowedDevice) { d.ClientID = "thief" }, store.ErrNotFound},
			{"an expired code", func(*testing.T, *allowedDevice) { w.clock.Advance(deviceLifetime) }, store.ErrExpired},
			{"a disabled person", func(t *testing.T, d *allowedDevice) { want(t, w.SetDisabled(ctx, d.Sub, true), nil) }, store.ErrNotFound},
			{"a deleted person", func(t *testing.T, d *allowedDevice) { want(t, w.DeleteUser(ctx, d.Sub), nil) }, store.ErrNotFound},
			{"a person who signed out everywhere", func(t *testing.T, d *allowedDevice) {
				want(t, w.SignOutEverywhere(ctx, d.Sub, false), nil)
			}, store.ErrNotFound},
			{"a person with a new password", func(t *testing.T, d *allowedDevice) {
				want(t, w.SetPassword(ctx, d.Sub, "hash", d.SessionID), nil)
			}, store.ErrNotFound},
			{"a consent taken back", func(t *testing.T, d *allowedDevice) { want(t, w.RevokeConsent(ctx, d.Sub, "tv"), nil) }, store.ErrNotFound},
			{"an ended session", func(t *testing.T, d *allowedDevice) {
				_, err := w.EndSession(ctx, d.sessionSecret)
				want(t, err, nil)
			}, store.ErrRevoked},
			{"a person whose row alone says disabled", func(t *testing.T, d *allowedDevice) {
				if _, err := w.Writer().ExecContext(ctx, "UPDATE users SET disabled = TRUE WHERE sub = $1", d.Sub); err != nil {
					t.Fatal(err)
				}
			}, store.ErrRevoked},
		} {
			t.Run(test.name, func(t *testing.T) {
				d := w.allowDevice(t, w.person(t).Sub, "tv")
				test.spoil(t, &d)
				name := w.name("refused")
				want(t, w.PollDevice(ctx, d.Hash, d.ClientID, w.deviceGrant(name, false)), test.expected)
				w.alive(t, hash("access "+name), false)
			})
		}
	})
}

// A replay is told from an unknown code for a day, and another client's poll
// neither spends nor revokes.
func TestDeviceReplayRevokesTheFamily(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		d, other := w.allowDevice(t, w.person(t).Sub, "tv"), w.allowDevice(t, w.person(t).Sub, "tv")
		want(t, w.PollDevice(ctx, d.Hash, "thief", w.deviceGrant("thief", true)), store.ErrNotFound)
		want(t, w.PollDevice(ctx, d.Hash, "tv", w.deviceGrant("first", true)), nil)
		want(t, w.PollDevice(ctx, other.Hash, "tv", w.deviceGrant("other", true)), nil)
		want(t, w.PollDevice(ctx, d.Hash, "thief", nil), store.ErrNotFound)
		w.alive(t, hash("access first"), true)
		w.clock.Advance(deviceInterval)
		want(t, w.PollDevice(ctx, d.Hash, "tv", nil), store.ErrReplayed)
		w.alive(t, hash("access first"), false)
		w.alive(t, hash("access other"), true)
		_, _, err := w.DeleteExpired(ctx, 100, idle)
		want(t, err, nil)
		w.clock.Advance(deviceLifetime)
		want(t, w.PollDevice(ctx, d.Hash, "tv", nil), store.ErrReplayed)
		w.clock.Advance(24 * time.Hour)
		_, _, err = w.DeleteExpired(ctx, 100, idle)
		want(t, err, nil)
		want(t, w.PollDevice(ctx, d.Hash, "tv", nil), store.ErrNotFound)
		if n := w.rows(t, "SELECT COUNT(*) FROM device_codes"); n != 0 {
			t.Fatalf("%d device codes are left", n)
		}
	})
}

// An allowed device adds to what the person agreed to before.
func TestDeviceConsentAddsUp(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		sub := w.person(t).Sub
		id, browser := w.request(t, "tv")
		want(t, w.SaveConsent(t.Context(), id, browser, store.Progress{}, sub, "tv", []string{"openid", "groups"}), nil)
		w.allowDevice(t, sub, "tv")
		consent, err := w.Consent(t.Context(), sub, "tv")
		want(t, err, nil)
		if diff := cmp.Diff([]string{"openid", "groups", "email"}, consent.Scopes); diff != "" {
			t.Fatalf("scopes (-want +got):\n%s", diff)
		}
	})
}
