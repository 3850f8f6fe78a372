package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

const (
	wiki         = `{"client_id":"wiki","name":"Wiki","client_secret":"wiki-secret","redirect_uris":["https://wiki.example.net/cb"],"launch_uri":"https://wiki.example.net/","allowed_groups":["editors","admins"]}`
	wikiCallback = "https://wiki.example.net/cb"
	// vault wants two factors of everybody, and no consent.
	vault         = `{"client_id":"vault","name":"Vault","client_secret":"grafana-secret","redirect_uris":["https://vault.example.net/cb"],"require_mfa":true,"trusted":true}`
	vaultCallback = "https://vault.example.net/cb"
)

// newFlows is a world with three applications.
func newFlows(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "," + wiki + "," + vault + "]"})
	if err := w.Store.CreateGroup(t.Context(), "editors"); err != nil {
		t.Fatal(err)
	}
	return w
}

// code is the authorization code that a page leads out with.
func code(t *testing.T, page *portaltest.Page, callback string) string {
	t.Helper()
	if !strings.HasPrefix(page.Left, callback+"?") {
		t.Fatalf("%s (%d, %q) leads to %q, not to %s", page.URL, page.Status, page.Error, page.Left, callback)
	}
	code := page.Query(t).Get("code")
	if code == "" {
		t.Fatalf("no code in %q", page.Left)
	}
	return code
}

// Two tabs begin at once; each comes to its own end.
func TestTwoTabs(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob", "editors")
	b := w.Browser()
	one := b.Get(portaltest.Authorize("grafana", callback, "state", "one"))
	two := b.Get(portaltest.Authorize("wiki", wikiCallback, "state", "two"))
	if one.URL.RawQuery == two.URL.RawQuery || !strings.Contains(one.Body, "Grafana") || !strings.Contains(two.Body, "Wiki") {
		t.Fatalf("the tabs show %s and %s", one.URL, two.URL)
	}
	one = b.Submit(one, "username", "bob", "password", portaltest.Password)
	two = b.Submit(two, "username", "bob", "password", portaltest.Password) // its form was shown already
	if one.URL.Path != "/consent" || two.URL.Path != "/consent" || !strings.Contains(one.Body, "Grafana") || !strings.Contains(two.Body, "Wiki") {
		t.Fatalf("the tabs go on at %s and %s", one.URL, two.URL)
	}
	two = b.Submit(two, "decision", "allow")
	one = b.Submit(one, "decision", "allow")
	if one.Query(t).Get("state") != "one" || two.Query(t).Get("state") != "two" {
		t.Errorf("the states are mixed up: %q, %q", one.Left, two.Left)
	}
	for _, tokens := range []portaltest.Answer{
		w.Redeem("grafana", "grafana-secret", code(t, one, callback), callback),
		w.Redeem("wiki", "wiki-secret", code(t, two, wikiCallback), wikiCallback),
	} {
		if tokens.Status != http.StatusOK {
			t.Errorf("redeeming gives %d %s", tokens.Status, tokens.Body)
		}
	}
}

// Ten tabs press "Allow" of one and the same page: one code, and nine pages
// that say that it is over.
func TestAllowPressedInManyTabs(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	page := b.Get(portaltest.Authorize("grafana", callback))
	var wg sync.WaitGroup
	results := make([]*portaltest.Page, 10)
	for i := range results {
		wg.Go(func() { results[i] = b.Post(page.URL.RequestURI(), url.Values{"decision": {"allow"}}) })
	}
	wg.Wait()
	codes := 0
	for _, result := range results {
		if strings.HasPrefix(result.Left, callback) {
			codes++
		} else if outcome(result) != "400 invalid_request" {
			t.Errorf("a tab that came too late shows %s", outcome(result))
		}
	}
	if codes != 1 {
		t.Errorf("%d codes of one authorization", codes)
	}
}

// The back button after the end of a flow: every page says that it is over,
// and leads back to the application.
func TestBackAfterTheEnd(t *testing.T) {
	w := newFlows(t)
	secret := w.AddTOTP(w.AddUser("ada", "admins"))
	b := w.Browser()
	signInPage := b.Get(portaltest.Authorize("grafana", callback))
	codePage := b.Submit(signInPage, "username", "ada", "password", portaltest.Password)
	consentPage := b.Submit(codePage, "code", w.Code(secret))
	code(t, b.Submit(consentPage, "decision", "allow"), callback)
	for _, page := range []*portaltest.Page{signInPage, codePage, consentPage} {
		for name, again := range map[string]*portaltest.Page{
			"GET":  b.Get(page.URL.RequestURI()),
			"POST": b.Post(page.URL.RequestURI(), url.Values{"username": {"ada"}, "password": {portaltest.Password}, "code": {w.Code(secret)}, "decision": {"allow"}}),
		} {
			if outcome(again) != "400 invalid_request" || !strings.Contains(again.Body, "https://grafana.example.net/") || !strings.Contains(again.Body, "Grafana") {
				t.Errorf("%s %s: %s", name, page.URL.Path, outcome(again))
			}
		}
	}
	if got := b.Get("/identity"); got.URL.Path != "/identity" {
		t.Errorf("the session has gone: %s", got.URL)
	}
}

