package portal_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/idp"
	"peerage/portal/portaltest"
	"peerage/store"
)

// administrator is a browser in which an administrator gave two factors just now.
func (w *world) administrator(t *testing.T, name string) *portaltest.Browser {
	t.Helper()
	return w.signedIn(t, name, w.AddTOTP(w.AddUser(name, "admins")))
}

var onceShown = regexp.MustCompile(`<code class="block" id="client-secret">([A-Za-z0-9_-]{43})</code>`)

// shownClientSecret is the secret that the page shows; it may stand in this
// answer alone.
func (w *world) shownClientSecret(t *testing.T, page *portaltest.Page) string {
	t.Helper()
	found := onceShown.FindStringSubmatch(page.Body)
	if found == nil {
		t.Fatalf("%s (%d, error %q) shows no secret", page.URL, page.Status, page.Error)
	}
	return found[1]
}

// client is the stored client of that id.
func (w *world) client(t *testing.T, id string) store.Client {
	t.Helper()
	c, err := w.Store.Client(t.Context(), id)
	if err != nil {
		t.Fatalf("client %s: %v", id, err)
	}
	return c
}

// accepts tells whether the token endpoint knows the client by that secret; it
// looks past the events of the try.
func (w *world) accepts(id, secret string) bool {
	defer w.skipEvents()
	return w.Token(id, secret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"none"}}).Str("error") == "invalid_grant"
}

// An administrator registers an application by a recipe, and it can speak to
// us with what the page said.
func TestAdministratorRegistersByARecipe(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.administrator(t, "ada")
	page := b.Get("/admin/clients")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "No application is registered yet.") {
		t.Fatalf("the empty list: %d %s", page.Status, page.Body)
	}
	if page = b.Get("/admin/clients?recipe="); !strings.Contains(page.Body, "/admin/clients?recipe=oauth2-proxy") {
		t.Fatal("the recipes are not offered")
	}
	page = b.Get("/admin/clients?recipe=grafana")
	w.skipEvents()

	// Faults stand beside their fields, with what was typed; nothing is made.
	wrong := b.Submit(page, "url", "http://grafana.example.net", "client_id", "my grafana", "admin_group", "as64500")
	if wrong.Status != http.StatusUnprocessableEntity {
		t.Fatalf("wrong answers give %d", wrong.Status)
	}
	for _, want := range []string{`value="http://grafana.example.net"`, `value="my grafana"`, `value="as64500"`, `id="url-fault"`, `id="client_id-fault"`, `id="admin_group-fault"`, "3 things are not right yet."} {
		if !strings.Contains(wrong.Body, want) {
			t.Errorf("the form does not come back with %s", want)
		}
	}
	w.happened(t)

	made := b.Submit(wrong, "url", "https://grafana.example.net/", "client_id", "grafana", "admin_group", "noc")
	secret := w.shownClientSecret(t, made)
	text := html.UnescapeString(made.Body)
	for _, want := range []string{"client_secret = " + secret, "auth_url = " + w.Issuer + "/oauth2/authorize", "contains(groups[*], 'noc')"} {
		if !strings.Contains(text, want) {
			t.Errorf("the configuration lacks %q", want)
		}
	}
	w.happened(t, "client_create success ada grafana")
	if !w.accepts("grafana", secret) || w.accepts("grafana", "x"+secret) {
		t.Error("the secret does not open the token endpoint")
	}
	if c := w.client(t, "grafana"); !slices.Equal(c.RedirectURIs, []string{"https://grafana.example.net/login/generic_oauth"}) || c.Claims["groups"] != "both" {
		t.Errorf("the client is %+v", c)
	}
	// Sending the form again changes nothing and shows no secret.
	again := b.Submit(wrong, "url", "https://grafana.example.net/", "client_id", "grafana", "admin_group", "noc")
	if again.Status != http.StatusUnprocessableEntity || !strings.Contains(again.Body, "Is taken by another client.") {
		t.Errorf("the form sent twice gives %d", again.Status)
	}
	w.happened(t)

	// From now on no answer holds the secret or its hash.
	w.leaks.sent = nil
	w.leaks.keep("client secret", secret)
	w.leaks.keep("client secret hash", idp.HashClientSecret(secret))
	for _, address := range []string{"/admin/clients", "/admin/clients/grafana", "/admin/clients?q=graf", "/admin/clients?recipe=grafana", "/admin/clients/grafana?ask=delete"} {
		if p := b.Get(address); p.Status != http.StatusOK {
			t.Errorf("%s: %d", address, p.Status)
		}
	}
	b.Submit(b.Get("/admin/clients/grafana"), "username", "ada", "action", "test")
	// A public client has no secret to show, but a configuration.
	kube := b.Submit(b.Get("/admin/clients?recipe=kubernetes"), "url", "https://kube.example.net:6443")
	if kube.Status != http.StatusOK || onceShown.MatchString(kube.Body) || !strings.Contains(kube.Body, "AuthenticationConfiguration") {
		t.Errorf("the recipe of a public client gives %d", kube.Status)
	}
}

