package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

// foreign makes the database of another program.
func foreign(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "another's portal.db")
	db, err := sql.Open("sqlite", "file:"+path)
	want(t, err, nil)
	defer db.Close()
	for _, statement := range statements {
		_, err := db.Exec(statement)
		want(t, err, nil)
	}
	return path
}

func TestForeignDatabaseIsRead(t *testing.T) {
	t.Parallel()
	path := foreign(t, `CREATE TABLE "some ""clients""" (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, active BOOL, made DATETIME, blob BLOB)`,
		`INSERT INTO "some ""clients""" (name, active, made, blob) VALUES ('Grafana', 1, '2026-04-29 08:35:11', x'6869'), (NULL, 0, NULL, NULL)`)
	before, err := os.ReadFile(path)
	want(t, err, nil)
	f, err := store.OpenForeign(t.Context(), path)
	want(t, err, nil)
	defer f.Close()
	tables, err := f.Tables(t.Context())
	want(t, err, nil)
	name := `some "clients"`
	if diff := cmp.Diff(map[string][]string{name: {"id", "name", "active", "made", "blob"}}, tables); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	rows, err := f.Rows(t.Context(), name, 10)
	want(t, err, nil)
	if len(rows) == 2 && strings.HasPrefix(rows[0]["made"], "2026-04-29") {
		delete(rows[0], "made")
	}
	if diff := cmp.Diff([]map[string]string{{"id": "1", "name": "Grafana", "active": "1", "blob": "hi"}, {"id": "2", "active": "0"}}, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if rows, err := f.Rows(t.Context(), name, 1); err != nil || len(rows) != 1 {
		t.Errorf("%d rows and %v, want one", len(rows), err)
	}
	after, err := os.ReadFile(path)
	want(t, err, nil)
	if string(before) != string(after) {
		t.Error("the file was changed")
	}
	if beside, _ := filepath.Glob(path + "-*"); len(beside) != 0 {
		t.Errorf("there is %v beside it", beside)
	}
}

func TestForeignDatabaseThatIsNone(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.db")
	_, err := store.OpenForeign(t.Context(), missing)
	want(t, err, store.ErrNoDatabase)
	if _, err := os.Stat(missing); err == nil {
		t.Error("it was made")
	}
	text := filepath.Join(t.TempDir(), "text")
	want(t, os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600), nil)
	if _, err := store.OpenForeign(t.Context(), text); err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("a text: %v", err)
	}
}
