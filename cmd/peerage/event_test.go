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

func TestHarmlessCells(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "ada": "ada", "a=b": "a=b", "=1+1": "'=1+1", "+49": "'+49", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "ü": "ü",
	} {
		if got := harmless(cell); got != want {
			t.Errorf("%q became %q, want %q", cell, got, want)
		}
	}
}

func TestDetailIsTakenApart(t *testing.T) {
	tests := []struct {
		detail string
		want   [][2]string
	}{
		{"", nil},
		{"a=1", [][2]string{{"a", "1"}}},
		{`a=1 b="two words" c="" d="q\"=\\" e=5`, [][2]string{{"a", "1"}, {"b", "two words"}, {"c", ""}, {"d", `q"=\`}, {"e", "5"}}},
		{"none", nil},
		{`a="open b=2`, [][2]string{{"a", `"open`}, {"b", "2"}}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, detailPairs(test.detail)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.detail, diff)
		}
	}
}