// allFields is a form with every field of a client that can be typed.
func allFields() url.Values {
	return url.Values{
		"name": {"The App"}, "description": {"What it is for"}, "launch_uri": {"https://app.example.net/"}, "logo_uri": {"data:image/png;base64,AAAA"},
		"redirect_uris": {"https://app.example.net/cb\r\n\r\nhttps://app.example.net/cb2\r\n"}, "post_logout_redirect_uris": {"https://app.example.net/bye"},
		"backchannel_logout_uri": {"https://app.example.net/ended"}, "allowed_groups": {"noc\nadmins"}, "require_mfa": {"no", "yes"}, "trusted": {"no", "yes"},
		"scopes": {"openid\ngroups"}, "claims": {"groups=both\nemail = id_token"}, "group_filter": {"^noc"}, "group_prefix": {"ix-"}, "roles": {"viewer=noc, admins\neditor=admins"},
		"application_type": {"web"}, "token_endpoint_auth_method": {"client_secret_post"}, "require_pkce": {"no"}, "require_pushed_authorization_requests": {"no", "yes"}, "jwks_uri": {""}, "jwks": {""},
		"grant_types": {"authorization_code"}, "response_types": {"code"}, "id_token_signed_response_alg": {"ES256"}, "userinfo_signed_response_alg": {"RS256"},
		"access_token_format": {"jwt"}, "audience": {"api\nother"}, "access_token_ttl": {"5m"}, "id_token_ttl": {"1h"}, "refresh_token_ttl": {"48h"},
	}
}

const allFieldsJSON = `{"client_id":"app","name":"The App","description":"What it is for","logo_uri":"data:image/png;base64,AAAA","launch_uri":"https://app.example.net/",` +
	`"token_endpoint_auth_method":"client_secret_post","application_type":"web","redirect_uris":["https://app.example.net/cb","https://app.example.net/cb2"],` +
	`"post_logout_redirect_uris":["https://app.example.net/bye"],"backchannel_logout_uri":"https://app.example.net/ended","grant_types":["authorization_code"],"response_types":["code"],` +
	`"scopes":["openid","groups"],"require_pkce":false,"require_pushed_authorization_requests":true,"id_token_signed_response_alg":"ES256","userinfo_signed_response_alg":"RS256",` +
	`"access_token_format":"jwt","audience":["api","other"],"access_token_ttl":"5m0s","id_token_ttl":"1h0m0s","refresh_token_ttl":"48h0m0s","trusted":true,"require_mfa":true,` +
	`"allowed_groups":["noc","admins"],"roles":[{"role":"viewer","groups":["noc","admins"]},{"role":"editor","groups":["admins"]}],"claims":{"email":"id_token","groups":"both"},` +
	`"group_filter":"^noc","group_prefix":"ix-"}`

