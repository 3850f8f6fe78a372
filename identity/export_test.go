package identity

import (
	"context"
	"flag"
	"testing"

	"github.com/alexedwards/argon2id"

	"peerage/store"
)

// NewTestPasswords hashes with parameters that cost next to nothing.
func NewTestPasswords(t testing.TB, memory uint32, parallel int) *Passwords {
	t.Helper()
	p := NewPasswordsWith(argon2id.Params{Memory: memory, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}, parallel)
	return p
}

// OnCompare runs f before each comparison, inside its turn.
func (p *Passwords) OnCompare(f func()) {
	p.compare = func(password, hash string) (bool, *argon2id.Params, error) {
		f()
		return argon2id.CheckHash(password, hash)
	}
}

// TOTPURL is what the QR code holds.
var TOTPURL = totpURL

// RapidChecks sets how often a property is tried, unless the command line says it.
func RapidChecks(t testing.TB, checks string) {
	t.Helper()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if f := flag.Lookup("rapid.checks"); !given {
		before := f.Value.String()
		if err := f.Value.Set(checks); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(before) })
	}
}

// Check asks PeeringDB about a person whose link and token a test has taken.
func (d *Directory) Check(ctx context.Context, link store.PeeringDBLink, token []byte) error {
	return d.check(ctx, link, token)
}
