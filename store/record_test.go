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
	s.writer.SetMaxOpenConns(1)
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
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
}

type recordedConn struct {
	fullConn
	note func(string, []driver.NamedValue)
}

func (c recordedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.note(query, args)
	return c.fullConn.ExecContext(ctx, query, args)
}

func (c recordedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.note(query, args)
	return c.fullConn.QueryContext(ctx, query, args)
}