// Every field of a client can be typed at its creation and be changed later,
// and a form that is sent as it came changes nothing.
func TestEveryFieldOfAClientIsEditable(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.administrator(t, "ada")
	w.skipEvents()
	want := strings.Replace(allFieldsJSON, `"application_type":"web",`, "", 1) // the default stays unsaid
	check := func(when string) {
		t.Helper()
		got, err := json.Marshal(idp.WithoutSecrets(w.client(t, "app")))
		if err != nil || string(got) != want {
			t.Errorf("%s the client is\n%s\nwant\n%s", when, got, want)
		}
	}
	form := allFields()
	form.Set("client_id", "app")
	w.shownClientSecret(t, b.Post("/admin/clients", form))
	check("after its creation")

	b.Post("/admin/clients", url.Values{"client_id": {"other"}, "redirect_uris": {"https://x.example.net/"}})
	if err := w.Store.DeleteClient(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	b.Post("/admin/clients", url.Values{"client_id": {"app"}, "redirect_uris": {"https://x.example.net/"}})
	w.skipEvents()
	form = allFields()
	form["action"], form["version"] = []string{"save"}, []string{"1"}
	if page := b.Post("/admin/clients/app", form); page.URL.RawQuery != "done=saved" || !strings.Contains(page.Body, "Saved.") {
		t.Fatalf("saving leads to %s (%d): %s", page.URL, page.Status, page.Body)
	}
	check("after it was changed")
	w.happened(t, "client_update success ada app")
	if detail := w.Log.Events("client_update")[0]["fields"]; !strings.Contains(detail.(string), "redirect_uris") {
		t.Errorf("the event names the fields %v", detail)
	}

	page := b.Get("/admin/clients/app")
	if saved := b.Submit(page, "action", "save"); saved.URL.RawQuery != "done=saved" || w.client(t, "app").Version != 2 {
		t.Errorf("the form as it came makes version %d (%d)", w.client(t, "app").Version, saved.Status)
	}
	w.happened(t)
	if saved := b.Submit(page, "action", "save", "name", "Renamed"); saved.Status != http.StatusOK || w.client(t, "app").Name != "Renamed" {
		t.Errorf("one field alone: %d, %q", saved.Status, w.client(t, "app").Name)
	}
}

// What is wrong stands beside its field, all at once, and what was typed
// comes back; the client stays as it was.
func TestFaultsStandBesideTheirFields(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.administrator(t, "ada")
	b.Post("/admin/clients", url.Values{"client_id": {"app"}, "redirect_uris": {"https://app.example.net/cb"}})
	before, err := json.Marshal(w.client(t, "app"))
	if err != nil {
		t.Fatal(err)
	}
	w.skipEvents()
	for field, typed := range map[string]string{
		"name": strings.Repeat("n", 201), "redirect_uris": "javascript:alert(1)", "post_logout_redirect_uris": "data:text/html,x", "launch_uri": "javascript:alert(1)",
		"logo_uri": "https://tracker.example/pixel.png", "backchannel_logout_uri": "file:///etc/passwd", "scopes": "everything", "claims": "groups=everywhere", "group_filter": "(",
		"group_prefix": "as", "roles": "as64500=noc", "grant_types": "implicit", "response_types": "token", "access_token_format": "paper", "access_token_ttl": "1s",
		"id_token_ttl": "soon", "refresh_token_ttl": "-1h", "application_type": "desktop", "token_endpoint_auth_method": "tls", "jwks_uri": "https://app.example.net/keys", "jwks": "{",
		"id_token_signed_response_alg": "none", "userinfo_signed_response_alg": "HS256", "require_mfa": "perhaps", "trusted": "2", "require_pkce": "maybe", "require_pushed_authorization_requests": "x",
		"description": strings.Repeat("d", 2001),
	} {
		for _, address := range []string{"/admin/clients/app", "/admin/clients"} {
			form := url.Values{field: {typed}, "action": {"save"}, "version": {"1"}, "client_id": {"new"}}
			if field != "redirect_uris" {
				form.Set("redirect_uris", "https://app.example.net/cb")
			}
			page := b.Post(address, form)
			if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, `id="`+field+`-fault"`) {
				t.Errorf("%s=%.40q at %s gives %d without a fault beside it", field, typed, address, page.Status)
			}
			if !strings.Contains(page.Body, "<title>Error:") || strings.Count(page.Body, `role="alert" tabindex="-1" autofocus`) != 1 {
				t.Errorf("%s=%.40q at %s: neither the title nor the focus leads to the fault", field, typed, address)
			}
			if body := html.UnescapeString(page.Body); !strings.Contains(body, typed) && !strings.Contains("application_type token_endpoint_auth_method access_token_format id_token_signed_response_alg userinfo_signed_response_alg require_mfa trusted require_pkce require_pushed_authorization_requests", field) {
				t.Errorf("%s=%.40q at %s does not come back", field, typed, address)
			}
		}
	}
	for _, id := range []string{"", "a b", "-x", "app", `"><script>`} {
		page := b.Post("/admin/clients", url.Values{"client_id": {id}, "redirect_uris": {"https://x.example.net/"}})
		if page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, `id="client_id-fault"`) {
			t.Errorf("the id %q gives %d", id, page.Status)
		}
	}
	if after, err := json.Marshal(w.client(t, "app")); err != nil || string(after) != string(before) {
		t.Errorf("the client became %s", after)
	}
	if all, err := w.Store.Clients(t.Context(), ""); err != nil || len(all) != 1 {
		t.Errorf("there are %d clients", len(all))
	}
	w.happened(t)
}

