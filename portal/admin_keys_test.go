package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
	"peerage/store"
)

// operator is a browser of an administrator with a fresh second factor, before
// which nothing has happened yet.
func (w *world) operator(t *testing.T) *portaltest.Browser {
	t.Helper()
	b := w.administrator(t, "root")
	w.skipEvents()
	return b
}

// kid is the id of the key of that algorithm in that state.
func (w *world) kid(t *testing.T, alg, state string) string {
	t.Helper()
	keys, err := w.Keys.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Alg == alg && k.State == state && k.WithdrawnAt.IsZero() {
			return k.KID
		}
	}
	return ""
}

func TestKeysAreReplacedAndRetired(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: `[{"client_id":"grafana","client_secret":"grafana-secret","redirect_uris":["https://g.example.net/cb"],"name":"Grafana"}]`})
	b := w.operator(t)
	if err := w.Keys.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, next := w.kid(t, "RS256", store.KeyActive), w.kid(t, "RS256", store.KeyNext)
	page := b.Get("/admin/keys")
	for _, text := range []string{old, next, "Signs", "Next", "never", "Last used"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the list does not show %q", text)
		}
	}
	// The question says whom it concerns and when; nothing happens yet.
	page = b.Get("/admin/keys?ask=rotate&alg=RS256")
	for _, text := range []string{"Grafana", "published for a day", "NetBox for up to a day"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the question does not say %q", text)
		}
	}
	w.happened(t)
	page = b.Submit(page, "action", "rotate")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "The next key takes over when") || !strings.Contains(page.Body, "Takes over on") {
		t.Errorf("replacing a key leads to %s (%d)", page.URL, page.Status)
	}
	if w.kid(t, "RS256", store.KeyActive) != old {
		t.Error("the next key signs before it was published for a day")
	}
	w.happened(t, "key_rotate success root")

	// At once, by the checkbox.
	page = b.Post("/admin/keys", url.Values{"action": {"rotate"}, "alg": {"RS256"}, "now": {"yes"}})
	if !strings.Contains(page.Body, "The next key signs now.") || w.kid(t, "RS256", store.KeyActive) != next {
		t.Errorf("the next key does not sign: %s", page.URL)
	}
	w.happened(t, "key_rotate success root")

	// A leaked key leaves the key set; another replica has the rows too.
	page = b.Post("/admin/keys", url.Values{"action": {"retire"}, "kid": {next}, "now": {"yes"}})
	if !strings.Contains(page.Body, "The key is retired.") || !strings.Contains(page.Body, "Withdrawn") || w.kid(t, "RS256", store.KeyActive) == next {
		t.Errorf("the key was not withdrawn: %s", page.URL)
	}
	if set := b.Get("/.well-known/jwks.json"); strings.Contains(set.Body, next) || !strings.Contains(set.Body, old) {
		t.Error("the key set holds a withdrawn key, or lost a retired one")
	}
	w.happened(t, "key_retire success root")
}

func TestKeysRefuse(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.operator(t)
	active := w.kid(t, "ES256", store.KeyActive)
	for _, test := range []struct {
		form  url.Values
		words string
	}{
		{url.Values{}, "Use one of the buttons"},
		{url.Values{"action": {"delete"}, "kid": {active}}, "Use one of the buttons"},
		{url.Values{"action": {"rotate"}}, "RS256, ES256 and EdDSA only"},
		{url.Values{"action": {"rotate"}, "alg": {"none"}}, "RS256, ES256 and EdDSA only"},
		{url.Values{"action": {"rotate"}, "alg": {"HS256"}, "now": {"yes"}}, "RS256, ES256 and EdDSA only"},
		{url.Values{"action": {"retire"}, "kid": {"nobody"}}, "There is no such key"},
		{url.Values{"action": {"retire"}, "kid": {active}}, "has not been published for a day"},
	} {
		page := b.Once(http.MethodPost, "/admin/keys", test.form, nil)
		if outcome(page) != "422 invalid_request" || !strings.Contains(page.Body, test.words) {
			t.Errorf("%v: %s, without %q", test.form, outcome(page), test.words)
		}
	}
	w.happened(t)
	if w.kid(t, "ES256", store.KeyActive) != active {
		t.Error("a refused form changed the keys")
	}
	// Questions about nothing show the list; those of other sites do nothing.
	for _, query := range []string{"?ask=rotate&alg=none", "?ask=retire&kid=nobody", "?ask=delete"} {
		if page := b.Get("/admin/keys" + query); page.Status != http.StatusOK || len(page.Forms) > 2 {
			t.Errorf("%s: %d with %d forms", query, page.Status, len(page.Forms))
		}
	}
	forged := b.Once(http.MethodPost, "/admin/keys", url.Values{"action": {"rotate"}, "alg": {"RS256"}, "now": {"yes"}}, func(r *http.Request) {
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	})
	w.Clock.Advance(11 * time.Minute)
	stale := b.Once(http.MethodPost, "/admin/keys", url.Values{"action": {"rotate"}, "alg": {"RS256"}, "now": {"yes"}}, nil)
	if forged.Status != http.StatusForbidden || outcome(stale) != "303 /login/confirm?return=%2Fadmin%2Fkeys" {
		t.Errorf("a forged form gives %s, one without fresh factor %s", outcome(forged), outcome(stale))
	}
	w.happened(t)
}
