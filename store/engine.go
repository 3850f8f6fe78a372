package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
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
	txOptions func(operation string) *sql.TxOptions
	// tables lists the names of all tables.
	tables string
	// lines is the aggregate that puts a column's values under each other.
	lines func(column string) string
	// texts is the query that gives each text of a JSON array (or of null).
	texts func(array string) string
	// lock keeps other processes from migrating at the same time.
	lock func(*Queries) error
	// notify wakes the servers that watch a topic, in the transaction at hand.
	notify func(q *Queries, topic string) error
	// wait returns a function that waits until something may have changed, for
	// the interval at most, and one that ends it.
	wait func(ctx context.Context, interval time.Duration) (next func(context.Context) (changed bool, err error), end func(), err error)
}

// engineSQLite is the name of the engine that keeps one file.
const engineSQLite = "sqlite"

// openSQLite opens one connection for writing (the committer's), so that
// writers queue in this process and not in SQLite's busy loop, and a pool for
// reading.
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
		name:      engineSQLite,
		tables:    "SELECT name FROM sqlite_master WHERE type = 'table'",
		lines:     func(column string) string { return "group_concat(" + column + ", char(10))" },
		texts:     func(array string) string { return "SELECT value FROM json_each(" + array + ") WHERE type = 'text'" },
		retryable: sqliteBusy,
		translate: sqliteTranslate,
		txOptions: func(string) *sql.TxOptions { return nil },
		lock:      func(*Queries) error { return nil }, // _txlock=immediate is the lock
		notify:    func(*Queries, string) error { return nil },
		wait:      s.waitSQLite,
	}
	dsn := sqliteDSN(path)
	writer, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
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
		return fmt.Errorf("opening the database %s: %w", path, sqliteAccess(path, err))
	}
	return s.begin(ctx)
}

// sqliteAccess says why a file cannot be opened, which SQLite itself does not.
func sqliteAccess(path string, err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) || e.Code()&0xff != sqlite3.SQLITE_CANTOPEN && e.Code()&0xff != sqlite3.SQLITE_READONLY {
		return err
	}
	file, reason := os.OpenFile(path, os.O_RDWR, 0)
	if reason != nil {
		return errors.Unwrap(reason) // *fs.PathError names the file again
	}
	file.Close()
	return fmt.Errorf("%w (%w): its folder must be writable too", fs.ErrPermission, err)
}

// begin starts what stands on the connections of a SQLite file.
func (s *Store) begin(ctx context.Context) (err error) {
	s.reading = newStatements(s.reader)
	if s.commits, err = newCommitter(ctx, s.writer); err != nil {
		s.Close()
	}
	return err
}

func sqliteDSN(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	u := url.URL{Scheme: "file", Path: path}
	return u.String() + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-8000)"
}

func sqliteBusy(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
}

// sqliteNoTransaction tells that there is nothing to roll back.
func sqliteNoTransaction(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code() == sqlite3.SQLITE_ERROR
}

// sqliteUnreadable tells that a file is no database, or a damaged one.
func sqliteUnreadable(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_NOTADB || code == sqlite3.SQLITE_CORRUPT
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

// waitSQLite asks PRAGMA data_version on a connection of its own, which
// costs microseconds while nothing is written by others.
func (s *Store) waitSQLite(ctx context.Context, interval time.Duration) (func(context.Context) (bool, error), func(), error) {
	conn, err := s.reader.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	ticker := time.NewTicker(interval)
	var last int64 = -1
	next := func(ctx context.Context) (bool, error) {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-ticker.C:
		}
		var version int64
		if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
			return false, err
		}
		changed := version != last
		last = version
		return changed, nil
	}
	return next, func() { ticker.Stop(); conn.Close() }, nil
}
