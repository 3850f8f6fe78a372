package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"
)

// Record hands every statement that the store runs from now on to note.
func (s *Store) Record(t testing.TB, note func(query string, args []driver.NamedValue)) {
	t.Helper()
	path, err := s.databasePath(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	through := recorder{s.writer.Driver(), sqliteDSN(path), note}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.writer, s.reader = sql.OpenDB(through), sql.OpenDB(through)
	if err := s.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type recorder struct {
	driver driver.Driver
	dsn    string
	note   func(string, []driver.NamedValue)
}

func (r recorder) Driver() driver.Driver { return r.driver }

func (r recorder) Connect(context.Context) (driver.Conn, error) {
	conn, err := r.driver.Open(r.dsn)
	if err != nil {
		return nil, err
	}
	return recordedConn{conn.(fullConn), r.note}, nil
}

type fullConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
}

type recordedConn struct {
	fullConn
	note func(string, []driver.NamedValue)
}

func (c recordedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.fullConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return recordedStmt{stmt.(fullStmt), query, c.note}, nil
}

type fullStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type recordedStmt struct {
	fullStmt
	query string
	note  func(string, []driver.NamedValue)
}

func (s recordedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.note(s.query, args)
	return s.fullStmt.ExecContext(ctx, args)
}

func (s recordedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.note(s.query, args)
	return s.fullStmt.QueryContext(ctx, args)
}
