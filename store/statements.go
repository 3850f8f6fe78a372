package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// maxStatements bounds the statements kept: those with a filter in their text
// have many forms.
const maxStatements = 512

// statements keeps prepared statements: SQLite needs longer to understand
// most of ours than to run them.
type statements struct {
	on interface {
		PrepareContext(context.Context, string) (*sql.Stmt, error)
		ExecContext(context.Context, string, ...any) (sql.Result, error)
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	}
	mu   sync.RWMutex
	kept map[string]*sql.Stmt
}

func newStatements(on interface {
	PrepareContext(context.Context, string) (*sql.Stmt, error)
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}) *statements {
	return &statements{on: on, kept: map[string]*sql.Stmt{}}
}

// prepared is nil for a statement that is not worth keeping.
func (s *statements) prepared(query string) (*sql.Stmt, error) {
	s.mu.RLock()
	stmt, n := s.kept[query], len(s.kept)
	s.mu.RUnlock()
	if stmt != nil || n >= maxStatements {
		return stmt, nil
	}
	// Not under the context of one caller, who may hang up: it is for all.
	stmt, err := s.on.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if faster := s.kept[query]; faster != nil {
		stmt.Close()
		return faster, nil
	}
	s.kept[query] = stmt
	return stmt, nil
}

func (s *statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := s.prepared(query)
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return s.on.ExecContext(ctx, query, args...)
	}
	return stmt.ExecContext(ctx, args...)
}

func (s *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := s.prepared(query)
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return s.on.QueryContext(ctx, query, args...)
	}
	return stmt.QueryContext(ctx, args...)
}

// close lets go of the statements. One that is left open keeps SQLite from
// closing the file, and from folding the log into it.
func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, stmt := range s.kept {
		err = errors.Join(err, stmt.Close())
	}
	clear(s.kept)
	return err
}
