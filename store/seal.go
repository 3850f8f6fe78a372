package store

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// Blob layout: version 1 (1 byte), key id (4 bytes), nonce (24), ciphertext.
const (
	sealVersion = 1
	sealHeader  = 1 + 4
	// MinSecretKey is the least length of PEERAGE_SECRET_KEY in bytes.
	MinSecretKey = 32
)

// seals holds the current key first, then those that still open old rows.
type seals []sealKey

type sealKey struct {
	id   [4]byte
	aead cipher.AEAD
	// recovery hashes recovery codes.
	recovery []byte
}

func newSeals(current []byte, old [][]byte) (seals, error) {
	if len(current) == 0 {
		return nil, nil
	}
	var list seals
	for _, secret := range append([][]byte{current}, old...) {
		if len(secret) < MinSecretKey {
			return nil, fmt.Errorf("a secret key has %d bytes and needs at least %d", len(secret), MinSecretKey)
		}
		derived, err := hkdf.Key(sha256.New, secret, nil, "peerage seal 1", chacha20poly1305.KeySize)
		if err != nil {
			return nil, fmt.Errorf("deriving the sealing key: %w", err)
		}
		aead, err := chacha20poly1305.NewX(derived)
		if err != nil {
			return nil, fmt.Errorf("making the sealing cipher: %w", err)
		}
		recovery, err := hkdf.Key(sha256.New, secret, nil, "peerage recovery codes 1", sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("deriving the key of recovery codes: %w", err)
		}
		key := sealKey{aead: aead, recovery: recovery}
		id := sha256.Sum256(append([]byte("peerage seal id "), derived...))
		copy(key.id[:], id[:])
		list = append(list, key)
	}
	return list, nil
}

// seal encrypts for one place only: a blob moved to another row or column
// does not open there.
func (s seals) seal(plain []byte, place string) ([]byte, error) {
	if len(s) == 0 {
		return nil, ErrNoSecretKey
	}
	if plain == nil {
		return nil, nil
	}
	key := s[0]
	blob := make([]byte, sealHeader+chacha20poly1305.NonceSizeX, sealHeader+chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	blob[0] = sealVersion
	copy(blob[1:], key.id[:])
	nonce := blob[sealHeader:]
	rand.Read(nonce)
	return key.aead.Seal(blob, nonce, plain, []byte(place)), nil
}

// open decrypts; stale tells that an old key did it and the row should be
// sealed anew.
func (s seals) open(blob []byte, place string) (plain []byte, stale bool, err error) {
	if blob == nil {
		return nil, false, nil
	}
	if len(s) == 0 {
		return nil, false, ErrNoSecretKey
	}
	if len(blob) < sealHeader+chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead || blob[0] != sealVersion {
		return nil, false, fmt.Errorf("opening %s: the blob is damaged", place)
	}
	for i, key := range s {
		if !bytes.Equal(blob[1:sealHeader], key.id[:]) {
			continue
		}
		body := blob[sealHeader:]
		plain, err := key.aead.Open(nil, body[:chacha20poly1305.NonceSizeX], body[chacha20poly1305.NonceSizeX:], []byte(place))
		if err != nil {
			return nil, false, fmt.Errorf("opening %s: the blob is damaged or belongs elsewhere", place)
		}
		return plain, i > 0, nil
	}
	return nil, false, ErrWrongSecretKey
}

// sealedColumn names one sealed value: the column and its row.
type sealedColumn struct {
	table, column string
	where         string // with $2 for the row's key
	key           any
}

func (c sealedColumn) place() string { return fmt.Sprintf("%s.%s:%v", c.table, c.column, c.key) }

// unseal opens a value that was just read and, where an old key opened it,
// seals it under the current one. Columns that may be NULL are the caller's to check.
func (s *Store) unseal(ctx context.Context, blob []byte, c sealedColumn) ([]byte, error) {
	// The driver reads an empty blob as nil. Whoever can write to the database
	// must not be able to turn a secret into the empty one.
	if len(blob) == 0 {
		return nil, fmt.Errorf("opening %s: the blob is empty", c.place())
	}
	plain, stale, err := s.seals.open(blob, c.place())
	if err != nil || !stale {
		return plain, err
	}
	fresh, err := s.seals.seal(plain, c.place())
	if err != nil {
		return nil, err
	}
	err = s.tx(ctx, "reseal", func(q *Queries) error {
		return q.must("UPDATE "+c.table+" SET "+c.column+" = $1 WHERE "+c.where+" AND "+c.column+" = $3", fresh, c.key, blob)
	})
	if err != nil {
		s.log.WarnContext(ctx, "sealing under the current key", "table", c.table, "error", err)
	}
	return plain, nil
}

// CheckSecretKey tells a wrong PEERAGE_SECRET_KEY at the start and not at the
// first sign-in: the first server leaves a sealed probe, all others open it.
func (s *Store) CheckSecretKey(ctx context.Context) error {
	probe := sealedColumn{"settings", "value", "name = $2", "secret_key_probe"}
	blob, err := s.probe(ctx, probe)
	if errors.Is(err, ErrNotFound) {
		// A command may have kept a signing key before the first server came: a
		// probe of another key would lock out the right one too.
		if _, err := s.SigningKeys(ctx); err != nil {
			return err
		}
		var sealed []byte
		if sealed, err = s.seals.seal([]byte("peerage"), probe.place()); err != nil {
			return err
		}
		err = s.tx(ctx, "secret_key_probe", func(q *Queries) error {
			return q.must("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", probe.key, sealed)
		})
		if err != nil {
			return err
		}
		// Another server, with another key, may have been faster.
		blob, err = s.probe(ctx, probe)
	}
	if err != nil {
		return fmt.Errorf("reading the probe of the secret key: %w", err)
	}
	_, err = s.unseal(ctx, blob, probe)
	return err
}

func (s *Store) probe(ctx context.Context, probe sealedColumn) ([]byte, error) {
	return one(s.read(ctx), rawBytes, "SELECT value FROM settings WHERE name = $1", probe.key)
}

func rawBytes(b *[]byte) []any { return []any{b} }

// Setting reads a fact about the installation; ErrNotFound when it was never set.
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	value, err := one(s.read(ctx), rawBytes, "SELECT value FROM settings WHERE name = $1", name)
	return string(value), err
}

// PutSetting records a fact about the installation.
func (s *Store) PutSetting(ctx context.Context, name, value string) error {
	return s.tx(ctx, "put_setting", func(q *Queries) error {
		return q.must("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, []byte(value))
	})
}
