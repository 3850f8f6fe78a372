package store

import (
	"context"
	"time"
)

// Passkey is a WebAuthn credential of a person.
type Passkey struct {
	// ID is the credential id that the authenticator chose.
	ID   []byte
	Sub  string
	Name string
	// Credential is the credential record (WebAuthn section 4) as JSON. It is
	// no secret, but sealed in the row all the same: whoever can write to the
	// database must not be able to give somebody a passkey.
	Credential []byte
	// SignCount is the authenticator's signature counter (WebAuthn section
	// 6.1.1) after the last use; 0 when it keeps none.
	SignCount  uint32
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never
}

const passkeyColumns = "credential_id, sub, name, sealed_credential, sign_count, created_at, last_used_at"

func passkeyFields(p *Passkey) []any {
	return []any{&p.ID, &p.Sub, &p.Name, &p.Credential, &p.SignCount, stamp{&p.CreatedAt}, stamp{&p.LastUsedAt}}
}

func passkeyPlace(id []byte) sealedColumn {
	return sealedColumn{"passkeys", "sealed_credential", "credential_id = $2", id}
}

// AddPasskey stores a new passkey. ErrExists: that credential is somebody's already.
func (s *Store) AddPasskey(ctx context.Context, p Passkey) error {
	sealed, err := s.seals.seal(p.Credential, passkeyPlace(p.ID).place())
	if err != nil {
		return err
	}
	return s.tx(ctx, "add_passkey", func(q *Queries) error {
		return q.must("INSERT INTO passkeys (credential_id, sub, name, sealed_credential, sign_count, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
			p.ID, p.Sub, p.Name, sealed, int64(p.SignCount), at(q.now))
	})
}

// Passkeys lists a person's passkeys, the oldest first.
func (s *Store) Passkeys(ctx context.Context, sub string) ([]Passkey, error) {
	list, err := many(s.read(ctx), passkeyFields, "SELECT "+passkeyColumns+" FROM passkeys WHERE sub = $1 ORDER BY created_at, credential_id", sub)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i], err = s.openPasskey(ctx, list[i], nil); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s *Store) openPasskey(ctx context.Context, p Passkey, err error) (Passkey, error) {
	if err != nil {
		return Passkey{}, err
	}
	p.Credential, err = s.unseal(ctx, p.Credential, passkeyPlace(p.ID))
	return p, err
}

// Passkey finds a passkey by its credential id.
func (s *Store) Passkey(ctx context.Context, id []byte) (Passkey, error) {
	p, err := one(s.read(ctx), passkeyFields, "SELECT "+passkeyColumns+" FROM passkeys WHERE credential_id = $1", id)
	return s.openPasskey(ctx, p, err)
}

// UsePasskey records a use with the new signature counter and credential
// record. ErrSignCount: the counter did not go up since the last use, so a copy
// of the key may be about (WebAuthn section 7.2 step 22). ErrNotFound: it was
// removed meanwhile.
func (s *Store) UsePasskey(ctx context.Context, id []byte, signCount uint32, credential []byte) error {
	sealed, err := s.seals.seal(credential, passkeyPlace(id).place())
	if err != nil {
		return err
	}
	return s.tx(ctx, "use_passkey", func(q *Queries) error {
		n, err := q.exec(`UPDATE passkeys SET sign_count = $2, sealed_credential = $3, last_used_at = $4
			WHERE credential_id = $1 AND (sign_count < $2 OR sign_count = 0 AND $2 = 0)`, id, int64(signCount), sealed, at(q.now))
		if err != nil || n > 0 {
			return err
		}
		if _, err := one(q, text, "SELECT sub FROM passkeys WHERE credential_id = $1", id); err != nil {
			return err
		}
		return ErrSignCount
	})
}

// RenamePasskey gives a passkey of that person another name. ErrNotFound: it is
// not theirs.
func (s *Store) RenamePasskey(ctx context.Context, sub string, id []byte, name string) error {
	return s.tx(ctx, "rename_passkey", func(q *Queries) error {
		n, err := q.exec("UPDATE passkeys SET name = $3 WHERE credential_id = $1 AND sub = $2", id, sub, name)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
}

// RemovePasskey removes a passkey of that person. With the last one the
// recovery codes go too, unless keepCodes says that another second factor is
// there. ErrNotFound: it is not theirs.
func (s *Store) RemovePasskey(ctx context.Context, sub string, id []byte, keepCodes bool) error {
	return s.tx(ctx, "remove_passkey", func(q *Queries) error {
		n, err := q.exec("DELETE FROM passkeys WHERE credential_id = $1 AND sub = $2", id, sub)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		if err != nil || keepCodes {
			return err
		}
		return q.removeOrphanedRecoveryCodes(sub)
	})
}

// Ceremony is a WebAuthn challenge that waits for its answer.
type Ceremony struct {
	Challenge string // base64url
	// Purpose is what the answer may be used for.
	Purpose string
	// Sub is who must answer, "" when that is what the answer shall tell.
	Sub string
	// Document is the state of the ceremony as JSON.
	Document  string
	ExpiresAt time.Time
}

func ceremonyFields(c *Ceremony) []any {
	return []any{&c.Challenge, &c.Purpose, &c.Sub, &c.Document, stamp{&c.ExpiresAt}}
}

// PutCeremony remembers a challenge for a browser.
func (s *Store) PutCeremony(ctx context.Context, browserHash []byte, c Ceremony, lifetime time.Duration) error {
	return s.tx(ctx, "put_ceremony", func(q *Queries) error {
		return q.must("INSERT INTO ceremonies (challenge, browser_hash, purpose, sub, document, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
			c.Challenge, browserHash, c.Purpose, c.Sub, c.Document, at(q.now.Add(lifetime)))
	})
}

// TakeCeremony uses a challenge up. ErrNotFound: it is unknown, used, too old,
// another browser's or for another purpose; then it stays as it is.
func (s *Store) TakeCeremony(ctx context.Context, browserHash []byte, challenge, purpose string) (Ceremony, error) {
	var c Ceremony
	err := s.tx(ctx, "take_ceremony", func(q *Queries) (err error) {
		c, err = one(q, ceremonyFields, `DELETE FROM ceremonies WHERE challenge = $1 AND browser_hash = $2 AND purpose = $3 AND expires_at > $4
			RETURNING challenge, purpose, sub, document, expires_at`, challenge, browserHash, purpose, at(q.now))
		return err
	})
	return c, err
}