// Two administrators edit the same client: the second is told, and nothing of
// the first is overwritten.
func TestTwoAdministratorsEditTheSameClient(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	ada, bob := w.administrator(t, "ada"), w.administrator(t, "bob")
	ada.Post("/admin/clients", url.Values{"client_id": {"app"}, "redirect_uris": {"https://app.example.net/cb"}})
	first, second := ada.Get("/admin/clients/app"), bob.Get("/admin/clients/app")
	if page := ada.Submit(first, "action", "save", "name", "Of Ada"); page.Status != http.StatusOK {
		t.Fatalf("the first gets %d", page.Status)
	}
	w.skipEvents()
	page := bob.Submit(second, "action", "save", "name", "Of Bob")
	if outcome(page) != "409 conflict" || !strings.Contains(page.Body, `value="Of Bob"`) {
		t.Fatalf("the second gets %s", outcome(page))
	}
	if page = bob.Submit(page, "action", "save", "name", "Of Bob"); outcome(page) != "409 conflict" {
		t.Errorf("the same form sent again gives %s", outcome(page))
	}
	for _, action := range []string{"disable", "enable", "delete", "rotate-secret"} {
		if page := bob.Post("/admin/clients/app", url.Values{"action": {action}, "version": {"1"}}); outcome(page) != "409 conflict" {
			t.Errorf("%s from an old page gives %s", action, outcome(page))
		}
	}
	if page := bob.Post("/admin/clients/app", url.Values{"action": {"save"}, "name": {"x"}}); outcome(page) != "409 conflict" {
		t.Errorf("a form without version gives %s", outcome(page))
	}
	if c := w.client(t, "app"); c.Name != "Of Ada" || c.Disabled || c.Version != 2 {
		t.Errorf("the client is %q, version %d", c.Name, c.Version)
	}
	w.happened(t)
}

