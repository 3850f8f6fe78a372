package store

import (
	"context"
	"time"
)

// Consent is what a person allowed a client to know.
type Consent struct {
	Sub        string
	ClientID   string
	Scopes     []string
	GrantedAt  time.Time
	UpdatedAt  time.Time
	LastUsedAt time.Time
}

const consentColumns = "sub, client_id, scopes, granted_at, updated_at, last_used_at"

func consentFields(c *Consent) []any {
	return []any{&c.Sub, &c.ClientID, words{&c.Scopes}, stamp{&c.GrantedAt}, stamp{&c.UpdatedAt}, stamp{&c.LastUsedAt}}
}

// Consent finds what a person allowed a client; ErrNotFound when nothing.
func (s *Store) Consent(ctx context.Context, sub, clientID string) (Consent, error) {
	return s.read(ctx).consent(sub, clientID)
}

func (q *Queries) consent(sub, clientID string) (Consent, error) {
	return one(q, consentFields, "SELECT "+consentColumns+" FROM consents WHERE sub = $1 AND client_id = $2", sub, clientID)
}

// Consents lists what a person allowed, by client.
func (s *Store) Consents(ctx context.Context, sub string) ([]Consent, error) {
	return many(s.read(ctx), consentFields, "SELECT "+consentColumns+" FROM consents WHERE sub = $1 ORDER BY client_id", sub)
}

func (q *Queries) grantConsent(sub, clientID string, scopes []string) error {
	if err := q.noteConsents(sub); err != nil {
		return err
	}
	return q.must(`INSERT INTO consents (sub, client_id, scopes, granted_at, updated_at) VALUES ($1, $2, $3, $4, $4)
		ON CONFLICT (sub, client_id) DO UPDATE SET scopes = excluded.scopes, updated_at = excluded.updated_at`,
		sub, clientID, joined(scopes), at(q.now))
}

// RevokeConsent takes a consent back: what the client got for this person dies
// with it, and the client is told that they are signed out there. ErrNotFound:
// there is none.
func (s *Store) RevokeConsent(ctx context.Context, sub, clientID string) error {
	return s.tx(ctx, "revoke_consent", func(q *Queries) error {
		n, err := q.exec("DELETE FROM consents WHERE sub = $1 AND client_id = $2", sub, clientID)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		if err := q.noteConsents(sub); err != nil {
			return err
		}
		if err := q.addClientLogouts(sub, clientID); err != nil {
			return err
		}
		for _, statement := range []string{
			"DELETE FROM codes WHERE sub = $1 AND client_id = $2 AND used_at IS NULL",
			"DELETE FROM device_codes WHERE sub = $1 AND client_id = $2 AND used_at IS NULL",
		} {
			if err := q.must(statement, sub, clientID); err != nil {
				return err
			}
		}
		return q.must("UPDATE families SET revoked_at = $3 WHERE sub = $1 AND client_id = $2 AND revoked_at IS NULL", sub, clientID, at(q.now))
	})
}

// addClientLogouts notes the end of all sessions that a person has at one
// client: each by its id while it lives here, the others all at once.
func (q *Queries) addClientLogouts(sub, clientID string) error {
	sessions, err := many(q, text, `SELECT DISTINCT COALESCE(s.id, '') FROM families f LEFT JOIN sessions s ON s.id = f.session_id
		WHERE f.sub = $1 AND f.client_id = $2 AND f.revoked_at IS NULL`, sub, clientID)
	if err != nil {
		return err
	}
	for _, id := range sessions {
		if err := q.addLogout(clientID, sub, id); err != nil {
			return err
		}
	}
	return nil
}
