package idp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// Where an authorization leads: "code", an OAuth error that went back to the
// client, or the path of a page of ours with its data-error.
func (w *world) leads(page *portaltest.Page, client string) string {
	w.t.Helper()
	if page.Left == "" {
		return strings.TrimSpace(page.URL.Path + " " + page.Error)
	}
	q := page.Query(w.t)
	if !strings.HasPrefix(page.Left, testClients[client].callback+"?") || q.Get("iss") != w.Issuer || q.Get("state") != "state-1" {
		w.t.Errorf("%s is answered at %s", client, page.Left)
	}
	if q.Get("code") != "" {
		return "code"
	}
	return q.Get("error")
}

func TestPromptTable(t *testing.T) {
	w := newWorld(t)
	ada, twoFactors := w.person("ada"), w.person("bob")
	w.AddTOTP(twoFactors)
	outsider := w.person("eve")
	member := w.person("meg", "noc")
	none := func() *portaltest.Browser { return w.Browser() }
	as := func(u identity.User, acr string) func() *portaltest.Browser {
		return func() *portaltest.Browser { return w.signedIn(u, acr) }
	}
	consented := func(client string) func() *portaltest.Browser {
		return func() *portaltest.Browser {
			b := w.signedIn(ada, identity.ACROneFactor)
			w.code(b, client, "scope", "openid")
			return b
		}
	}
	stale := func() *portaltest.Browser {
		b := w.signedIn(ada, identity.ACROneFactor)
		w.Clock.Advance(10 * time.Minute)
		return b
	}
	hint := func(u identity.User) string {
		return w.tokens(w.signedIn(u, identity.ACROneFactor), "trusted", "scope", "openid").Str("id_token")
	}
	ofAda, ofBob := hint(ada), hint(twoFactors)
	for _, c := range []struct {
		what    string
		browser func() *portaltest.Browser
		client  string
		pairs   []string
		want    string
	}{
		{"nobody", none, "trusted", nil, "/login"},
		{"nobody, none", none, "trusted", []string{"prompt", "none"}, "login_required"},
		{"nobody, login", none, "trusted", []string{"prompt", "login"}, "/login"},
		{"nobody, select_account", none, "trusted", []string{"prompt", "select_account"}, "/login"},
		{"somebody, trusted", as(ada, "1"), "trusted", nil, "code"},
		{"somebody, none", as(ada, "1"), "trusted", []string{"prompt", "none"}, "code"},
		{"somebody, login", as(ada, "1"), "trusted", []string{"prompt", "login"}, "/login"},
		{"somebody, consent, trusted", as(ada, "1"), "trusted", []string{"prompt", "consent"}, "/consent"},
		{"somebody, select_account", as(ada, "1"), "trusted", []string{"prompt", "select_account"}, "/login"},
		{"login and consent", as(ada, "1"), "trusted", []string{"prompt", "login consent"}, "/login"},
		{"no consent yet", as(ada, "1"), "web", nil, "/consent"},
		{"no consent yet, none", as(ada, "1"), "web", []string{"prompt", "none"}, "consent_required"},
		{"consented", consented("web"), "web", []string{"scope", "openid"}, "code"},
		{"consented, none", consented("web"), "web", []string{"scope", "openid", "prompt", "none"}, "code"},
		{"consented, consent", consented("web"), "web", []string{"scope", "openid", "prompt", "consent"}, "/consent"},
		{"none and another", as(ada, "1"), "trusted", []string{"prompt", "none login"}, "invalid_request"},
		{"unknown prompt", as(ada, "1"), "trusted", []string{"prompt", "create"}, "invalid_request"},
		{"public native, none", consented("kube"), "kube", []string{"scope", "openid", "prompt", "none"}, "interaction_required"},
		{"public native", consented("kube"), "kube", []string{"scope", "openid"}, "/login"},
		{"public web", consented("spa"), "spa", []string{"scope", "openid"}, "code"},

		{"max_age kept", stale, "trusted", []string{"max_age", "601"}, "code"},
		{"max_age passed", stale, "trusted", []string{"max_age", "599"}, "/login"},
		{"max_age passed, none", stale, "trusted", []string{"max_age", "599", "prompt", "none"}, "login_required"},
		{"max_age=0", as(ada, "1"), "trusted", []string{"max_age", "0"}, "/login"},
		{"max_age=0, none", as(ada, "1"), "trusted", []string{"max_age", "0", "prompt", "none"}, "login_required"},
		{"max_age=-1", as(ada, "1"), "trusted", []string{"max_age", "-1"}, "invalid_request"},
		{"max_age=soon", as(ada, "1"), "trusted", []string{"max_age", "soon"}, "invalid_request"},
		{"max_age beyond numbers", as(ada, "1"), "trusted", []string{"max_age", "9999999999"}, "invalid_request"},

		{"hint of this person", as(ada, "1"), "trusted", []string{"id_token_hint", ofAda}, "code"},
		{"hint of this person, none", as(ada, "1"), "trusted", []string{"id_token_hint", ofAda, "prompt", "none"}, "code"},
		{"hint of another", as(ada, "1"), "trusted", []string{"id_token_hint", ofBob}, "/login"},
		{"hint of another, none", as(ada, "1"), "trusted", []string{"id_token_hint", ofBob, "prompt", "none"}, "login_required"},
		{"hint of nobody here", none, "trusted", []string{"id_token_hint", ofAda, "prompt", "none"}, "login_required"},
		{"hint of another client", as(ada, "1"), "plain", []string{"id_token_hint", ofBob}, "code"},
		{"hint that is none", as(ada, "1"), "trusted", []string{"id_token_hint", "nonsense"}, "code"},
		{"hint that is tampered with", as(ada, "1"), "trusted", []string{"id_token_hint", ofBob[:len(ofBob)-6] + "AAAAAA"}, "code"},

		{"acr wish without a factor", as(ada, "1"), "trusted", []string{"acr_values", "2"}, "code"},
		{"acr wish with a factor", as(twoFactors, "1"), "trusted", []string{"acr_values", "2"}, "/login/totp"},
		{"acr wish with a factor, none", as(twoFactors, "1"), "trusted", []string{"acr_values", "2", "prompt", "none"}, "interaction_required"},
		{"acr wish met", as(twoFactors, "2"), "trusted", []string{"acr_values", "2"}, "code"},
		{"acr wish, one is liked best", as(twoFactors, "1"), "trusted", []string{"acr_values", "1 2"}, "code"},
		{"acr wish unknown", as(twoFactors, "1"), "trusted", []string{"acr_values", "urn:mace:incommon:iap:silver"}, "code"},

		{"require_mfa, no factor", as(ada, "1"), "mfa", nil, "/login/enrol"},
		{"require_mfa, no factor, none", as(ada, "1"), "mfa", []string{"prompt", "none"}, "interaction_required"},
		{"require_mfa, factor not given", as(twoFactors, "1"), "mfa", nil, "/login/totp"},
		{"require_mfa, factor given", as(twoFactors, "2"), "mfa", nil, "code"},

		{"allowed group", as(member, "1"), "noc", nil, "code"},
		{"no allowed group", as(outsider, "1"), "noc", nil, "/oauth2/authorize no_access"},
		{"no allowed group, none", as(outsider, "1"), "noc", []string{"prompt", "none"}, "access_denied"},

		{"extensions are ignored", as(ada, "1"), "trusted", []string{"ui_locales", "de en", "display", "touch", "claims", `{"userinfo":{"name":null}}`, "claims_locales", "de", "resource", "https://x.example", "utm_source", "x"}, "code"},
		{"request object", as(ada, "1"), "trusted", []string{"request", "a.b.c"}, "request_not_supported"},
		{"request_uri", as(ada, "1"), "trusted", []string{"request_uri", "https://evil.example/x"}, "request_uri_not_supported"},
		{"registration", as(ada, "1"), "trusted", []string{"registration", "{}"}, "registration_not_supported"},
		{"implicit", as(ada, "1"), "trusted", []string{"response_type", "token"}, "unsupported_response_type"},
		{"hybrid", as(ada, "1"), "trusted", []string{"response_type", "code id_token"}, "unsupported_response_type"},
		{"no response type", as(ada, "1"), "trusted", []string{"response_type", ""}, "invalid_request"},
		{"fragment", as(ada, "1"), "trusted", []string{"response_mode", "fragment"}, "invalid_request"},
	} {
		if got := w.leads(c.browser().Get(authorize(c.client, c.pairs...)), c.client); got != c.want {
			t.Errorf("%s: leads to %q, want %q", c.what, got, c.want)
		}
	}
	w.calm()
}

