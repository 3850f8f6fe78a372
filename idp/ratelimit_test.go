package idp_test

import (
	"net/http"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// A client that has authenticated speaks for all its people and is not
// counted; everybody else is, by address.
func TestRateLimitOfTheBackChannel(t *testing.T) {
	form := grantForm("web", "no such code")
	for _, c := range []struct {
		what    string
		limited bool
		call    func(*portaltest.Site) portaltest.Answer
	}{
		{"right secret", false, func(s *portaltest.Site) portaltest.Answer { return s.Token("web", "web-secret", form) }},
		{"wrong secret", true, func(s *portaltest.Site) portaltest.Answer { return s.Token("web", "wrong-secret", form) }},
		{"unknown client", true, func(s *portaltest.Site) portaltest.Answer { return s.Token("nobody", "wrong-secret", form) }},
		{"no client", true, func(s *portaltest.Site) portaltest.Answer { return s.Token("", "", form) }},
		{"public client", true, func(s *portaltest.Site) portaltest.Answer { return s.Token("", "", with(form, "client_id", "spa")) }},
		{"grant without name", true, func(s *portaltest.Site) portaltest.Answer {
			return s.Token("web", "wrong-secret", with(form, "grant_type", ""))
		}},
		{"GET", true, func(s *portaltest.Site) portaltest.Answer { return s.Call(http.MethodGet, "/oauth2/token", nil, nil) }},
		{"UserInfo without a live token", true, func(s *portaltest.Site) portaltest.Answer { return s.UserInfo("nothing") }},
		{"discovery", false, func(s *portaltest.Site) portaltest.Answer {
			return s.Call(http.MethodGet, "/.well-known/openid-configuration", nil, nil)
		}},
		{"key set", false, func(s *portaltest.Site) portaltest.Answer {
			return s.Call(http.MethodGet, "/.well-known/jwks.json", nil, nil)
		}},
	} {
		site := portaltest.New(t, portaltest.Options{Clients: clientsJSON(), RateLimit: 1, RateBurst: 3})
		for range 3 {
			if a := c.call(site); a.Status == http.StatusTooManyRequests {
				t.Errorf("%s: limited within the burst", c.what)
			}
		}
		a := c.call(site)
		if limited := a.Status == http.StatusTooManyRequests; limited != c.limited {
			t.Errorf("%s: beyond the burst %d %s", c.what, a.Status, a.Body)
		}
		if !c.limited {
			continue
		}
		wantOAuth(t, c.what, a, http.StatusTooManyRequests, "temporarily_unavailable")
		if a.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q", c.what, a.Header.Get("Retry-After"))
		}
		site.Clock.Advance(time.Second)
		if a := c.call(site); a.Status == http.StatusTooManyRequests {
			t.Errorf("%s: still limited a second later", c.what)
		}
	}
}

func TestRateLimitOfAuthorizeIsAPage(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{Clients: clientsJSON(), RateLimit: 1, RateBurst: 2})
	w := &world{site, t}
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	w.Clock.Advance(time.Minute)
	var page *portaltest.Page
	for range 3 {
		page = b.Get(authorize("trusted"))
	}
	if page.Status != http.StatusTooManyRequests || page.Error != "throttled" || page.Left != "" || page.Header.Get("Retry-After") == "" {
		t.Errorf("beyond the burst: %d %q, leaves for %q", page.Status, page.Error, page.Left)
	}
}

// After a hundred wrong secrets for a client the right one is answered like
// them: otherwise a limit would only hide the misses. This one is never off.
func TestRateLimitHidesTheRightSecretAmongGuesses(t *testing.T) {
	form := grantForm("web", "no such code")
	site := portaltest.New(t, portaltest.Options{Clients: clientsJSON()})
	for range 101 {
		site.Token("web", "wrong-secret", form)
	}
	if a := site.Token("web", "web-secret", form); a.Status != http.StatusTooManyRequests {
		t.Errorf("the right secret among guesses gives %d %s", a.Status, a.Body)
	}
	site.Clock.Advance(2 * time.Second)
	if a := site.Token("web", "web-secret", form); a.Status != http.StatusBadRequest {
		t.Errorf("the right secret after a pause gives %d %s", a.Status, a.Body)
	}
}

// Introspection and pushed requests of clients that authenticate are not
// counted either.
func TestAuthenticatedClientsAreNotCountedAnywhere(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{Clients: clientsJSON(), RateLimit: 1, RateBurst: 3})
	for range 8 {
		if a := introspect(t, site, "web", "web-secret", "nothing"); a.Status != http.StatusOK {
			t.Fatalf("introspection gives %d %s", a.Status, a.Body)
		}
		a := site.Call(http.MethodPost, "/oauth2/par", grantForm("web", "x"), func(r *http.Request) { r.SetBasicAuth("web", "web-secret") })
		if a.Status == http.StatusTooManyRequests {
			t.Fatalf("a pushed request gives %d %s", a.Status, a.Body)
		}
	}
}
