package portal_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
	"peerage/store"
)

// A client of the settings is shown and tested, and nothing on the page
// changes it.
func TestSystemClientsAreReadOnly(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	b := w.administrator(t, "ada")
	page := b.Get("/admin/clients/grafana")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "This client comes from the settings.") || strings.Contains(page.Body, `value="save"`) || strings.Contains(page.Body, "rotate-secret") {
		t.Fatalf("the page of a system client: %d", page.Status)
	}
	if list := b.Get("/admin/clients"); !strings.Contains(list.Body, "From settings") {
		t.Error("the list does not say that it comes from the settings")
	}
	w.skipEvents()
	before := w.client(t, "grafana")
	for _, action := range []string{"save", "rotate-secret", "disable", "enable", "delete"} {
		form := url.Values{"action": {action}, "version": {fmt.Sprint(before.Version)}, "name": {"Mine now"}}
		if page := b.Post("/admin/clients/grafana", form); page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, "is changed there") {
			t.Errorf("%s gives %d", action, page.Status)
		}
	}
	if page := b.Post("/admin/clients", url.Values{"client_id": {"grafana"}, "redirect_uris": {"https://evil.example/"}}); page.Status != http.StatusUnprocessableEntity {
		t.Errorf("a stored client of the same id: %d", page.Status)
	}
	if after := w.client(t, "grafana"); after.Version != before.Version || !w.accepts("grafana", "grafana-secret") {
		t.Error("the client was changed")
	}
	w.skipEvents()
	if page := b.Submit(page, "username", "ada", "action", "test"); page.Status != http.StatusOK {
		t.Errorf("it cannot be tested: %d", page.Status)
	}
}

// What an application calls itself is shown as text wherever an administrator
// meets it, and its addresses lead nowhere that runs a script.
func TestHostileClientsInTheAdministration(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.administrator(t, "ada")
	const script = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	for _, form := range []url.Values{
		{"redirect_uris": {"javascript:alert(document.cookie)"}},
		{"redirect_uris": {"https://app.example.net/cb"}, "launch_uri": {"javascript:alert(1)"}},
		{"redirect_uris": {"https://app.example.net/cb"}, "logo_uri": {"data:text/html;base64,PHNjcmlwdD4="}},
		{"redirect_uris": {"https://app.example.net/cb"}, "logo_uri": {`data:image/png;base64,AAAA" onerror="alert(1)`}},
		{"redirect_uris": {"https://app.example.net/cb"}, "post_logout_redirect_uris": {"vbscript:x"}},
	} {
		form.Set("client_id", "app")
		if page := b.Post("/admin/clients", form); page.Status != http.StatusUnprocessableEntity {
			t.Errorf("%v is registered: %d", form, page.Status)
		}
	}
	if page := b.Post("/admin/clients", url.Values{"client_id": {"app"}, "name": {script}, "description": {script}, "redirect_uris": {"https://app.example.net/cb"}}); page.Status != http.StatusOK {
		t.Fatalf("registering gives %d", page.Status)
	}
	for _, address := range []string{"/admin/clients", "/admin/clients/app", "/admin/clients/app?ask=delete", "/admin/clients?q=" + url.QueryEscape(script), "/admin/clients?page=1&q=%22%3E%3Cscript%3E"} {
		page := b.Get(address)
		if page.Status != http.StatusOK || strings.Contains(page.Body, "<script") || strings.Contains(page.Body, "<img src=x") {
			t.Errorf("%s (%d) carries the name as markup", address, page.Status)
		}
	}
	test := b.Submit(b.Get("/admin/clients/app"), "username", script, "action", "test")
	if test.Status != http.StatusUnprocessableEntity || strings.Contains(test.Body, "<script") || !strings.Contains(test.Body, html.EscapeString(script)[:10]) {
		t.Errorf("a hostile user name gives %d", test.Status)
	}
}

// What an administrator's stale or forged form says changes nothing; it takes
// an administrator with a fresh factor on our own pages.
func TestForgedFormsAboutClients(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("ada", "admins"))
	b := w.signedIn(t, "ada", secret)
	b.Post("/admin/clients", url.Values{"client_id": {"app"}, "redirect_uris": {"https://app.example.net/cb"}})
	before, err := json.Marshal(w.client(t, "app"))
	if err != nil {
		t.Fatal(err)
	}
	w.skipEvents()
	forms := map[string]url.Values{"/admin/clients": {"client_id": {"evil"}, "redirect_uris": {"https://evil.example/"}}}
	for _, action := range []string{"save", "rotate-secret", "disable", "delete", "test"} {
		forms["/admin/clients/app?"+action] = url.Values{"action": {action}, "version": {"1"}, "redirect_uris": {"https://evil.example/"}, "username": {"ada"}}
	}
	for address, form := range forms {
		for name, change := range foreign {
			if page := b.Once(http.MethodPost, address, form, change); page.Status != http.StatusForbidden {
				t.Errorf("%s, sent by %s, gives %s", address, name, outcome(page))
			}
		}
	}
	w.AddUser("mallory")
	mallory := w.signedIn(t, "mallory", "")
	w.Clock.Advance(11 * time.Minute)
	w.skipEvents()
	for address, form := range forms {
		if page := mallory.Once(http.MethodPost, address, form, nil); outcome(page) != "403 not_allowed" {
			t.Errorf("%s by somebody else gives %s", address, outcome(page))
		}
		path, _, _ := strings.Cut(address, "?")
		if page := b.Once(http.MethodPost, address, form, nil); outcome(page) != "303 /login/confirm?return="+url.QueryEscape(path) {
			t.Errorf("%s with a factor that has aged gives %s", address, outcome(page))
		}
	}
	if after, err := json.Marshal(w.client(t, "app")); err != nil || string(after) != string(before) {
		t.Errorf("the client became %s", after)
	}
	w.happened(t)
}