// Who takes too long can start again at the application.
func TestExpiredAuthorization(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	b := w.Browser()
	page := b.Get(portaltest.Authorize("grafana", callback))
	w.Clock.Advance(31 * time.Minute)
	page = b.Submit(page, "username", "bob", "password", portaltest.Password)
	if outcome(page) != "400 invalid_request" || !strings.Contains(page.Body, `href="https://grafana.example.net/"`) || !strings.Contains(page.Body, page.Header.Get("X-Request-Id")) {
		t.Errorf("a late password gives %s:\n%s", outcome(page), page.Body)
	}
	if cookie(t, b, "peerage") != "" {
		t.Error("a late password signs in all the same")
	}
	// The vault has no launch link: nothing to offer but words.
	page = b.Get(portaltest.Authorize("vault", vaultCallback))
	w.Clock.Advance(31 * time.Minute)
	if page = b.Get(page.URL.RequestURI()); outcome(page) != "400 invalid_request" || strings.Contains(page.Body, `class="button" href`) {
		t.Errorf("without launch link: %s", outcome(page))
	}
}

// What began in one browser goes on in no other, at no page.
func TestFlowsStayInTheirBrowser(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	attacker := w.Browser()
	id := attacker.Get(portaltest.Authorize("grafana", callback)).URL.Query().Get("request")
	victim := w.signedIn(t, "bob", "")
	for _, path := range []string{"/login", "/login/totp", "/login/enrol", "/consent", "/oauth2/authorize/resume"} {
		page := victim.Get(path + "?request=" + id)
		if outcome(page) != "400 invalid_request" {
			t.Errorf("GET %s in another browser: %s", path, outcome(page))
		}
		if path == "/oauth2/authorize/resume" {
			continue
		}
		page = victim.Post(path+"?request="+id, url.Values{"decision": {"allow"}, "username": {"bob"}, "password": {portaltest.Password}})
		if outcome(page) != "400 invalid_request" {
			t.Errorf("POST %s in another browser: %s", path, outcome(page))
		}
	}
	if page := attacker.Get("/login?request=" + id); page.Status != http.StatusOK {
		t.Errorf("in its own browser: %s", outcome(page))
	}
}

// "Sign in as someone else" on the page that asks for the code.
func TestSignInAsSomeoneElse(t *testing.T) {
	w := newFlows(t)
	w.AddTOTP(w.AddUser("ada", "admins"))
	bob := w.AddUser("bob")
	b := w.Browser()
	page := b.Submit(b.Get(portaltest.Authorize("grafana", callback)), "username", "ada", "password", portaltest.Password)
	if page.URL.Path != "/login/totp" || !strings.Contains(page.Body, `href="/login?request=`) {
		t.Fatalf("the page of the code is %s:\n%s", page.URL, page.Body)
	}
	page = b.Get("/login?" + page.URL.RawQuery)
	page = b.Submit(page, "username", "bob", "password", portaltest.Password)
	if page.URL.Path != "/consent" || !strings.Contains(page.Body, bob.Sub) {
		t.Fatalf("bob's password leads to %s", page.URL)
	}
	tokens := w.Redeem("grafana", "grafana-secret", code(t, b.Submit(page, "decision", "allow"), callback), callback)
	if info := w.UserInfo(tokens.Str("access_token")); info.Str("sub") != bob.Sub {
		t.Errorf("the tokens are of %q", info.Str("sub"))
	}
	// ada's half-done sign-in must not linger.
	if page = b.Get("/login/totp"); page.URL.Path == "/login/totp" {
		t.Error("the browser still asks for ada's code")
	}
}