// The stories behind the table's pages.
func TestSigningInAgain(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"ada", "bob"} {
		if _, err := w.Directory.CreateUser(t.Context(), identity.NewUser{Username: name, Password: portaltest.Password}); err != nil {
			t.Fatal(err)
		}
	}
	ada, _ := w.Directory.UserByName(t.Context(), "ada")
	b := w.signedIn(ada, identity.ACROneFactor)
	authTime := func(page *portaltest.Page) any {
		return claimsOf(w.as("trusted", grantForm("trusted", page.Query(t).Get("code"))).Str("id_token"))["auth_time"]
	}
	for _, pairs := range [][]string{{"prompt", "login"}, {"max_age", "0"}} {
		w.Clock.Advance(time.Minute)
		page := b.Get(authorize("trusted", pairs...))
		// The old session is no way around the page.
		if again := b.Get(resumePath(requestOf(page))); again.URL.Path != "/login" || again.Left != "" {
			t.Errorf("%v: resume without signing in leads to %s %q", pairs, again.URL, again.Left)
		}
		if again := b.Post("/login?request="+requestOf(page), url.Values{"decision": {"allow"}}); again.URL.Path != "/login" || again.Left != "" {
			t.Errorf("%v: a decision instead of a password leads to %s %q", pairs, again.URL, again.Left)
		}
		w.Clock.Advance(time.Second)
		page = b.Submit(page, "username", "ada", "password", portaltest.Password)
		if got := authTime(page); got != float64(w.Clock.Now().Unix()) {
			t.Errorf("%v: auth_time %v, want now", pairs, got)
		}
	}
	// Another account.
	w.Clock.Advance(time.Minute)
	page := b.Get(authorize("trusted", "prompt", "select_account"))
	if !strings.Contains(page.Body, "ada") {
		t.Errorf("the page does not name the account")
	}
	other := b.Get(authorize("trusted", "prompt", "select_account"))
	if page = b.Submit(page, "decision", "continue"); w.leads(page, "trusted") != "code" {
		t.Errorf("going on leads to %s %q", page.URL, page.Left)
	}
	w.Clock.Advance(time.Second)
	page = b.Submit(other, "decision", "other")
	if page.URL.Path != "/login" {
		t.Fatalf("another account leads to %s %q", page.URL, page.Left)
	}
	w.Clock.Advance(time.Second)
	page = b.Submit(page, "username", "bob", "password", portaltest.Password)
	bob, _ := w.Directory.UserByName(t.Context(), "bob")
	info := w.UserInfo(w.as("trusted", grantForm("trusted", page.Query(t).Get("code"))).Str("access_token"))
	if info.Str("sub") != bob.Sub {
		t.Errorf("the code is not bob's: %s", info.Body)
	}
	// login_hint is shown and nothing more.
	page = w.Browser().Get(authorize("trusted", "login_hint", `ada"><b>`))
	if page.URL.Path != "/login" || !strings.Contains(page.Body, `value="ada&#34;&gt;&lt;b&gt;"`) {
		t.Errorf("login_hint is not in the form of %s", page.URL)
	}
}

