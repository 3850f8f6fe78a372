package portal_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

func (w *world) disable(t *testing.T, u identity.User) {
	t.Helper()
	if err := w.Directory.SetDisabled(t.Context(), u, true); err != nil {
		t.Fatal(err)
	}
}

// Who is disabled comes no further, wherever they are.
func TestDisabledInTheMiddle(t *testing.T) {
	w := newFlows(t)
	for name, story := range map[string]func(identity.User, *portaltest.Browser) *portaltest.Page{
		"before the code": func(u identity.User, b *portaltest.Browser) *portaltest.Page {
			secret := w.AddTOTP(u)
			page := b.Submit(b.Get(portaltest.Authorize("grafana", callback)), "username", u.Username, "password", portaltest.Password)
			w.disable(t, u)
			return b.Submit(page, "code", w.Code(secret))
		},
		"before the consent": func(u identity.User, b *portaltest.Browser) *portaltest.Page {
			page := b.Submit(b.Get(portaltest.Authorize("grafana", callback)), "username", u.Username, "password", portaltest.Password)
			w.disable(t, u)
			return b.Submit(page, "decision", "allow")
		},
		"before the enrolment": func(u identity.User, b *portaltest.Browser) *portaltest.Page {
			page := b.Submit(b.Get(portaltest.Authorize("vault", vaultCallback)), "username", u.Username, "password", portaltest.Password)
			secret := w.enrolmentSecret(t, page)
			w.disable(t, u)
			return b.Submit(page, "code", w.Code(secret))
		},
		"before a fresh factor": func(u identity.User, b *portaltest.Browser) *portaltest.Page {
			signIn(b, u.Username, "")
			w.Clock.Advance(11 * time.Minute)
			page := b.Get("/identity/totp")
			w.disable(t, u)
			return b.Submit(page, "password", portaltest.Password)
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := w.AddUser("u-" + strings.ReplaceAll(name, " ", "-"))
			b := w.Browser()
			page := story(u, b)
			if page.URL.Path != "/login" || page.Status != http.StatusOK || page.Left != "" {
				t.Errorf("leads to %s (%d, %q), leaves to %q", page.URL, page.Status, page.Error, page.Left)
			}
			if sessions, err := w.Store.Sessions(t.Context(), u.Sub); err != nil || len(sessions) != 0 {
				t.Errorf("sessions: %v, %v", sessions, err)
			}
			if consents, err := w.Store.Consents(t.Context(), u.Sub); err != nil || len(consents) != 0 {
				t.Errorf("consents: %v, %v", consents, err)
			}
			if got, err := w.Directory.User(t.Context(), u.Sub); err != nil || got.TOTP != u.TOTP && name != "before the code" {
				t.Errorf("the second factor has changed: %v", err)
			}
		})
	}
}

// Sessions end by themselves: idle after nine hours, all after a day.
func TestSessionsEnd(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	idle, busy := w.signedIn(t, "bob", ""), w.signedIn(t, "bob", "")
	for hours := 1; hours <= 23; hours++ {
		w.Clock.Advance(time.Hour)
		if page := busy.Get("/identity"); page.URL.Path != "/identity" {
			t.Fatalf("a session in use ends after %d hours", hours)
		}
		if hours == 10 {
			if page := idle.Get("/identity"); page.URL.Path != "/login" {
				t.Error("an idle session lives longer than nine hours")
			}
		}
	}
	w.Clock.Advance(time.Hour + time.Second)
	if page := busy.Get("/identity"); page.URL.Path != "/login" {
		t.Error("a session in use lives longer than a day")
	}
}
