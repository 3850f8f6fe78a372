package idp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"peerage/portal/portaltest"
)

const (
	service  = `{"client_id":"service","client_secret":"service-secret","grant_types":["client_credentials"],"scopes":["groups"]}`
	resource = `{"client_id":"resource","client_secret":"resource-secret","redirect_uris":["https://resource.example.net/cb"]}`
	jwtApp   = `{"client_id":"jwtapp","client_secret":"jwtapp-secret","grant_types":["client_credentials"],"access_token_format":"jwt","audience":["resource"],"id_token_signed_response_alg":"ES256"}`
)

// introspect asks as a client with a secret.
func introspect(t *testing.T, site *portaltest.Site, id, secret, token string) portaltest.Answer {
	t.Helper()
	return site.Call(http.MethodPost, "/oauth2/introspect", url.Values{"token": {token}}, func(r *http.Request) { r.SetBasicAuth(id, secret) })
}

func revoke(t *testing.T, site *portaltest.Site, id, secret, token string) portaltest.Answer {
	t.Helper()
	return site.Call(http.MethodPost, "/oauth2/revoke", url.Values{"token": {token}, "token_type_hint": {"access_token"}}, func(r *http.Request) { r.SetBasicAuth(id, secret) })
}

func TestClientCredentials(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{Clients: "[" + service + "," + resource + "," + jwtApp + "]"})
	got := site.Token("service", "service-secret", url.Values{"grant_type": {"client_credentials"}, "scope": {"groups"}})
	if got.Status != http.StatusOK || got.Str("scope") != "groups" || got.Str("id_token") != "" || got.Str("refresh_token") != "" {
		t.Fatalf("the grant gives %d %s", got.Status, got.Body)
	}
	token := got.Str("access_token")
	if info := site.UserInfo(token); info.Status != http.StatusForbidden || info.Str("error") != "insufficient_scope" {
		t.Fatalf("UserInfo for a client without a person gives %d %s", info.Status, info.Body)
	}
	for name, c := range map[string]struct {
		id, secret string
		scope      string
		status     int
		code       string
	}{
		"scope openid":         {"service", "service-secret", "openid", 400, "invalid_scope"},
		"scope offline_access": {"service", "service-secret", "offline_access", 400, "invalid_scope"},
		"scope not registered": {"service", "service-secret", "email", 400, "invalid_scope"},
		"grant not registered": {"resource", "resource-secret", "", 400, "unauthorized_client"},
		"wrong secret":         {"service", "wrong", "", 401, "invalid_client"},
		"unknown client":       {"nobody", "wrong", "", 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			a := site.Token(c.id, c.secret, url.Values{"grant_type": {"client_credentials"}, "scope": {c.scope}})
			if a.Status != c.status || a.Str("error") != c.code {
				t.Fatalf("got %d %s", a.Status, a.Body)
			}
		})
	}
}

func TestIntrospectionTellsOnlyWhoMayKnow(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{Clients: "[" + service + "," + resource + "," + jwtApp + "]"})
	opaque := site.Token("service", "service-secret", url.Values{"grant_type": {"client_credentials"}}).Str("access_token")
	signed := site.Token("jwtapp", "jwtapp-secret", url.Values{"grant_type": {"client_credentials"}}).Str("access_token")
	if strings.Count(signed, ".") != 2 {
		t.Fatalf("access_token_format jwt gives %q", signed)
	}
	if scope, ok := idTokenClaims(t, signed)["scope"]; ok {
		t.Errorf("a token without scopes has the claim scope %q", scope)
	}
	for name, c := range map[string]struct {
		id, secret, token string
		active            bool
	}{
		"its own client":          {"service", "service-secret", opaque, true},
		"another client":          {"resource", "resource-secret", opaque, false},
		"a JWT, in its audience":  {"resource", "resource-secret", signed, true},
		"a JWT, its own client":   {"jwtapp", "jwtapp-secret", signed, true},
		"a JWT, somebody else":    {"service", "service-secret", signed, false},
		"an unknown token":        {"service", "service-secret", "pat_unknown", false},
		"a JWT with another sign": {"jwtapp", "jwtapp-secret", signed[:len(signed)-2] + "AA", false},
	} {
		t.Run(name, func(t *testing.T) {
			a := introspect(t, site, c.id, c.secret, c.token)
			if active, _ := a.JSON["active"].(bool); a.Status != http.StatusOK || active != c.active {
				t.Fatalf("got %d %s", a.Status, a.Body)
			}
			if !c.active && len(a.JSON) != 1 {
				t.Fatalf("an inactive answer tells more: %s", a.Body)
			}
		})
	}
	for name, a := range map[string]portaltest.Answer{
		"without authentication": site.Call(http.MethodPost, "/oauth2/introspect", url.Values{"token": {opaque}, "client_id": {"service"}}, nil),
		"with a wrong secret":    introspect(t, site, "service", "wrong", opaque),
	} {
		if a.Status != http.StatusUnauthorized || a.Str("error") != "invalid_client" || a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if a := introspect(t, site, "service", "service-secret", ""); a.Status != http.StatusBadRequest || a.Str("error") != "invalid_request" {
		t.Errorf("without a token: %d %s", a.Status, a.Body)
	}
}

func TestRevocationOfOnesOwnTokensOnly(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{Clients: "[" + service + "," + resource + "]"})
	token := site.Token("service", "service-secret", url.Values{"grant_type": {"client_credentials"}}).Str("access_token")
	active := func() bool {
		a, _ := introspect(t, site, "service", "service-secret", token).JSON["active"].(bool)
		return a
	}
	if a := revoke(t, site, "resource", "resource-secret", token); a.Status != http.StatusOK || !active() {
		t.Fatalf("another client's revocation: %d %s, active %v", a.Status, a.Body, active())
	}
	if a := revoke(t, site, "service", "wrong", token); a.Status != http.StatusUnauthorized || !active() {
		t.Fatalf("a wrong secret: %d %s", a.Status, a.Body)
	}
	if a := revoke(t, site, "service", "service-secret", token); a.Status != http.StatusOK || active() {
		t.Fatalf("its own revocation: %d %s, active %v", a.Status, a.Body, active())
	}
	if a := revoke(t, site, "service", "service-secret", "unknown"); a.Status != http.StatusOK {
		t.Fatalf("an unknown token: %d %s", a.Status, a.Body)
	}
}
