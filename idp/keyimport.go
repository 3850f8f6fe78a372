package idp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"peerage/store"
)

// Imported says what becomes of a key that is imported.
type Imported struct {
	KID, Alg string
	// State is the key's before the import, as in store.SigningKey; "" for one
	// that was not known.
	State string
	// Replaces is the active key of the algorithm, which retires; "" for none.
	Replaces string
}

// New tells that the key was not known before.
func (i Imported) New() bool { return i.State == "" }

// Import makes a private key in PEM (PKCS #8, PKCS #1 or SEC 1) the active
// key of its algorithm, once: a key that is known in any state stays as it
// is, so a retired one never becomes active again.
func (k *KeyRing) Import(ctx context.Context, text []byte) (Imported, error) {
	row, err := parsedRow(text)
	if err != nil {
		return Imported{}, err
	}
	was := k.known(row)
	if !was.New() {
		return was, nil
	}
	err = k.store.ReplaceActiveKey(ctx, row)
	if errors.Is(err, store.ErrExists) { // by another replica, a moment ago
		was.State = store.KeyActive
		return was, k.Reload(ctx)
	}
	if err != nil {
		return was, fmt.Errorf("importing the signing key: %w", err)
	}
	k.log.InfoContext(ctx, "imported a signing key, which signs from now on", "kid", row.KID, "alg", row.Alg)
	return was, k.Reload(ctx)
}

// LookUp tells what an import would do, and does nothing.
func (k *KeyRing) LookUp(text []byte) (Imported, error) {
	row, err := parsedRow(text)
	if err != nil {
		return Imported{}, err
	}
	return k.known(row), nil
}

// parsedRow is the row of a private key in PEM.
func parsedRow(text []byte) (store.SigningKey, error) {
	private, err := ParsePrivateKey(text)
	if err != nil {
		return store.SigningKey{}, err
	}
	return keyRow(private)
}

// known tells what the ring has of a key.
func (k *KeyRing) known(row store.SigningKey) Imported {
	found := Imported{KID: row.KID, Alg: row.Alg}
	for kid, known := range k.ring.Load().states {
		switch {
		case kid == row.KID:
			found.State = known.State
		case known.Alg == row.Alg && known.State == store.KeyActive:
			found.Replaces = kid
		}
	}
	return found
}

// ParsePrivateKey reads an RSA (2048 bits or more), P-256 or Ed25519 private
// key. Where a value has one line only, as in Docker's files of variables, its
// lines may be parted by \n, spelled out.
func ParsePrivateKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(bytes.ReplaceAll(text, []byte(`\n`), []byte("\n")))
	if block == nil {
		return nil, errors.New("the signing key is not PEM")
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, errors.New("the signing key is not a private key that can be read (PKCS #8, PKCS #1 or SEC 1, without password)")
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < 2048 {
			return nil, fmt.Errorf("the signing key has %d bits, RSA needs at least 2048", key.N.BitLen())
		}
		return key, nil
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P256() {
			return nil, errors.New("the signing key must be on the curve P-256")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("the signing key must be RSA, P-256 or Ed25519")
}