// A password given a minute ago is no sign-in yet.
func TestPromptNoneInTheMiddleOfASignIn(t *testing.T) {
	w := newWorld(t)
	u, err := w.Directory.CreateUser(t.Context(), identity.NewUser{Username: "ada", Password: portaltest.Password})
	if err != nil {
		t.Fatal(err)
	}
	w.AddTOTP(u)
	b := w.Browser()
	page := b.Submit(b.Get(authorize("trusted")), "username", "ada", "password", portaltest.Password)
	if page.URL.Path != "/login/totp" {
		t.Fatalf("the password leads to %s", page.URL)
	}
	if got := w.leads(b.Get(authorize("trusted", "prompt", "none")), "trusted"); got != "login_required" {
		t.Errorf("prompt=none gives %s", got)
	}
}

func TestContinueAsForPublicNative(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	b := w.signedIn(ada, identity.ACROneFactor)
	page := b.Get(authorize("kube"))
	if page.URL.Path != "/consent" {
		t.Fatalf("the first time leads to %s", page.URL)
	}
	if page = b.Submit(page, "decision", "allow"); w.leads(page, "kube") != "code" {
		t.Fatalf("consent leads to %s %q; it was the page of this request", page.URL, page.Left)
	}
	for _, c := range []struct{ decision, want string }{{"allow", "code"}, {"deny", "access_denied"}} {
		page = b.Get(authorize("kube"))
		if page.URL.Path != "/login" || !strings.Contains(page.Title+page.Body, "ada") || !strings.Contains(page.Body, "kubectl") {
			t.Fatalf("the next time leads to %s", page.URL)
		}
		if again := b.Get(resumePath(requestOf(page))); again.Left != "" {
			t.Errorf("resume without an answer leaves for %q", again.Left)
		}
		if page = b.Submit(page, "decision", c.decision); w.leads(page, "kube") != c.want {
			t.Errorf("%s leads to %s %q", c.decision, page.URL, page.Left)
		}
	}
}

