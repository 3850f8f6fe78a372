package store_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/store"
	"peerage/store/storetest"
)

// plan is how SQLite would run a statement, a line a step.
func (w world) plan(t testing.TB, query string, args ...any) []string {
	t.Helper()
	rows, err := w.Writer().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("explaining %s: %v", query, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		want(t, rows.Scan(&id, &parent, &unused, &step), nil)
		steps = append(steps, step)
	}
	want(t, rows.Err(), nil)
	return steps
}

// TestHotPathsUseAnIndex runs operations, records their statements and looks
// at the plan of each: none may read a whole table.
func TestHotPathsUseAnIndex(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	type statement struct {
		query string
		args  []any
	}
	var mu sync.Mutex
	var operation string
	recorded := map[statementOf]statement{}
	recording := w
	recording.Store = w.replica(t, storetest.WithAdminGroup("admins"), storetest.WithMirroredConsents("local"))
	recording.Record(t, func(query string, args []driver.NamedValue) {
		mu.Lock()
		defer mu.Unlock()
		s := statement{query: query}
		for _, a := range args {
			s.args = append(s.args, a.Value)
		}
		if !strings.HasPrefix(query, "PRAGMA") {
			recorded[statementOf{operation, query}] = s
		}
	})
	for _, story := range hotPaths {
		operation = story.name
		before := len(recorded)
		story.run(t, recording)
		if len(recorded) == before {
			t.Errorf("%s: no statement was recorded", story.name)
		}
	}
	for key, s := range recorded {
		for _, step := range w.plan(t, s.query, s.args...) {
			if _, fine := fineScans[step]; strings.HasPrefix(step, "SCAN ") && !fine {
				t.Errorf("%s: %s\n\t%s", key.operation, step, s.query)
			}
		}
	}
	if len(recorded) < 50 {
		t.Fatalf("only %d statements were looked at", len(recorded))
	}
}

var fineScans = map[string]string{
	"SCAN peeringdb_opt_outs USING INDEX sqlite_autoindex_peeringdb_opt_outs_1": "the few networks that opted out",
	"SCAN u USING INDEX sqlite_autoindex_users_2":                               "people by user name, of which only some are taken",
	"SCAN events USING INDEX events_time":                                       "the newest events first, of which only some are taken",
	// Side by side, to their ends: a fifth of the time that looking for each
	// person's factors takes.
	"SCAN users USING COVERING INDEX sqlite_autoindex_users_1": "who has no second factor",
	"SCAN factors USING COVERING INDEX factors_active":         "who has no second factor",
	"SCAN passkeys USING COVERING INDEX passkeys_sub":          "who has no second factor",
	"SCAN json_each VIRTUAL TABLE INDEX 1:":                    "a list of the statement's own",
}

type statementOf struct{ operation, query string }

