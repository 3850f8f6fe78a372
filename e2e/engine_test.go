package e2e

import (
	"database/sql"
	"os"
	"testing"

	"peerage/store"
	"peerage/store/storetest"
)

// engine is where this run keeps its stores: in SQLite, or where
// PEERAGE_TEST_ENGINE says. make test-e2e runs the stories on each.
func engine(t *testing.T) storetest.Engine {
	t.Helper()
	engines := storetest.Engines()
	name := os.Getenv("PEERAGE_TEST_ENGINE")
	if name == "" {
		return engines[0]
	}
	for _, e := range engines {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("PEERAGE_TEST_ENGINE: there is no engine %q", name)
	return storetest.Engine{}
}

// once skips what is the same on every engine, or concerns SQLite's file, but
// in the run on the first.
func once(t *testing.T) {
	t.Helper()
	if e := engine(t); e.Name != storetest.Engines()[0].Name {
		t.Skipf("has nothing to show on %s", e.Name)
	}
}

// onPostgres tells where the server keeps its store.
func (s *server) onPostgres() bool { return store.IsPostgres(s.Database) }

// query runs one statement on the database and reads one value, when into is
// not nil.
func (s *server) query(t *testing.T, statement string, into any) {
	t.Helper()
	driver, source := "sqlite", "file:"+s.Database+"?_pragma=busy_timeout(10000)"
	if s.onPostgres() {
		driver, source = "pgx", s.Database
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	defer db.Close()
	if into == nil {
		_, err = db.ExecContext(t.Context(), statement)
	} else {
		err = db.QueryRowContext(t.Context(), statement).Scan(into)
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// checkIntegrity asks SQLite whether the file is whole. A PostgreSQL has lost
// nothing when a server of ours dies.
func (s *server) checkIntegrity(t *testing.T) {
	t.Helper()
	if s.onPostgres() {
		return
	}
	var found string
	if s.query(t, "PRAGMA integrity_check", &found); found != "ok" {
		t.Errorf("the database: %s", found)
	}
}

// checkClosed demands that a server that ended has closed its store: SQLite
// removes its write-ahead log with the last connection, PostgreSQL has none
// left but the one that asks.
func (s *server) checkClosed(t *testing.T) {
	t.Helper()
	if s.onPostgres() {
		eventually(t, "the store is closed", func() bool {
			var others int
			s.query(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", &others)
			return others == 0
		})
		return
	}
	if _, err := os.Stat(s.Database + "-wal"); !os.IsNotExist(err) {
		t.Errorf("the store was not closed: %v", err)
	}
}

// contents is everything that the store holds.
func (s *server) contents(t *testing.T) string {
	t.Helper()
	if s.onPostgres() {
		var all string
		s.query(t, `SELECT string_agg(query_to_xml(format('SELECT * FROM %I', table_name), true, true, '')::text, '' ORDER BY table_name)
			FROM information_schema.tables WHERE table_schema = 'public'`, &all)
		return all
	}
	all, err := os.ReadFile(s.Database)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}
