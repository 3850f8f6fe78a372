package store_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// afterRestore says of every table what a restoration does about its rows: a
// new table of things that work once must not be forgotten.
var afterRestore = map[string]string{
	"codes": "spent", "device_codes": "spent", "factors": "TOTP codes are claimed up to now",
	"links": "emptied", "recovery_codes": "emptied", "ceremonies": "emptied", "requests": "emptied", "pushed_requests": "emptied", "signins": "emptied",
	"peeringdb_flows": "emptied", "leases": "emptied", "outbox": "emptied", "known_states": "emptied",
	"peeringdb_links": "kept: a refresh token that was spent since asks for a new sign-in", "peeringdb_pace": "kept", "peeringdb_opt_outs": "kept",
	"affiliations": "kept", "affiliation_news": "kept",
	"sessions": "ended", "families": "ended", "access_tokens": "ended with their families", "refresh_tokens": "ended with their families",
	"consent_mirror": "kept: told twice is told",
	"logouts":        "kept: told twice is told",
	"attempts":       "kept: locks that have gone by end by themselves",
	"assertions":     "kept: what was used since is good for minutes, in the client's hands alone",
	"api_tokens":     "kept: they end within the hour, and OpenBao says so", "certificates": "kept: what was revoked since is revoked at OpenBao",
	"public_networks": "kept: read again soon", "public_ports": "kept: read again soon",
	"settings": "kept", "revisions": "kept", "schema_version": "kept", "users": "kept", "user_words": "kept", "credentials": "kept", "passkeys": "kept",
	"local_groups": "kept", "group_members": "kept", "clients": "kept", "consents": "kept", "signing_keys": "kept", "events": "kept",
}

func TestRestoreKnowsEveryTable(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	u := w.person(t)
	r, err := w.beginRestore(t, w.copied(t), filepath.Join(t.TempDir(), "p.db"))
	want(t, err, nil)
	w.Store = r.Store
	tables := w.column(t, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	for _, name := range tables {
		if afterRestore[name] == "" {
			t.Errorf("what becomes of the rows of %s after a restoration?", name)
		}
	}
	for name, what := range afterRestore {
		if !slices.Contains(tables, name) {
			t.Fatalf("there is no table %s", name)
		}
		if what == "emptied" {
			w.fill(t, name, u.Sub)
		}
	}
	_, err = r.Void(t.Context(), true, 0)
	want(t, err, nil)
	for name, what := range afterRestore {
		if what == "emptied" && w.rows(t, "SELECT COUNT(*) FROM "+name) != 0 {
			t.Errorf("%s is not empty after a restoration", name)
		}
	}
}

// column is the first column of all rows.
func (w world) column(t testing.TB, query string, args ...any) (values []string) {
	t.Helper()
	rows, err := w.Writer().QueryContext(t.Context(), query, args...)
	want(t, err, nil)
	defer rows.Close()
	for rows.Next() {
		var v string
		want(t, rows.Scan(&v), nil)
		values = append(values, v)
	}
	want(t, rows.Err(), nil)
	return values
}

// fill puts a row into a table, about a person where it is about one.
func (w world) fill(t testing.TB, table, sub string) {
	t.Helper()
	var values []any
	for _, column := range w.column(t, "SELECT name || ' ' || type FROM pragma_table_info($1) ORDER BY cid", table) {
		switch name, kind, _ := strings.Cut(column, " "); {
		case name == "sub":
			values = append(values, sub)
		case kind == "BIGINT":
			values = append(values, beginning.Add(time.Hour).UnixMicro())
		default:
			values = append(values, "0")
		}
	}
	_, err := w.Writer().ExecContext(t.Context(), "INSERT INTO "+table+" VALUES ("+strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")+")", values...)
	want(t, err, nil)
}
