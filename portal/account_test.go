package portal_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
	"peerage/store"
)

// consented opens an application, allows what it asks and redeems its code.
func consented(t *testing.T, w *world, b *portaltest.Browser, client, back, scope string) portaltest.Answer {
	t.Helper()
	page := b.Get(portaltest.Authorize(client, back, "scope", scope))
	if page.URL.Path == "/consent" {
		page = b.Submit(page, "decision", "allow")
	}
	tokens := w.Redeem(client, client+"-secret", code(t, page, back), back)
	if tokens.Status != http.StatusOK {
		t.Fatalf("redeeming gives %d %s", tokens.Status, tokens.Body)
	}
	return tokens
}

// From the home page, a person who has never seen it comes to their password
// and to a second factor within two clicks, by links that say so.
func TestTheWayFromHomeToThePassword(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	for want, words := range map[string]string{"/identity/password": "Change my password", "/identity/totp": "Add a second factor"} {
		for _, from := range []string{"/", "/identity"} {
			if found := links(b.Get(from))[words]; found != want {
				t.Errorf("%q on %s leads to %q", words, from, found)
			}
		}
		if page := b.Get(want); page.Status != http.StatusOK || page.URL.Path != want {
			t.Errorf("%s is %s", want, outcome(page))
		}
	}
	if links(b.Get("/"))["Account"] != "/identity" {
		t.Error("home does not lead to the account")
	}
}

var linkShape = regexp.MustCompile(`<a [^>]*href="([^"]*)"[^>]*>([^<]*)</a>`)

func links(p *portaltest.Page) map[string]string {
	found := map[string]string{}
	for _, m := range linkShape.FindAllStringSubmatch(p.Body, -1) {
		found[m[2]] = m[1]
	}
	return found
}

// The profile says what is known, where groups come from, and how and when the
// person last signed in.
func TestProfileSaysWhatIsKnown(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	if err := w.Store.CreateGroup(t.Context(), "noc"); err != nil {
		t.Fatal(err)
	}
	secret := w.AddTOTP(w.AddUser("carol", "noc"))
	b := w.signedIn(t, "carol", secret)
	says := func(wants ...string) {
		t.Helper()
		body := b.Get("/identity").Body
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("the profile does not say %q:\n%s", want, body)
			}
		}
	}
	says("Add a passkey", "You have no recovery code.", "None left")
	b.Post(w.Issuer+"/identity/recovery-codes", url.Values{})
	w.Clock.Advance(time.Hour)
	says("carol Example", "carol@example.net", "Verified", "<bdi>noc</bdi>", "given here", ">1 hour ago<", "password, code", "You have 10 recovery codes left.")
}

// The story of an application that a person does not want any more: taken
// back, its codes, access and refresh tokens are dead at once, and it asks anew.
func TestConsentTakenBackKillsItsTokens(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	w.AddUser("eve")
	b, eve := w.signedIn(t, "bob", ""), w.signedIn(t, "eve", "")
	tokens := consented(t, w, b, "grafana", callback, "openid email offline_access")
	w.Clock.Advance(time.Hour)
	others := consented(t, w, eve, "grafana", callback, "openid email offline_access")
	waiting := code(t, b.Get(portaltest.Authorize("grafana", callback, "scope", "openid")), callback)
	if got := w.Refresh("grafana", "grafana-secret", tokens.Str("refresh_token")); got.Status != http.StatusOK {
		t.Fatalf("a refresh before gives %d %s", got.Status, got.Body)
	} else {
		tokens = got
	}
	page := b.Get("/identity/consents")
	for _, want := range []string{"Grafana", "Your e-mail address", "To keep you signed in", "Allowed", "last used <time", "just now"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not show %q:\n%s", want, page.Body)
		}
	}
	w.skipEvents()
	page = b.Submit(page, "client_id", "grafana")
	if page.URL.Path != "/identity/consents" || !strings.Contains(page.Body, "Taken back.") || strings.Contains(page.Body, "Grafana") {
		t.Fatalf("taking back leads to %s (%s):\n%s", page.URL, outcome(page), page.Body)
	}
	w.happened(t, "consent_revoke success bob grafana")
	if got := w.UserInfo(tokens.Str("access_token")); got.Status != http.StatusUnauthorized {
		t.Errorf("the access token gives %d", got.Status)
	}
	if got := w.Refresh("grafana", "grafana-secret", tokens.Str("refresh_token")); got.Str("error") != "invalid_grant" {
		t.Errorf("the refresh token gives %d %s", got.Status, got.Body)
	}
	if got := w.Redeem("grafana", "grafana-secret", waiting, callback); got.Str("error") != "invalid_grant" {
		t.Errorf("the code gives %d %s", got.Status, got.Body)
	}
	if got := w.UserInfo(others.Str("access_token")); got.Status != http.StatusOK {
		t.Errorf("somebody else's token gives %d", got.Status)
	}
	if page := b.Get(portaltest.Authorize("grafana", callback, "scope", "openid")); page.URL.Path != "/consent" {
		t.Errorf("the application comes to %s without asking", page.URL)
	}
	if got := metric(t, w.Site, "peerage_consent_total", "action", "revoke"); got != 1 {
		t.Errorf("%v withdrawals are counted", got)
	}
}

