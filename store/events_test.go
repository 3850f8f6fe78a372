package store_test

import (
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
		list, err := w.Events(ctx, 3)
		want(t, err, nil)
		expected := []store.Event{{ID: "3", Time: beginning.Add(time.Second)}, full, {ID: "1", Time: beginning}}
		if diff := cmp.Diff(expected, list); diff != "" {
			t.Fatalf("events (-want +got):\n%s", diff)
		}
		// A batch is written whole or not at all.
		want(t, w.AddEvents(ctx, []store.Event{{ID: "4", Time: beginning}, {ID: "1", Time: beginning}}), store.ErrExists)
		if list, err = w.Events(ctx, 10); err != nil || len(list) != 4 {
			t.Fatalf("%d events, %v", len(list), err)
		}
	})
}
