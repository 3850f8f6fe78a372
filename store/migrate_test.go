package store_test

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"peerage/migrations"
	"peerage/store"
	"peerage/store/storetest"
)

// later is the built-in schema with further steps.
func later(t testing.TB, steps map[string]string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(migrations.FS, "*.sql")
	want(t, err, nil)
	for _, name := range names {
		body, err := fs.ReadFile(migrations.FS, name)
		want(t, err, nil)
		files[name] = &fstest.MapFile{Data: body}
	}
	for name, body := range steps {
		files[name] = &fstest.MapFile{Data: []byte(body)}
	}
	return files
}

var addition = map[string]string{"9001_add.sql": "CREATE TABLE added (a BIGINT); INSERT INTO added VALUES (1);"}

func unmigrated(t testing.TB) (s *store.Store, path string) {
	t.Helper()
	path = storetest.Engines()[0].Fresh(t)
	s, err := store.Open(t.Context(), store.Options{Database: path, Create: true})
	want(t, err, nil)
	t.Cleanup(func() { s.Close() })
	return s, path
}

func TestMigrateAFreshDatabase(t *testing.T) {
	t.Parallel()
	s, _ := unmigrated(t)
	ctx := t.Context()
	want(t, s.CheckSchema(ctx), store.ErrSchemaOlder)
	for range 2 { // the second time nothing is left to do
		kept, err := s.Migrate(ctx)
		want(t, err, nil)
		if kept != "" {
			t.Fatalf("a copy of an empty database was kept: %s", kept)
		}
		want(t, s.CheckSchema(ctx), nil)
	}
}

func TestMigrateKeepsACopy(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	ctx := t.Context()
	before, err := w.SchemaVersion(ctx)
	want(t, err, nil)
	u := w.person(t)
	want(t, os.WriteFile(w.address+".before-9001", []byte("an older copy"), 0o600), nil)
	kept, err := w.MigrateFrom(ctx, later(t, addition))
	want(t, err, nil)
	if kept != w.address+".before-9001" {
		t.Fatalf("kept %q", kept)
	}
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the copy: %v, %v", info, err)
	}
	if n := w.rows(t, "SELECT COUNT(*) FROM added"); n != 1 {
		t.Fatalf("%d rows in the new table", n)
	}
	// The copy is the whole database as it was.
	old := storetest.Open(t, storetest.WithDatabase(kept))
	if version, err := old.SchemaVersion(ctx); err != nil || version != before {
		t.Fatalf("the copy has schema %d, %v", version, err)
	}
	_, err = old.User(ctx, u.Sub)
	want(t, err, nil)
}

func TestSchemaOfANewerBinaryIsRefused(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	_, err := w.MigrateFrom(t.Context(), later(t, addition))
	want(t, err, nil)
	want(t, w.CheckSchema(t.Context()), store.ErrSchemaNewer)
	_, err = w.Migrate(t.Context())
	want(t, err, store.ErrSchemaNewer)
	if version, err := w.SchemaVersion(t.Context()); err != nil || version != 9001 {
		t.Fatalf("schema %d, %v", version, err)
	}
}

func TestFailedMigrationChangesNothing(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	ctx := t.Context()
	before, err := w.SchemaVersion(ctx)
	want(t, err, nil)
	_, err = w.MigrateFrom(ctx, later(t, map[string]string{"9001_break.sql": "CREATE TABLE half (a BIGINT); INSERT INTO nowhere VALUES (1);"}))
	if err == nil || !strings.Contains(err.Error(), "9001_break.sql") {
		t.Fatalf("the error does not name the step: %v", err)
	}
	if after, err := w.SchemaVersion(ctx); err != nil || after != before {
		t.Fatalf("schema %d, %v, want %d", after, err, before)
	}
	if n := w.rows(t, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'half'"); n != 0 {
		t.Fatal("half of the step stayed")
	}
	// A mended binary goes on.
	_, err = w.MigrateFrom(ctx, later(t, addition))
	want(t, err, nil)
}

func TestBadMigrationFiles(t *testing.T) {
	t.Parallel()
	s, _ := unmigrated(t)
	for name, files := range map[string]fstest.MapFS{"none": {}, "no number": {"begin.sql": &fstest.MapFile{}}} {
		if _, err := s.MigrateFrom(t.Context(), files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestStoresThatMigrateOneNewDatabaseTogether(t *testing.T) {
	t.Parallel()
	for range 4 {
		path := storetest.Engines()[0].Fresh(t)
		together(8, func(int) {
			s, err := store.Open(context.WithoutCancel(t.Context()), store.Options{Database: path, Create: true})
			if err != nil {
				t.Errorf("opening: %v", err)
				return
			}
			defer s.Close()
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Errorf("migrating: %v", err)
			}
			if err := s.CheckSchema(t.Context()); err != nil {
				t.Errorf("checking: %v", err)
			}
		})
	}
}

// Of two that upgrade together the slower must not replace the copy by one of
// the upgraded database.
func TestStoresThatUpgradeTogetherKeepTheOldCopy(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	before, err := w.SchemaVersion(t.Context())
	want(t, err, nil)
	files := later(t, addition)
	replicas := make([]*store.Store, 8)
	for i := range replicas {
		replicas[i] = w.replica(t)
	}
	together(len(replicas), func(i int) {
		if _, err := replicas[i].MigrateFrom(t.Context(), files); err != nil {
			t.Errorf("migrating: %v", err)
		}
	})
	if n := w.rows(t, "SELECT COUNT(*) FROM added"); n != 1 {
		t.Fatalf("the step ran %d times", n)
	}
	old, err := store.Open(t.Context(), store.Options{Database: w.address + ".before-9001"})
	want(t, err, nil)
	defer old.Close()
	if version, err := old.SchemaVersion(t.Context()); err != nil || version != before {
		t.Fatalf("the copy has schema %d, %v, want %d", version, err, before)
	}
}

// firstOf is the schema as the first migration made it.
func firstOf(t testing.TB) fstest.MapFS {
	t.Helper()
	all := later(t, nil)
	for name := range all {
		if !strings.HasPrefix(name, "0001") {
			delete(all, name)
		}
	}
	return all
}