var hotPaths = []struct {
	name string
	run  func(testing.TB, world)
}{
	{"PeeringDB", func(t testing.TB, w world) {
		ctx := t.Context()
		u := w.linked(t, 1, 64500)
		_, err := w.PeeringDBLink(ctx, u.Sub)
		want(t, err, nil)
		_, err = w.PeeringDBLinkOf(ctx, 1)
		want(t, err, nil)
		_, err = w.Person(ctx, u.Sub)
		want(t, err, nil)
		_, err = w.AffiliationNews(ctx, u.Sub)
		want(t, err, nil)
		want(t, w.HurryPeeringDB(ctx, u.Sub), nil)
		_, err = w.DuePeeringDBCheck(ctx)
		want(t, err, nil)
		link, _, err := w.TakePeeringDBCheck(ctx, "", checkLease, checkPace)
		want(t, err, nil)
		_, err = w.KeepPeeringDBToken(ctx, u.Sub, link.Generation, []byte("next"))
		want(t, err, nil)
		want(t, w.PutPeeringDBFlow(ctx, hash("state"), hash("browser"), store.PeeringDBFlow{Secrets: []byte("s")}, time.Minute), nil)
		_, err = w.TakePeeringDBFlow(ctx, hash("state"), hash("browser"))
		want(t, err, nil)
		_, err = w.PeopleToForget(ctx, beginning, 10)
		want(t, err, nil)
	}},
	{"sign-in", func(t testing.TB, w world) {
		ctx := t.Context()
		p, other := w.signedUp(t), w.signedUp(t)
		_, err := w.UserByName(ctx, p.Sub[len("sub-"):])
		want(t, err, nil)
		_, err = w.GroupsOf(ctx, p.Sub)
		want(t, err, nil)
		_, err = w.HasMember(ctx, "admins")
		want(t, err, nil)
		want(t, w.SetPassword(ctx, other.Sub, "hash", ""), nil)
		_, err = w.PasswordHash(ctx, other.Sub)
		want(t, err, nil)
		_, err = w.TakeAttempt(ctx, keyed(soft, "account"), keyed(hard, "codes"))
		want(t, err, nil)
		want(t, w.ForgiveAttempt(ctx, "account", true), nil)
		want(t, w.ForgiveAttempt(ctx, "codes", false), nil)
		_, err = w.SignIn(ctx, p.browser)
		want(t, err, nil)
		_, err = w.TOTP(ctx, p.Sub)
		want(t, err, nil)
		want(t, w.ClaimStep(ctx, p.Sub, 9), nil)
		_, err = w.TakeSignIn(ctx, p.browser)
		want(t, err, nil)
		_, err = w.TakeLink(ctx, p.link, store.PurposeFactor)
		want(t, err, nil)
		want(t, w.StrengthenSession(ctx, p.session, hash("new"), "acr", nil), nil)
		w.clock.Advance(2 * time.Minute)
		_, err = w.Session(ctx, hash("new"), idle)
		want(t, err, nil)
		_, err = w.Sessions(ctx, p.Sub)
		want(t, err, nil)
		_, err = w.SessionAlive(ctx, p.SessionID)
		want(t, err, nil)
		_, err = w.RevokeOtherSessions(ctx, p.Sub, p.SessionID)
		want(t, err, nil)
		_, err = w.RevokeSession(ctx, p.Sub, "nobody's")
		want(t, err, store.ErrNotFound)
		want(t, w.RotateSession(ctx, hash("no session"), hash("new")), store.ErrNotFound)
		want(t, w.ReplaceBackendToken(ctx, p.SessionID, []byte("token"), w.clock.Now().Add(time.Hour)), nil)
		_, err = w.ChangePassword(ctx, other.Sub, "hash", "another", "")
		want(t, err, nil)
		_, err = w.EndOthers(ctx, other.Sub, "")
		want(t, err, nil)
		want(t, w.SetDisabled(ctx, other.Sub, true), nil)
		_, err = w.EndSession(ctx, hash("new"))
		want(t, err, nil)
	}},
	{"second factors", func(t testing.TB, w world) {
		ctx := t.Context()
		sub := w.person(t).Sub
		key := w.passkey(t, sub, "planned")
		_, err := w.Passkeys(ctx, sub)
		want(t, err, nil)
		_, err = w.Passkey(ctx, key.ID)
		want(t, err, nil)
		want(t, w.UsePasskey(ctx, key.ID, 9, []byte("x")), nil)
		want(t, w.PutCeremony(ctx, hash("browser"), store.Ceremony{Challenge: "planned"}, time.Minute), nil)
		_, err = w.TakeCeremony(ctx, hash("browser"), "planned", "")
		want(t, err, nil)
		want(t, w.PutRecoveryCodes(ctx, sub, []string{"one"}), nil)
		_, err = w.TakeRecoveryCode(ctx, sub, "one")
		want(t, err, nil)
		_, err = w.RecoveryState(ctx, sub)
		want(t, err, nil)
		want(t, w.RenamePasskey(ctx, sub, key.ID, "planned"), nil)
		want(t, w.RemovePasskey(ctx, sub, key.ID, false), nil)
	}},
	{"authorization", func(t testing.TB, w world) {
		ctx := t.Context()
		id, browser := w.request(t, "app")
		_, err := w.RequestUnbound(ctx, id)
		want(t, err, nil)
		want(t, w.BindRequest(ctx, id, browser), nil)
		_, err = w.Request(ctx, id, browser)
		want(t, err, nil)
		_, err = w.RequestClient(ctx, id)
		want(t, err, nil)
		sub := w.person(t).Sub
		want(t, w.SaveConsent(ctx, id, browser, store.Progress{}, sub, "app", nil), nil)
		_, err = w.Consent(ctx, sub, "app")
		want(t, err, nil)
		_, err = w.Consents(ctx, sub)
		want(t, err, nil)
		want(t, w.FinishRequest(ctx, id, browser), nil)
		want(t, w.RevokeConsent(ctx, sub, "app"), nil)
		_, err = w.Client(ctx, "app")
		want(t, err, store.ErrNotFound)
	}},
	{"tokens", func(t testing.TB, w world) {
		ctx := t.Context()
		g := w.granted(t, true)
		_, err := w.Code(ctx, g.Hash)
		want(t, err, nil)
		w.alive(t, g.access(), true)
		w.rotate(t, g.refresh(), g.ClientID, "second")
		w.rotate(t, g.refresh(), g.ClientID, "repeat")
		w.rotate(t, hash("refresh second"), g.ClientID, "third")
		w.reused(t, g.refresh(), g.ClientID)
		want(t, w.redeem(ctx, g.issuedCode, "replay", true), store.ErrReplayed)
		want(t, w.BurnCode(ctx, w.issued(t).Hash), nil)
		want(t, w.RevokeFamily(ctx, g.FamilyID), nil)
		w.alive(t, g.access(), false)
	}},
	{"device", func(t testing.TB, w world) {
		ctx := t.Context()
		d := w.allowDevice(t, w.person(t).Sub, "tv")
		_, err := w.Device(ctx, d.Hash)
		want(t, err, nil)
		_, err = w.DeviceByUserCode(ctx, d.UserCodeHash)
		want(t, err, store.ErrNotFound)
		want(t, w.PollDevice(ctx, w.device(t, "tv").Hash, "tv", nil), store.ErrPending)
		want(t, w.PollDevice(ctx, d.Hash, "tv", w.deviceGrant("device", true)), nil)
		want(t, w.PollDevice(ctx, d.Hash, "tv", nil), store.ErrReplayed)
		want(t, w.SignOutEverywhere(ctx, d.Sub, false), nil)
	}},
	{"mirrored consents", func(t testing.TB, w world) {
		w.allows(t, w.person(t).Sub, "planned")
		list, err := w.TakeConsentChanges(t.Context(), 1, time.Minute)
		want(t, err, nil)
		want(t, w.RetryConsents(t.Context(), list[0], time.Minute), nil)
		want(t, w.ConsentsMirrored(t.Context(), list[0]), nil)
	}},
	{"credentials of OpenBao", func(t testing.TB, w world) {
		ctx := t.Context()
		sub := w.person(t).Sub
		w.apiToken(t, sub, "planned")
		want(t, w.MarkAPIToken(ctx, "planned", true, true), nil)
		_, err := w.APITokens(ctx, sub)
		want(t, err, nil)
		w.certificate(t, sub, "00:99")
		want(t, w.MarkRevoked(ctx, "00:99", beginning), nil)
		_, err = w.Certificates(ctx, sub, 10)
		want(t, err, nil)
	}},
	{"last known states", func(t testing.TB, w world) {
		sub := w.person(t).Sub
		want(t, w.PutKnownState(t.Context(), store.KnownState{Sub: sub, AskedAt: beginning}), nil)
		_, err := w.KnownState(t.Context(), sub)
		want(t, err, nil)
	}},
	{"jobs", func(t testing.TB, w world) {
		w.lease(t, w.Store, "one", true)
	}},
	{"administration", func(t testing.TB, w world) {
		ctx := t.Context()
		want(t, w.CreateGroup(ctx, "planned"), nil)
		p, admin := w.person(t, "planned"), w.person(t, "admins")
		_, err := w.EditUser(ctx, store.UserEdit{Sub: p.Sub, Name: "Other", Groups: []string{"admins"}})
		want(t, err, nil)
		want(t, w.PutProfile(ctx, store.User{Sub: p.Sub, Name: "Another"}), nil)
		want(t, w.ChangeMembers(ctx, "planned", []string{p.Sub, admin.Sub}, true), nil)
		want(t, w.ChangeMembers(ctx, "planned", []string{admin.Sub}, false), nil)
		_, err = w.Members(ctx, "planned", 10, 0)
		want(t, err, nil)
		_, err = w.Group(ctx, "planned")
		want(t, err, nil)
		want(t, w.DeleteGroup(ctx, "planned"), nil)
		want(t, w.DeleteUser(ctx, p.Sub), nil)
		for _, f := range []store.UserFilter{{}, {Text: "a"}, {Text: "ada example"}, {State: store.UsersDisabled}, {State: store.UsersActive}, {State: store.UsersWithoutFactor},
			{Origin: "local"}, {Group: "admins"}, {Text: "ada", State: store.UsersDisabled, Origin: "local", Group: "admins"}} {
			f.Limit = 50
			_, err = w.FindUsers(ctx, f)
			want(t, err, nil)
		}
	}},
	{"cleaning", func(t testing.TB, w world) {
		_, _, err := w.DeleteExpired(context.WithoutCancel(t.Context()), 10, idle)
		want(t, err, nil)
		_, err = w.ExpireSignIns(t.Context(), 10)
		want(t, err, nil)
	}},
	{"consents", func(t testing.TB, w world) {
		g := w.granted(t, true)
		id, browser := w.request(t, g.ClientID)
		want(t, w.SaveConsent(t.Context(), id, browser, store.Progress{}, g.Sub, g.ClientID, nil), nil)
		want(t, w.RevokeConsent(t.Context(), g.Sub, g.ClientID), nil)
	}},
	{"activity", func(t testing.TB, w world) {
		want(t, w.AddEvents(t.Context(), []store.Event{{ID: "e", Time: beginning}}), nil)
		_, err := w.Events(t.Context(), store.EventFilter{Limit: 10})
		want(t, err, nil)
	}},
}

