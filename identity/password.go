package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"
)

// Passwords hashes and compares passwords. Each computation takes the memory
// of its parameters, so only a few run at once and the others wait their turn.
type Passwords struct {
	params argon2id.Params
	turn   chan struct{}
	dummy  string
	// compare is argon2id.CheckHash; tests count its calls.
	compare func(password, hash string) (bool, *argon2id.Params, error)
}

// NewPasswords uses OWASP's first choice for argon2id (19 MiB, two passes,
// one lane), at most parallel computations at once.
func NewPasswords(parallel int) *Passwords {
	return NewPasswordsWith(argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}, parallel)
}

// NewPasswordsWith is NewPasswords with other parameters, for installations that
// must do with less memory, and for tests.
func NewPasswordsWith(params argon2id.Params, parallel int) *Passwords {
	return &Passwords{params: params, turn: make(chan struct{}, parallel), dummy: nobodys(params), compare: argon2id.CheckHash}
}

// nobodys is a PHC string that no password has: its hash is random. To compare
// with it costs as much as with a real one; to compute a real one would cost
// that at every start.
func nobodys(params argon2id.Params) string {
	random := make([]byte, params.SaltLength+params.KeyLength)
	rand.Read(random)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, params.Memory, params.Iterations, params.Parallelism,
		base64.RawStdEncoding.EncodeToString(random[:params.SaltLength]), base64.RawStdEncoding.EncodeToString(random[params.SaltLength:]))
}

// Hash makes the PHC string of a password. Whether it is an acceptable one is
// CheckPassword's business, before.
func (p *Passwords) Hash(password string) (string, error) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	return argon2id.CreateHash(password, &p.params)
}

// Verify compares a password with a PHC string; "" compares with nobody's
// password and takes as long. stale: the hash has other parameters than ours
// and should be made anew.
func (p *Passwords) Verify(ctx context.Context, password, hash string) (ok, stale bool, err error) {
	if len(password) > MaxPassword {
		password = "" // never right, and costs the same
	}
	known := hash != ""
	if !known {
		hash = p.dummy
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return false, false, ctx.Err()
	}
	defer func() { <-p.turn }()
	ok, params, err := p.compare(password, hash)
	if err != nil {
		return false, false, fmt.Errorf("comparing a password: %w", err)
	}
	return ok && known, *params != p.params, nil
}

// CheckEmail tells whether text is one plain e-mail address, or empty.
func CheckEmail(address string) error {
	if address == "" {
		return nil
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > 254 {
		return errors.New("the e-mail address must be of the form name@example.net")
	}
	return nil
}
