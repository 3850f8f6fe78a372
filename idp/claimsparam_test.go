package idp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"peerage/portal/portaltest"
)

// idTokenClaims reads an ID token of ours without checking it again.
func idTokenClaims(t *testing.T, token string) map[string]any {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		t.Fatalf("reading an ID token: %v", err)
	}
	var claims map[string]any
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatalf("reading an ID token: %v", err)
	}
	return claims
}

// The claims parameter brings single claims to either place, asks the person
// for what it brings, and demands classes (OIDC Core section 5.5).
func TestClaimsParameter(t *testing.T) {
	const app = `{"client_id":"app","client_secret":"app-secret-1","redirect_uris":["https://app.example.net/cb"],"scopes":["openid","email","profile"]}`
	const back = "https://app.example.net/cb"
	site := portaltest.New(t, portaltest.Options{Clients: "[" + app + "]"})
	ada := site.AddUser("ada", "admins")
	secret := site.AddTOTP(ada)
	bob := site.AddUser("bob")
	signIn := func(name string) *portaltest.Browser {
		site.Clock.Advance(time.Minute) // a code counts once
		b := site.Browser()
		page := b.Submit(b.Get("/login"), "username", name, "password", portaltest.Password)
		if page.URL.Path == "/login/totp" {
			b.Submit(page, "code", site.Code(secret))
		}
		site.Clock.Advance(time.Second) // who signed in before the request counts as such
		return b
	}
	authorize := func(claims string) string {
		return portaltest.Authorize("app", back, "scope", "openid", "claims", claims)
	}

	t.Run("single claims", func(t *testing.T) {
		b := signIn("ada")
		page := b.Get(authorize(`{"id_token":{"email":{"essential":true},"groups":null,"nickname":{"value":"ada"},"name":{"value":"somebody else"}},"userinfo":{"preferred_username":null,"unknown":null}}`))
		if page.URL.Path != "/consent" || !strings.Contains(page.Body, "ada@example.net") {
			t.Fatalf("the person is not asked for what the claims bring: %s\n%s", page.URL, page.Body)
		}
		page = b.Submit(page, "decision", "allow")
		tokens := site.Redeem("app", "app-secret-1", page.Query(t).Get("code"), back)
		claims := idTokenClaims(t, tokens.Str("id_token"))
		if claims["email"] != "ada@example.net" || claims["nickname"] != "ada" {
			t.Errorf("the ID token holds %v", claims)
		}
		for _, name := range []string{"name", "groups", "preferred_username", "unknown", "email_verified"} {
			if _, ok := claims[name]; ok {
				t.Errorf("the ID token holds %s: not asked for there, not allowed, or another value", name)
			}
		}
		info := site.UserInfo(tokens.Str("access_token"))
		if len(info.JSON) != 2 || info.Str("preferred_username") != "ada" {
			t.Errorf("UserInfo answers %s", info.Body)
		}
	})
	for name, c := range map[string]struct{ person, claims, path, fault string }{
		"an essential class in reach":     {"ada", `{"id_token":{"acr":{"essential":true,"values":["2"]}}}`, "/oauth2/authorize", ""}, // consented above
		"an essential class out of reach": {"bob", `{"id_token":{"acr":{"essential":true,"value":"2"}}}`, "", "unmet_authentication_requirements"},
		"a class that is only wished":     {"bob", `{"id_token":{"acr":{"values":["2"]}}}`, "/consent", ""},
		"the person who is here":          {"bob", `{"id_token":{"sub":{"value":"` + bob.Sub + `"}}}`, "/consent", ""},
		"another person":                  {"bob", `{"id_token":{"sub":{"value":"` + ada.Sub + `"}}}`, "/login", ""},
		"no JSON":                         {"bob", `{"id_token":`, "", "invalid_request"},
		"another shape":                   {"bob", `{"id_token":["email"]}`, "", "invalid_request"},
		"too long":                        {"bob", `{"id_token":{"` + strings.Repeat("x", 9<<10) + `":null}}`, "", "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			page := signIn(c.person).Get(authorize(c.claims))
			if c.fault != "" {
				if got := page.Query(t).Get("error"); got != c.fault {
					t.Fatalf("answers %q (%d)", got, page.Status)
				}
				return
			}
			if page.URL.Path != c.path {
				t.Fatalf("leads to %s %q", page.URL, page.Left)
			}
		})
	}
	t.Run("another person who signs in is not who was meant", func(t *testing.T) {
		b := site.Browser()
		page := b.Get(authorize(`{"id_token":{"sub":{"value":"` + ada.Sub + `"}}}`))
		page = b.Submit(page, "username", "bob", "password", portaltest.Password)
		if got := page.Query(t).Get("error"); got != "login_required" {
			t.Fatalf("answers %q at %s", got, page.URL)
		}
	})
	t.Run("a consent taken back takes the claims along", func(t *testing.T) {
		b := signIn("bob")
		page := b.Submit(b.Get(authorize(`{"userinfo":{"email":null}}`)), "decision", "allow")
		code := page.Query(t).Get("code")
		if err := site.Store.RevokeConsent(t.Context(), bob.Sub, "app"); err != nil {
			t.Fatal(err)
		}
		a := site.Token("app", "app-secret-1", url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {back}, "code_verifier": {portaltest.Verifier}})
		if a.Status != http.StatusBadRequest || a.Str("error") != "invalid_grant" {
			t.Fatalf("the code gives %d %s", a.Status, a.Body)
		}
	})
}