func TestConsent(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada", "noc")
	b := w.signedIn(ada, identity.ACROneFactor)
	scopes := func() []string {
		consent, err := w.Store.Consent(t.Context(), ada.Sub, "web")
		if err != nil {
			return nil
		}
		return consent.Scopes
	}
	page := b.Get(authorize("web", "scope", "openid profile"))
	if page = b.Submit(page, "decision", "deny"); w.leads(page, "web") != "access_denied" || scopes() != nil {
		t.Errorf("no leads to %q, consent %v", page.Left, scopes())
	}
	page = b.Get(authorize("web", "scope", "openid profile"))
	if page = b.Post("/consent?request="+requestOf(page), url.Values{"decision": {"maybe"}}); page.URL.Path != "/consent" || scopes() != nil {
		t.Errorf("neither yes nor no leads to %s %q, consent %v", page.URL, page.Left, scopes())
	}
	if page = b.Submit(page, "decision", "allow"); w.leads(page, "web") != "code" || !same(scopes(), []string{"openid", "profile"}) {
		t.Errorf("yes leads to %q, consent %v", page.Left, scopes())
	}
	for scope, want := range map[string]string{"openid profile": "code", "profile openid profile": "code", "openid": "code", "openid nonsense": "code", "openid profile groups": "/consent", "openid profile offline_access": "/consent"} {
		if got := w.leads(b.Get(authorize("web", "scope", scope)), "web"); got != want {
			t.Errorf("then %q leads to %s, want %s", scope, got, want)
		}
	}
	page = b.Get(authorize("web", "scope", "openid groups"))
	if !strings.Contains(page.Body, "noc") {
		t.Error("the page does not show the groups that will be sent")
	}
	b.Submit(page, "decision", "allow")
	if !same(scopes(), []string{"openid", "profile", "groups"}) {
		t.Errorf("consent grows to %v", scopes())
	}
	// One person's consent is not another's.
	if got := w.leads(w.signedIn(w.person("bob"), identity.ACROneFactor).Get(authorize("web", "scope", "openid")), "web"); got != "/consent" {
		t.Errorf("for somebody else it leads to %s", got)
	}
	// An answer of the person before does not count for the one who is here now.
	carl := w.person("carl")
	page = b.Get(authorize("web", "prompt", "consent", "scope", "openid"))
	w.session(b, carl, identity.ACROneFactor)
	if again := b.Get(resumePath(requestOf(page))); again.URL.Path != "/consent" || !strings.Contains(again.Body, "carl") {
		t.Errorf("after a change of person it leads to %s %q", again.URL, again.Left)
	}
	if got := w.events("consent_grant"); len(got) != 2 {
		t.Errorf("audit has %v for two consents", got)
	}
}

// A form of another site decides nothing.
func TestConsentFromAnotherSite(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	page := b.Get(authorize("web"))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.Issuer+"/consent?request="+requestOf(page), strings.NewReader("decision=allow"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if page = b.Do(r); page.Status != http.StatusForbidden || page.Left != "" {
		t.Errorf("a cross-site form: %d, leaves for %q", page.Status, page.Left)
	}
}
