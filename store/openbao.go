package store

import (
	"context"
	"time"
)

// APIToken is a token of OpenBao that a person made. The token itself is
// nowhere but with them.
type APIToken struct {
	Accessor string
	Sub      string
	// WrappingAccessor is that of the token which it is wrapped in.
	WrappingAccessor string
	CreatedAt        time.Time
	// UnwrapBefore is when the wrapping ends, ExpiresAt when the token does.
	UnwrapBefore time.Time
	ExpiresAt    time.Time
	// UnwrappedAt is when it was first seen unwrapped, EndedAt when it was
	// revoked or first seen gone; zero: neither is known.
	UnwrappedAt time.Time
	EndedAt     time.Time
}

const apiTokenColumns = "accessor, sub, wrapping_accessor, created_at, unwrap_before, expires_at, unwrapped_at, ended_at"

func apiTokenFields(t *APIToken) []any {
	return []any{&t.Accessor, &t.Sub, &t.WrappingAccessor, stamp{&t.CreatedAt}, stamp{&t.UnwrapBefore}, stamp{&t.ExpiresAt}, stamp{&t.UnwrappedAt}, stamp{&t.EndedAt}}
}

// AddAPIToken remembers a token that was just made.
func (s *Store) AddAPIToken(ctx context.Context, t APIToken) error {
	return s.tx(ctx, "add_api_token", func(q *Queries) error {
		return q.must("INSERT INTO api_tokens (accessor, sub, wrapping_accessor, created_at, unwrap_before, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
			t.Accessor, t.Sub, t.WrappingAccessor, at(q.now), at(t.UnwrapBefore), at(t.ExpiresAt))
	})
}

// APITokens lists a person's tokens, the newest first; those that ended are
// there for a day.
func (s *Store) APITokens(ctx context.Context, sub string) ([]APIToken, error) {
	return many(s.read(ctx), apiTokenFields, "SELECT "+apiTokenColumns+" FROM api_tokens WHERE sub = $1 ORDER BY created_at DESC, accessor", sub)
}

// APIToken finds a token of that person. ErrNotFound: it is not theirs.
func (s *Store) APIToken(ctx context.Context, sub, accessor string) (APIToken, error) {
	return one(s.read(ctx), apiTokenFields, "SELECT "+apiTokenColumns+" FROM api_tokens WHERE accessor = $1 AND sub = $2", accessor, sub)
}

// MarkAPIToken notes what became of a token, now; what was noted stays.
func (s *Store) MarkAPIToken(ctx context.Context, accessor string, unwrapped, ended bool) error {
	return s.tx(ctx, "mark_api_token", func(q *Queries) error {
		for column, seen := range map[string]bool{"unwrapped_at": unwrapped, "ended_at": ended} {
			if !seen {
				continue
			}
			if err := q.must("UPDATE api_tokens SET "+column+" = $2 WHERE accessor = $1 AND "+column+" IS NULL", accessor, at(q.now)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Certificate is a client certificate that OpenBao signed for a person.
type Certificate struct {
	// Serial is the serial number in OpenBao's form: pairs of lower-case hex
	// digits with colons between them.
	Serial     string
	Sub        string
	CommonName string
	NotBefore  time.Time
	NotAfter   time.Time
	CreatedAt  time.Time
	RevokedAt  time.Time // zero: not by us, or not at all
}

const certificateColumns = "serial, sub, common_name, not_before, not_after, created_at, revoked_at"

func certificateFields(c *Certificate) []any {
	return []any{&c.Serial, &c.Sub, &c.CommonName, stamp{&c.NotBefore}, stamp{&c.NotAfter}, stamp{&c.CreatedAt}, stamp{&c.RevokedAt}}
}

// AddCertificate remembers a certificate that was just signed.
func (s *Store) AddCertificate(ctx context.Context, c Certificate) error {
	return s.tx(ctx, "add_certificate", func(q *Queries) error {
		return q.must("INSERT INTO certificates (serial, sub, common_name, not_before, not_after, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
			c.Serial, c.Sub, c.CommonName, at(c.NotBefore), at(c.NotAfter), at(q.now))
	})
}

// Certificates lists a person's certificates, the newest first, at most limit.
func (s *Store) Certificates(ctx context.Context, sub string, limit int) ([]Certificate, error) {
	return many(s.read(ctx), certificateFields, "SELECT "+certificateColumns+" FROM certificates WHERE sub = $1 ORDER BY created_at DESC, serial LIMIT $2", sub, limit)
}

// Certificate finds a certificate of that person. ErrNotFound: it is not theirs.
func (s *Store) Certificate(ctx context.Context, sub, serial string) (Certificate, error) {
	return one(s.read(ctx), certificateFields, "SELECT "+certificateColumns+" FROM certificates WHERE serial = $1 AND sub = $2", serial, sub)
}

// MarkRevoked notes when a certificate was revoked; what was noted stays.
func (s *Store) MarkRevoked(ctx context.Context, serial string, when time.Time) error {
	return s.tx(ctx, "mark_revoked", func(q *Queries) error {
		return q.must("UPDATE certificates SET revoked_at = $2 WHERE serial = $1 AND revoked_at IS NULL", serial, at(when))
	})
}
