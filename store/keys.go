package store

import (
	"context"
	"errors"
	"time"
)

// States of a signing key.
const (
	KeyNext    = "next"    // published, not yet used
	KeyActive  = "active"  // signs
	KeyRetired = "retired" // verifies until all it signed has expired
)

// SigningKey is a key that signs tokens. Private is PKCS #8, sealed in the row.
type SigningKey struct {
	KID         string
	Alg         string
	State       string
	Private     []byte
	PublicJWK   string
	CreatedAt   time.Time
	ActivatedAt time.Time
	RetiredAt   time.Time
	// PromoteAt is when a next key is to become active; zero: not asked for.
	PromoteAt time.Time
	// WithdrawnAt: the key leaked and verifies nothing any more.
	WithdrawnAt time.Time
	LastUsedAt  time.Time
}

const keyColumns = "kid, alg, state, sealed_private, public_jwk, created_at, activated_at, retired_at, promote_at, withdrawn_at, last_used_at"

func keyFields(k *SigningKey) []any {
	return []any{&k.KID, &k.Alg, &k.State, &k.Private, &k.PublicJWK, stamp{&k.CreatedAt}, stamp{&k.ActivatedAt}, stamp{&k.RetiredAt}, stamp{&k.PromoteAt}, stamp{&k.WithdrawnAt}, stamp{&k.LastUsedAt}}
}

func keyPlace(kid string) sealedColumn {
	return sealedColumn{"signing_keys", "sealed_private", "kid = $2", kid}
}

// SigningKeys lists all keys, oldest first, with their private halves opened.
func (s *Store) SigningKeys(ctx context.Context) ([]SigningKey, error) {
	keys, err := s.PublicKeys(ctx)
	if err != nil {
		return nil, err
	}
	for i := range keys {
		if keys[i].Private, err = s.unseal(ctx, keys[i].Private, keyPlace(keys[i].KID)); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// PublicKeys lists all keys, oldest first, without opening their private
// halves: it needs no secret key.
func (s *Store) PublicKeys(ctx context.Context) ([]SigningKey, error) {
	return many(s.read(ctx), keyFields, "SELECT "+keyColumns+" FROM signing_keys ORDER BY created_at, kid")
}

// AddSigningKey adds a next or active key. ErrExists: the key is known in any
// state (a retired one never comes back), or its place is taken.
func (s *Store) AddSigningKey(ctx context.Context, k SigningKey) error {
	sealed, err := s.seals.seal(k.Private, keyPlace(k.KID).place())
	if err != nil {
		return err
	}
	return s.tx(ctx, "add_signing_key", func(q *Queries) error { return q.addSigningKey(k, sealed) })
}

// ReplaceActiveKey adds an active key; the one before retires.
func (s *Store) ReplaceActiveKey(ctx context.Context, k SigningKey) error {
	sealed, err := s.seals.seal(k.Private, keyPlace(k.KID).place())
	if err != nil {
		return err
	}
	k.State = KeyActive
	return s.tx(ctx, "replace_active_key", func(q *Queries) error {
		if _, err := one(q, text, "SELECT kid FROM signing_keys WHERE kid = $1", k.KID); !errors.Is(err, ErrNotFound) {
			if err == nil {
				err = ErrExists
			}
			return err
		}
		if err := q.must("UPDATE signing_keys SET state = 'retired', retired_at = $2 WHERE alg = $1 AND state = 'active'", k.Alg, at(q.now)); err != nil {
			return err
		}
		return q.addSigningKey(k, sealed)
	})
}

func (q *Queries) addSigningKey(k SigningKey, sealed []byte) error {
	var activated time.Time
	if k.State == KeyActive {
		activated = q.now
	}
	err := q.must("INSERT INTO signing_keys (kid, alg, state, sealed_private, public_jwk, created_at, activated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		k.KID, k.Alg, k.State, sealed, k.PublicJWK, at(q.now), at(activated))
	if err != nil {
		return err
	}
	return q.raise(TopicKeys)
}

// SchedulePromotion says when the next key of an algorithm is to become
// active; an earlier time that was said before stays. ErrNotFound: there is none.
func (s *Store) SchedulePromotion(ctx context.Context, kid string, when time.Time) error {
	return s.tx(ctx, "schedule_promotion", func(q *Queries) error {
		n, err := q.exec("UPDATE signing_keys SET promote_at = $2 WHERE kid = $1 AND state = 'next' AND (promote_at IS NULL OR promote_at > $2)", kid, at(when))
		if err != nil || n == 1 {
			return err
		}
		_, err = one(q, text, "SELECT kid FROM signing_keys WHERE kid = $1 AND state = 'next'", kid)
		return err
	})
}

// PromoteKey makes a next key the active one of its algorithm, once over all
// replicas; the active one retires. ErrNotFound: it is no next key (any more).
func (s *Store) PromoteKey(ctx context.Context, kid string) error {
	return s.tx(ctx, "promote_key", func(q *Queries) error { return q.promoteKey(kid) })
}

func (q *Queries) promoteKey(kid string) error {
	alg, err := one(q, text, "SELECT alg FROM signing_keys WHERE kid = $1 AND state = 'next'", kid)
	if err != nil {
		return err
	}
	if err := q.must("UPDATE signing_keys SET state = 'retired', retired_at = $2 WHERE alg = $1 AND state = 'active'", alg, at(q.now)); err != nil {
		return err
	}
	if err := q.must("UPDATE signing_keys SET state = 'active', activated_at = $2, promote_at = NULL WHERE kid = $1", kid, at(q.now)); err != nil {
		return err
	}
	return q.raise(TopicKeys)
}

// RetireKey takes a key out of use; withdrawn takes it out of the key set too.
// When it was the active one, the next key of its algorithm is promoted in the
// same transaction: there is always one that signs. ErrNotFound: no such key,
// or it was active and there is none to follow it.
func (s *Store) RetireKey(ctx context.Context, kid string, withdrawn bool) error {
	return s.tx(ctx, "retire_key", func(q *Queries) error {
		state, err := one(q, text, "SELECT state FROM signing_keys WHERE kid = $1", kid)
		if err != nil {
			return err
		}
		if state == KeyActive {
			next, err := one(q, text, "SELECT n.kid FROM signing_keys n JOIN signing_keys a ON a.alg = n.alg WHERE a.kid = $1 AND n.state = 'next'", kid)
			if err != nil {
				return err
			}
			if err := q.promoteKey(next); err != nil {
				return err
			}
		}
		if err := q.must("UPDATE signing_keys SET state = 'retired', retired_at = COALESCE(retired_at, $2), promote_at = NULL WHERE kid = $1", kid, at(q.now)); err != nil {
			return err
		}
		if withdrawn {
			if err := q.must("UPDATE signing_keys SET withdrawn_at = COALESCE(withdrawn_at, $2) WHERE kid = $1", kid, at(q.now)); err != nil {
				return err
			}
		}
		return q.raise(TopicKeys)
	})
}

// MarkKeysUsed records when keys last signed. Replicas write it now and then;
// the latest time stays.
func (s *Store) MarkKeysUsed(ctx context.Context, used map[string]time.Time) error {
	return s.tx(ctx, "mark_keys_used", func(q *Queries) error {
		for kid, when := range used {
			if err := q.must("UPDATE signing_keys SET last_used_at = $2 WHERE kid = $1 AND (last_used_at IS NULL OR last_used_at < $2)", kid, at(when)); err != nil {
				return err
			}
		}
		return nil
	})
}
