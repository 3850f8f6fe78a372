package store

import (
	"context"
	"database/sql"
	"io/fs"
)

// Exec and Text run a statement inside a transaction.
func (q *Queries) Exec(query string, args ...any) error { return q.must(query, args...) }

// Text reads one value.
func (q *Queries) Text(query string, args ...any) (string, error) {
	return one(q, text, query, args...)
}

// Writer opens connections like the one that writes, for tests that look below
// the operations.
func (s *Store) Writer() *sql.DB { return s.writer }

// MigrateFrom migrates by other files than the built-in ones.
func (s *Store) MigrateFrom(ctx context.Context, files fs.FS) (keptCopy string, err error) {
	return s.migrate(ctx, files, true)
}
