package identity_test

import (
	"bytes"
	"encoding/csv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/identity"
	"peerage/store"
)

// Anybody can type a formula as a user name; a spreadsheet must not run it
// when an administrator opens the trail.
func TestFormulasInExportedTrail(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "ada": "ada", "a=b": "a=b", "=1+1": "'=1+1", "+49": "'+49", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "ü": "ü",
		`=HYPERLINK("http://evil.example","x")`: `'=HYPERLINK("http://evil.example","x")`,
	} {
		var out bytes.Buffer
		w := identity.NewEventsCSV(&out)
		err := w.Begin()
		if err == nil {
			err = w.Write([]store.Event{{Username: cell, Detail: cell, IP: cell, ClientID: cell}})
		}
		if err == nil {
			err = w.End()
		}
		rows, readErr := csv.NewReader(&out).ReadAll()
		if err != nil || readErr != nil || len(rows) != 2 {
			t.Fatalf("%q: %v, %v, %d rows", cell, err, readErr, len(rows))
		}
		if row := rows[1]; row[2] != want || row[4] != want || row[5] != want || row[7] != want {
			t.Errorf("%q became %q, want %q", cell, row, want)
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
		if diff := cmp.Diff(test.want, identity.EventDetail(store.Event{Detail: test.detail})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.detail, diff)
		}
	}
}

func TestEventQuery(t *testing.T) {
	now := time.Date(2026, 3, 19, 9, 12, 0, 0, time.UTC)
	day := func(d, h, m int) time.Time { return time.Date(2026, 3, d, h, m, 0, 0, time.UTC) }
	tests := []struct {
		query identity.EventQuery
		want  store.EventFilter
		fault []identity.QueryFault
	}{
		{identity.EventQuery{}, store.EventFilter{}, nil},
		{identity.EventQuery{Event: "logout", User: "ada", Client: "app", IP: "2001:DB8:0::1"}, store.EventFilter{Event: "logout", Username: "ada", ClientID: "app", IP: "2001:db8::1"}, nil},
		{identity.EventQuery{IP: "::ffff:192.0.2.1"}, store.EventFilter{IP: "192.0.2.1"}, nil},
		{identity.EventQuery{From: "2026-03-01", To: "2026-03-02 10:30"}, store.EventFilter{From: day(1, 0, 0), To: day(2, 10, 30)}, nil},
		{identity.EventQuery{From: "2026-03-01T01:00:00+01:00", To: "24h"}, store.EventFilter{From: day(1, 0, 0), To: day(18, 9, 12)}, nil},
		{identity.EventQuery{From: "7d"}, store.EventFilter{From: day(12, 9, 12)}, nil},
		{query: identity.EventQuery{Event: "login"}, fault: []identity.QueryFault{{Field: "event", Kind: identity.QueryNoEvent, Value: "login"}}},
		{query: identity.EventQuery{IP: "here"}, fault: []identity.QueryFault{{Field: "ip", Kind: identity.QueryNoAddress, Value: "here"}}},
		{query: identity.EventQuery{From: "yesterday", To: "-1h"}, fault: []identity.QueryFault{{Field: "from", Kind: identity.QueryNoTime, Value: "yesterday"}, {Field: "to", Kind: identity.QueryNoTime, Value: "-1h"}}},
		{query: identity.EventQuery{From: "99999999d"}, fault: []identity.QueryFault{{Field: "from", Kind: identity.QueryNoTime, Value: "99999999d"}}},
		{query: identity.EventQuery{From: "-3d"}, fault: []identity.QueryFault{{Field: "from", Kind: identity.QueryNoTime, Value: "-3d"}}},
		{query: identity.EventQuery{From: "1h", To: "2h"}, fault: []identity.QueryFault{{Field: "to", Kind: identity.QueryNoRange, Value: "2h"}}},
	}
	for _, test := range tests {
		got, faults := test.query.Filter(now)
		if diff := cmp.Diff(test.fault, faults); diff != "" {
			t.Errorf("%+v: faults (-want +got):\n%s", test.query, diff)
		}
		if len(faults) > 0 {
			if faults[0].Error() == "" {
				t.Errorf("%+v: no words", test.query)
			}
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.query, diff)
		}
	}
}