// Another person's application, one that nobody allowed, and nonsense change
// nothing, make no event, and are no label of a metric.
func TestForeignConsentIsNotTakenBack(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	eve := w.AddUser("eve")
	b := w.signedIn(t, "bob", "")
	tokens := consented(t, w, w.signedIn(t, "eve", ""), "grafana", callback, "openid")
	w.skipEvents()
	for _, id := range []string{"grafana", "unknown", "", "grafana' OR '1'='1", strings.Repeat("x", 10000), "\x00"} {
		page := b.Once(http.MethodPost, "/identity/consents", url.Values{"client_id": {id}, "sub": {eve.Sub}}, nil)
		if got := outcome(page); got != "422 not_found" {
			t.Errorf("%.20q gives %s", id, got)
		}
	}
	w.happened(t)
	if got := w.UserInfo(tokens.Str("access_token")); got.Status != http.StatusOK {
		t.Errorf("eve's token gives %d", got.Status)
	}
	if page := b.Get("/identity/consents"); !strings.Contains(page.Body, "You have not allowed any application") {
		t.Error("bob sees somebody else's applications")
	}
}

// One session or all others end: by their ids, with all that they gave to
// applications; the one in use goes on.
func TestSessionsAreEndedByTheirOwner(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	mine, second, third := w.signedIn(t, "bob", ""), w.signedIn(t, "bob", ""), w.signedIn(t, "bob", "")
	tokens := consented(t, w, second, "grafana", callback, "openid offline_access")
	own := consented(t, w, mine, "grafana", callback, "openid offline_access")
	page := mine.Get("/identity/sessions")
	if got := strings.Count(page.Body, ">End</button>"); got != 2 || strings.Count(page.Body, "this browser</span>") != 1 {
		t.Fatalf("%d sessions can be ended:\n%s", got, page.Body)
	}
	for _, b := range []*portaltest.Browser{mine, second, third} {
		if secret := cookie(t, b, "peerage"); strings.Contains(page.Body, secret) {
			t.Error("the page shows a session's secret")
		}
	}
	w.skipEvents()
	id := sessionOf(t, w, second)
	if page = mine.Submit(page, "session", id); !strings.Contains(page.Body, "That session is ended.") {
		t.Fatalf("ending one leads to %s (%s)", page.URL, outcome(page))
	}
	w.happened(t, "session_revoke success bob")
	if second.Get("/identity").URL.Path != "/login" || third.Get("/identity").URL.Path != "/identity" {
		t.Error("the wrong session ended")
	}
	if got := w.Refresh("grafana", "grafana-secret", tokens.Str("refresh_token")); got.Str("error") != "invalid_grant" {
		t.Errorf("a refresh token of the ended session gives %d", got.Status)
	}
	w.skipEvents()
	if page = mine.Submit(mine.Get("/identity/sessions"), "session", "others"); !strings.Contains(page.Body, "signed out everywhere else") {
		t.Fatalf("ending the others leads to %s", outcome(page))
	}
	w.happened(t, "session_revoke success bob")
	if third.Get("/identity").URL.Path != "/login" || mine.Get("/identity").URL.Path != "/identity" {
		t.Error("the wrong session ended")
	}
	if got := w.Refresh("grafana", "grafana-secret", own.Str("refresh_token")); got.Status != http.StatusOK {
		t.Errorf("a refresh token of the session in use gives %d", got.Status)
	}
	// The one in use, by its id: that is signing out.
	if got := outcome(mine.Once(http.MethodPost, "/identity/sessions", url.Values{"session": {sessionOf(t, w, mine)}}, nil)); got != "303 /identity/sessions?done=session_ended" {
		t.Errorf("ending the own session: %s", got)
	}
	if mine.Get("/identity/sessions").URL.Path != "/login" {
		t.Error("the own session did not end")
	}
}

