package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	postgresConnections = 16
	notifyChannel       = "peerage"
	// migrationLock is the advisory lock of who migrates.
	migrationLock = 0x70656572
)

// openPostgres opens a pool. Transactions are serializable: two that would
// each be right alone (a sign-in, and disabling its person) are right together.
func (s *Store) openPostgres(ctx context.Context, address string) error {
	s.engine = engine{
		name:   "postgres",
		tables: "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()",
		lines:  func(column string) string { return "string_agg(" + column + ", chr(10))" },
		texts: func(array string) string {
			return "SELECT jsonb_array_elements_text(COALESCE(NULLIF(" + array + "::jsonb, 'null'::jsonb), '[]'::jsonb))"
		},
		retryable: postgresRetryable,
		translate: postgresTranslate,
		txOptions: func(operation string) *sql.TxOptions {
			if operation == opMigrate {
				return nil // must see what another process migrated while we waited
			}
			return &sql.TxOptions{Isolation: sql.LevelSerializable}
		},
		lock: func(q *Queries) error { return q.must("SELECT pg_advisory_xact_lock($1)", migrationLock) },
		notify: func(q *Queries, topic string) error {
			return q.must("SELECT pg_notify('"+notifyChannel+"', $1)", topic)
		},
		wait: s.waitPostgres,
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		return fmt.Errorf("reading the address of the database: %w", err)
	}
	db.SetMaxOpenConns(postgresConnections)
	db.SetMaxIdleConns(postgresConnections)
	s.writer, s.reader, s.reading = db, db, db
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		// The driver writes one line for each address that it tried.
		return errors.New("reaching the database: " + strings.Join(strings.Fields(err.Error()), " "))
	}
	return nil
}

// SQLSTATE codes (PostgreSQL appendix A).
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	foreignKeyViolation  = "23503"
)

func postgresRetryable(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == serializationFailure || e.Code == deadlockDetected)
}

func postgresTranslate(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code {
		case uniqueViolation:
			return ErrExists
		case foreignKeyViolation:
			return ErrNotFound
		}
	}
	return err
}

// pollEvery is how often a watcher looks although nobody called: a
// notification sent while its connection was down is lost.
const pollEvery = 5 * time.Second

// waitPostgres listens on a connection of its own.
func (s *Store) waitPostgres(ctx context.Context, _ time.Duration) (func(context.Context) (bool, error), func(), error) {
	conn, err := s.reader.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	if _, err := conn.ExecContext(ctx, "LISTEN "+notifyChannel); err != nil {
		conn.Close()
		return nil, nil, err
	}
	first := true
	next := func(ctx context.Context) (bool, error) {
		if first { // what changed before the LISTEN
			first = false
			return true, nil
		}
		waiting, cancel := context.WithTimeout(ctx, pollEvery)
		defer cancel()
		err := conn.Raw(func(driver any) error {
			_, err := driver.(*stdlib.Conn).Conn().WaitForNotification(waiting)
			return err
		})
		if err != nil && waiting.Err() != nil && ctx.Err() == nil {
			return true, nil // nobody called: look anyway
		}
		return true, err
	}
	return next, func() { conn.Close() }, nil
}
