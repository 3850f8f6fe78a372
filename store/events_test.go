package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestEventsAreListedNewestFirst(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		full := store.Event{
			ID: "2", Time: beginning.Add(time.Second), Event: "login", Username: "ana", Sub: "s", ClientID: "app", IP: "192.0.2.1",
			Result: "success", Detail: "acr=x", RequestID: "r", TraceID: "t", SpanID: "p",
		}
		want(t, w.AddEvents(ctx, []store.Event{{ID: "1", Time: beginning}, full}), nil)
		want(t, w.AddEvents(ctx, []store.Event{{ID: "3", Time: beginning.Add(time.Second)}, {ID: "0", Time: beginning.Add(-time.Hour)}}), nil)
		want(t, w.AddEvents(ctx, nil), nil)
		list, err := w.Events(ctx, store.EventFilter{Limit: 3})
		want(t, err, nil)
		expected := []store.Event{{ID: "3", Time: beginning.Add(time.Second)}, full, {ID: "1", Time: beginning}}
		if diff := cmp.Diff(expected, list); diff != "" {
			t.Fatalf("events (-want +got):\n%s", diff)
		}
		// A batch is written whole or not at all.
		want(t, w.AddEvents(ctx, []store.Event{{ID: "4", Time: beginning}, {ID: "1", Time: beginning}}), store.ErrExists)
		if list, err = w.Events(ctx, store.EventFilter{Limit: 10}); err != nil || len(list) != 4 {
			t.Fatalf("%d events, %v", len(list), err)
		}
	})
}

func TestEventsAreFiltered(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		minute := func(n int) time.Time { return beginning.Add(time.Duration(n) * time.Minute) }
		want(t, w.AddEvents(t.Context(), []store.Event{
			{ID: "1", Time: minute(1), Event: "login_success", Username: "ada", Sub: "s-ada", IP: "192.0.2.1"},
			{ID: "2", Time: minute(2), Event: "login_failure", Username: "ada", Sub: "s-ada", IP: "192.0.2.2"},
			{ID: "3", Time: minute(3), Event: "oidc_token", Username: "bob", Sub: "s-bob", ClientID: "app", IP: "192.0.2.1"},
			{ID: "4", Time: minute(4), Event: "login_success", Username: "bob", Sub: "s-bob", IP: "2001:db8::1"},
			{ID: "5", Time: minute(4), Event: "oidc_token", Username: "bob", Sub: "s-bob", ClientID: "wiki", IP: "192.0.2.1"},
			{ID: "6", Time: minute(5), Event: "key_rotate"},
		}), nil)
		tests := []struct {
			filter store.EventFilter
			want   string
		}{
			{store.EventFilter{}, "6 5 4 3 2 1"},
			{store.EventFilter{Limit: 2}, "6 5"},
			{store.EventFilter{Event: "login_success"}, "4 1"},
			{store.EventFilter{Username: "ada"}, "2 1"},
			{store.EventFilter{Sub: "s-bob"}, "5 4 3"},
			{store.EventFilter{ClientID: "app"}, "3"},
			{store.EventFilter{IP: "192.0.2.1"}, "5 3 1"},
			{store.EventFilter{IP: "192.0.2.1", Username: "bob", Event: "oidc_token", ClientID: "wiki"}, "5"},
			{store.EventFilter{Username: "' OR 1=1 --"}, ""},
			{store.EventFilter{From: minute(4)}, "6 5 4"},
			{store.EventFilter{To: minute(4)}, "3 2 1"},
			{store.EventFilter{From: minute(2), To: minute(4), Limit: 1}, "3"},
			{store.EventFilter{After: &store.Event{ID: "5", Time: minute(4)}}, "4 3 2 1"},
			{store.EventFilter{After: &store.Event{ID: "4", Time: minute(4)}, From: minute(2)}, "3 2"},
			{store.EventFilter{After: &store.Event{ID: "6", Time: minute(5)}, Username: "bob", Limit: 2}, "5 4"},
			{store.EventFilter{After: &store.Event{ID: "1", Time: minute(1)}}, ""},
			{store.EventFilter{Before: &store.Event{ID: "2", Time: minute(2)}, Limit: 2}, "4 3"},
			{store.EventFilter{Before: &store.Event{ID: "4", Time: minute(4)}, Limit: 9}, "6 5"},
			{store.EventFilter{Before: &store.Event{ID: "1", Time: minute(1)}, IP: "192.0.2.1", Limit: 1}, "3"},
			{store.EventFilter{Before: &store.Event{ID: "6", Time: minute(5)}, Limit: 9}, ""},
			{store.EventFilter{Skip: 2, Limit: 2}, "4 3"},
			{store.EventFilter{Skip: 9, Limit: 2}, ""},
		}
		for _, test := range tests {
			list, err := w.Events(t.Context(), test.filter)
			want(t, err, nil)
			var ids []string
			for _, e := range list {
				ids = append(ids, e.ID)
			}
			if got := strings.Join(ids, " "); got != test.want {
				t.Errorf("%+v: got %q, want %q", test.filter, got, test.want)
			}
		}
	})
}
