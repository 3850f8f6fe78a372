package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"peerage/migrations"
)

// opMigrate names the transactions that change the schema.
const opMigrate = "migrate"

type migration struct {
	version int64
	name    string
	sql     string
}

// Migrate brings the schema up to date, one transaction a step. Before it
// changes a database that already has a schema it keeps a copy beside it,
// FILE.before-VERSION (SQLite), and returns that copy's path.
func (s *Store) Migrate(ctx context.Context) (keptCopy string, err error) {
	return s.migrate(ctx, migrations.FS, true)
}

func (s *Store) migrate(ctx context.Context, files fs.FS, keep bool) (keptCopy string, err error) {
	steps, err := readMigrations(files)
	if err != nil {
		return "", err
	}
	version, err := s.SchemaVersion(ctx)
	if err != nil {
		return "", err
	}
	latest := steps[len(steps)-1].version
	switch {
	case version > latest:
		return "", fmt.Errorf("%w: its schema is %d, this binary knows %d; start the newer binary, or restore the copy kept before the upgrade", ErrSchemaNewer, version, latest)
	case version == latest:
		return "", nil
	case version > 0 && keep:
		if keptCopy, err = s.keepCopy(ctx, version, latest); err != nil {
			return "", err
		}
	}
	for _, step := range steps {
		if err := s.tx(ctx, opMigrate, func(q *Queries) error { return q.migrate(step) }); err != nil {
			return keptCopy, fmt.Errorf("migration %s: %w", step.name, err)
		}
	}
	return keptCopy, nil
}

// migrate runs one step unless another process was faster.
func (q *Queries) migrate(step migration) error {
	if err := q.store.engine.lock(q); err != nil {
		return err
	}
	if err := q.must("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, migrated_at BIGINT NOT NULL)"); err != nil {
		return err
	}
	if _, err := one(q, number, "SELECT version FROM schema_version WHERE version = $1", step.version); !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := q.must(step.sql); err != nil {
		return err
	}
	return q.must("INSERT INTO schema_version (version, migrated_at) VALUES ($1, $2)", step.version, at(q.now))
}

// SchemaVersion is the number of the last migration, 0 for an empty database.
func (s *Store) SchemaVersion(ctx context.Context) (int64, error) {
	q := s.read(ctx)
	tables, err := many(q, text, s.engine.tables)
	if err != nil {
		return 0, fmt.Errorf("reading the schema: %w", err)
	}
	if len(tables) == 0 {
		return 0, nil
	}
	if !slices.Contains(tables, "schema_version") {
		return 0, errors.New("the database holds tables of another program")
	}
	version, err := one(q, number, "SELECT COALESCE(MAX(version), 0) FROM schema_version")
	if err != nil {
		return 0, fmt.Errorf("reading the schema's version: %w", err)
	}
	return version, nil
}

// CheckSchema tells whether this binary and the database fit together.
func (s *Store) CheckSchema(ctx context.Context) error {
	steps, err := readMigrations(migrations.FS)
	if err != nil {
		return err
	}
	version, err := s.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	latest := steps[len(steps)-1].version
	if version > latest {
		return fmt.Errorf("%w: its schema is %d, this binary knows %d", ErrSchemaNewer, version, latest)
	}
	if version < latest {
		return ErrSchemaOlder
	}
	return nil
}

// keepCopy writes the copy under a name of its own and gives it the known one
// only while the schema is still the old one: of two processes that upgrade
// together the slower would else put the upgraded database in its place.
func (s *Store) keepCopy(ctx context.Context, from, to int64) (string, error) {
	if s.engine.name != engineSQLite {
		return "", nil // whoever runs PostgreSQL has its own way to keep copies
	}
	path, err := s.databasePath(ctx)
	if err != nil || path == "" {
		return "", err
	}
	target := fmt.Sprintf("%s.before-%d", path, to)
	copied, err := vacuumInto(ctx, s.writer, target)
	if err != nil {
		return "", fmt.Errorf("keeping a copy before the migration: %w", err)
	}
	defer os.Remove(copied)
	if version, err := s.SchemaVersion(ctx); err != nil || version != from {
		return "", err
	}
	if err := putInPlace(copied, target); err != nil {
		return "", fmt.Errorf("keeping a copy before the migration: %w", err)
	}
	return target, nil
}

func (s *Store) databasePath(ctx context.Context) (string, error) {
	type row struct {
		seq        int64
		name, file string
	}
	main, err := one(s.read(ctx), func(r *row) []any { return []any{&r.seq, &r.name, &r.file} }, "PRAGMA database_list")
	if err != nil {
		return "", fmt.Errorf("asking for the database's path: %w", err)
	}
	return main.file, nil
}

func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no migrations are built in: %w", err)
	}
	var steps []migration // Glob sorts, and the numbers have one width
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s has no number: %w", name, err)
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, migration{version, name, string(body)})
	}
	return steps, nil
}