// Whoever filters the audit trail gets the newest first without reading and
// without sorting all of it.
func TestEventFiltersUseAnIndex(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	recording := w
	recording.Store = w.replica(t)
	var query string
	var args []any
	recording.Record(t, func(q string, values []driver.NamedValue) {
		if strings.HasPrefix(q, "PRAGMA") {
			return
		}
		query, args = q, nil
		for _, v := range values {
			args = append(args, v.Value)
		}
	})
	from, to, last := beginning, beginning.Add(time.Hour), &store.Event{ID: "e", Time: beginning}
	tests := []struct {
		filter store.EventFilter
		by     string
	}{
		{store.EventFilter{Event: "x"}, "events_event (event=?"},
		{store.EventFilter{Username: "x"}, "events_username (username=?"},
		{store.EventFilter{Sub: "x"}, "events_sub (sub=?"},
		{store.EventFilter{ClientID: "x"}, "events_client (client_id=?"},
		{store.EventFilter{IP: "x"}, "events_ip (ip=?"},
		{store.EventFilter{From: from}, "events_time (time>?"},
		{store.EventFilter{To: to}, "events_time (time<?"},
		{store.EventFilter{After: last}, "events_time (time<?"},
		{store.EventFilter{From: from, To: to}, "events_time (time>? AND time<?"},
		{store.EventFilter{Sub: "x", After: last}, "events_sub (sub=? AND time<?"},
		{store.EventFilter{Before: last}, "events_time (time>?"},
		{store.EventFilter{Before: last, Event: "x", To: to}, "events_event (event=? AND time>? AND time<?"},
		{store.EventFilter{Event: "x", ClientID: "x", IP: "x"}, "events_ip (ip=?"},
		{store.EventFilter{Event: "x", Username: "x", IP: "x", After: last}, "events_username (username=? AND time<?"},
		{store.EventFilter{Event: "x", ClientID: "x"}, "events_client (client_id=?"},
		{store.EventFilter{Event: "x", From: from}, "events_event (event=? AND time>?"},
		{store.EventFilter{Username: "x", From: from, To: to, After: last}, "events_username (username=? AND time>? AND time<?"},
	}
	for _, test := range tests {
		test.filter.Limit = 10
		_, err := recording.Events(t.Context(), test.filter)
		want(t, err, nil)
		steps := w.plan(t, query, args...)
		// Only events of the same time are sorted, by their id.
		for len(steps) > 0 && strings.HasPrefix(steps[len(steps)-1], "USE TEMP B-TREE FOR LAST TERM OF ORDER BY") {
			steps = steps[:len(steps)-1]
		}
		if len(steps) != 1 || !strings.HasPrefix(steps[0], "SEARCH events USING INDEX "+test.by) {
			t.Errorf("%+v: %q\n\t%s", test.filter, steps, query)
		}
	}
}

// A delete looks for the rows that hang on it; without an index that is a scan
// which no plan shows.
func TestForeignKeysHaveAnIndex(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	rows, err := w.Writer().QueryContext(t.Context(), `SELECT m.name, f."from" FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`)
	want(t, err, nil)
	var keys [][2]string
	for rows.Next() {
		var key [2]string
		want(t, rows.Scan(&key[0], &key[1]), nil)
		keys = append(keys, key)
	}
	want(t, rows.Close(), nil)
	if len(keys) < 10 {
		t.Fatalf("only %d foreign keys found", len(keys))
	}
	for _, key := range keys {
		for _, step := range w.plan(t, fmt.Sprintf("SELECT 1 FROM %s WHERE %s = 'x'", key[0], key[1])) {
			if !strings.HasPrefix(step, "SEARCH") {
				t.Errorf("%s (%s): %s", key[0], key[1], step)
			}
		}
	}
}
