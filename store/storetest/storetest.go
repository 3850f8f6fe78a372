// Package storetest opens stores for tests: real ones, each on a fresh
// database of its own.
package storetest

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"peerage/store"
)

// Engine is one kind of database that the store runs on.
type Engine struct {
	Name string
	// Fresh makes an empty database that goes away with the test, and returns
	// its address as store.Options.Database wants it.
	Fresh func(t testing.TB) string
}

// Engines lists every engine that the conformance suite must pass on. The
// first is the one that Open takes.
func Engines() []Engine {
	return []Engine{
		{Name: "sqlite", Fresh: func(t testing.TB) string { return filepath.Join(t.TempDir(), "peerage.db") }},
		{Name: "postgres", Fresh: Postgres},
	}
}

// SecretKey returns the secret key that Open gives to a store.
func SecretKey() []byte { return bytes.Repeat([]byte{'k'}, store.MinSecretKey) }

// Option changes how a test's store is opened.
type Option func(*store.Options)

// WithClock makes the store live by that clock; otherwise it lives by
// time.Now.
func WithClock(c *Clock) Option { return WithNow(c.Now) }

// WithNow makes the store live by that clock.
func WithNow(now func() time.Time) Option {
	return func(o *store.Options) { o.Now = now }
}

// WithDatabase opens the database at that address instead of a fresh one, so
// that several stores can share it.
func WithDatabase(address string) Option {
	return func(o *store.Options) { o.Database = address }
}

// WithSecretKey seals under that key and not under SecretKey; old ones still
// open what they sealed. An empty key means none.
func WithSecretKey(key []byte, old ...[]byte) Option {
	return func(o *store.Options) { o.SecretKey, o.OldSecretKeys = key, old }
}

// WithMirroredConsents notes the changed consents of people of an origin.
func WithMirroredConsents(origin string) Option {
	return func(o *store.Options) { o.MirrorConsents = origin }
}

// WithAdminGroup makes the store keep an enabled member in that group.
func WithAdminGroup(group string) Option {
	return func(o *store.Options) { o.AdminGroup = group }
}

// Open gives a migrated store on a fresh SQLite file under a test secret key
// and closes it at the end of the test.
func Open(t testing.TB, options ...Option) *store.Store {
	t.Helper()
	return OpenOn(t, Engines()[0], options...)
}

// OpenOn is Open on a certain engine.
func OpenOn(t testing.TB, engine Engine, options ...Option) *store.Store {
	t.Helper()
	o := store.Options{Create: true, SecretKey: SecretKey()}
	for _, option := range options {
		option(&o)
	}
	if o.Database == "" {
		o.Database = engine.Fresh(t)
	}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("opening a store for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the test's store: %v", err)
		}
	})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatalf("migrating the test's store: %v", err)
	}
	return s
}
