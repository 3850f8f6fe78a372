package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

// TestLongTrailIsExportedWhole has more events than are read at once, many of
// them at the same time.
func TestLongTrailIsExportedWhole(t *testing.T) {
	database := filepath.Join(t.TempDir(), "peerage.db")
	st, err := store.Open(t.Context(), store.Options{Database: database, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	const eventPiece = 1000 // read at once
	const count = 2*eventPiece + 500
	events := make([]store.Event, count)
	want := make([]string, count)
	for i := range events {
		id := fmt.Sprintf("%05d", i)
		events[i] = store.Event{ID: id, Time: time.Unix(int64(i/300), 0), Event: "oidc_userinfo", RequestID: id}
		want[count-1-i] = id
	}
	if err := st.AddEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	export := func(args ...string) *bytes.Buffer {
		var stdout, stderr bytes.Buffer
		args = append([]string{"event", "export", "--database", database}, args...)
		if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr, nil); code != exitDone {
			t.Fatalf("%q: exit code %d\n%s", args, code, &stderr)
		}
		return &stdout
	}
	for _, limit := range []int{0, 1, eventPiece, eventPiece + 1, 2 * eventPiece, count} {
		expected := want
		if limit > 0 {
			expected = want[:limit]
		}
		var rows []struct {
			ID string `json:"request_id"`
		}
		if err := json.Unmarshal(export("--format", "json", "--limit", fmt.Sprint(limit)).Bytes(), &rows); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range rows {
			got = append(got, row.ID)
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	records, err := csv.NewReader(export()).ReadAll()
	if err != nil || len(records) != count+1 {
		t.Errorf("%d CSV records, %v", len(records), err)
	}
}
