package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cenkalti/backoff/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// engine is what differs between databases beside the way to open them.
type engine struct {
	name      string
	retryable func(error) bool
	translate func(error) error
	txOptions func() *sql.TxOptions
	// tables lists the names of all tables.
	tables string
	// lock keeps other processes from migrating at the same time.
	lock func(*Queries) error
}

// openSQLite opens one connection for writing, so that writers queue in this
// process and not in SQLite's busy loop, and a pool for reading.
// synchronous=FULL: with NORMAL a power cut revives spent codes.
func (s *Store) openSQLite(ctx context.Context, path string, create bool) error {
	if err := refuseNetworkFileSystem(path); err != nil {
		return err
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if !create {
			return fmt.Errorf("%s: %w", path, ErrNoDatabase)
		}
		// Made by us first, so that it is never readable by others.
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return fmt.Errorf("creating the database: %w", err)
		}
		file.Close()
	} else if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	s.engine = engine{
		name:      "sqlite",
		tables:    "SELECT name FROM sqlite_master WHERE type = 'table'",
		retryable: sqliteBusy,
		translate: sqliteTranslate,
		txOptions: func() *sql.TxOptions { return nil },
		lock:      func(*Queries) error { return nil }, // _txlock=immediate is the lock
	}
	dsn := sqliteDSN(path)
	writer, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	writer.SetMaxOpenConns(1)
	reader, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		writer.Close()
		return fmt.Errorf("opening the database: %w", err)
	}
	readers := max(4, runtime.NumCPU())
	reader.SetMaxOpenConns(readers)
	reader.SetMaxIdleConns(readers)
	s.writer, s.reader = writer, reader
	// Switching to WAL needs the file for itself and does not wait for another
	// process that does the same: try again.
	_, err = backoff.Retry(ctx, func() (sql.Result, error) {
		result, err := writer.ExecContext(ctx, "PRAGMA user_version")
		if err != nil && !sqliteBusy(err) {
			err = backoff.Permanent(err)
		}
		return result, err
	}, backoff.WithMaxElapsedTime(5*time.Second), backoff.WithBackOff(backoff.NewConstantBackOff(10*time.Millisecond)))
	if err != nil {
		s.Close()
		return fmt.Errorf("opening the database %s: %w", path, err)
	}
	return nil
}

func sqliteDSN(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	u := url.URL{Scheme: "file", Path: path}
	return u.String() + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
}

func sqliteBusy(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

func sqliteTranslate(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return ErrExists
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return ErrNotFound
		}
	}
	return err
}
