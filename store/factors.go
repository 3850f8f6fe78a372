package store

import (
	"context"
	"time"
)

// KindTOTP is the kind of a time-based one-time password factor (RFC 6238).
const KindTOTP = "totp"

// Factor is a second factor of a person.
type Factor struct {
	Sub        string
	Kind       string
	Secret     []byte // in clear here, sealed in the row
	LastStep   int64  // the last RFC 6238 time step that was used
	CreatedAt  time.Time
	LastUsedAt time.Time
	ExpiresAt  time.Time // of a pending factor
	// BrowserHash is the browser that a pending factor was begun in.
	BrowserHash []byte
}

func factorFields(f *Factor) []any {
	return []any{&f.Sub, &f.Kind, &f.Secret, &f.LastStep, stamp{&f.CreatedAt}, stamp{&f.LastUsedAt}, stamp{&f.ExpiresAt}, &f.BrowserHash}
}

const factorColumns = "sub, kind, sealed_secret, last_step, created_at, last_used_at, expires_at, browser_hash"

// A pending and an active factor of one person share a place: activation is
// then one UPDATE that need not open the secret.
func factorPlace(sub string) sealedColumn {
	return sealedColumn{"factors", "sealed_secret", "sub = $2", sub}
}

// PutPendingTOTP begins an enrolment, or begins it anew: one for each person,
// and it belongs to the browser that began it last.
func (s *Store) PutPendingTOTP(ctx context.Context, sub string, secret, browserHash []byte, lifetime time.Duration) error {
	sealed, err := s.seals.seal(secret, factorPlace(sub).place())
	if err != nil {
		return err
	}
	return s.tx(ctx, "put_pending_totp", func(q *Queries) error {
		return q.must(`INSERT INTO factors (sub, kind, pending, sealed_secret, last_step, created_at, expires_at, browser_hash)
			VALUES ($1, 'totp', TRUE, $2, 0, $3, $4, $5)
			ON CONFLICT (sub, kind, pending) DO UPDATE SET sealed_secret = excluded.sealed_secret, created_at = excluded.created_at, expires_at = excluded.expires_at, browser_hash = excluded.browser_hash`,
			sub, sealed, at(q.now), at(q.now.Add(lifetime)), browserHash)
	})
}

// PendingTOTP is the enrolment in progress; ErrNotFound when there is none or
// it is too old.
func (s *Store) PendingTOTP(ctx context.Context, sub string) (Factor, error) {
	q := s.read(ctx)
	f, err := one(q, factorFields, "SELECT "+factorColumns+" FROM factors WHERE sub = $1 AND kind = 'totp' AND pending = TRUE AND expires_at > $2", sub, at(q.now))
	return s.openFactor(ctx, f, err)
}

// TOTP is a person's active factor.
func (s *Store) TOTP(ctx context.Context, sub string) (Factor, error) {
	f, err := one(s.read(ctx), factorFields, "SELECT "+factorColumns+" FROM factors WHERE sub = $1 AND kind = 'totp' AND pending = FALSE", sub)
	return s.openFactor(ctx, f, err)
}

func (s *Store) openFactor(ctx context.Context, f Factor, err error) (Factor, error) {
	if err != nil {
		return Factor{}, err
	}
	f.Secret, err = s.unseal(ctx, f.Secret, factorPlace(f.Sub))
	return f, err
}

// ActivateTOTP turns the pending enrolment into the active factor, with the
// time step of the code that proved it already used. It lifts NeedsLink.
// ErrExists: one is active already. ErrNotFound: nothing is pending.
func (s *Store) ActivateTOTP(ctx context.Context, sub string, step int64) error {
	return s.tx(ctx, "activate_totp", func(q *Queries) error {
		n, err := q.exec(`UPDATE factors SET pending = FALSE, last_step = $2, created_at = $3, last_used_at = $3, expires_at = NULL, browser_hash = NULL
			WHERE sub = $1 AND kind = 'totp' AND pending = TRUE AND expires_at > $3`, sub, step, at(q.now))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		if err := q.must("DELETE FROM links WHERE sub = $1 AND purpose = $2", sub, PurposeFactor); err != nil {
			return err
		}
		return q.must("UPDATE users SET needs_link = FALSE, updated_at = $2 WHERE sub = $1", sub, at(q.now))
	})
}

// ClaimStep uses up a TOTP time step, once over all replicas. ErrStepUsed:
// this step or a later one was used before.
func (s *Store) ClaimStep(ctx context.Context, sub string, step int64) error {
	return s.tx(ctx, "claim_step", func(q *Queries) error {
		n, err := q.exec("UPDATE factors SET last_step = $2, last_used_at = $3 WHERE sub = $1 AND kind = 'totp' AND pending = FALSE AND last_step < $2", sub, step, at(q.now))
		if err == nil && n == 0 {
			err = ErrStepUsed
		}
		return err
	})
}

// RemoveTOTP removes a person's TOTP factor, pending or active.
func (s *Store) RemoveTOTP(ctx context.Context, sub string) error {
	return s.tx(ctx, "remove_totp", func(q *Queries) error {
		return q.must("DELETE FROM factors WHERE sub = $1 AND kind = 'totp'", sub)
	})
}

// UseFactorLink uses up a link of PurposeFactor: its person may enrol without one
// from now on. ErrNotFound: the link counts no more.
func (s *Store) UseFactorLink(ctx context.Context, tokenHash []byte) error {
	return s.tx(ctx, "use_factor_link", func(q *Queries) error {
		link, err := q.takeLink(tokenHash, PurposeFactor)
		if err != nil {
			return err
		}
		return q.must("UPDATE users SET needs_link = FALSE, updated_at = $2 WHERE sub = $1", link.Sub, at(q.now))
	})
}

// ResetFactors is an administrator's reset: it removes the second factors and
// recovery codes, ends sessions and token families, demands a one-time link for enrolling
// again and stores that link, all at once.
func (s *Store) ResetFactors(ctx context.Context, sub string, tokenHash []byte, lifetime time.Duration) (Link, error) {
	var link Link
	err := s.tx(ctx, "reset_factors", func(q *Queries) error {
		n, err := q.exec("UPDATE users SET needs_link = TRUE, updated_at = $2 WHERE sub = $1", sub, at(q.now))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		for _, table := range []string{"factors", "passkeys", "recovery_codes"} {
			if err := q.must("DELETE FROM "+table+" WHERE sub = $1", sub); err != nil {
				return err
			}
		}
		if _, err := q.signOutEverywhere(sub); err != nil {
			return err
		}
		link, err = q.putLink(tokenHash, sub, PurposeFactor, lifetime)
		return err
	})
	return link, err
}
