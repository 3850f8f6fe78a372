package idp_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

func TestRefreshReuse(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	first := w.tokens(b, "web", "scope", offline)
	spent := first.Str("refresh_token")
	answer := w.as("web", refreshForm(spent))
	if answer.Status != http.StatusOK || answer.Str("refresh_token") == "" || answer.Str("refresh_token") == spent || answer.Str("access_token") == first.Str("access_token") {
		t.Fatalf("refresh gives %d %s", answer.Status, answer.Body)
	}
	// A lost response: the same answer again, for half a minute.
	w.Clock.Advance(29 * time.Second)
	repeat := w.as("web", refreshForm(spent))
	for _, name := range []string{"access_token", "refresh_token", "id_token", "scope"} {
		if repeat.Str(name) != answer.Str(name) || repeat.Str(name) == "" {
			t.Errorf("a repeat within the grace has another %s", name)
		}
	}
	// Only to a repeat: another scope is another request.
	family := w.tokens(b, "web", "scope", offline).Str("refresh_token")
	successor := w.as("web", refreshForm(family)).Str("refresh_token")
	wantOAuth(t, "repeat with another scope", w.as("web", refreshForm(family, "scope", "openid")), http.StatusBadRequest, "invalid_grant")
	wantOAuth(t, "its successor", w.as("web", refreshForm(successor)), http.StatusBadRequest, "invalid_grant")
	// The grace ends when the successor is first used.
	family = w.tokens(b, "web", "scope", offline).Str("refresh_token")
	successor = w.as("web", refreshForm(family)).Str("refresh_token")
	last := w.as("web", refreshForm(successor)).Str("refresh_token")
	wantOAuth(t, "a token before the last", w.as("web", refreshForm(family)), http.StatusBadRequest, "invalid_grant")
	wantOAuth(t, "the last of that family", w.as("web", refreshForm(last)), http.StatusBadRequest, "invalid_grant")
	// Beyond the grace it is theft: the family dies.
	w.Clock.Advance(2 * time.Second)
	wantOAuth(t, "beyond the grace", w.as("web", refreshForm(spent)), http.StatusBadRequest, "invalid_grant")
	wantOAuth(t, "its successor", w.as("web", refreshForm(answer.Str("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	wantOAuth(t, "its access token", w.UserInfo(answer.Str("access_token")), http.StatusUnauthorized, "invalid_token")
	if got := w.events("refresh_reuse"); len(got) != 3 {
		t.Errorf("audit has %v for three thefts", got)
	}
	w.calm()
}

// Two replicas of a client refresh at once: all get one answer, none is taken
// for a thief (CVE-2026-1035 is the opposite).
func TestRefreshRace(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	token := w.tokens(b, "web", "scope", offline).Str("refresh_token")
	answers := make([]portaltest.Answer, 16)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = w.as("web", refreshForm(token)) })
	}
	all.Wait()
	for _, a := range answers {
		if a.Status != http.StatusOK || a.Str("refresh_token") != answers[0].Str("refresh_token") || a.Str("access_token") != answers[0].Str("access_token") {
			t.Fatalf("sixteen refreshes at once: %d %s and %d %s", a.Status, a.Body, answers[0].Status, answers[0].Body)
		}
	}
	if a := w.as("web", refreshForm(answers[0].Str("refresh_token"))); a.Status != http.StatusOK {
		t.Errorf("the successor gives %d %s", a.Status, a.Body)
	}
}

func TestRefreshScope(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	token := w.tokens(b, "web", "scope", "openid profile email offline_access").Str("refresh_token")
	refresh := func(scope string) portaltest.Answer {
		t.Helper()
		a := w.as("web", refreshForm(token, "scope", scope))
		if a.Status == http.StatusOK {
			token = a.Str("refresh_token")
		}
		return a
	}
	// mod_auth_openidc and Authlib repeat the whole first request.
	for _, c := range []struct{ asked, want string }{
		{"openid profile email offline_access", "openid profile email offline_access"},
		{"openid email", "openid email"},
		{"email openid openid", "email openid"},
		{"", "openid profile email offline_access"}, // narrowing once does not narrow for ever
		{"profile", "profile"},
	} {
		a := refresh(c.asked)
		got := strings.Fields(a.Str("scope"))
		slices.Sort(got)
		want := strings.Fields(c.want)
		slices.Sort(want)
		if a.Status != http.StatusOK || !slices.Equal(got, want) {
			t.Fatalf("scope %q gives %d %s", c.asked, a.Status, a.Body)
		}
		if has := a.Str("id_token") != ""; has != slices.Contains(want, "openid") {
			t.Errorf("scope %q: an ID token came: %v", c.asked, has)
		}
		if c.asked == "openid email" {
			info := w.UserInfo(a.Str("access_token"))
			if info.JSON["email"] == nil || info.JSON["name"] != nil {
				t.Errorf("a narrowed access token tells %s", info.Body)
			}
		}
		if c.asked == "profile" {
			wantOAuth(t, "UserInfo without openid", w.UserInfo(a.Str("access_token")), http.StatusForbidden, "insufficient_scope")
		}
	}
	for _, wider := range []string{"openid groups", "openid nonsense", "groups"} {
		wantOAuth(t, "scope "+wider, refresh(wider), http.StatusBadRequest, "invalid_scope")
	}
	if a := refresh(""); a.Status != http.StatusOK {
		t.Errorf("after refused scopes: %d %s", a.Status, a.Body)
	}
}

func TestRefreshTokenOnlyForOfflineAccess(t *testing.T) {
	w := newWorld(t, `{"client_id":"norefresh","client_secret":"norefresh-secret","redirect_uris":["https://web.example.net/cb"],"grant_types":["authorization_code"],"trusted":true}`)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	if a := w.tokens(b, "web"); a.JSON["refresh_token"] != nil {
		t.Error("a refresh token came without offline_access")
	}
	page := b.Get(portaltest.Authorize("norefresh", testClients["web"].callback, "scope", offline))
	a := w.Token("norefresh", "norefresh-secret", grantForm("web", page.Query(t).Get("code")))
	if a.Status != http.StatusOK || a.JSON["refresh_token"] != nil || strings.Contains(a.Str("scope"), "offline_access") {
		t.Errorf("a client without the refresh grant gets %d %s", a.Status, a.Body)
	}
	wantOAuth(t, "its refresh", w.Token("norefresh", "norefresh-secret", refreshForm("prt_x")), http.StatusBadRequest, "unauthorized_client")
}

// A family ends by idleness and for good; without offline_access it ends with
// the session.
func TestTokenLifetimes(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	access := w.tokens(b, "web")
	kept := w.tokens(b, "web", "scope", offline)
	if access.JSON["expires_in"] != float64(900) || access.Str("token_type") != "Bearer" {
		t.Errorf("the answer says %s", access.Body)
	}
	b.Submit(b.Get("/logout"), "logout", "yes")
	wantOAuth(t, "access token after sign-out", w.UserInfo(access.Str("access_token")), http.StatusUnauthorized, "invalid_token")
	if a := w.UserInfo(kept.Str("access_token")); a.Status != http.StatusOK {
		t.Errorf("offline access after sign-out: %d", a.Status)
	}
	w.Clock.Advance(15*time.Minute + time.Second)
	wantOAuth(t, "access token after its time", w.UserInfo(kept.Str("access_token")), http.StatusUnauthorized, "invalid_token")
	token := kept.Str("refresh_token")
	for range 3 { // 3 × 29 days: never idle for long, and the limit of 90 not reached
		w.Clock.Advance(29 * 24 * time.Hour)
		a := w.as("web", refreshForm(token))
		if a.Status != http.StatusOK {
			t.Fatalf("refresh gives %d %s", a.Status, a.Body)
		}
		token = a.Str("refresh_token")
	}
	w.Clock.Advance(4 * 24 * time.Hour)
	wantOAuth(t, "after 91 days", w.as("web", refreshForm(token)), http.StatusBadRequest, "invalid_grant")
	idle := w.tokens(w.signedIn(w.person("bob"), identity.ACROneFactor), "web", "scope", offline).Str("refresh_token")
	w.Clock.Advance(30*24*time.Hour + time.Second)
	wantOAuth(t, "idle for 30 days", w.as("web", refreshForm(idle)), http.StatusBadRequest, "invalid_grant")
}
