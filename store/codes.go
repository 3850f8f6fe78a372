package store

import (
	"context"
	"errors"
	"time"
)

// Code is an authorization code (RFC 6749 section 4.1.2); only its SHA-256 is
// stored. Its row outlives its use, so that a replay is recognised.
type Code struct {
	Hash          []byte
	FamilyID      string
	ClientID      string
	Sub           string
	SessionID     string
	RedirectURI   string
	CodeChallenge string // S256 (RFC 7636); empty when the client sent none
	// Grant is what the person agreed to, as JSON.
	Grant     string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time
}

const codeColumns = "code_hash, family_id, client_id, sub, session_id, redirect_uri, code_challenge, grant_document, created_at, expires_at, used_at"

func codeFields(c *Code) []any {
	return []any{&c.Hash, &c.FamilyID, &c.ClientID, &c.Sub, &c.SessionID, &c.RedirectURI, &c.CodeChallenge, &c.Grant, stamp{&c.CreatedAt}, stamp{&c.ExpiresAt}, stamp{&c.UsedAt}}
}

// IssueCode finishes a request with a code, once: of two tabs that come back
// together one gets ErrNotFound. requestID is "" for an authorization that
// ends at once and has no row. A session that ended meanwhile is ErrRevoked.
func (s *Store) IssueCode(ctx context.Context, requestID string, browserHash []byte, c Code, lifetime time.Duration) error {
	return s.tx(ctx, "issue_code", func(q *Queries) error {
		if requestID != "" {
			if err := q.finishRequest(requestID, browserHash); err != nil {
				return err
			}
		}
		if err := q.liveSession(c.SessionID, c.Sub); err != nil {
			return err
		}
		err := q.must(`INSERT INTO codes (code_hash, family_id, client_id, sub, session_id, redirect_uri, code_challenge, grant_document, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			c.Hash, c.FamilyID, c.ClientID, c.Sub, c.SessionID, c.RedirectURI, c.CodeChallenge, c.Grant, at(q.now), at(q.now.Add(lifetime)))
		if err != nil {
			return err
		}
		return q.must("UPDATE consents SET last_used_at = $3 WHERE sub = $1 AND client_id = $2", c.Sub, c.ClientID, at(q.now))
	})
}

// liveSession is ErrRevoked unless the session is alive and of that person,
// who is enabled.
func (q *Queries) liveSession(id, sub string) error {
	_, err := one(q, text, `SELECT s.id FROM sessions s JOIN users u ON u.sub = s.sub
		WHERE s.id = $1 AND s.sub = $2 AND s.expires_at > $3 AND u.disabled = FALSE`, id, sub, at(q.now))
	if errors.Is(err, ErrNotFound) {
		err = ErrRevoked
	}
	return err
}

// Code reads a code in any state but forgotten; UsedAt tells a used one.
func (s *Store) Code(ctx context.Context, hash []byte) (Code, error) {
	return one(s.read(ctx), codeFields, "SELECT "+codeColumns+" FROM codes WHERE code_hash = $1", hash)
}

// BurnCode makes a code worthless after a wrong verifier, redirect address or
// client: whoever sent it may have stolen it.
func (s *Store) BurnCode(ctx context.Context, hash []byte) error {
	return s.tx(ctx, "burn_code", func(q *Queries) error {
		return q.must("UPDATE codes SET used_at = $2 WHERE code_hash = $1 AND used_at IS NULL", hash, at(q.now))
	})
}

// Issue is what one grant stores: hashes of the tokens that it hands out.
type Issue struct {
	AccessHash    []byte
	AccessExpires time.Time
	Scopes        []string
	// RefreshHash is nil without offline_access.
	RefreshHash    []byte
	RefreshExpires time.Time
}

// RedeemCode spends a code and begins its token family with the first
// tokens, once over all replicas (RFC 6749 section 4.1.2). ErrReplayed: it was
// spent before; all tokens of its family are revoked in the same transaction.
// ErrNotFound: unknown, expired or another client's. ErrRevoked: the person is
// disabled, or the session ended meanwhile and the grant is not offline.
func (s *Store) RedeemCode(ctx context.Context, hash []byte, clientID string, offline bool, familyExpires time.Time, issue Issue) error {
	var outcome error
	err := s.tx(ctx, "redeem_code", func(q *Queries) error {
		outcome = nil
		code, err := one(q, codeFields, `UPDATE codes SET used_at = $2 WHERE code_hash = $1 AND used_at IS NULL AND expires_at > $2 AND client_id = $3
			AND EXISTS (SELECT 1 FROM users u WHERE u.sub = codes.sub AND u.disabled = FALSE)
			AND ($4 OR EXISTS (SELECT 1 FROM sessions s WHERE s.id = codes.session_id)) RETURNING `+codeColumns, hash, at(q.now), clientID, offline)
		if err == ErrNotFound {
			outcome, err = q.refuseCode(hash, clientID)
			return err
		}
		if err != nil {
			return err
		}
		err = q.must(`INSERT INTO families (id, client_id, sub, session_id, offline, grant_document, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			code.FamilyID, code.ClientID, code.Sub, code.SessionID, offline, code.Grant, at(q.now), at(familyExpires))
		if err != nil {
			return err
		}
		return q.issue(code.FamilyID, issue)
	})
	if err != nil {
		return err
	}
	return outcome
}

// refuseCode finds out why a code could not be claimed. A replay revokes what
// the code gave (RFC 9700 section 4.5.2); that must be committed, so it is an
// outcome and not an error of the transaction.
func (q *Queries) refuseCode(hash []byte, clientID string) (outcome, err error) {
	code, err := one(q, codeFields, "SELECT "+codeColumns+" FROM codes WHERE code_hash = $1", hash)
	switch {
	case err == ErrNotFound:
		return ErrNotFound, nil
	case err != nil:
		return nil, err
	case code.UsedAt.IsZero() && code.ClientID == clientID && code.ExpiresAt.After(q.now):
		return ErrRevoked, nil
	case code.UsedAt.IsZero():
		return ErrNotFound, nil
	}
	err = q.must("UPDATE families SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", code.FamilyID, at(q.now))
	return ErrReplayed, err
}

func (q *Queries) issue(familyID string, i Issue) error {
	if i.AccessHash != nil {
		err := q.must("INSERT INTO access_tokens (token_hash, family_id, scopes, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
			i.AccessHash, familyID, joined(i.Scopes), at(q.now), at(i.AccessExpires))
		if err != nil {
			return err
		}
	}
	if i.RefreshHash == nil {
		return nil
	}
	return q.must("INSERT INTO refresh_tokens (token_hash, family_id, created_at, expires_at, scope) VALUES ($1, $2, $3, $4, '')",
		i.RefreshHash, familyID, at(q.now), at(i.RefreshExpires))
}
