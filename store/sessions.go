package store

import (
	"context"
	"errors"
	"time"
)

// Session is a browser's signed-in session. Only the SHA-256 of the cookie's
// secret is stored; ID is what lists and tokens (sid) show.
type Session struct {
	ID       string
	Sub      string
	AuthTime time.Time
	// ACR and AMR say how the person signed in (OIDC Core section 2, RFC 8176).
	ACR string
	AMR []string
	// FactorAt is when the strongest factor was last given.
	FactorAt  time.Time
	IP        string
	UserAgent string
	// BackendToken is the backend's own credential for the person (an OpenBao
	// token), sealed in the row; nil for local people.
	BackendToken []byte
	CreatedAt    time.Time
	LastSeenAt   time.Time
	ExpiresAt    time.Time
}

const sessionColumns = "id, sub, auth_time, acr, amr, factor_at, ip, user_agent, sealed_backend_token, created_at, last_seen_at, expires_at"

func sessionFields(s *Session) []any {
	return []any{&s.ID, &s.Sub, stamp{&s.AuthTime}, &s.ACR, words{&s.AMR}, stamp{&s.FactorAt}, &s.IP, &s.UserAgent, &s.BackendToken,
		stamp{&s.CreatedAt}, stamp{&s.LastSeenAt}, stamp{&s.ExpiresAt}}
}

// CreateSession stores a session under the hash of its cookie's secret.
// A session that the same browser had before (replaces, by secret hash, may
// be nil) ends in the same transaction, unless it is this very session: secrets
// rotate at every sign-in.
func (s *Store) CreateSession(ctx context.Context, session Session, secretHash, replaces []byte) error {
	sealed, err := s.seals.seal(session.BackendToken, sessionPlace(session.ID).place())
	if err != nil && session.BackendToken != nil {
		return err
	}
	return s.tx(ctx, "create_session", func(q *Queries) error {
		if replaces != nil {
			// The same session under a new secret has not ended.
			if err := q.must("DELETE FROM sessions WHERE secret_hash = $1 AND id = $2", replaces, session.ID); err != nil {
				return err
			}
			if _, err := q.endSessions("secret_hash = $1", replaces); err != nil {
				return err
			}
		}
		if _, err := one(q, text, "SELECT sub FROM users WHERE sub = $1 AND disabled = FALSE", session.Sub); err != nil {
			if errors.Is(err, ErrNotFound) {
				err = ErrRevoked // disabled between the password and here
			}
			return err
		}
		err := q.must(`INSERT INTO sessions (id, secret_hash, sub, auth_time, acr, amr, factor_at, ip, user_agent, sealed_backend_token, created_at, last_seen_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)`,
			session.ID, secretHash, session.Sub, at(session.AuthTime), session.ACR, joined(session.AMR), at(session.FactorAt),
			session.IP, session.UserAgent, sealed, at(q.now), at(session.ExpiresAt))
		if err != nil {
			return err
		}
		return q.must("UPDATE users SET last_login_at = $2 WHERE sub = $1", session.Sub, at(q.now))
	})
}

func sessionPlace(id string) sealedColumn {
	return sealedColumn{"sessions", "sealed_backend_token", "id = $2", id}
}

// touchEvery bounds how often reading a session writes its last use.
const touchEvery = time.Minute

// Session finds a live session by the hash of its cookie's secret. One that
// was idle for longer than idle, or reached its limit, is ErrNotFound.
func (s *Store) Session(ctx context.Context, secretHash []byte, idle time.Duration) (Session, error) {
	q := s.read(ctx)
	session, err := one(q, sessionFields, "SELECT "+sessionColumns+" FROM sessions WHERE secret_hash = $1 AND expires_at > $2 AND last_seen_at > $3",
		secretHash, at(q.now), at(q.now.Add(-idle)))
	if err != nil {
		return Session{}, err
	}
	if session.BackendToken != nil {
		if session.BackendToken, err = s.unseal(ctx, session.BackendToken, sessionPlace(session.ID)); err != nil {
			return Session{}, err
		}
	}
	if q.now.Sub(session.LastSeenAt) >= touchEvery {
		err = s.tx(ctx, "touch_session", func(q *Queries) error {
			return q.must("UPDATE sessions SET last_seen_at = $2 WHERE secret_hash = $1", secretHash, at(q.now))
		})
	}
	return session, err
}

// SessionAlive tells whether a session (by its id) still exists.
func (s *Store) SessionAlive(ctx context.Context, id string) (bool, error) {
	q := s.read(ctx)
	list, err := many(q, text, "SELECT id FROM sessions WHERE id = $1 AND expires_at > $2", id, at(q.now))
	return len(list) == 1, err
}

