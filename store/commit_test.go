package store_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/store"
)

// put is a transaction that leaves a trace.
func put(name string) func(*store.Queries) error {
	return func(q *store.Queries) error {
		return q.Exec("INSERT INTO settings (name, value) VALUES ($1, 'x')", name)
	}
}

func (w world) there(t *testing.T, name string) bool {
	t.Helper()
	return w.rows(t, "SELECT COUNT(*) FROM settings WHERE name = $1", name) == 1
}

// behind holds the writer until n transactions wait behind it, so that they
// become one group, and returns when all are answered. Errors are in their order.
func (w world) behind(t *testing.T, ctx func(i int) context.Context, transactions ...func(*store.Queries) error) []error {
	t.Helper()
	holding, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		// Its own outcome is that of the group, which is looked at below.
		_ = w.Tx(t.Context(), func(*store.Queries) error {
			close(holding)
			<-release
			return nil
		})
	})
	<-holding
	errs := make([]error, len(transactions))
	var begun sync.WaitGroup
	for i, f := range transactions {
		begun.Add(1)
		all.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					errs[i] = errors.New(v.(string))
				}
			}()
			begun.Done()
			errs[i] = w.Tx(ctx(i), f)
		})
	}
	begun.Wait()
	close(release)
	all.Wait()
	return errs
}

// What waits while a commit is on its way to the disk shares the next one.
func TestWritersThatWaitShareACommit(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	var mu sync.Mutex
	commits := 0
	w.Store = w.replica(t)
	w.Record(t, func(query string, _ []driver.NamedValue) {
		mu.Lock()
		defer mu.Unlock()
		if query == "COMMIT" {
			commits++
		}
	})
	const writers = 200
	together(writers, func(int) { want(t, w.Tx(t.Context(), put(w.name("shared"))), nil) })
	if n := w.rows(t, "SELECT COUNT(*) FROM settings WHERE name LIKE 'shared%'"); n != writers {
		t.Errorf("%d of %d rows are there", n, writers)
	}
	if commits == 0 || commits >= writers {
		t.Errorf("%d commits for %d writers", commits, writers)
	}
}

// One that fails, panics or hangs up undoes what it did, and nobody else's work.
func TestOneOfAGroupFailsAlone(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	broken := errors.New("broken")
	gone, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	ctx := func(i int) context.Context {
		if i == 3 {
			return gone
		}
		return t.Context()
	}
	for range 20 {
		names := []string{w.name("a"), w.name("b"), w.name("c"), w.name("d"), w.name("e")}
		errs := w.behind(t, ctx,
			put(names[0]),
			func(q *store.Queries) error {
				want(t, put(names[1])(q), nil)
				return broken
			},
			func(q *store.Queries) error {
				want(t, put(names[2])(q), nil)
				panic("a fault in the program")
			},
			func(q *store.Queries) error {
				hangUp() // the caller hangs up while its statement may run
				return put(names[3])(q)
			},
			put(names[4]))
		want(t, errs[0], nil)
		want(t, errs[1], broken)
		if errs[2] == nil || errs[2].Error() != "a fault in the program" {
			t.Errorf("the panic arrived as %v", errs[2])
		}
		want(t, errs[4], nil)
		for i, there := range []bool{true, false, false, errs[3] == nil, true} {
			if w.there(t, names[i]) != there {
				t.Errorf("row %d: there is %v, want %v", i, !there, there)
			}
		}
	}
}

// Who is told that something exists already finds it, although the one who made
// it waits for the same commit.
func TestFailureIsToldAfterWhatItFailedBy(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		for round := range 30 {
			name := fmt.Sprint("round-", round)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					err := w.Tx(t.Context(), put(name))
					if err != nil && !errors.Is(err, store.ErrExists) {
						t.Errorf("%s: %v", name, err)
					}
					if _, err := w.Setting(t.Context(), name); err != nil {
						t.Errorf("%s exists and cannot be read: %v", name, err)
					}
				})
			}
			all.Wait()
		}
	})
}

// A full disk makes SQLite undo the whole group: nobody in it is told "done",
// and when there is room again everything works.
func TestDiskFullLosesNoAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	limit := func(pages string) {
		want(t, w.Tx(t.Context(), func(q *store.Queries) error {
			_, err := q.Text("PRAGMA max_page_count = " + pages)
			return err
		}), nil)
	}
	limit("1")
	large := strings.Repeat("x", 1<<20)
	acknowledged := map[string]bool{}
	names := []string{"before", "large", "after"}
	errs := w.behind(t, func(int) context.Context { return t.Context() }, put(names[0]), func(q *store.Queries) error {
		return q.Exec("INSERT INTO settings (name, value) VALUES ('large', $1)", large)
	}, put(names[2]))
	for i, err := range errs {
		acknowledged[names[i]] = err == nil
	}
	if acknowledged["large"] {
		t.Fatal("a megabyte was written to a full disk")
	}
	for name, done := range acknowledged {
		if w.there(t, name) != done {
			t.Errorf("%s: acknowledged is %v", name, done)
		}
	}
	limit("1000000")
	want(t, w.Tx(t.Context(), put("room again")), nil)
	if !w.there(t, "room again") {
		t.Error("the store did not recover")
	}
}

func TestClosedStoreWritesNothing(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	s := w.replica(t)
	want(t, s.Close(), nil)
	if err := s.Tx(t.Context(), put("late")); err == nil {
		t.Error("a closed store took a write")
	}
	want(t, s.Close(), nil)
}

// A store that is closed leaves one file: the write-ahead log is in it. An open
// statement would keep the connection, and with it the log.
func TestCloseRemovesTheWriteAheadLog(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	s := w.replica(t)
	want(t, w.Close(), nil)
	_, err := s.Lease(t.Context(), "job", "one", time.Minute)
	want(t, err, nil)
	_, err = s.SigningKeys(t.Context())
	want(t, err, nil)
	if _, err := os.Stat(w.address + "-wal"); err != nil {
		t.Fatalf("there is no log to remove: %v", err)
	}
	want(t, s.Close(), nil)
	_, err = os.Stat(w.address + "-wal")
	want(t, err, fs.ErrNotExist)
}
