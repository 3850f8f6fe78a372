package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"time"
)

// RecoveryState is what may be told of a person's recovery codes.
type RecoveryState struct {
	Left      int64
	CreatedAt time.Time // zero without any
}

// hashRecovery hashes a recovery code under each key, the current one first. A
// code has 60 bits: whoever holds a copy of the database could try them all
// against a plain hash, but not without PEERAGE_SECRET_KEY. A slow hash would
// be weaker than the key, and would let guesses cost us time. The person is
// part of it, so that a row moved to another person opens nothing.
func (s seals) hashRecovery(sub, code string) ([][]byte, error) {
	if len(s) == 0 {
		return nil, ErrNoSecretKey
	}
	var list [][]byte
	for _, key := range s {
		mac := hmac.New(sha256.New, key.recovery)
		mac.Write([]byte(sub + "\x00" + code))
		list = append(list, mac.Sum(nil))
	}
	return list, nil
}

// PutRecoveryCodes gives a person these recovery codes, normalised; those from
// before no longer work.
func (s *Store) PutRecoveryCodes(ctx context.Context, sub string, codes []string) error {
	hashes := make([][]byte, len(codes))
	for i, code := range codes {
		list, err := s.seals.hashRecovery(sub, code)
		if err != nil {
			return err
		}
		hashes[i] = list[0]
	}
	return s.tx(ctx, "put_recovery_codes", func(q *Queries) error {
		if err := q.removeRecoveryCodes(sub); err != nil {
			return err
		}
		for _, hash := range hashes {
			if err := q.must("INSERT INTO recovery_codes (sub, code_hash, created_at) VALUES ($1, $2, $3)", sub, hash, at(q.now)); err != nil {
				return err
			}
		}
		return nil
	})
}

// TakeRecoveryCode uses a recovery code up, once over all replicas, and tells
// how many are left. ErrNotFound: it is wrong, was used, or was replaced.
func (s *Store) TakeRecoveryCode(ctx context.Context, sub, code string) (left int64, err error) {
	hashes, err := s.seals.hashRecovery(sub, code)
	if err != nil {
		return 0, err
	}
	err = s.tx(ctx, "take_recovery_code", func(q *Queries) error {
		var taken int64
		for _, hash := range hashes {
			n, err := q.exec("DELETE FROM recovery_codes WHERE sub = $1 AND code_hash = $2", sub, hash)
			if err != nil {
				return err
			}
			taken += n
		}
		if taken == 0 {
			return ErrNotFound
		}
		left, err = one(q, number, "SELECT COUNT(*) FROM recovery_codes WHERE sub = $1", sub)
		return err
	})
	return left, err
}

// RecoveryState tells how many recovery codes a person has left.
func (s *Store) RecoveryState(ctx context.Context, sub string) (RecoveryState, error) {
	return one(s.read(ctx), func(r *RecoveryState) []any { return []any{&r.Left, stamp{&r.CreatedAt}} },
		"SELECT COUNT(*), MIN(created_at) FROM recovery_codes WHERE sub = $1", sub)
}

// RemoveOrphanedRecoveryCodes removes a person's recovery codes unless they
// have a passkey: without a second factor there is nothing to recover.
func (s *Store) RemoveOrphanedRecoveryCodes(ctx context.Context, sub string) error {
	return s.tx(ctx, "remove_orphaned_recovery_codes", func(q *Queries) error { return q.removeOrphanedRecoveryCodes(sub) })
}

func (q *Queries) removeOrphanedRecoveryCodes(sub string) error {
	return q.must("DELETE FROM recovery_codes WHERE sub = $1 AND NOT EXISTS (SELECT 1 FROM passkeys p WHERE p.sub = $1)", sub)
}

func (q *Queries) removeRecoveryCodes(sub string) error {
	return q.must("DELETE FROM recovery_codes WHERE sub = $1", sub)
}