// StrengthenSession records that another factor was given in this session
// and moves it under a new secret, so that whoever knew the old cookie has
// nothing. ErrNotFound: the session ended meanwhile.
func (s *Store) StrengthenSession(ctx context.Context, oldHash, newHash []byte, acr string, amr []string) error {
	return s.tx(ctx, "strengthen_session", func(q *Queries) error {
		n, err := q.exec("UPDATE sessions SET secret_hash = $2, acr = $3, amr = $4, factor_at = $5, last_seen_at = $5 WHERE secret_hash = $1",
			oldHash, newHash, acr, joined(amr), at(q.now))
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// ReplaceBackendToken gives a session another credential of the backend, which
// ends at expires (zero: never); the session does not outlive it. ErrNotFound:
// the session has ended.
func (s *Store) ReplaceBackendToken(ctx context.Context, id string, token []byte, expires time.Time) error {
	sealed, err := s.seals.seal(token, sessionPlace(id).place())
	if err != nil {
		return err
	}
	return s.tx(ctx, "replace_backend_token", func(q *Queries) error {
		n, err := q.exec("UPDATE sessions SET sealed_backend_token = $2 WHERE id = $1", id, sealed)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		if err != nil || expires.IsZero() {
			return err
		}
		return q.must("UPDATE sessions SET expires_at = $2 WHERE id = $1 AND expires_at > $2", id, at(expires))
	})
}

// EndSession ends one session by the hash of its secret and returns it.
// Families without offline_access end with it; the others live on
// (OIDC Back-Channel Logout section 2.7).
func (s *Store) EndSession(ctx context.Context, secretHash []byte) (Session, error) {
	var ended []Session
	err := s.tx(ctx, "end_session", func(q *Queries) (err error) {
		ended, err = q.endSessions("secret_hash = $1", secretHash)
		return err
	})
	if err != nil || len(ended) == 0 {
		if err == nil {
			err = ErrNotFound
		}
		return Session{}, err
	}
	return ended[0], nil
}

// RotateSession moves a session under a new secret and leaves it as it is.
// ErrNotFound: the session ended meanwhile.
func (s *Store) RotateSession(ctx context.Context, oldHash, newHash []byte) error {
	return s.tx(ctx, "rotate_session", func(q *Queries) error {
		n, err := q.exec("UPDATE sessions SET secret_hash = $2 WHERE secret_hash = $1", oldHash, newHash)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// RevokeSession ends one of a person's sessions by its id, and unlike EndSession
// also what it gave for offline use: who ends a session from elsewhere does not
// trust that browser. ErrNotFound: they have no such session.
func (s *Store) RevokeSession(ctx context.Context, sub, id string) (Session, error) {
	ended, err := s.revokeSessions(ctx, "sub = $1 AND id = $2", sub, id)
	if err == nil && len(ended) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Session{}, err
	}
	return ended[0], nil
}

// RevokeOtherSessions is RevokeSession for all of a person's sessions but the
// one to keep (its id).
func (s *Store) RevokeOtherSessions(ctx context.Context, sub, keep string) ([]Session, error) {
	return s.revokeSessions(ctx, "sub = $1 AND id <> $2", sub, keep)
}

func (s *Store) revokeSessions(ctx context.Context, where string, args ...any) (ended []Session, err error) {
	err = s.tx(ctx, "revoke_sessions", func(q *Queries) (err error) {
		if ended, err = q.endSessions(where, args...); err != nil {
			return err
		}
		for _, session := range ended {
			for _, statement := range []string{
				"DELETE FROM codes WHERE sub = $1 AND session_id = $2 AND used_at IS NULL",
				"DELETE FROM device_codes WHERE sub = $1 AND session_id = $2 AND used_at IS NULL",
			} {
				if err := q.must(statement, session.Sub, session.ID); err != nil {
					return err
				}
			}
			if err := q.must("UPDATE families SET revoked_at = $2 WHERE session_id = $1 AND revoked_at IS NULL", session.ID, at(q.now)); err != nil {
				return err
			}
		}
		return nil
	})
	return ended, err
}

func (q *Queries) endSessions(where string, args ...any) ([]Session, error) {
	ended, err := many(q, sessionFields, "DELETE FROM sessions WHERE "+where+" RETURNING "+sessionColumns, args...)
	if err != nil {
		return nil, err
	}
	for i := range ended {
		session := &ended[i]
		// The caller may have to revoke it at the backend.
		if session.BackendToken, _, err = q.store.seals.open(session.BackendToken, sessionPlace(session.ID).place()); err != nil {
			session.BackendToken = nil
		}
		if err := q.addLogouts(*session); err != nil {
			return nil, err
		}
		err := q.must("UPDATE families SET revoked_at = $2 WHERE session_id = $1 AND offline = FALSE AND revoked_at IS NULL", session.ID, at(q.now))
		if err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// Sessions lists a person's live sessions, the latest first.
func (s *Store) Sessions(ctx context.Context, sub string) ([]Session, error) {
	q := s.read(ctx)
	return many(q, sessionFields, "SELECT "+sessionColumns+" FROM sessions WHERE sub = $1 AND expires_at > $2 ORDER BY last_seen_at DESC", sub, at(q.now))
}

// CountSessions is the number of live sessions.
func (s *Store) CountSessions(ctx context.Context) (int64, error) {
	q := s.read(ctx)
	return one(q, number, "SELECT COUNT(*) FROM sessions WHERE expires_at > $1", at(q.now))
}

// SignIn is a sign-in whose password was right and whose second factor is
// outstanding. It belongs to one browser.
type SignIn struct {
	Sub      string
	Username string
	Origin   string
	// Challenge is what the backend wants back with the code; sealed in the row.
	Challenge []byte
	// MayEnrol: a one-time link allowed enrolling a second factor again.
	MayEnrol  bool
	CreatedAt time.Time
	ExpiresAt time.Time
}

const signInColumns = "sub, username, origin, sealed_challenge, may_enrol, created_at, expires_at"

func signInFields(i *SignIn) []any {
	return []any{&i.Sub, &i.Username, &i.Origin, &i.Challenge, &i.MayEnrol, stamp{&i.CreatedAt}, stamp{&i.ExpiresAt}}
}

func challengePlace(browserHash []byte) sealedColumn {
	return sealedColumn{"signins", "sealed_challenge", "browser_hash = $2", browserHash}
}

// PutSignIn remembers a half-done sign-in for a browser; an earlier one of
// that browser is forgotten and returned.
func (s *Store) PutSignIn(ctx context.Context, browserHash []byte, i SignIn, lifetime time.Duration) (replaced []SignIn, err error) {
	sealed, err := s.seals.seal(i.Challenge, challengePlace(browserHash).place())
	if err != nil && i.Challenge != nil {
		return nil, err
	}
	err = s.tx(ctx, "put_signin", func(q *Queries) (err error) {
		if replaced, err = q.endSignIns("browser_hash = $1", browserHash); err != nil {
			return err
		}
		return q.must(`INSERT INTO signins (browser_hash, sub, username, origin, sealed_challenge, may_enrol, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (browser_hash) DO UPDATE SET sub = excluded.sub, username = excluded.username, origin = excluded.origin,
				sealed_challenge = excluded.sealed_challenge, may_enrol = excluded.may_enrol, created_at = excluded.created_at, expires_at = excluded.expires_at`,
			browserHash, i.Sub, i.Username, i.Origin, sealed, i.MayEnrol, at(q.now), at(q.now.Add(lifetime)))
	})
	return replaced, err
}

// SignIn reads a browser's half-done sign-in.
func (s *Store) SignIn(ctx context.Context, browserHash []byte) (SignIn, error) {
	q := s.read(ctx)
	i, err := one(q, signInFields, "SELECT "+signInColumns+" FROM signins WHERE browser_hash = $1 AND expires_at > $2", browserHash, at(q.now))
	if err != nil || i.Challenge == nil {
		return i, err
	}
	i.Challenge, err = s.unseal(ctx, i.Challenge, challengePlace(browserHash))
	return i, err
}

// TakeSignIn ends a half-done sign-in and returns it; ErrNotFound when someone
// else took it.
func (s *Store) TakeSignIn(ctx context.Context, browserHash []byte) (SignIn, error) {
	var taken []SignIn
	err := s.tx(ctx, "take_signin", func(q *Queries) (err error) {
		taken, err = q.endSignIns("browser_hash = $1 AND expires_at > $2", browserHash, at(q.now))
		if err == nil && len(taken) == 0 {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return SignIn{}, err
	}
	return taken[0], nil
}

// ExpireSignIns ends half-done sign-ins that are too old, at most batch of
// them, and returns them.
func (s *Store) ExpireSignIns(ctx context.Context, batch int) (ended []SignIn, err error) {
	err = s.tx(ctx, "expire_signins", func(q *Queries) (err error) {
		ended, err = q.endSignIns("browser_hash IN (SELECT browser_hash FROM signins WHERE expires_at <= $1 LIMIT $2)", at(q.now), batch)
		return err
	})
	return ended, err
}

// endSignIns deletes half-done sign-ins. The caller may have to give back what
// the backend handed out for them; what cannot be opened is missing.
func (q *Queries) endSignIns(where string, args ...any) ([]SignIn, error) {
	type row struct {
		SignIn
		browserHash []byte
	}
	fields := func(r *row) []any { return append([]any{&r.browserHash}, signInFields(&r.SignIn)...) }
	rows, err := many(q, fields, "DELETE FROM signins WHERE "+where+" RETURNING browser_hash, "+signInColumns, args...)
	if err != nil {
		return nil, err
	}
	ended := make([]SignIn, len(rows))
	for i, r := range rows {
		if r.Challenge, _, err = q.store.seals.open(r.Challenge, challengePlace(r.browserHash).place()); err != nil {
			r.Challenge = nil
		}
		ended[i] = r.SignIn
	}
	return ended, nil
}
