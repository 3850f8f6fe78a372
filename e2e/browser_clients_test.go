package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// An administrator registers Grafana by its recipe, tests what it would get of
// a person, and gives it a new secret while the old one still works.
func TestBrowserAdministersClients(t *testing.T) {
	s := newServer(t)
	s.setClients(t, pageClients[0])
	s.start(t)
	ctx := newBrowser(t)
	g := newGallery(ctx, t)
	ada := enrolled(ctx, t, s, "ada", "admins")
	s.addUser(t, "bob")
	visit(ctx, t, s.Issuer+"/login?return=/admin/clients")
	signIn(ctx, t, "ada")
	fill(ctx, t, "code", ada.code(t))
	press(ctx, t, "", "")

	waitTitle(ctx, t, "Clients")
	g.look(ctx, t, "admin-clients")
	click(ctx, t, `a[href="/admin/clients?recipe="]`)
	waitTitle(ctx, t, "Register by a recipe")
	g.look(ctx, t, "admin-recipes")
	click(ctx, t, `a[href="/admin/clients?recipe=grafana"]`)
	waitTitle(ctx, t, "Register Grafana")
	fill(ctx, t, "url", "http://graphs.example.net")
	press(ctx, t, "", "")
	shows(ctx, t, "One thing is not right yet.", "Must begin with https://")
	g.look(ctx, t, "admin-recipe-wrong")
	fill(ctx, t, "url", "https://graphs.example.net")
	press(ctx, t, "", "")
	shows(ctx, t, "Is taken by another client") // the settings have a client of that name
	fill(ctx, t, "client_id", "graphs")
	press(ctx, t, "", "")

	waitTitle(ctx, t, "Grafana is registered")
	first := evaluateText(ctx, `document.querySelector("#client-secret").textContent`)
	shows(ctx, t, "client_secret = "+first, "auth_url = "+s.Issuer+"/oauth2/authorize", "Copy the secret now.")
	do(ctx, t, "hiding the secret from pictures", chromedp.Evaluate[chromedp.Void](hideSecret))
	g.look(ctx, t, "admin-client-made")
	if !s.acceptsClient(t, "graphs", first) {
		t.Error("the secret of the page does not open the token endpoint")
	}

	visit(ctx, t, s.Issuer+"/admin/clients/graphs")
	waitTitle(ctx, t, "Grafana")
	g.look(ctx, t, "admin-client")
	fill(ctx, t, "username", "bob")
	press(ctx, t, "action", "test")
	waitTitle(ctx, t, "What Grafana would get of bob")
	shows(ctx, t, "Nothing stands in the way of this sign-in.", `"email": "bob@example.net"`, `"iss": "`+s.Issuer+`"`)
	do(ctx, t, "steadying what differs from run to run", chromedp.Evaluate[chromedp.Void](steadyClaims))
	g.look(ctx, t, "admin-client-test")

	visit(ctx, t, s.Issuer+"/admin/clients/graphs")
	press(ctx, t, "action", "rotate-secret")
	waitTitle(ctx, t, "New secret for Grafana")
	second := evaluateText(ctx, `document.querySelector("#client-secret").textContent`)
	shows(ctx, t, "The old secret works until")
	if second == first || !s.acceptsClient(t, "graphs", first) || !s.acceptsClient(t, "graphs", second) {
		t.Error("the old and the new secret do not both work")
	}
	visit(ctx, t, s.Issuer+"/admin/clients/graphs")
	shows(ctx, t, "The secret before this one still works until")
	if body := evaluateText(ctx, `document.documentElement.outerHTML`); strings.Contains(body, first) || strings.Contains(body, second) {
		t.Error("a secret is shown again")
	}

	visit(ctx, t, s.Issuer+"/admin/clients/grafana")
	shows(ctx, t, "This client comes from the settings.")
	g.look(ctx, t, "admin-client-system", "light")
	visit(ctx, t, s.Issuer+"/admin/clients/graphs")
	click(ctx, t, `a[href="/admin/clients/graphs?ask=delete"]`)
	waitTitle(ctx, t, "Delete Grafana?")
	g.look(ctx, t, "admin-client-delete")
	press(ctx, t, "action", "delete")
	waitTitle(ctx, t, "Clients")
	shows(ctx, t, "The client is deleted.")
	if s.acceptsClient(t, "graphs", second) {
		t.Error("a deleted client can still speak")
	}
	visit(ctx, t, s.Issuer+"/admin/clients?new=yes")
	waitTitle(ctx, t, "Register an application")
	g.look(ctx, t, "admin-client-new")
}

// hideSecret replaces what differs from run to run on the page of a new
// client, and gives the secret a shape that no scanner takes for a real one.
const hideSecret = `{
	const secret = document.querySelector("#client-secret"), value = secret.textContent
	document.querySelectorAll("pre, #client-secret").forEach(e => { e.textContent = e.textContent.replaceAll(value, "shown-once").replace(/http:\/\/localhost:\d+/g, "https://id.example.net").replace(/localhost%3A\d+/g, "id.example.net") })
}; 0`

// steadyClaims replaces what differs from run to run on the page of a test.
const steadyClaims = `document.querySelectorAll("pre").forEach(e => {
	e.textContent = e.textContent.replace(/http:\/\/localhost:\d+/, "https://id.example.net").replace(/\b1\d{9}\b/g, "1795267014").replace(/"[0-9a-f]{8}-[0-9a-f-]{27}"/, '"0198c2b1-5a3e-7c41-9d0f-6e2b8a4f1c77"')
}); 0`

// acceptsClient tells whether a client may speak with that secret: without a
// token it is then the token that is wrong.
func (s *server) acceptsClient(t *testing.T, id, secret string) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Issuer+"/oauth2/token", strings.NewReader("grant_type=refresh_token&refresh_token=none"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("speaking as client %s: %v", id, err)
	}
	defer response.Body.Close()
	var answer struct{ Error string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatalf("speaking as client %s: %v", id, err)
	}
	return answer.Error == "invalid_grant"
}