// "Test this client" shows the claims, their sizes and what would go wrong.
func TestClientIsTestedForAPerson(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.administrator(t, "ada")
	var many []string
	for i := range 120 {
		group := fmt.Sprintf("customers-of-the-exchange-%03d", i)
		if err := w.Store.CreateGroup(t.Context(), group); err != nil {
			t.Fatal(err)
		}
		many = append(many, group)
	}
	bob, err := w.Directory.CreateUser(t.Context(), identity.NewUser{Username: "bob", Email: "bob@example.net", Groups: many})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Store.CreateClient(t.Context(), store.Client{ClientID: "app", RedirectURIs: []string{"https://app.example.net/cb"}, TokenEndpointAuthMethod: "none",
		Claims: map[string]string{"groups": "id_token"}, AllowedGroups: []string{"admins"}, RequireMFA: true, Disabled: true}); err != nil {
		t.Fatal(err)
	}
	w.skipEvents()
	page := b.Submit(b.Get("/admin/clients/app"), "username", " BOB ", "action", "test")
	text := html.UnescapeString(page.Body)
	for _, want := range []string{"switched off", "may not use the application. It is open to: admins.", "A second factor is demanded", "is not verified", "has no name", "do not fit into a cookie",
		`"sub": "` + bob.Sub + `"`, `"customers-of-the-exchange-119"`, `"email": "bob@example.net"`, `"preferred_username": "bob"`, `"iss": "` + w.Issuer + `"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if page = b.Submit(page, "username", "ada", "action", "test"); !strings.Contains(page.Body, `&#34;acr&#34;: &#34;2&#34;`) || strings.Contains(page.Body, "is not verified") {
		t.Errorf("another person: %d", page.Status)
	}
	unknown := b.Submit(page, "username", "nobody", "action", "test")
	if unknown.Status != http.StatusUnprocessableEntity || !strings.Contains(unknown.Body, `id="username-fault"`) || !strings.Contains(unknown.Body, `value="nobody"`) {
		t.Errorf("an unknown person gives %d", unknown.Status)
	}
	if token := w.Log.Events("oidc_token"); len(token) != 0 {
		t.Error("a token was issued")
	}
	w.happened(t)
}

func TestListOfClients(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	b := w.administrator(t, "ada")
	for i := range 60 {
		if err := w.Store.CreateClient(t.Context(), store.Client{ClientID: fmt.Sprintf("app-%02d", i), Name: fmt.Sprintf("Application %d", i), RedirectURIs: []string{"https://app.example.net/"}, TokenEndpointAuthMethod: "none"}); err != nil {
			t.Fatal(err)
		}
	}
	first := b.Get("/admin/clients")
	if !strings.Contains(first.Body, "/admin/clients/app-49") || strings.Contains(first.Body, "/admin/clients/app-50") || !strings.Contains(first.Body, "/admin/clients?page=2") {
		t.Error("the first page does not hold the first fifty")
	}
	if second := b.Get("/admin/clients?page=2"); !strings.Contains(second.Body, "/admin/clients/app-59") || !strings.Contains(second.Body, "/admin/clients/grafana") {
		t.Error("the second page does not hold the rest")
	}
	found := b.Get("/admin/clients?q=CATION+12")
	if strings.Count(found.Body, `href="/admin/clients/app-`) != 1 || !strings.Contains(found.Body, "/admin/clients/app-12") {
		t.Error("the search finds something else")
	}
	for _, address := range []string{"/admin/clients?q=nothing", "/admin/clients?page=99", "/admin/clients?page=-1", "/admin/clients?page=x"} {
		if page := b.Get(address); page.Status != http.StatusOK {
			t.Errorf("%s: %d", address, page.Status)
		}
	}
	// An id may hold what separates paths.
	if err := w.Store.CreateClient(t.Context(), store.Client{ClientID: "https://app.example.net/", RedirectURIs: []string{"https://app.example.net/"}, TokenEndpointAuthMethod: "none"}); err != nil {
		t.Fatal(err)
	}
	if page := b.Get("/admin/clients/" + url.PathEscape("https://app.example.net/")); page.Status != http.StatusOK || !strings.Contains(page.Body, "https://app.example.net/") {
		t.Errorf("a client that is called by an address: %d at %s", page.Status, page.URL)
	}
}
