package store

import (
	"context"
	"errors"
	"slices"
	"time"
)

// States of a device authorization.
const (
	DevicePending = "pending"
	DeviceAllowed = "allowed"
	DeviceDenied  = "denied"
)

const (
	// slowDown is what each poll that comes too soon adds to the interval
	// (RFC 8628 section 3.5).
	slowDown = 5 * time.Second
	// pollSlack is how much sooner a poll may come: a device that keeps to the
	// interval must not be slowed down by the jitter of its network.
	pollSlack = time.Second
)

// DeviceCode is a device authorization (RFC 8628); only SHA-256 of its two
// codes is stored. Its row outlives its use, so that a replay is recognised.
type DeviceCode struct {
	Hash         []byte
	UserCodeHash []byte
	ClientID     string
	Scopes       []string
	State        string
	// Sub, SessionID and Grant are "" until a person allows it; Grant is what
	// they agreed to, as JSON.
	Sub       string
	SessionID string
	Grant     string
	FamilyID  string
	// Interval is how long the device has to wait between polls, in whole
	// seconds.
	Interval   time.Duration
	LastPollAt time.Time
	CreatedAt  time.Time
	ExpiresAt  time.Time
	UsedAt     time.Time
}

const deviceColumns = "device_hash, user_code_hash, client_id, scopes, state, COALESCE(sub, ''), session_id, grant_document, family_id, poll_interval, last_poll_at, created_at, expires_at, used_at"

func deviceFields(d *DeviceCode) []any {
	return []any{&d.Hash, &d.UserCodeHash, &d.ClientID, words{&d.Scopes}, &d.State, &d.Sub, &d.SessionID, &d.Grant, &d.FamilyID,
		seconds{&d.Interval}, stamp{&d.LastPollAt}, stamp{&d.CreatedAt}, stamp{&d.ExpiresAt}, stamp{&d.UsedAt}}
}

// PutDevice begins a device authorization. ErrExists: another one has the same
// user code; draw a new one.
func (s *Store) PutDevice(ctx context.Context, d DeviceCode, lifetime time.Duration) error {
	return s.tx(ctx, "put_device", func(q *Queries) error {
		return q.must(`INSERT INTO device_codes (device_hash, user_code_hash, client_id, scopes, state, session_id, grant_document, family_id, poll_interval, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, '', '', $6, $7, $8, $9)`,
			d.Hash, d.UserCodeHash, d.ClientID, joined(d.Scopes), DevicePending, d.FamilyID, int64(d.Interval/time.Second), at(q.now), at(q.now.Add(lifetime)))
	})
}

// Device finds a device authorization in any state by its device code.
func (s *Store) Device(ctx context.Context, hash []byte) (DeviceCode, error) {
	return s.read(ctx).device(hash)
}

func (q *Queries) device(hash []byte) (DeviceCode, error) {
	return one(q, deviceFields, "SELECT "+deviceColumns+" FROM device_codes WHERE device_hash = $1", hash)
}

// DeviceByUserCode finds the device authorization that a person typed the code
// of. ErrNotFound: unknown, expired or answered.
func (s *Store) DeviceByUserCode(ctx context.Context, userCodeHash []byte) (DeviceCode, error) {
	q := s.read(ctx)
	return one(q, deviceFields, "SELECT "+deviceColumns+" FROM device_codes WHERE user_code_hash = $1 AND state = 'pending' AND expires_at > $2", userCodeHash, at(q.now))
}

// DeviceAnswer is what a person says to a device's request.
type DeviceAnswer struct {
	Allow     bool
	Sub       string
	SessionID string
	Grant     string
}

// AnswerDevice records a person's answer, once: ErrNotFound when it is
// unknown, expired or answered. An allowed one is added to what the person
// agreed to before. A session that ended meanwhile is ErrRevoked.
func (s *Store) AnswerDevice(ctx context.Context, userCodeHash []byte, a DeviceAnswer) error {
	return s.tx(ctx, "answer_device", func(q *Queries) error {
		if !a.Allow {
			return q.answerDevice(userCodeHash, DeviceDenied, DeviceAnswer{})
		}
		if err := q.answerDevice(userCodeHash, DeviceAllowed, a); err != nil {
			return err
		}
		if err := q.liveSession(a.SessionID, a.Sub); err != nil {
			return err
		}
		d, err := one(q, deviceFields, "SELECT "+deviceColumns+" FROM device_codes WHERE user_code_hash = $1", userCodeHash)
		if err != nil {
			return err
		}
		return q.addConsent(a.Sub, d.ClientID, d.Scopes)
	})
}

