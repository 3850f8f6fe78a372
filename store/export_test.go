package store

import (
	"context"
	"database/sql"
	"io/fs"
)

// Writer is the connection that writes, for tests that look below the operations.
func (s *Store) Writer() *sql.DB { return s.writer }

// MigrateFrom migrates by other files than the built-in ones.
func (s *Store) MigrateFrom(ctx context.Context, files fs.FS) (keptCopy string, err error) {
	return s.migrate(ctx, files)
}
