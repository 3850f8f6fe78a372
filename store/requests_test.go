package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestRequestBelongsToItsBrowser(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		made, err := w.CreateRequest(ctx, store.Request{ID: "r", ClientID: "app", Parameters: `{"scope":"openid"}`, BrowserHash: hash("mine")}, time.Minute)
		want(t, err, nil)
		got, err := w.Request(ctx, "r", hash("mine"))
		want(t, err, nil)
		if diff := cmp.Diff(made, got); diff != "" {
			t.Fatalf("read differs from created (-created +read):\n%s", diff)
		}
		if !got.CreatedAt.Equal(beginning) || !got.ExpiresAt.Equal(beginning.Add(time.Minute)) {
			t.Fatalf("times %v, %v are not by the store's clock", got.CreatedAt, got.ExpiresAt)
		}
		for name, browser := range map[string][]byte{"another browser": hash("theirs"), "no browser": nil, "an empty cookie": {}} {
			if _, err := w.Request(ctx, "r", browser); err != store.ErrNotFound {
				t.Errorf("%s: got %v, want ErrNotFound", name, err)
			}
		}
		want(t, w.SaveProgress(ctx, "r", hash("theirs"), store.Progress{}), store.ErrNotFound)
		want(t, w.FinishRequest(ctx, "r", hash("theirs")), store.ErrNotFound)
		want(t, func() error { _, err := w.Request(ctx, "r", hash("mine")); return err }(), nil)
	})
}

func TestRequestIsBoundOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		_, err := w.CreateRequest(ctx, store.Request{ID: "r", ClientID: "app", Parameters: "{}"}, time.Minute)
		want(t, err, nil)
		_, err = w.CreateRequest(ctx, store.Request{ID: "taken", ClientID: "app", Parameters: "{}"}, time.Minute)
		want(t, err, nil)
		want(t, w.BindRequest(ctx, "taken", hash("first")), nil)
		want(t, w.BindRequest(ctx, "taken", hash("second")), nil)
		_, err = w.Request(ctx, "taken", hash("first"))
		want(t, err, nil)
		_, err = w.Request(ctx, "taken", hash("second"))
		want(t, err, store.ErrNotFound)
		unbound := func(expected bool) {
			t.Helper()
			got, err := w.RequestUnbound(ctx, "r")
			want(t, err, nil)
			if got != expected {
				t.Fatalf("unbound is %v, want %v", got, expected)
			}
		}
		unbound(true)
		for _, nobody := range [][]byte{nil, {}} {
			_, err = w.Request(ctx, "r", nobody)
			want(t, err, store.ErrNotFound)
		}
		together(16, func(i int) {
			if err := w.BindRequest(ctx, "r", hash(string(rune('a'+i)))); err != nil {
				t.Errorf("binding: %v", err)
			}
		})
		unbound(false)
		holders := 0
		for i := range 16 {
			if _, err := w.Request(ctx, "r", hash(string(rune('a'+i)))); err == nil {
				holders++
			}
		}
		if holders != 1 {
			t.Fatalf("%d browsers hold the request, want 1", holders)
		}
	})
}

func TestRequestExpiresAndIsFinishedOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		finished, browser := w.request(t, "app")
		want(t, w.FinishRequest(ctx, finished, browser), nil)
		want(t, w.FinishRequest(ctx, finished, browser), store.ErrNotFound)
		_, err := w.Request(ctx, finished, browser)
		want(t, err, store.ErrNotFound)
		want(t, w.SaveProgress(ctx, finished, browser, store.Progress{Paged: true}), store.ErrNotFound)

		expired, browser := w.request(t, "other-app")
		_, err = w.CreateRequest(ctx, store.Request{ID: "unbound", ClientID: "app", Parameters: "{}"}, 10*time.Minute)
		want(t, err, nil)
		w.clock.Advance(10 * time.Minute)
		_, err = w.Request(ctx, expired, browser)
		want(t, err, store.ErrNotFound)
		want(t, w.FinishRequest(ctx, expired, browser), store.ErrNotFound)
		want(t, w.SaveProgress(ctx, expired, browser, store.Progress{Paged: true}), store.ErrNotFound)
		want(t, w.BindRequest(ctx, "unbound", browser), nil)
		if unbound, err := w.RequestUnbound(ctx, "unbound"); unbound || err != nil {
			t.Fatalf("an expired request waits for a browser: %v, %v", unbound, err)
		}
		// The page of an expired request still names the client to return to.
		client, err := w.RequestClient(ctx, expired)
		want(t, err, nil)
		if client != "other-app" {
			t.Fatalf("client %q, want other-app", client)
		}
		_, err = w.RequestClient(ctx, "never")
		want(t, err, store.ErrNotFound)
	})
}

func TestRequestKeepsProgress(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		id, browser := w.request(t, "app")
		for _, p := range []store.Progress{
			{Paged: true, LoginAfter: beginning},
			{LoginAfter: beginning, Paged: true, DecidedBy: "sub", Chosen: true, Consented: true, Confirmed: true},
			{},
		} {
			want(t, w.SaveProgress(ctx, id, browser, p), nil)
			r, err := w.Request(ctx, id, browser)
			want(t, err, nil)
			if diff := cmp.Diff(p, r.Progress); diff != "" {
				t.Fatalf("progress (-saved +read):\n%s", diff)
			}
		}
	})
}
