package store

import (
	"bytes"
	"context"
	"time"
)

// Family is all tokens that came from one authorization. Revoking it revokes
// them.
type Family struct {
	ID       string
	ClientID string
	// Sub is "" when the client acts for itself (client_credentials).
	Sub       string
	SessionID string
	// Offline families (scope offline_access) outlive their session.
	Offline   bool
	Grant     string
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time
}

const familyColumns = "f.id, f.client_id, COALESCE(f.sub, ''), f.session_id, f.offline, f.grant_document, f.created_at, f.expires_at, f.revoked_at"

func familyFields(f *Family) []any {
	return []any{&f.ID, &f.ClientID, &f.Sub, &f.SessionID, &f.Offline, &f.Grant, stamp{&f.CreatedAt}, stamp{&f.ExpiresAt}, stamp{&f.RevokedAt}}
}

// Alive tells whether the family's tokens still count at that time.
func (f Family) Alive(now time.Time) bool { return f.RevokedAt.IsZero() && f.ExpiresAt.After(now) }

// AccessToken is a live access token with its family.
type AccessToken struct {
	Family    Family
	Scopes    []string
	CreatedAt time.Time
	ExpiresAt time.Time
	// Person is whom it speaks for; nobody when the client acts for itself.
	Person Person
}

const tokenColumns = familyColumns + ", t.scopes, t.created_at, t.expires_at"

func tokenFields(t *AccessToken) []any {
	return append(familyFields(&t.Family), words{&t.Scopes}, stamp{&t.CreatedAt}, stamp{&t.ExpiresAt})
}

// AccessToken finds a live access token by its hash, and the person: one
// indexed read, for it is asked at every call of an application.
func (s *Store) AccessToken(ctx context.Context, hash []byte) (AccessToken, error) {
	const alive = "t.token_hash = $1 AND t.expires_at > $2 AND f.revoked_at IS NULL AND f.expires_at > $2"
	type row struct {
		AccessToken
		personRow
	}
	q := s.read(ctx)
	r, err := one(q, func(r *row) []any { return append(tokenFields(&r.AccessToken), personFields(&r.personRow)...) },
		"SELECT "+tokenColumns+", "+s.personColumns()+" FROM access_tokens t JOIN families f ON f.id = t.family_id JOIN users u ON u.sub = f.sub WHERE "+alive, hash, at(q.now))
	if err == ErrNotFound { // a client's own, if it is there
		return one(q, tokenFields, "SELECT "+tokenColumns+" FROM access_tokens t JOIN families f ON f.id = t.family_id WHERE f.sub IS NULL AND "+alive, hash, at(q.now))
	}
	if err != nil {
		return AccessToken{}, err
	}
	r.AccessToken.Person, err = r.person()
	return r.AccessToken, err
}

// RefreshToken is a refresh token in any state, with its family.
type RefreshToken struct {
	Hash          []byte
	Family        Family
	CreatedAt     time.Time
	ExpiresAt     time.Time
	SpentAt       time.Time
	SuccessorHash []byte
	// Scope is the scope parameter that it was spent with.
	Scope string
	// Answer is what it answered when spent, sealed by the caller under a key
	// that only the token's holder can derive.
	Answer []byte
}

const refreshColumns = "r.token_hash, r.created_at, r.expires_at, r.spent_at, r.successor_hash, r.scope, r.sealed_answer"

func refreshFields(t *RefreshToken) []any {
	return append([]any{&t.Hash, stamp{&t.CreatedAt}, stamp{&t.ExpiresAt}, stamp{&t.SpentAt}, &t.SuccessorHash, &t.Scope, &t.Answer}, familyFields(&t.Family)...)
}

// RefreshToken finds a refresh token by its hash, spent ones included.
func (s *Store) RefreshToken(ctx context.Context, hash []byte) (RefreshToken, error) {
	return s.read(ctx).refreshToken(hash)
}

func (q *Queries) refreshToken(hash []byte) (RefreshToken, error) {
	return one(q, refreshFields, "SELECT "+refreshColumns+", "+familyColumns+" FROM refresh_tokens r JOIN families f ON f.id = r.family_id WHERE r.token_hash = $1", hash)
}

// Rotation is what spending a refresh token stores.
type Rotation struct {
	ClientID string
	Issue    Issue
	Scope    string
	Answer   []byte
	// Grace is how long a repeat gets the same answer.
	Grace time.Duration
}

