package portal_test

import (
	"net/http"
	"strings"
	"testing"

	"peerage/portal/portaltest"
)

const (
	grafana  = `{"client_id":"grafana","name":"Grafana","client_secret":"grafana-secret","redirect_uris":["https://grafana.example.net/login/generic_oauth"],"post_logout_redirect_uris":["https://grafana.example.net/bye"],"launch_uri":"https://grafana.example.net/","claims":{"groups":"both"}}`
	callback = "https://grafana.example.net/login/generic_oauth"
)

// The main job: sign in with password and code, consent once, get tokens.
func TestSignInToAnApplication(t *testing.T) {
	site := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]"})
	ada := site.AddUser("ada", "admins")
	secret := site.AddTOTP(ada)
	site.skipEvents()
	b := site.Browser()

	page := b.Get(portaltest.Authorize("grafana", callback, "scope", "openid profile email groups offline_access"))
	if page.URL.Path != "/login" || !strings.Contains(page.Body, "Grafana") || !strings.Contains(page.Body, "grafana.example.net") {
		t.Fatalf("an authorization leads to %s, which must name the application and its host:\n%s", page.URL, page.Body)
	}
	page = b.Submit(page, "username", "ada", "password", "wrong wrong wrong")
	if page.Status != http.StatusUnprocessableEntity || page.Error != "wrong_credentials" || strings.Contains(page.Body, "wrong wrong wrong") {
		t.Fatalf("a wrong password gives %d %q", page.Status, page.Error)
	}
	page = b.Submit(page, "username", " ADA ", "password", portaltest.Password)
	if page.URL.Path != "/login/totp" {
		t.Fatalf("a right password leads to %s", page.URL)
	}
	page = b.Submit(page, "code", "000000")
	if page.Status != http.StatusUnprocessableEntity || page.Error != "wrong_code" {
		t.Fatalf("a wrong code gives %d %q", page.Status, page.Error)
	}
	page = b.Submit(page, "code", site.Code(secret))
	if page.URL.Path != "/consent" {
		t.Fatalf("a right code leads to %s", page.URL)
	}
	for _, want := range []string{"ada Example", "ada@example.net", "admins"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the consent page does not show %q", want)
		}
	}
	page = b.Submit(page, "decision", "allow")
	if page.Status != http.StatusOK || !strings.HasPrefix(page.Left, callback+"?") {
		t.Fatalf("consent leads to %d %q", page.Status, page.Left)
	}
	q := page.Query(t)
	if q.Get("state") != "state-1" || q.Get("iss") != site.Issuer || q.Get("code") == "" {
		t.Fatalf("the answer is %v", q)
	}
	tokens := site.Redeem("grafana", "grafana-secret", q.Get("code"), callback)
	if tokens.Status != http.StatusOK || tokens.Str("id_token") == "" || tokens.Str("refresh_token") == "" || tokens.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the exchange gives %d %s", tokens.Status, tokens.Body)
	}
	info := site.UserInfo(tokens.Str("access_token"))
	if info.Status != http.StatusOK || info.Str("sub") != ada.Sub || info.Str("email") != "ada@example.net" {
		t.Fatalf("UserInfo gives %d %s", info.Status, info.Body)
	}
	refreshed := site.Refresh("grafana", "grafana-secret", tokens.Str("refresh_token"))
	if refreshed.Status != http.StatusOK || refreshed.Str("id_token") == "" || refreshed.Str("refresh_token") == tokens.Str("refresh_token") {
		t.Fatalf("the refresh gives %d %s", refreshed.Status, refreshed.Body)
	}
	// Signed in and consented: the next authorization shows no page.
	page = b.Get(portaltest.Authorize("grafana", callback))
	if page.Status != http.StatusSeeOther || !strings.HasPrefix(page.Left, callback+"?code=") {
		t.Fatalf("the second authorization gives %d %q", page.Status, page.Left)
	}
	site.happened(t, "login_failure failure ada", "mfa_challenge success ada", "mfa_failure failure ada", "mfa_success success ada", "login_success success ada",
		"consent_grant success ada grafana", "oidc_authorize code ada grafana", "oidc_token success ada grafana", "oidc_userinfo success ada grafana",
		"oidc_token success ada grafana", "oidc_authorize code ada grafana")
}
