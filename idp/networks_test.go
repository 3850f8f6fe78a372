package idp_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// A network that a person acts for is a group of its own shape, and for clients
// that ask for the scope a claim with its name and rights.
func TestNetworksAreGroupsAndAClaim(t *testing.T) {
	t.Parallel()
	const callback = "https://looking-glass.example.net/cb"
	w := newWorld(t, `{"client_id":"glass","client_secret":"glass-secret","redirect_uris":["`+callback+`"],"trusted":true,"scopes":["openid","groups","networks"],"allowed_groups":["as64500"]}`,
		`{"client_id":"prefixed","client_secret":"glass-secret","redirect_uris":["`+callback+`"],"trusted":true,"group_prefix":"ix:"}`,
		`{"client_id":"placed","client_secret":"glass-secret","redirect_uris":["`+callback+`"],"trusted":true,"scopes":["openid","networks"],"claims":{"networks":"id_token"}}`)
	if err := w.Store.CreateGroup(t.Context(), "as64501"); err != nil {
		t.Fatal(err)
	}
	ada, forger := w.person("ada", "noc", "as64501"), w.person("forger", "as64501")
	if err := w.Directory.AddAffiliation(t.Context(), ada, 64500, "Example <Networks>"); err != nil {
		t.Fatal(err)
	}
	told := func(client, secret, scope string) string {
		page := w.signedIn(ada, identity.ACROneFactor).Get(portaltest.Authorize(client, callback, "scope", scope))
		info := w.UserInfo(w.Redeem(client, secret, page.Query(t).Get("code"), callback).Str("access_token"))
		delete(info.JSON, "sub")
		text, err := json.Marshal(info.JSON)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct{ client, scope, want string }{
		{"glass", "openid groups networks", `{"groups":["as64500","noc"],"networks":[{"asn":64500,"name":"Example \u003cNetworks\u003e","perms":1}]}`},
		{"glass", "openid groups", `{"groups":["as64500","noc"]}`},
		{"prefixed", "openid groups", `{"groups":["ix:as64500","ix:noc"]}`},
	} {
		if got := told(c.client, "glass-secret", c.scope); got != c.want {
			t.Errorf("%s learns %s, want %s", c.client, got, c.want)
		}
	}
	if err := w.Directory.AddAffiliation(t.Context(), ada, 64502, ""); err != nil {
		t.Fatal(err)
	}
	placed := w.signedIn(ada, identity.ACROneFactor).Get(portaltest.Authorize("placed", callback, "scope", "openid networks"))
	token := idTokenClaims(t, w.Redeem("placed", "glass-secret", placed.Query(t).Get("code"), callback).Str("id_token"))
	if text, err := json.Marshal(token["networks"]); err != nil || string(text) != `[{"asn":64500,"name":"Example \u003cNetworks\u003e","perms":1},{"asn":64502,"perms":1}]` {
		t.Errorf("the ID token has networks %s, %v", text, err)
	}
	// The scope is for clients that were given it, and the group for who acts
	// for the network: a local group of that name opens nothing.
	page := w.signedIn(ada, identity.ACROneFactor).Get(portaltest.Authorize("prefixed", callback, "scope", "openid networks"))
	if got := page.Query(t).Get("error"); got != "invalid_scope" && page.Query(t).Get("code") == "" {
		t.Errorf("a client without the scope gets %q", page.Left)
	}
	if page := w.signedIn(forger, identity.ACROneFactor).Get(portaltest.Authorize("glass", callback)); page.Status != http.StatusForbidden {
		t.Errorf("who is in a local group called as64501 gets %d", page.Status)
	}
	if err := w.Directory.RemoveAffiliation(t.Context(), ada, 64500); err != nil {
		t.Fatal(err)
	}
	if page := w.signedIn(ada, identity.ACROneFactor).Get(portaltest.Authorize("glass", callback)); page.Status != http.StatusForbidden {
		t.Errorf("without the network it is %d", page.Status)
	}
}
