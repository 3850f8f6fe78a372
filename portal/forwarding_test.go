package portal_test

import (
	"net/http"
	"testing"
	"time"

	"peerage/portal"
	"peerage/portal/portaltest"
)

// A proxy that the settings do not name is told of once in the log, and noted
// for `peerage check`.
func TestUnnamedProxyIsNoted(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	forwarded := func() {
		t.Helper()
		w.Call(http.MethodGet, "/login", nil, from("198.51.100.7"))
	}
	claim := func() (string, time.Time) {
		t.Helper()
		peer, at, err := portal.Claim(t.Context(), w.Store)
		if err != nil {
			t.Fatal(err)
		}
		return peer.String(), at
	}
	w.Call(http.MethodGet, "/login", nil, func(*http.Request) {})
	if peer, _ := claim(); peer != "invalid IP" {
		t.Fatalf("%s is noted without a header", peer)
	}
	forwarded()
	peer, first := claim()
	if peer != "127.0.0.1" || !first.Equal(w.Clock.Now().Truncate(time.Second)) {
		t.Errorf("%s is noted at %s", peer, first)
	}
	w.Clock.Advance(2 * time.Hour)
	forwarded()
	if _, again := claim(); !again.Equal(first.Add(2 * time.Hour)) {
		t.Errorf("noted at %s and, two hours later, at %s", first, again)
	}
	const line = "a forwarding header came from an address that is no trusted proxy and counts nothing; PEERAGE_TRUSTED_PROXIES names the proxies"
	if lines := w.Log.Lines(line); len(lines) != 1 {
		t.Errorf("the log tells of it %d times", len(lines))
	}
	behind := newWorld(t, portaltest.Options{TrustedProxies: loopback()})
	behind.Call(http.MethodGet, "/login", nil, from("198.51.100.7"))
	if peer, _, err := portal.Claim(t.Context(), behind.Store); err != nil || peer.IsValid() {
		t.Errorf("a proxy that the settings name is noted as %s, %v", peer, err)
	}
}
