package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"peerage/store/storetest"
)

// publishes tells whether a server's key set holds a key.
func publishes(t *testing.T, s *server, kid string) bool {
	t.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://localhost/.well-known/jwks.json", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("the key set: %d %s", w.Code, w.Body)
	}
	return strings.Contains(w.Body.String(), kid)
}

// What one server changes about the signing keys is in force in another on the
// same store within a second: the next key signs there too, and a key that
// leaked has gone.
func TestKeyChangeReachesAnotherServerWithinASecond(t *testing.T) {
	for _, engine := range storetest.Engines() {
		t.Run(engine.Name, func(t *testing.T) {
			one, two, _ := twoServers(t, engine)
			if err := one.keys.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := two.keys.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			watched := make(chan struct{})
			go func() { two.watch(ctx); close(watched) }()
			defer func() { stop(); <-watched }()
			fastest := time.Hour
			felt := func(what string, done func() bool) {
				t.Helper()
				begun := time.Now()
				waitFor(t, what, done)
				fastest = min(fastest, time.Since(begun))
			}
			for range 3 {
				rotated, err := one.keys.Rotate(t.Context(), "ES256", true)
				if err != nil {
					t.Fatal(err)
				}
				felt("the new key", func() bool { return publishes(t, two, rotated.KID) })
				if err := one.keys.Retire(t.Context(), rotated.KID, true); err != nil {
					t.Fatal(err)
				}
				felt("the withdrawal", func() bool { return !publishes(t, two, rotated.KID) })
			}
			// A machine that is busy with other tests may take longer now and then.
			if fastest > time.Second {
				t.Errorf("no change was felt within a second, the fastest after %s", fastest)
			}
		})
	}
}
