package store_test

import (
	"context"
	"testing"
	"time"

	"peerage/store"
)

// watch gives the topics that a second store on the same database hears of.
func (w world) watch(t *testing.T) <-chan string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	other := w.replica(t)
	heard, ended := make(chan string, 64), make(chan error, 1)
	go func() {
		ended <- other.Watch(ctx, 10*time.Millisecond, func(topic string) error { heard <- topic; return nil })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("watching ended with %v", err)
		}
	})
	return heard
}

func hears(t *testing.T, heard <-chan string, topic string) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		select {
		case got := <-heard:
			if got == topic {
				return
			}
			t.Fatalf("heard of %q, want %q", got, topic)
		case <-deadline:
			t.Fatalf("did not hear of %q", topic)
		}
	}
}

func TestWatchHearsOfOtherProcesses(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		// The first look tells of every topic that ever changed. Once it has told
		// of this one, all that comes is news.
		want(t, w.ReplaceActiveKey(ctx, key("first", "RS256", "")), nil)
		heard := w.watch(t)
		hears(t, heard, store.TopicKeys)
		for _, change := range []struct {
			name, topic string
			change      func() error
		}{
			{"a new client", store.TopicClients, func() error { return w.CreateClient(ctx, store.Client{ClientID: "app"}) }},
			{"a changed client", store.TopicClients, func() error { return w.UpdateClient(ctx, store.Client{ClientID: "app", Version: 1}) }},
			{"a deleted client", store.TopicClients, func() error { return w.DeleteClient(ctx, "app") }},
			{"system clients", store.TopicClients, func() error { _, err := w.SyncSystemClients(ctx, nil); return err }},
			{"a new key", store.TopicKeys, func() error { return w.AddSigningKey(ctx, key("next", "RS256", store.KeyNext)) }},
			{"a replaced key", store.TopicKeys, func() error { return w.ReplaceActiveKey(ctx, key("now", "RS256", "")) }},
		} {
			begun := time.Now()
			want(t, change.change(), nil)
			hears(t, heard, change.topic)
			if took := time.Since(begun); took > time.Second {
				t.Errorf("%s was heard of after %v", change.name, took)
			}
		}
		// A change that was refused, or of something else, is no news.
		want(t, w.UpdateClient(ctx, store.Client{ClientID: "missing"}), store.ErrConflict)
		w.person(t)
		want(t, w.CreateClient(ctx, store.Client{ClientID: "last"}), nil)
		hears(t, heard, store.TopicClients)
		select {
		case topic := <-heard:
			t.Fatalf("heard of %q once more", topic)
		case <-time.After(50 * time.Millisecond):
		}
	})
}