// RotateRefresh spends a refresh token and issues its successor, once over
// all replicas. When another request spent it within the grace, and with the
// same scope, that request's sealed answer comes back instead (lost responses
// and racing replicas). Otherwise a spent token is theft: the family is
// revoked and ErrReused returned. ErrNotFound: unknown, expired or another
// client's. ErrRevoked: the family or the person is no longer alive.
func (s *Store) RotateRefresh(ctx context.Context, hash []byte, r Rotation) (answer []byte, err error) {
	var outcome error
	err = s.tx(ctx, "rotate_refresh", func(q *Queries) error {
		answer, outcome = nil, nil
		n, err := q.exec(`UPDATE refresh_tokens SET spent_at = $2, successor_hash = $3, scope = $4, sealed_answer = $5
			WHERE token_hash = $1 AND spent_at IS NULL AND expires_at > $2 AND EXISTS (
				SELECT 1 FROM families f JOIN users u ON u.sub = f.sub WHERE f.id = refresh_tokens.family_id
				AND f.client_id = $6 AND f.revoked_at IS NULL AND f.expires_at > $2 AND u.disabled = FALSE)`,
			hash, at(q.now), r.Issue.RefreshHash, r.Scope, r.Answer, r.ClientID)
		if err != nil {
			return err
		}
		if n == 0 {
			answer, outcome, err = q.repeatRefresh(hash, r)
			return err
		}
		token, err := q.refreshToken(hash)
		if err != nil {
			return err
		}
		err = q.must("UPDATE consents SET last_used_at = $3 WHERE sub = $1 AND client_id = $2", token.Family.Sub, r.ClientID, at(q.now))
		if err != nil {
			return err
		}
		// The predecessor's grace ends when its successor is first used.
		if err := q.must("UPDATE refresh_tokens SET sealed_answer = NULL WHERE successor_hash = $1", hash); err != nil {
			return err
		}
		return q.issue(token.Family.ID, r.Issue)
	})
	if err != nil {
		return nil, err
	}
	return answer, outcome
}

// repeatRefresh decides about a token that could not be claimed. Revocation
// must be committed, so verdicts are outcomes and not errors.
func (q *Queries) repeatRefresh(hash []byte, r Rotation) (answer []byte, outcome, err error) {
	token, err := q.refreshToken(hash)
	switch {
	case err == ErrNotFound:
		return nil, ErrNotFound, nil
	case err != nil:
		return nil, nil, err
	case token.Family.ClientID != r.ClientID:
		return nil, ErrNotFound, nil
	case !token.Family.Alive(q.now):
		return nil, ErrRevoked, nil
	case token.SpentAt.IsZero() && !token.ExpiresAt.After(q.now):
		return nil, ErrNotFound, nil
	case token.SpentAt.IsZero():
		return nil, ErrRevoked, nil // the person is disabled
	case token.Answer != nil && token.Scope == r.Scope && q.now.Sub(token.SpentAt) < r.Grace:
		return bytes.Clone(token.Answer), nil, nil
	}
	return nil, ErrReused, q.must("UPDATE families SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", token.Family.ID, at(q.now))
}

// RevokeFamily revokes all tokens of one authorization.
func (s *Store) RevokeFamily(ctx context.Context, id string) error {
	return s.tx(ctx, "revoke_family", func(q *Queries) error {
		return q.must("UPDATE families SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", id, at(q.now))
	})
}

// IssueClientToken begins a family without a person (RFC 6749 section 4.4).
func (s *Store) IssueClientToken(ctx context.Context, f Family, issue Issue) error {
	return s.tx(ctx, "issue_client_token", func(q *Queries) error {
		err := q.must("INSERT INTO families (id, client_id, sub, session_id, offline, grant_document, created_at, expires_at) VALUES ($1, $2, NULL, '', FALSE, $3, $4, $5)",
			f.ID, f.ClientID, f.Grant, at(q.now), at(f.ExpiresAt))
		if err != nil {
			return err
		}
		return q.issue(f.ID, issue)
	})
}

// RevokeToken revokes what a client hands in (RFC 7009): an access token
// alone, or a refresh token with its whole family. Somebody else's or an
// unknown token is ErrNotFound.
func (s *Store) RevokeToken(ctx context.Context, hash []byte, clientID string) (Family, error) {
	var family Family
	err := s.tx(ctx, "revoke_token", func(q *Queries) (err error) {
		family, err = one(q, familyFields, `SELECT `+familyColumns+` FROM access_tokens a JOIN families f ON f.id = a.family_id WHERE a.token_hash = $1 AND f.client_id = $2`, hash, clientID)
		if err == nil {
			return q.must("DELETE FROM access_tokens WHERE token_hash = $1", hash)
		}
		if err != ErrNotFound {
			return err
		}
		if family, err = one(q, familyFields, `SELECT `+familyColumns+` FROM refresh_tokens r JOIN families f ON f.id = r.family_id WHERE r.token_hash = $1 AND f.client_id = $2`, hash, clientID); err != nil {
			return err
		}
		return q.must("UPDATE families SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", family.ID, at(q.now))
	})
	return family, err
}
