// Package store keeps everything that must outlive the process. It offers
// operations (RedeemCode, RotateRefresh, ClaimStep …), each one transaction,
// and not tables. Secrets lie in it hashed or sealed, never in clear.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"peerage/tracing"
)

// Options say where the store is and how to open it.
type Options struct {
	// Database is a path (SQLite) or a postgres:// address.
	Database string
	// Create allows a new database file; without it a missing one is ErrNoDatabase.
	Create bool
	// SecretKey seals secrets, at least 32 bytes. Empty: operations that need
	// it fail with ErrNoSecretKey, all others work.
	SecretKey []byte
	// OldSecretKeys still open what they sealed; it is sealed anew when read.
	OldSecretKeys [][]byte
	// AdminGroup is the local group that keeps an enabled member: what would
	// take the last one away is ErrLastAdministrator. Empty: no group is kept.
	AdminGroup string
	// MirrorConsents is the origin of the people whose changed consents are
	// noted for TakeConsentChanges; "" notes nobody's.
	MirrorConsents string
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Registerer takes the store's metrics; none are kept when nil.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// Store is safe for concurrent use.
type Store struct {
	engine  engine
	writer  *sql.DB
	reader  *sql.DB
	reading runner
	commits *committer // SQLite alone
	now     func() time.Time
	seals   seals
	admins  string // Options.AdminGroup
	// mirrored is Options.MirrorConsents.
	mirrored string
	log      *slog.Logger
	seconds  *prometheus.HistogramVec
}

// Open opens the database without changing it. Call Migrate or CheckSchema next.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	seals, err := newSeals(o.SecretKey, o.OldSecretKeys)
	if err != nil {
		return nil, err
	}
	s := &Store{now: o.Now, seals: seals, admins: o.AdminGroup, mirrored: o.MirrorConsents, log: o.Logger}
	if IsPostgres(o.Database) {
		err = s.openPostgres(ctx, o.Database)
	} else {
		err = s.openSQLite(ctx, o.Database, o.Create)
	}
	if err != nil {
		return nil, err
	}
	if o.Registerer != nil {
		s.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "peerage_store_tx_duration_seconds",
			Help:    "Time of one transaction in the store, waiting for the writer included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
		}, []string{"operation"})
		if err := o.Registerer.Register(s.seconds); err != nil {
			s.Close()
			return nil, fmt.Errorf("registering the store's metrics: %w", err)
		}
	}
	return s, nil
}

// IsPostgres tells a postgres:// address from a path.
func IsPostgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// Close waits for running transactions and closes the database.
func (s *Store) Close() error {
	var err error
	if s.commits != nil {
		err = s.commits.close()
	}
	err = errors.Join(err, s.writer.Close())
	if s.reader != s.writer {
		err = errors.Join(err, s.reader.Close())
	}
	return err
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.reader.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// Queries runs statements inside one transaction (or, for single reads, on a
// reading connection). Its clock stands still.
type Queries struct {
	ctx   context.Context
	store *Store
	on    runner
	now   time.Time
}

// runner is whatever runs statements.
type runner interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// Tx runs f in one transaction and commits when it returns nil. It runs f
// again when the database asks for that (busy, serialization failure), so f
// must not have effects outside the transaction. No network call and no other
// call of the store belongs inside f.
func (s *Store) Tx(ctx context.Context, f func(*Queries) error) error {
	return s.tx(ctx, "tx", f)
}

// txTries bounds how often a transaction begins again. On PostgreSQL all but
// one of those that change the same row begin again, so it is not small.
const txTries = 100

func (s *Store) tx(ctx context.Context, operation string, f func(*Queries) error) error {
	begun := time.Now()
	ctx, span := tracing.Child(ctx, trace.SpanKindClient, "store", operation)
	err := s.txOnce(ctx, operation, f)
	if err != nil && s.engine.retryable(err) {
		err = s.txAgain(ctx, operation, f)
	}
	if s.seconds != nil {
		s.seconds.WithLabelValues(operation).Observe(time.Since(begun).Seconds())
	}
	s.endSpan(span, operation, err)
	return err
}

// endSpan tells of a transaction without its statements and values.
func (s *Store) endSpan(span trace.Span, operation string, err error) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String("db.system.name", s.engine.name), attribute.String("db.operation.name", operation))
	if err != nil && !isAnswer(err) {
		tracing.Failed(span)
	}
	span.End()
}

func (s *Store) txAgain(ctx context.Context, operation string, f func(*Queries) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := s.txOnce(ctx, operation, f)
		if err != nil && !s.engine.retryable(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxTries(txTries), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 2 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 200 * time.Millisecond,
	}))
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		err = permanent.Err
	}
	return err
}

func (s *Store) txOnce(ctx context.Context, operation string, f func(*Queries) error) error {
	if s.commits != nil {
		return s.commits.do(ctx, func(ctx context.Context) error {
			return f(&Queries{ctx: ctx, store: s, on: s.commits.on, now: s.clock()})
		})
	}
	tx, err := s.writer.BeginTx(ctx, s.engine.txOptions(operation))
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer tx.Rollback()
	if err := f(&Queries{ctx: ctx, store: s, on: tx, now: s.clock()}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// read gives single statements outside a transaction. In SQLite they run to
// their end although the caller hangs up: each is short, and watching for that
// costs two goroutines a statement.
func (s *Store) read(ctx context.Context) *Queries {
	if s.commits != nil && ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx)
	}
	return &Queries{ctx: ctx, store: s, on: s.reading, now: s.clock()}
}

// clock is the time of now as rows can hold it: UTC, whole microseconds.
func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

func (q *Queries) exec(query string, args ...any) (rows int64, err error) {
	result, err := q.on.ExecContext(q.ctx, query, storable(args)...)
	if err != nil {
		return 0, q.store.engine.translate(err)
	}
	return result.RowsAffected()
}

// must runs a statement of which the number of rows does not matter.
func (q *Queries) must(query string, args ...any) error {
	_, err := q.exec(query, args...)
	return err
}
