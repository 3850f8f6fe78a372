package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"peerage/store"
	"peerage/store/storetest"
)

func newSQLite(t testing.TB) world {
	t.Helper()
	return newWorld(t, storetest.Engines()[0])
}

// With NORMAL a power cut revives spent codes.
func TestWriterIsSynchronousAndJournalled(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	for pragma, expected := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000"} {
		var got string
		want(t, w.Tx(t.Context(), func(q *store.Queries) (err error) {
			got, err = q.Text("PRAGMA " + pragma)
			return err
		}), nil)
		if got != expected {
			t.Errorf("PRAGMA %s is %s, want %s", pragma, got, expected)
		}
	}
}

func TestDatabaseIsReadableByItsOwnerAlone(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	w.person(t)
	files, err := filepath.Glob(w.address + "*")
	want(t, err, nil)
	if len(files) < 2 {
		t.Fatalf("files %v: the write-ahead log is missing", files)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		want(t, err, nil)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", filepath.Base(file), info.Mode().Perm())
		}
	}
}

func TestOpenDatabase(t *testing.T) {
	t.Parallel()
	t.Run("a missing one is not made without Create", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "missing.db")
		_, err := store.Open(t.Context(), store.Options{Database: path})
		want(t, err, store.ErrNoDatabase)
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("it was made all the same: %v", err)
		}
	})
	t.Run("a path with characters that mean something in an address", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "a b?mode=memory&c#d%20e.db")
		s := storetest.Open(t, storetest.WithDatabase(path))
		want(t, s.PutSetting(t.Context(), "backend", "local"), nil)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("no database at the path: %v", err)
		}
	})
	for name, make := range map[string]func(t *testing.T, path string){
		"a directory": func(t *testing.T, path string) { want(t, os.Mkdir(path, 0o700), nil) },
		"a file of another kind": func(t *testing.T, path string) {
			want(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600), nil)
		},
		"below a folder that is none": func(t *testing.T, path string) { want(t, os.WriteFile(filepath.Dir(path), nil, 0o600), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "peerage.db")
			if !strings.HasPrefix(name, "below") {
				want(t, os.Mkdir(filepath.Dir(path), 0o700), nil)
			}
			make(t, path)
			s, err := store.Open(t.Context(), store.Options{Database: path, Create: true})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("the error is not one line: %q", err)
			}
		})
	}
	t.Run("a PostgreSQL that is not there", func(t *testing.T) {
		_, err := store.Open(t.Context(), store.Options{Database: "postgres://127.0.0.1:1/peerage?connect_timeout=2"})
		if err == nil || !strings.Contains(err.Error(), "reaching the database") || strings.Contains(err.Error(), "\n") {
			t.Fatalf("got %v", err)
		}
	})
}

func TestStoreKeepsWhatItWasTold(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	u := w.person(t, "admins")
	want(t, w.Close(), nil)
	again := w.replica(t)
	got, err := again.UserByName(t.Context(), u.Username)
	want(t, err, nil)
	if got.Sub != u.Sub {
		t.Fatalf("found %+v", got)
	}
	want(t, again.Ping(t.Context()), nil)
	if err := w.Ping(t.Context()); err == nil {
		t.Fatal("a closed store answers")
	}
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	refusal := errors.New("refused")
	runs := 0
	err := w.Tx(t.Context(), func(*store.Queries) error { runs++; return refusal })
	want(t, err, refusal)
	if runs != 1 {
		t.Fatalf("a lasting error was tried %d times", runs)
	}
	// Whatever happened before, the one writer is free again.
	func() {
		defer func() { recover() }()
		w.Tx(t.Context(), func(*store.Queries) error { panic("inside") })
	}()
	w.person(t)
}

func TestTransactionsAreTimedByOperation(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := storetest.Open(t, func(o *store.Options) { o.Registerer = registry })
	want(t, s.PutSetting(t.Context(), "a", "b"), nil)
	families, err := registry.Gather()
	want(t, err, nil)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == "peerage_store_tx_duration_seconds" && metric.GetLabel()[0].GetValue() == "put_setting" && metric.GetHistogram().GetSampleCount() == 1 {
				return
			}
		}
	}
	t.Fatal("the transaction was not counted")
}

// Another process that holds the lock for a while is waited for.
func TestWriterWaitsForAnotherProcess(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	other := w.replica(t)
	holding, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- other.Tx(t.Context(), func(*store.Queries) error {
			close(holding)
			<-release
			return nil
		})
	}()
	<-holding
	written := make(chan error, 1)
	go func() { written <- w.PutSetting(t.Context(), "a", "b") }()
	select {
	case err := <-written:
		t.Fatalf("wrote beside a writer: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	want(t, <-ended, nil)
	want(t, <-written, nil)
}
