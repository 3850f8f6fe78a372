package portal_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"peerage/identity"
	"peerage/portal/portaltest"
)

const (
	// hostile is a client whose name and description try everything.
	hostile         = `{"client_id":"hostile","name":"<script>alert(1)</script>\"'{{.}}","description":"<img src=x onerror=alert(2)>","client_secret":"grafana-secret","redirect_uris":["https://hostile.example.net/cb"],"launch_uri":"https://hostile.example.net/?a=\"><script>"}`
	hostileCallback = "https://hostile.example.net/cb"
)

// The consent page says who asks, where the answer goes, and what will really
// be sent.
func TestConsentPage(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	bob := w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	w.skipEvents()
	page := b.Get(portaltest.Authorize("grafana", callback, "scope", "openid email"))
	for _, want := range []string{"Grafana", "grafana.example.net", bob.Sub, "bob@example.net", "verified", "Your e-mail address"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	for _, unwanted := range []string{"bob Example", "Your groups", "To keep you signed in"} {
		if strings.Contains(page.Body, unwanted) {
			t.Errorf("the page shows %q, which was not asked for", unwanted)
		}
	}
	// Deny: the application learns of it, nothing is stored.
	denied := b.Submit(page, "decision", "deny")
	if q := denied.Query(t); denied.Status != http.StatusOK || q.Get("error") != "access_denied" || q.Get("state") != "state-1" || q.Get("iss") != w.Issuer || q.Has("code") {
		t.Errorf("deny leads to %d %q", denied.Status, denied.Left)
	}
	w.happened(t, "oidc_authorize denied grafana")
	if _, err := w.Store.Consent(t.Context(), bob.Sub, "grafana"); err == nil {
		t.Error("a denied consent is stored")
	}
	// Allow: asked again only when more is asked for, and what is new is marked.
	page = b.Submit(b.Get(portaltest.Authorize("grafana", callback, "scope", "openid email")), "decision", "allow")
	code(t, page, callback)
	w.happened(t, "consent_grant success bob grafana", "oidc_authorize code bob grafana")
	if page = b.Get(portaltest.Authorize("grafana", callback, "scope", "openid")); page.Status != http.StatusSeeOther || page.Query(t).Get("code") == "" {
		t.Errorf("less than allowed leads to %s", page.URL)
	}
	page = b.Get(portaltest.Authorize("grafana", callback, "scope", "openid email groups offline_access"))
	if page.URL.Path != "/consent" || !strings.Contains(page.Body, "asks for more than before") || strings.Count(page.Body, `<span class="badge">`) != 2 {
		t.Errorf("more than allowed leads to %s:\n%s", page.URL, page.Body)
	}
	if got := metric(t, w.Site, "peerage_consent_total", "action", "deny"); got != 1 {
		t.Errorf("%v denials are counted", got)
	}
	if got := metric(t, w.Site, "peerage_consent_total", "action", "grant"); got != 1 {
		t.Errorf("%v consents are counted", got)
	}
}

// A decision counts only where it was asked for, and only as one of the words.
func TestDecisionsThatWereNotAskedFor(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	bob := w.AddUser("bob")
	b := w.Browser()
	page := b.Get(portaltest.Authorize("grafana", callback))
	request := "?" + page.URL.RawQuery
	for _, path := range []string{"/consent", "/login"} {
		if got := b.Post(path+request, url.Values{"decision": {"allow"}}); got.URL.Path != "/login" {
			t.Errorf("POST %s before signing in leads to %s", path, got.URL)
		}
	}
	b.Submit(page, "username", "bob", "password", portaltest.Password)
	for _, decision := range []string{"", "yes", "ALLOW", "continue", "other", "allow\x00"} {
		if got := b.Post("/consent"+request, url.Values{"decision": {decision}}); got.URL.Path != "/consent" {
			t.Errorf("decision=%q leads to %s", decision, got.URL)
		}
	}
	if got := b.Post("/consent"+request+"&decision=allow", url.Values{}); got.URL.Path != "/consent" {
		t.Errorf("a decision in the address counts: %s", got.URL)
	}
	if got := b.Get("/consent" + request + "&decision=allow"); got.URL.Path != "/consent" || got.Left != "" {
		t.Errorf("a GET decides: %s", got.URL)
	}
	if consents, err := w.Store.Consents(t.Context(), bob.Sub); err != nil || len(consents) != 0 {
		t.Errorf("consents: %v, %v", consents, err)
	}
}

// Names that other people chose are shown as text, everywhere.
func TestHostileNames(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + hostile + "]"})
	if err := w.Store.CreateGroup(t.Context(), "<i>group</i>"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Directory.CreateUser(t.Context(), identity.NewUser{Username: "bob", Name: `<b onclick="x">Bob</b>`, Email: "bob@example.net", Groups: []string{"<i>group</i>"}, Password: portaltest.Password})
	if err != nil {
		t.Fatal(err)
	}
	b := w.Browser()
	pages := []*portaltest.Page{b.Get(portaltest.Authorize("hostile", hostileCallback, "login_hint", `"><script>alert(3)</script>`))}
	pages = append(pages, b.Submit(pages[0], "username", "bob", "password", portaltest.Password))
	if pages[1].URL.Path != "/consent" || !strings.Contains(pages[1].Body, "&lt;script&gt;") || !strings.Contains(pages[1].Body, "&lt;b onclick") {
		t.Fatalf("the consent page is %s:\n%s", pages[1].URL, pages[1].Body)
	}
	pages = append(pages, b.Get("/"), b.Get("/identity"), b.Submit(pages[1], "decision", "allow"),
		b.Get(portaltest.Authorize("hostile", `https://evil.example/"><script>alert(4)</script>`)),
		b.Get("/oauth2/authorize?client_id=%3Cscript%3Ealert(5)%3C/script%3E"),
		b.Get(portaltest.Authorize("hostile", hostileCallback, "response_type", "<script>alert(6)</script>")))
	for _, page := range pages {
		for _, bad := range []string{"<script", "<img src=x", "<b onclick", "<i>group"} {
			if strings.Contains(page.Body, bad) {
				t.Errorf("%s shows %q as it is", page.URL.Path, bad)
			}
		}
	}
}