// A second person signs in on the same browser: the first one's session ends
// and is worth nothing.
func TestSecondPersonOnOneBrowser(t *testing.T) {
	w := newFlows(t)
	ada := w.AddUser("ada")
	w.AddUser("bob")
	secret := w.AddTOTP(w.AddUser("eve"))
	b := w.signedIn(t, "ada", "")
	first := cookie(t, b, "peerage")
	w.Clock.Advance(time.Second) // else ada has signed in since the request
	page := b.Get(portaltest.Authorize("grafana", callback, "prompt", "login"))
	if page = b.Submit(page, "username", "bob", "password", portaltest.Password); page.URL.Path != "/consent" || !strings.Contains(page.Body, "bob@example.net") || strings.Contains(page.Body, "ada@example.net") {
		t.Fatalf("bob's password leads to %s:\n%s", page.URL, page.Body)
	}
	if sessions, err := w.Store.Sessions(t.Context(), ada.Sub); err != nil || len(sessions) != 0 {
		t.Errorf("ada's sessions: %v, %v", sessions, err)
	}
	if answer := w.Call(http.MethodGet, "/identity", nil, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "peerage", Value: first}) }); answer.Status != http.StatusSeeOther {
		t.Errorf("ada's cookie still opens /identity: %d", answer.Status)
	}
	// With two factors and no application: bob's session ends at the password,
	// so that the house asks for eve's code and not for nothing.
	page = b.Post("/login", url.Values{"username": {"eve"}, "password": {portaltest.Password}})
	if page.URL.Path != "/login/totp" || cookie(t, b, "peerage") != "" {
		t.Fatalf("eve's password leads to %s, session %q", page.URL, cookie(t, b, "peerage"))
	}
	if page = b.Submit(page, "code", w.Code(secret)); page.URL.Path != "/" || !strings.Contains(page.Body, "eve Example") {
		t.Errorf("eve's code leads to %s", page.URL)
	}
}

// An application that wants two factors leads a session of one to enrol, by
// way of a fresh password, and is answered then.
func TestClientThatRequiresTwoFactors(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	w.Clock.Advance(11 * time.Minute)
	w.skipEvents()
	page := b.Get(portaltest.Authorize("vault", vaultCallback))
	if page.URL.Path != "/login/confirm" || !strings.HasPrefix(page.URL.Query().Get("return"), "/login/enrol?request=") {
		t.Fatalf("the application leads to %s", page.URL)
	}
	page = b.Submit(page, "password", portaltest.Password)
	if page.URL.Path != "/login/enrol" || !strings.Contains(page.Body, "Vault") {
		t.Fatalf("a fresh password leads to %s", page.URL)
	}
	secret := w.enrolmentSecret(t, page)
	if page = b.Submit(page, "code", "000000"); outcome(page) != "422 wrong_code" || !strings.Contains(page.Body, "Vault") {
		t.Fatalf("a wrong code gives %s", outcome(page))
	}
	first := code(t, b.Submit(page, "code", w.Code(secret)), vaultCallback)
	if tokens := w.Redeem("vault", "grafana-secret", first, vaultCallback); tokens.Status != http.StatusOK {
		t.Errorf("redeeming gives %d %s", tokens.Status, tokens.Body)
	}
	w.happened(t, "totp_enable failure bob", "totp_enable success bob", "oidc_authorize code bob vault", "oidc_token success bob vault")
	// A session of one factor, of a person who has two since: the code alone.
	other := w.Browser()
	w.AddUser("eve")
	signIn(other, "eve", "")
	eve, err := w.Directory.UserByName(t.Context(), "eve")
	if err != nil {
		t.Fatal(err)
	}
	secret = w.AddTOTP(eve)
	page = other.Get(portaltest.Authorize("vault", vaultCallback))
	if page.URL.Path != "/login/totp" {
		t.Fatalf("the application leads to %s", page.URL)
	}
	code(t, other.Submit(page, "code", w.Code(secret)), vaultCallback)
	// Nobody is asked with prompt=none.
	third := w.Browser()
	w.AddUser("carl")
	signIn(third, "carl", "")
	if page = third.Get(portaltest.Authorize("vault", vaultCallback, "prompt", "none")); page.Query(t).Get("error") != "interaction_required" {
		t.Errorf("prompt=none leads to %q", page.Left)
	}
}

// An application for some groups only.
func TestNoAccess(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	w.skipEvents()
	page := b.Get(portaltest.Authorize("wiki", wikiCallback))
	if outcome(page) != "403 no_access" {
		t.Fatalf("the application leads to %s, %s", page.URL, outcome(page))
	}
	for _, want := range []string{"Wiki", "editors", "admins", "bob", page.Header.Get("X-Request-Id")} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page does not name %q", want)
		}
	}
	w.happened(t, "app_access_denied denied bob wiki")
	if page := b.Get(portaltest.Authorize("wiki", wikiCallback, "prompt", "none")); page.Query(t).Get("error") != "access_denied" {
		t.Errorf("prompt=none leads to %q", page.Left)
	}
	if got := metric(t, w.Site, "peerage_oidc_authorize_total", "client", "wiki", "result", "failure"); got != 2 {
		t.Errorf("%v failures are counted, want 2", got)
	}
}
