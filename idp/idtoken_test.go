package idp_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"peerage/identity"
	"peerage/portal/portaltest"
	"peerage/store"
)

// An independent client verifies what we sign, with the key set and discovery
// that we serve.
func TestIDTokensVerifyWithAnotherLibrary(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	b := w.signedIn(ada, identity.ACRTwoFactors)
	begun := w.Clock.Now()
	provider, err := oidc.NewProvider(t.Context(), w.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for client, alg := range map[string]string{"trusted": "RS256", "es": "ES256", "ed": "EdDSA"} {
		tokens := w.tokens(b, client, "scope", offline, "nonce", "nonce-"+client)
		verifier := provider.Verifier(&oidc.Config{ClientID: client, SupportedSigningAlgs: []string{alg}, Now: w.Clock.Now})
		token, err := verifier.Verify(t.Context(), tokens.Str("id_token"))
		if err != nil {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		if err := token.VerifyAccessToken(tokens.Str("access_token")); err != nil || token.AccessTokenHash == "" {
			t.Errorf("%s: at_hash %q: %v", alg, token.AccessTokenHash, err)
		}
		if token.Subject != ada.Sub || token.Nonce != "nonce-"+client || !slices.Equal(token.Audience, []string{client}) || token.Expiry.Sub(token.IssuedAt) != 15*time.Minute {
			t.Errorf("%s: the token says %+v", alg, token)
		}
		claims := claimsOf(tokens.Str("id_token"))
		if claims["acr"] != "2" || claims["auth_time"] != float64(begun.Add(-time.Second).Unix()) {
			t.Errorf("%s: acr %v, auth_time %v", alg, claims["acr"], claims["auth_time"])
		}
		if amr, _ := json.Marshal(claims["amr"]); string(amr) != `["pwd","otp","mfa"]` {
			t.Errorf("%s: amr %s", alg, amr)
		}
		if _, err := provider.Verifier(&oidc.Config{ClientID: "other", SupportedSigningAlgs: []string{alg}, Now: w.Clock.Now}).Verify(t.Context(), tokens.Str("id_token")); err == nil {
			t.Errorf("%s: another client accepts the token", alg)
		}
		// The refreshed one keeps auth_time and has no nonce.
		w.Clock.Advance(time.Minute)
		refreshed := w.as(client, refreshForm(tokens.Str("refresh_token")))
		token, err = verifier.Verify(t.Context(), refreshed.Str("id_token"))
		if err != nil {
			t.Errorf("%s, refreshed: %v", alg, err)
			continue
		}
		again := claimsOf(refreshed.Str("id_token"))
		if _, has := again["nonce"]; has || again["auth_time"] != claims["auth_time"] || again["acr"] != claims["acr"] || again["iat"] == claims["iat"] {
			t.Errorf("%s: the refreshed ID token says %v, the first %v", alg, again, claims)
		}
		if err := token.VerifyAccessToken(refreshed.Str("access_token")); err != nil {
			t.Errorf("%s, refreshed: %v", alg, err)
		}
	}
}

// The library minted an ID token for scope=profile too.
func TestIDTokenOnlyWithOpenID(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	tokens := w.tokens(b, "trusted", "scope", "profile offline_access")
	refreshed := w.as("trusted", refreshForm(tokens.Str("refresh_token")))
	if tokens.JSON["id_token"] != nil || refreshed.JSON["id_token"] != nil || refreshed.Status != http.StatusOK {
		t.Errorf("without openid: %s, %s", tokens.Body, refreshed.Body)
	}
	if tokens = w.tokens(b, "trusted", "scope", "openid openid nonsense"); tokens.Str("id_token") == "" || tokens.Str("scope") != "openid" {
		t.Errorf("repeated and unknown scopes: %s", tokens.Body)
	}
	w.wantFault("no known scope", b.Get(authorize("trusted", "scope", "nonsense")), "trusted", "invalid_scope")
	w.wantFault("no scope", b.Get(authorize("trusted", "scope", "")), "trusted", "invalid_scope")
}

// Groups, roles and placed claims in the refreshed ID token are those of now:
// kube-apiserver reads nothing else.
func TestRefreshedIDTokenHasTheGroupsOfNow(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada", "noc")
	tokens := w.tokens(w.signedIn(ada, identity.ACROneFactor), "es", "scope", offline)
	if got := claimsOf(tokens.Str("id_token"))["groups"]; !same(got, []string{"noc"}) {
		t.Errorf("groups %v", got)
	}
	if err := w.Store.ChangeMembers(t.Context(), "staff", []string{ada.Sub}, true); err != nil {
		t.Fatal(err)
	}
	if err := w.Store.ChangeMembers(t.Context(), "noc", []string{ada.Sub}, false); err != nil {
		t.Fatal(err)
	}
	refreshed := w.as("es", refreshForm(tokens.Str("refresh_token")))
	claims := claimsOf(refreshed.Str("id_token"))
	if !same(claims["groups"], []string{"staff"}) || claims["email"] != "ada@example.net" {
		t.Errorf("refreshed: %v", claims)
	}
	if info := w.UserInfo(tokens.Str("access_token")); !same(info.JSON["groups"], []string{"staff"}) {
		t.Errorf("UserInfo: %s", info.Body)
	}
}

func same(got any, want []string) bool {
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	return string(a) == string(b)
}

func TestClaimsByScopeAndPlace(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada", "noc")
	b := w.signedIn(ada, identity.ACROneFactor)
	always := []string{"iss", "sub", "aud", "iat", "exp", "auth_time", "acr", "amr", "at_hash", "nonce"}
	profile := []string{"preferred_username", "nickname", "name", "updated_at"}
	for _, c := range []struct {
		client, scope string
		idToken, info []string
	}{
		{"trusted", "openid", nil, nil},
		{"trusted", "openid profile", nil, profile},
		{"trusted", "openid email", nil, []string{"email", "email_verified"}},
		{"trusted", "openid groups", nil, []string{"groups"}},
		{"trusted", offline, nil, append(slices.Clone(profile), "email", "email_verified", "groups")},
		// groups to both, email to the ID token alone, name nowhere.
		{"es", offline, []string{"groups", "email"}, []string{"preferred_username", "nickname", "updated_at", "email_verified", "groups"}},
		{"es", "openid", nil, nil},
	} {
		tokens := w.tokens(b, c.client, "scope", c.scope)
		wantNames(t, c.client+", "+c.scope+", ID token", claimsOf(tokens.Str("id_token")), append(slices.Clone(always), c.idToken...))
		info := w.UserInfo(tokens.Str("access_token"))
		wantNames(t, c.client+", "+c.scope+", UserInfo", info.JSON, append([]string{"sub"}, c.info...))
		if at, ok := info.JSON["updated_at"]; ok {
			if n, isNumber := at.(float64); !isNumber || n < 1e9 {
				t.Errorf("updated_at is %v", at)
			}
		}
	}
}

// wantNames checks that exactly these claims are there, none of them empty.
func wantNames(t *testing.T, what string, claims map[string]any, want []string) {
	t.Helper()
	var got []string
	for name, value := range claims {
		got = append(got, name)
		if value == nil || value == "" || same(value, []string{}) {
			t.Errorf("%s: %s is %v", what, name, value)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: claims %v, want %v", what, got, want)
	}
}

// Of somebody of whom nothing is known nothing is told.
func TestUnknownClaimsAreLeftOut(t *testing.T) {
	w := newWorld(t)
	nobody, err := w.Directory.CreateUser(t.Context(), identity.NewUser{Username: "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	tokens := w.tokens(w.signedIn(nobody, identity.ACROneFactor), "trusted", "nonce", "")
	wantNames(t, "UserInfo", w.UserInfo(tokens.Str("access_token")).JSON, []string{"sub", "preferred_username", "nickname", "updated_at"})
	wantNames(t, "ID token", claimsOf(tokens.Str("id_token")), []string{"iss", "sub", "aud", "iat", "exp", "auth_time", "acr", "amr", "at_hash"})
}

func TestGroupsFilterPrefixAndRoles(t *testing.T) {
	w := newWorld(t,
		`{"client_id":"filtered","client_secret":"filtered-secret","redirect_uris":["https://web.example.net/cb"],"trusted":true,"group_filter":"^(noc|team-.*)$","group_prefix":"ixp:","roles":[{"role":"operator","groups":["noc","staff"]},{"role":"owner","groups":["admins"]}]}`,
		`{"client_id":"roles","client_secret":"filtered-secret","redirect_uris":["https://web.example.net/cb"],"trusted":true,"group_filter":"^$","roles":[{"role":"operator","groups":["noc"]},{"role":"operator","groups":["staff"]}]}`)
	// A group of that name cannot be made by our commands, but OpenBao or an old database may hold one.
	for _, group := range []string{"as64500", "AS64501", "team-a"} {
		if err := w.Store.CreateGroup(t.Context(), group); err != nil {
			t.Fatal(err)
		}
	}
	ada := w.person("ada", "noc", "staff", "as64500", "AS64501", "team-a")
	groups := func(u identity.User, client, secret, address string) any {
		page := w.signedIn(u, identity.ACROneFactor).Get(portaltest.Authorize(client, address))
		info := w.UserInfo(w.Redeem(client, secret, page.Query(t).Get("code"), address).Str("access_token"))
		if info.Status != http.StatusOK {
			t.Errorf("%s: UserInfo gives %d %s", client, info.Status, info.Body)
		}
		return info.JSON["groups"]
	}
	own, web := testClients["trusted"], testClients["web"].callback
	for _, c := range []struct {
		client, secret, address string
		want                    []string
	}{
		{"trusted", own.secret, own.callback, []string{"noc", "staff", "team-a"}},
		{"filtered", "filtered-secret", web, []string{"ixp:noc", "ixp:team-a", "operator"}},
		{"roles", "filtered-secret", web, []string{"operator"}},
	} {
		if got := groups(ada, c.client, c.secret, c.address); !same(got, c.want) {
			t.Errorf("%s: groups %v, want %v", c.client, got, c.want)
		}
	}
	if got := groups(w.person("bob"), "roles", "filtered-secret", web); got != nil {
		t.Errorf("somebody without groups has %v", got)
	}
}

// Per-client lifetimes count.
func TestLifetimesOfAClient(t *testing.T) {
	w := newWorld(t)
	c := stored("brief", hashSecret("brief-secret"))
	c.AccessTokenTTL, c.IDTokenTTL, c.RefreshTokenTTL = store.Duration(2*time.Minute), store.Duration(3*time.Minute), store.Duration(5*time.Minute)
	if err := w.Store.CreateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := w.Clients.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	page := w.signedIn(w.person("ada"), identity.ACROneFactor).Get(portaltest.Authorize("brief", testClients["web"].callback, "scope", "openid offline_access"))
	tokens := w.Token("brief", "brief-secret", grantForm("web", page.Query(t).Get("code")))
	claims := claimsOf(tokens.Str("id_token"))
	if tokens.JSON["expires_in"] != float64(120) || claims["exp"].(float64)-claims["iat"].(float64) != 180 {
		t.Errorf("expires_in %v, ID token %v", tokens.JSON["expires_in"], claims)
	}
	w.Clock.Advance(2*time.Minute + time.Second)
	wantOAuth(t, "access token", w.UserInfo(tokens.Str("access_token")), http.StatusUnauthorized, "invalid_token")
	w.Clock.Advance(3 * time.Minute)
	wantOAuth(t, "refresh", w.Token("brief", "brief-secret", refreshForm(tokens.Str("refresh_token"))), http.StatusBadRequest, "invalid_grant")
}