func (q *Queries) answerDevice(userCodeHash []byte, state string, a DeviceAnswer) error {
	var sub any
	if a.Sub != "" {
		sub = a.Sub
	}
	n, err := q.exec(`UPDATE device_codes SET state = $2, sub = $3, session_id = $4, grant_document = $5
		WHERE user_code_hash = $1 AND state = 'pending' AND expires_at > $6`, userCodeHash, state, sub, a.SessionID, a.Grant, at(q.now))
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// addConsent adds scopes to what a person allowed a client, and notes that it
// was used.
func (q *Queries) addConsent(sub, clientID string, scopes []string) error {
	before, err := q.consent(sub, clientID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	all := before.Scopes
	for _, s := range scopes {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	if err := q.grantConsent(sub, clientID, all); err != nil {
		return err
	}
	return q.must("UPDATE consents SET last_used_at = $3 WHERE sub = $1 AND client_id = $2", sub, clientID, at(q.now))
}

// DeviceGrant is what a device gets when a person has allowed it.
type DeviceGrant struct {
	Offline       bool
	FamilyExpires time.Time
	Issue         Issue
}

// PollDevice is one poll of a device (RFC 8628 section 3.4), all of it in one
// transaction. When the person has allowed it, it spends the device code and
// begins its token family, once over all replicas, as RedeemCode does; a nil
// grant (the caller saw no answer yet) spends nothing.
// ErrPending, ErrSlowDown: no answer yet. ErrDenied, ErrExpired: there will be
// none. ErrReplayed: it was spent before; its tokens are revoked. ErrNotFound:
// unknown or another client's. ErrRevoked: the person is disabled, or the
// session ended meanwhile and the grant is not offline.
func (s *Store) PollDevice(ctx context.Context, hash []byte, clientID string, grant *DeviceGrant) error {
	var outcome error
	err := s.tx(ctx, "poll_device", func(q *Queries) error {
		d, err := q.device(hash)
		if err == ErrNotFound || err == nil && d.ClientID != clientID {
			outcome = ErrNotFound
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case !d.UsedAt.IsZero():
			outcome = ErrReplayed
			return q.must("UPDATE families SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", d.FamilyID, at(q.now))
		case d.State == DeviceDenied:
			outcome = ErrDenied
			return nil
		case !d.ExpiresAt.After(q.now):
			outcome = ErrExpired
			return nil
		case d.State == DevicePending || grant == nil:
			outcome, err = q.waitDevice(d)
			return err
		}
		outcome, err = q.redeemDevice(d, *grant)
		return err
	})
	if err != nil {
		return err
	}
	return outcome
}

// waitDevice notes a poll that came before the answer. What it decides must be
// committed, so it is an outcome and not an error of the transaction.
func (q *Queries) waitDevice(d DeviceCode) (outcome, err error) {
	outcome = ErrPending
	if !d.LastPollAt.IsZero() && q.now.Sub(d.LastPollAt) < d.Interval-pollSlack {
		outcome = ErrSlowDown
		d.Interval += slowDown
	}
	return outcome, q.must("UPDATE device_codes SET last_poll_at = $2, poll_interval = $3 WHERE device_hash = $1", d.Hash, at(q.now), int64(d.Interval/time.Second))
}

// redeemDevice spends an allowed device code under the same conditions as a
// code: the person is enabled and, unless offline, their session alive.
func (q *Queries) redeemDevice(d DeviceCode, g DeviceGrant) (outcome, err error) {
	n, err := q.exec(`UPDATE device_codes SET used_at = $2 WHERE device_hash = $1 AND used_at IS NULL AND state = 'allowed'
		AND EXISTS (SELECT 1 FROM users u WHERE u.sub = device_codes.sub AND u.disabled = FALSE)
		AND ($3 OR EXISTS (SELECT 1 FROM sessions s WHERE s.id = device_codes.session_id))`, d.Hash, at(q.now), g.Offline)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return ErrRevoked, nil
	}
	err = q.must(`INSERT INTO families (id, client_id, sub, session_id, offline, grant_document, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		d.FamilyID, d.ClientID, d.Sub, d.SessionID, g.Offline, d.Grant, at(q.now), at(g.FamilyExpires))
	if err != nil {
		return nil, err
	}
	return nil, q.issue(d.FamilyID, g.Issue)
}
