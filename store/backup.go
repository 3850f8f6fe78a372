package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// settingCopiedAt is the setting in which a copy says when it was made.
const settingCopiedAt = "copied_at"

// Backup writes a consistent copy of a SQLite database while others use it.
// The copy appears under its name complete and on the disk, or not at all;
// its mode is 0600. ErrExists: there is a file of that name, and replace is
// false. ErrNotSQLite: PostgreSQL has its own tool.
func (s *Store) Backup(ctx context.Context, path string, replace bool) error {
	if s.engine.name != engineSQLite {
		return ErrNotSQLite
	}
	original, err := s.databasePath(ctx)
	if err != nil {
		return err
	}
	for _, suffix := range append([]string{""}, besides...) {
		same, err := sameFile(original+suffix, path)
		if err != nil && !(suffix != "" && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
		if same {
			return errors.New("that is the database itself")
		}
	}
	found, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !replace:
		return ErrExists
	case !found.Mode().IsRegular():
		return errors.New("that is no ordinary file, and only such a one is replaced")
	}
	copied, err := vacuumInto(ctx, s.writer, path)
	if err != nil {
		return err
	}
	defer os.Remove(copied)
	if err := s.noteCopy(ctx, copied); err != nil {
		return err
	}
	return putInPlace(copied, path)
}

// sameFile tells whether two names are one file; a missing one is none.
func sameFile(a, b string) (bool, error) {
	first, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	second, err := os.Stat(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(first, second), err
}

// vacuumInto copies a database into a new file beside path, of mode 0600, and
// returns its name.
func vacuumInto(ctx context.Context, from *sql.DB, path string) (copied string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".partial-*") // mode 0600
	if err != nil {
		return "", err
	}
	file.Close()
	if _, err := from.ExecContext(ctx, "VACUUM INTO $1", file.Name()); err != nil {
		os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

// noteCopy writes into a copy when it was made. The copy keeps no log beside
// it: it is one file.
func (s *Store) noteCopy(ctx context.Context, path string) error {
	db, err := openFile(path, "mode=rw&_pragma=journal_mode(DELETE)&_pragma=synchronous(FULL)")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		settingCopiedAt, []byte(s.clock().Format(time.RFC3339)))
	return errors.Join(err, db.Close())
}

// openFile opens an existing SQLite file as it is, with parameters of its address.
func openFile(path, parameters string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs}).String()+"?"+parameters)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// putInPlace gives a finished file its name, so that a power cut leaves the
// old one or the new one.
func putInPlace(finished, path string) error {
	if err := syncFile(finished); err != nil { // VACUUM INTO does not
		return err
	}
	if err := os.Rename(finished, path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(path)) // the name
}

func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
