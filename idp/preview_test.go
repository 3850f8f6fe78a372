package idp_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"peerage/identity"
	"peerage/idp"
	"peerage/portal/portaltest"
	"peerage/store"
)

// The preview shows what the grants give: the same claims, and the same sizes
// but for what is random in a token.
func TestPreviewIsWhatTheGrantsGive(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada", "noc", "staff")
	for _, id := range []string{"trusted", "es", "ed"} {
		client, ok := w.Clients.Client(id)
		if !ok {
			t.Fatalf("no client %s", id)
		}
		preview, err := w.Provider.Preview(client.Client, u)
		if err != nil {
			t.Fatal(err)
		}
		b := w.signedIn(u, identity.ACROneFactor)
		callback := testClients[id].callback
		page := b.Get(portaltest.Authorize(id, callback, "scope", strings.Join(preview.Scopes, " "), "nonce", ""))
		answer := w.Redeem(id, testClients[id].secret, page.Query(t).Get("code"), callback)
		token := answer.Str("id_token")
		claims := claimsOf(token)
		for name := range preview.IDToken {
			if claims[name] == nil {
				t.Errorf("%s: the ID token has no %s", id, name)
			}
			delete(claims, name)
		}
		if len(claims) > 0 {
			t.Errorf("%s: the preview lacks %v", id, slices.Collect(maps.Keys(claims)))
		}
		if len(token) != preview.IDTokenBytes {
			t.Errorf("%s: the ID token has %d bytes, the preview says %d", id, len(token), preview.IDTokenBytes)
		}
		info := w.UserInfo(answer.Str("access_token"))
		if len(strings.TrimSpace(info.Body)) != preview.UserInfoBytes || fmt.Sprint(info.JSON["groups"]) != fmt.Sprint(preview.UserInfo["groups"]) && preview.UserInfo["groups"] != nil {
			t.Errorf("%s: UserInfo is %s (%d bytes), the preview says %v (%d)", id, info.Body, len(info.Body), preview.UserInfo, preview.UserInfoBytes)
		}
	}
}

func TestPreviewWarns(t *testing.T) {
	w := newWorld(t)
	yes := true
	good := store.Client{ClientID: "app", RedirectURIs: []string{"https://app.example.net/"}, RequirePKCE: &yes}
	person := identity.User{User: store.User{Sub: "s", Username: "ada", Name: "Ada", Email: "ada@example.net", EmailVerified: true, TOTP: true}, Groups: []string{"noc"}}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("group-number-%d", i))
	}
	for _, c := range []struct {
		name   string
		client func(*store.Client)
		person func(*identity.User)
		want   []idp.Warning
	}{
		{"all is well", nil, nil, nil},
		{"switched off", func(c *store.Client) { c.Disabled = true }, nil, []idp.Warning{idp.WarnClientDisabled}},
		{"disabled", nil, func(u *identity.User) { u.Disabled = true }, []idp.Warning{idp.WarnPersonDisabled}},
		{"not in the group", func(c *store.Client) { c.AllowedGroups = []string{"staff"} }, nil, []idp.Warning{idp.WarnNoAccess}},
		{"no second factor", func(c *store.Client) { c.RequireMFA = true }, func(u *identity.User) { u.TOTP = false }, []idp.Warning{idp.WarnNoFactor}},
		{"an administrator without", nil, func(u *identity.User) { u.TOTP, u.Groups = false, []string{"admins"} }, []idp.Warning{idp.WarnNoFactor}},
		{"no address", nil, func(u *identity.User) { u.Email = "" }, []idp.Warning{idp.WarnNoEmail}},
		{"address not verified", nil, func(u *identity.User) { u.EmailVerified = false }, []idp.Warning{idp.WarnEmailUnverified}},
		{"no name", nil, func(u *identity.User) { u.Name = "" }, []idp.Warning{idp.WarnNoName}},
		{"what is not asked for does not matter", func(c *store.Client) { c.Scopes = []string{"openid"} }, func(u *identity.User) { u.Name, u.Email = "", "" }, nil},
		{"too many groups", nil, func(u *identity.User) { u.Groups = many }, []idp.Warning{idp.WarnTooLarge}},
		{"too many groups, filtered", func(c *store.Client) { c.GroupFilter = "^noc$" }, func(u *identity.User) { u.Groups = many }, nil},
		{"no openid", func(c *store.Client) { c.Scopes = []string{"profile"} }, nil, []idp.Warning{idp.WarnNoOpenID}},
	} {
		client, u := good, person
		if c.client != nil {
			c.client(&client)
		}
		if c.person != nil {
			c.person(&u)
		}
		preview, err := w.Provider.Preview(client, u)
		if err != nil || !slices.Equal(preview.Warnings, c.want) {
			t.Errorf("%s: %v (%v), want %v", c.name, preview.Warnings, err, c.want)
		}
	}
}

// Nothing is issued by looking: no row, no event, no use of a key.
func TestPreviewIssuesNothing(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	client, _ := w.Clients.Client("web")
	before := w.Log.String()
	if _, err := w.Provider.Preview(client.Client, u); err != nil {
		t.Fatal(err)
	}
	w.Directory.Audit.Flush()
	if after := w.Log.String(); after != before {
		t.Errorf("the preview is logged: %s", after[len(before):])
	}
	if _, err := w.Store.Consent(t.Context(), u.Sub, "web"); err == nil {
		t.Error("the preview gave a consent")
	}
}