func TestSwitchingOffAndDeletingAClient(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.administrator(t, "ada")
	secret := w.shownClientSecret(t, b.Post("/admin/clients", url.Values{"client_id": {"app"}, "redirect_uris": {"https://app.example.net/cb"}}))
	w.skipEvents()
	ask := b.Get("/admin/clients/app?ask=disable")
	if w.client(t, "app").Disabled || !strings.Contains(ask.Body, "Nobody can sign in to it.") {
		t.Fatal("the question does it already")
	}
	disabled := b.Submit(ask, "action", "disable")
	w.happened(t, "client_disable success ada app")
	if disabled.URL.RawQuery != "done=disabled" || w.accepts("app", secret) {
		t.Errorf("switched off, it leads to %s, and the client can still speak", disabled.URL)
	}
	enabled := b.Submit(b.Get("/admin/clients/app"), "action", "enable")
	w.happened(t, "client_enable success ada app")
	if enabled.URL.RawQuery != "done=enabled" || !w.accepts("app", secret) {
		t.Errorf("switched on, it leads to %s, and the client cannot speak", enabled.URL)
	}
	page := b.Submit(b.Get("/admin/clients/app?ask=delete"), "action", "delete")
	w.happened(t, "client_delete success ada app")
	if page.URL.Path != "/admin/clients" || !strings.Contains(page.Body, "The client is deleted.") || w.accepts("app", secret) {
		t.Errorf("deleting leads to %s", page.URL)
	}
	if page := b.Get("/admin/clients/app"); outcome(page) != "404 not_found" {
		t.Errorf("the page of a deleted client gives %s", outcome(page))
	}
	if page := b.Post("/admin/clients", url.Values{"client_id": {"app"}, "redirect_uris": {"https://app.example.net/cb"}}); page.Status != http.StatusOK {
		t.Errorf("the id cannot be used again: %d", page.Status)
	}
	if page := b.Post("/admin/clients/app", url.Values{"action": {"explode"}}); page.Status != http.StatusUnprocessableEntity {
		t.Errorf("an unknown action gives %d", page.Status)
	}
}

// The old secret lives on for the chosen time and dies on it.
func TestSecretIsRotatedOnThePage(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("ada", "admins"))
	b := w.signedIn(t, "ada", secret)
	old := w.shownClientSecret(t, b.Post("/admin/clients", url.Values{"client_id": {"app"}, "redirect_uris": {"https://app.example.net/cb"}}))
	w.skipEvents()
	for _, c := range []struct {
		keep string
		life time.Duration
	}{{"1h", time.Hour}, {"24h", 24 * time.Hour}, {"168h", 168 * time.Hour}, {"0", 0}} {
		page := b.Submit(b.Get("/admin/clients/app"), "action", "rotate-secret", "keep_old", c.keep)
		fresh := w.shownClientSecret(t, page)
		w.happened(t, "client_secret_rotate success ada app")
		if !w.accepts("app", fresh) || w.accepts("app", old) != (c.life > 0) {
			t.Errorf("keep_old=%s: the new secret counts %t, the old one %t", c.keep, w.accepts("app", fresh), w.accepts("app", old))
		}
		if c.life > 0 {
			if text := b.Get("/admin/clients/app").Body; !strings.Contains(text, "The secret before this one still works until") {
				t.Errorf("keep_old=%s: the page does not say that the old one lives", c.keep)
			}
			w.Clock.Advance(c.life - 2*time.Second)
			if !w.accepts("app", old) {
				t.Errorf("keep_old=%s: the old secret died early", c.keep)
			}
			w.Clock.Advance(3 * time.Second)
			if w.accepts("app", old) || !w.accepts("app", fresh) {
				t.Errorf("keep_old=%s: the old secret lives on", c.keep)
			}
			b = w.signedIn(t, "ada", secret)
		}
		w.skipEvents()
		w.leaks.keep("client secret hash", idp.HashClientSecret(fresh))
		old = fresh
	}
	if page := b.Post("/admin/clients/app", url.Values{"action": {"rotate-secret"}, "keep_old": {"8760h"}}); page.Status != http.StatusUnprocessableEntity || !strings.Contains(page.Body, `id="keep_old-fault"`) {
		t.Errorf("a year gives %d", page.Status)
	}
	b.Post("/admin/clients", url.Values{"client_id": {"spa"}, "redirect_uris": {"https://spa.example.net/cb"}, "token_endpoint_auth_method": {"none"}})
	if page := b.Post("/admin/clients/spa", url.Values{"action": {"rotate-secret"}}); page.Status != http.StatusUnprocessableEntity {
		t.Errorf("a client without a secret gets %d", page.Status)
	}
}
