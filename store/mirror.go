package store

import (
	"context"
	"time"
)

// ConsentChange says that a person's consents are others than a backend that
// keeps a copy of them was told.
type ConsentChange struct {
	Sub      string
	Changes  int64 // so many when it was taken
	Attempts int64 // how often it was taken since the last change
}

func consentChangeFields(c *ConsentChange) []any { return []any{&c.Sub, &c.Changes, &c.Attempts} }

// noteConsents notes that a person's consents change, where a backend is to be
// told.
func (q *Queries) noteConsents(sub string) error {
	return q.noteConsentsOf("u.sub = $2", sub)
}

// noteConsentsOf does it for all to whom a condition applies, which has one
// argument as $2.
func (q *Queries) noteConsentsOf(condition, argument string) error {
	if q.store.mirrored == "" {
		return nil
	}
	return q.must(`INSERT INTO consent_mirror (sub, changes, attempts, next_at)
		SELECT u.sub, 1, 0, CAST($1 AS BIGINT) FROM users u WHERE `+condition+` AND u.origin = $3
		ON CONFLICT (sub) DO UPDATE SET changes = consent_mirror.changes + 1, attempts = 0, next_at = excluded.next_at`, at(q.now), argument, q.store.mirrored)
}

// ConsentChangesDue tells whether TakeConsentChanges would give anything.
func (s *Store) ConsentChangesDue(ctx context.Context) (bool, error) {
	due, err := many(s.read(ctx), text, "SELECT sub FROM consent_mirror WHERE next_at <= $1 LIMIT 1", at(s.clock()))
	return len(due) > 0, err
}

// TakeConsentChanges gives at most limit people whose changes are due. No other
// replica gets them for the lease, unless they change again.
func (s *Store) TakeConsentChanges(ctx context.Context, limit int, lease time.Duration) ([]ConsentChange, error) {
	if due, err := s.ConsentChangesDue(ctx); err != nil || !due {
		return nil, err // the usual case costs one read
	}
	var taken []ConsentChange
	err := s.tx(ctx, "take_consent_changes", func(q *Queries) (err error) {
		taken, err = many(q, consentChangeFields, `UPDATE consent_mirror SET next_at = $2, attempts = attempts + 1
			WHERE sub IN (SELECT sub FROM consent_mirror WHERE next_at <= $1 ORDER BY next_at LIMIT $3) RETURNING sub, changes, attempts`,
			at(q.now), at(q.now.Add(lease)), limit)
		return err
	})
	return taken, err
}

// ConsentsMirrored says that a change was told. What has changed since is still
// to be told.
func (s *Store) ConsentsMirrored(ctx context.Context, c ConsentChange) error {
	return s.tx(ctx, "consents_mirrored", func(q *Queries) error {
		return q.must("DELETE FROM consent_mirror WHERE sub = $1 AND changes = $2", c.Sub, c.Changes)
	})
}

// RetryConsents says when a change is due again. One that came meanwhile is due
// already.
func (s *Store) RetryConsents(ctx context.Context, c ConsentChange, wait time.Duration) error {
	return s.tx(ctx, "retry_consents", func(q *Queries) error {
		return q.must("UPDATE consent_mirror SET next_at = $3 WHERE sub = $1 AND changes = $2", c.Sub, c.Changes, at(q.now.Add(wait)))
	})
}

// ImportConsents adds what a person allowed applications elsewhere, and returns
// what was added: consents to clients that are not registered are left out, and
// what the person allowed or changed here stays as it is.
func (s *Store) ImportConsents(ctx context.Context, sub string, consents []Consent) (added []Consent, err error) {
	err = s.tx(ctx, "import_consents", func(q *Queries) error {
		added = nil
		for _, c := range consents {
			if c.GrantedAt.IsZero() || c.GrantedAt.After(q.now) {
				c.GrantedAt = q.now
			}
			n, err := q.exec(`INSERT INTO consents (sub, client_id, scopes, granted_at, updated_at)
				SELECT $1, c.client_id, $3, CAST($4 AS BIGINT), CAST($4 AS BIGINT) FROM clients c WHERE c.client_id = $2 ORDER BY c.source LIMIT 1
				ON CONFLICT (sub, client_id) DO NOTHING`, sub, c.ClientID, joined(c.Scopes), at(c.GrantedAt))
			if err != nil {
				return err
			}
			if n == 1 {
				added = append(added, c)
			}
		}
		return nil
	})
	return added, err
}