// Home lists the applications that are open to the person, by name.
func TestHomeListsApplications(t *testing.T) {
	open := `{"client_id":"open","name":"Zebra","client_secret":"grafana-secret","redirect_uris":["https://zebra.example.net/cb"],"launch_uri":"https://zebra.example.net/","description":"Stripes for all"}`
	noLaunch := `{"client_id":"quiet","name":"Quiet","client_secret":"grafana-secret","redirect_uris":["https://quiet.example.net/cb"]}`
	disabled := `{"client_id":"off","name":"Disabled","client_secret":"grafana-secret","redirect_uris":["https://off.example.net/cb"],"launch_uri":"https://off.example.net/","disabled":true}`
	w := newWorld(t, portaltest.Options{Clients: "[" + strings.Join([]string{open, grafana, wiki, noLaunch, disabled}, ",") + "]"})
	if err := w.Store.CreateGroup(t.Context(), "editors"); err != nil {
		t.Fatal(err)
	}
	w.AddUser("bob")
	eve := w.AddUser("eve", "editors")
	for name, want := range map[string][]string{"bob": {"Grafana", "Zebra"}, "eve": {"Grafana", "Wiki", "Zebra"}} {
		body := w.signedIn(t, name, "").Get("/").Body
		var shown []string
		for _, name := range []string{"Grafana", "Wiki", "Zebra", "Quiet", "Disabled"} {
			if strings.Contains(body, name) {
				shown = append(shown, name)
			}
		}
		if !slices.Equal(shown, want) {
			t.Errorf("%s sees %v, want %v", name, shown, want)
		}
		if strings.Index(body, "Grafana") > strings.Index(body, "Zebra") || !strings.Contains(body, `href="https://zebra.example.net/"`) || !strings.Contains(body, "Stripes for all") {
			t.Errorf("%s: the cards are wrong:\n%s", name, body)
		}
	}
	// Groups of now count, not those of the sign-in.
	b := w.signedIn(t, "eve", "")
	if err := w.Store.ChangeMembers(t.Context(), "editors", []string{eve.Sub}, false); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.Get("/").Body, "Wiki") {
		t.Error("an application stays after the group has gone")
	}
	none := newWorld(t, portaltest.Options{})
	none.AddUser("bob")
	if body := none.signedIn(t, "bob", "").Get("/").Body; !strings.Contains(body, "No application is open to you yet") {
		t.Error("an empty home says nothing")
	}
}
