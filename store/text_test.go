package store_test

import (
	"testing"

	"peerage/store"
)

// A request can bring bytes that no text of PostgreSQL holds, in an address
// (/login?request=%00) as in a form. They find nothing, and what is kept of
// them can be read.
func TestTextThatIsNoText(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		ana := w.person(t)
		for _, odd := range []string{"\x00", "a\x00b", "\xff\xfe", "\xc3(", "\xed\xa0\xbd"} {
			_, err := w.Request(ctx, odd, hash("browser"))
			want(t, err, store.ErrNotFound)
			_, err = w.Person(ctx, odd)
			want(t, err, store.ErrNotFound)
			_, err = w.UserByName(ctx, odd)
			want(t, err, store.ErrNotFound)
			_, err = w.Group(ctx, odd)
			want(t, err, store.ErrNotFound)
			want(t, w.DeleteGroup(ctx, odd), store.ErrNotFound)
			_, err = w.RevokeSession(ctx, ana.Sub, odd)
			want(t, err, store.ErrNotFound)
			want(t, w.RevokeConsent(ctx, ana.Sub, odd), store.ErrNotFound)
			_, err = w.Events(ctx, store.EventFilter{Username: odd, ClientID: odd, Limit: 10})
			want(t, err, nil)
		}
		want(t, w.AddEvents(ctx, []store.Event{{Time: w.clock.Now(), ID: "1", Event: "login_failure", Username: "a\x00b\xff", IP: "192.0.2.1", Result: "failure"}}), nil)
		events, err := w.Events(ctx, store.EventFilter{Limit: 10})
		want(t, err, nil)
		if len(events) != 1 || events[0].Username != "a\uFFFDb\uFFFD" || events[0].IP != "192.0.2.1" {
			t.Fatalf("events %+v", events)
		}
	})
}
