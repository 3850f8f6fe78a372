package idp_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"peerage/portal/portaltest"
)

// A client that registered an algorithm gets UserInfo as a JWT, which cannot
// be used as an ID token afterwards.
func TestSignedUserInfo(t *testing.T) {
	const back = "https://signed.example.net/cb"
	site := portaltest.New(t, portaltest.Options{Clients: `[{"client_id":"signed","client_secret":"secret-of-signed","redirect_uris":["` + back + `"],"post_logout_redirect_uris":["https://signed.example.net/bye"],"trusted":true,"userinfo_signed_response_alg":"ES256"}]`})
	ada := site.AddUser("ada")
	b, tokens := signedInAt(t, site, "ada", "openid email", "signed")
	info := site.UserInfo(tokens["signed"].Str("access_token"))
	if info.Status != http.StatusOK || info.Header.Get("Content-Type") != "application/jwt" {
		t.Fatalf("got %d %s", info.Status, info.Header.Get("Content-Type"))
	}
	payload, err := oidc.NewRemoteKeySet(t.Context(), site.Issuer+"/.well-known/jwks.json").VerifySignature(t.Context(), info.Body)
	if err != nil {
		t.Fatalf("the signature: %v", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims["sub"] != ada.Sub || claims["iss"] != site.Issuer || claims["aud"] != "signed" || claims["email"] != "ada@example.net" {
		t.Fatalf("it says %v", claims)
	}
	page := b.Get("/oauth2/logout?id_token_hint=" + info.Body + "&post_logout_redirect_uri=https://signed.example.net/bye&client_id=signed")
	if page.Left != "" || page.URL.Path != "/logout" {
		t.Fatalf("as a hint it leads to %s %q", page.URL, page.Left)
	}
}