// sessionOf is the id of the browser's session.
func sessionOf(t *testing.T, w *world, b *portaltest.Browser) string {
	t.Helper()
	s, err := w.Store.Session(t.Context(), identity.Hash(cookie(t, b, "peerage")), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

// Somebody else's session, a session's secret and nonsense end nothing.
func TestForeignSessionIsNotEnded(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	w.AddUser("eve")
	b, eve := w.signedIn(t, "bob", ""), w.signedIn(t, "eve", "")
	w.skipEvents()
	for _, id := range []string{sessionOf(t, w, eve), cookie(t, eve, "peerage"), cookie(t, b, "peerage"), "", "OTHERS", "' OR '1'='1"} {
		if got := outcome(b.Once(http.MethodPost, "/identity/sessions", url.Values{"session": {id}}, nil)); got != "422 not_found" {
			t.Errorf("%q gives %s", id, got)
		}
	}
	w.happened(t)
	if eve.Get("/identity").URL.Path != "/identity" || b.Get("/identity").URL.Path != "/identity" {
		t.Error("a session ended")
	}
	if strings.Contains(b.Get("/identity/sessions").Body, sessionOf(t, w, eve)) {
		t.Error("bob sees eve's session")
	}
}

// A person's activity is their own: others do, and a wrong password at their
// name is among it.
func TestActivityIsOnesOwn(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	w.AddUser("eve", "editors")
	stranger := w.Browser()
	stranger.Submit(stranger.Get("/login"), "username", "BOB ", "password", "wrong horse battery")
	consented(t, w, w.signedIn(t, "eve", ""), "wiki", wikiCallback, "openid")
	b := w.signedIn(t, "bob", "")
	consented(t, w, b, "grafana", callback, "openid")
	w.Directory.Audit.Flush()
	page := b.Get("/identity/activity")
	for _, want := range []string{"You signed in", "Someone tried to sign in as you with a wrong password", "You allowed an application to know who you are", "Grafana", "Your account was made"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not say %q:\n%s", want, page.Body)
		}
	}
	if strings.Contains(page.Body, "Wiki") || strings.Contains(page.Body, "event.") {
		t.Errorf("the page shows what is not bob's, or no words:\n%s", page.Body)
	}
	if first, second := strings.Index(page.Body, "You allowed an"), strings.Index(page.Body, "Your account was made"); first > second {
		t.Error("the newest does not stand first")
	}
}

// A long trail is read page by page, each event once, and a mark of somebody
// else's event opens nothing of theirs.
func TestActivityPageByPage(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	bob, eve := w.AddUser("bob"), w.AddUser("eve")
	b := w.signedIn(t, "bob", "")
	w.Directory.Audit.Flush()
	var events []store.Event
	for i := range 120 {
		events = append(events, store.Event{ID: fmt.Sprintf("row-%03d", i), Time: w.Clock.Now().Add(time.Duration(i/3-200) * time.Second), Event: fmt.Sprintf("thing_%03d", i), Username: "bob", Sub: bob.Sub, Result: "success"},
			store.Event{ID: fmt.Sprintf("eve-%03d", i), Time: w.Clock.Now().Add(time.Duration(i) * time.Second), Event: "private_thing", Username: "eve", Sub: eve.Sub, Result: "success"})
	}
	if err := w.Store.AddEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	address := "/identity/activity"
	pages := 0
	for ; address != "" && pages < 10; pages++ {
		page := b.Get(address)
		for _, m := range regexp.MustCompile(`thing_[0-9]{3}`).FindAllString(page.Body, -1) {
			seen[m]++
		}
		if strings.Contains(page.Body, "private_thing") {
			t.Fatalf("%s shows eve's events", address)
		}
		address = strings.ReplaceAll(links(page)["Next"], "&amp;", "&")
	}
	if len(seen) != 120 || pages != 3 {
		t.Errorf("%d events on %d pages", len(seen), pages)
	}
	for what, n := range seen {
		if n != 1 {
			t.Errorf("%s stands %d times", what, n)
		}
	}
	for _, mark := range []string{"zzzzzzzzzzzz.eve-001", "-1.x", ".", "a.b.c", strings.Repeat("9", 4000), "1." + strings.Repeat("y", 100)} {
		if page := b.Get("/identity/activity?before=" + url.QueryEscape(mark)); page.Status != http.StatusOK || strings.Contains(page.Body, "private_thing") {
			t.Errorf("before=%.20q: %s", mark, outcome(page))
		}
	}
}
