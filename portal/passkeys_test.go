package portal_test

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/passkeytest"
	"peerage/portal/portaltest"
)

// named is an issuer with a name: an RP ID is never an address.
const named = "https://id.example.net"

var shownOptions = regexp.MustCompile(`data-options="([^"]+)"`)

// options are what the page hands to its script.
func options(t *testing.T, page *portaltest.Page) string {
	t.Helper()
	found := shownOptions.FindStringSubmatch(page.Body)
	if found == nil {
		t.Fatalf("%s (%d, error %q) asks for no passkey", page.URL, page.Status, page.Error)
	}
	return html.UnescapeString(found[1])
}

// use answers the page with a passkey, as its script does.
func use(t *testing.T, b *portaltest.Browser, page *portaltest.Page, key *passkeytest.Key) *portaltest.Page {
	t.Helper()
	return b.Submit(page, "credential", key.Use(t, options(t, page)))
}

// addPasskey adds a passkey under Account, in a browser with a fresh factor.
func addPasskey(t *testing.T, b *portaltest.Browser, name string) *passkeytest.Key {
	t.Helper()
	page := b.Get("/identity/passkeys")
	key, answer := passkeytest.Create(t, options(t, page), named)
	page = b.Submit(page, "credential", answer, "name", name)
	if page.Status != http.StatusOK || page.URL.String() != named+"/identity/passkeys?done=passkey_added" || !strings.Contains(page.Body, name) || !strings.Contains(page.Body, "Your passkey is added.") {
		t.Fatalf("adding a passkey leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}
	return key
}

// claimsOf reads an ID token that has just come from the token endpoint.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the ID token is %q", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatalf("reading an ID token: %v", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatalf("reading an ID token: %v", err)
	}
	return claims
}

func TestPasskeyFromTheAccountToTheDoor(t *testing.T) {
	w := newWorld(t, portaltest.Options{Issuer: named, Clients: "[" + grafana + "]"})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	before := cookie(t, b, "__Host-peerage")
	key := addPasskey(t, b, "Blue key")
	if cookie(t, b, "__Host-peerage") == before {
		t.Error("another factor does not change the session's secret")
	}
	if page := b.Get("/"); strings.Contains(page.Body, "one factor only") {
		t.Error("the home page still says that there is one factor only")
	}
	if page := b.Get("/identity"); !strings.Contains(page.Body, `<span class="badge good">On</span>`) {
		t.Error("the profile says that there is no second factor")
	}

	// Alone, to an application.
	alone := w.Browser()
	w.skipEvents()
	success := metric(t, w.Site, "peerage_login_total", "result", "success")
	page := alone.Get(portaltest.Authorize("grafana", callback))
	found := regexp.MustCompile(`href="(/login/passkey[^"]*)"`).FindStringSubmatch(page.Body)
	if found == nil {
		t.Fatalf("%s offers no passkey", page.URL)
	}
	page = use(t, alone, alone.Get(html.UnescapeString(found[1])), key)
	page = alone.Submit(page, "decision", "allow")
	claims := claimsOf(t, w.Redeem("grafana", "grafana-secret", code(t, page, callback), callback).Str("id_token"))
	if amr, _ := claims["amr"].([]any); claims["acr"] != "phr" || len(amr) != 2 || amr[0] != "hwk" || amr[1] != "user" {
		t.Errorf("the ID token says acr %v, amr %v", claims["acr"], claims["amr"])
	}
	w.happened(t, "login_success success bob", "consent_grant success bob grafana", "oidc_authorize code bob grafana", "oidc_token success bob grafana")
	if got := metric(t, w.Site, "peerage_login_total", "result", "success"); got != success+1 {
		t.Errorf("%v sign-ins are counted, want one more than %v", got, success)
	}

	// After the password, which alone opens nothing any more.
	second := w.Browser()
	page = signIn(second, "bob", "")
	if page.URL.Path != "/login/passkey" || page.Status != http.StatusOK || !strings.Contains(page.Body, "bob") {
		t.Fatalf("the password leads to %s (%d)", page.URL, page.Status)
	}
	if got := outcome(second.Once(http.MethodGet, "/identity", nil, nil)); got != "303 /login/totp?return=%2Fidentity" {
		t.Errorf("the password alone leads to %s", got)
	}
	if page = use(t, second, page, key); page.URL.Path != "/" || page.Status != http.StatusOK {
		t.Fatalf("the passkey leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}

	// As a fresh factor.
	w.Clock.Advance(11 * time.Minute)
	page = second.Get("/identity/passkeys")
	if strings.Contains(page.Body, "data-options") {
		t.Error("a passkey can be added without a fresh factor")
	}
	page = second.Get("/login/confirm?return=/identity/passkeys")
	if page.URL.Path != "/login/confirm" || strings.Contains(page.Body, `name="password"`) {
		t.Fatalf("%s asks for a password", page.URL)
	}
	if refused := second.Post(named+"/login/confirm", url.Values{"password": {portaltest.Password}, "return": {"/identity/passkeys"}}); outcome(refused) != "422 wrong_code" {
		t.Errorf("the password confirms: %s", outcome(refused))
	}
	if page = use(t, second, page, key); page.URL.Path != "/identity/passkeys" || !strings.Contains(page.Body, "data-options") {
		t.Fatalf("the passkey leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}

	// Nothing is removed before the question is answered.
	ask := second.Get("/identity/passkeys?remove=" + identity.PasskeyID(key.ID))
	if !strings.Contains(ask.Body, "Remove this passkey?") || !strings.Contains(ask.Body, "last second factor") || !strings.Contains(second.Get("/identity/passkeys").Body, "Blue key") {
		t.Errorf("the question is %s", ask.Body)
	}
	if page = second.Submit(ask, "action", "remove"); !strings.Contains(page.Body, "The passkey is removed.") || strings.Contains(page.Body, "Blue key") {
		t.Errorf("removing leads to %s (%d)", page.URL, page.Status)
	}
	gone := w.Browser()
	if page = use(t, gone, gone.Get("/login/passkey"), key); outcome(page) != "422 wrong_credentials" || !strings.Contains(page.Body, "This passkey was not accepted.") {
		t.Errorf("a removed passkey gives %s", outcome(page))
	}
}

// An answer that was listened to, or that another page asked for, is worth
// nothing; the page that refuses it asks with another challenge.
func TestPasskeyAnswersStayInTheirBrowser(t *testing.T) {
	w := newWorld(t, portaltest.Options{Issuer: named})
	w.AddUser("bob")
	w.AddUser("mallory")
	victim := w.signedIn(t, "bob", "")
	key := addPasskey(t, victim, "Blue key")
	mallorys := addPasskey(t, w.signedIn(t, "mallory", ""), "Pale key")

	b := w.Browser()
	page := b.Get("/login/passkey")
	answer := key.Use(t, options(t, page))
	other := w.Browser()
	other.Get("/login/passkey")
	if got := outcome(other.Post(named+"/login/passkey", url.Values{"credential": {answer}})); got != "422 wrong_credentials" {
		t.Errorf("in another browser: %s", got)
	}
	if signedIn := b.Post(named+"/login/passkey", url.Values{"credential": {answer}}); signedIn.URL.Path != "/" {
		t.Fatalf("in its own browser: %s", outcome(signedIn))
	}
	again := b.Post(named+"/login/passkey", url.Values{"credential": {answer}, "first": {"yes"}})
	if outcome(again) != "422 wrong_credentials" || options(t, again) == options(t, page) {
		t.Errorf("the same answer again: %s", outcome(again))
	}

	// With bob's password and a passkey of her own, mallory stays outside.
	half := w.Browser()
	page = signIn(half, "bob", "")
	if got := outcome(use(t, half, page, mallorys)); got != "422 wrong_code" {
		t.Errorf("another person's passkey: %s", got)
	}
	// "Sign in with a passkey" is hers to choose, and signs in mallory.
	if page = use(t, half, half.Get("/login/passkey?first=yes"), mallorys); page.URL.Path != "/" || !strings.Contains(page.Body, "mallory") {
		t.Errorf("her own sign-in leads to %s (%d)", page.URL, page.Status)
	}
	if body := half.Get("/login/passkey").Body; strings.Contains(body, ">bob<") {
		t.Error("what was half done for bob is still there")
	}
}

// Who must have two factors has them with a passkey; reading and changing
// under /admin follow.
func TestAdministratorWithAPasskeyAlone(t *testing.T) {
	w := newWorld(t, portaltest.Options{Issuer: named})
	eve := w.AddUser("eve")
	b := w.signedIn(t, "eve", "")
	key := addPasskey(t, b, "Key")
	if err := w.Store.ChangeMembers(t.Context(), "admins", []string{eve.Sub}, true); err != nil {
		t.Fatal(err)
	}
	fresh := w.Browser()
	page := signIn(fresh, "eve", "")
	if page.URL.Path != "/login/passkey" {
		t.Fatalf("the password leads to %s", page.URL)
	}
	if page = use(t, fresh, page, key); page.URL.Path != "/" || !strings.Contains(page.Body, `href="/admin"`) {
		t.Fatalf("the passkey leads to %s (%d)", page.URL, page.Status)
	}
	if page = fresh.Get("/admin"); page.Status != http.StatusOK || page.URL.Path != "/admin" {
		t.Errorf("/admin leads to %s (%d)", page.URL, page.Status)
	}
	ask := fresh.Get("/identity/passkeys?remove=" + identity.PasskeyID(key.ID))
	if !strings.Contains(ask.Body, "You will have to add a second factor again") {
		t.Error("the question does not tell what comes next")
	}
	fresh.Submit(ask, "action", "remove")
	if page = signIn(w.Browser(), "eve", ""); page.URL.Path != "/login/enrol" {
		t.Errorf("without a factor the next sign-in leads to %s", page.URL)
	}
}

// What clients demand and wish for reaches the page that asks for it.
func TestClassesAskForAPasskey(t *testing.T) {
	w := newWorld(t, portaltest.Options{Issuer: named, Clients: "[" + strings.Replace(grafana, "{", `{"trusted":true,`, 1) + "]"})
	ada := w.AddUser("ada")
	secret := w.AddTOTP(ada)
	b := w.signedIn(t, "ada", secret)
	key := addPasskey(t, b, "Key")
	w.Clock.Advance(time.Minute)
	essential := portaltest.Authorize("grafana", callback, "claims", `{"id_token":{"acr":{"essential":true,"value":"phr"}}}`)
	again := w.Browser()
	signIn(again, "ada", "")
	page := again.Get("/login/totp")
	if !strings.Contains(page.Body, `href="/login/passkey`) {
		t.Error("the page of the code offers no passkey")
	}
	again.Submit(page, "code", w.Code(secret))
	w.Clock.Advance(time.Minute)
	page = again.Get(essential)
	if page.URL.Path != "/login/passkey" || passkeytest.Read(t, options(t, page)).UserVerification != "required" || strings.Contains(page.Body, `href="/login/totp`) {
		t.Fatalf("an essential passkey leads to %s", page.URL)
	}
	touch := *key
	touch.Unverified = true
	if refused := use(t, again, page, &touch); outcome(refused) != "422 wrong_code" {
		t.Errorf("a touch alone gives %s", outcome(refused))
	}
	key.Count = touch.Count
	page = use(t, again, again.Get(page.URL.String()), key)
	claims := claimsOf(t, w.Redeem("grafana", "grafana-secret", code(t, page, callback), callback).Str("id_token"))
	if claims["acr"] != "phr" {
		t.Errorf("the ID token says acr %v", claims["acr"])
	}
	// One that demands 2 gets told 2, for it asked for that value.
	page = again.Get(portaltest.Authorize("grafana", callback, "claims", `{"id_token":{"acr":{"essential":true,"value":"2"}}}`))
	claims = claimsOf(t, w.Redeem("grafana", "grafana-secret", page.Query(t).Get("code"), callback).Str("id_token"))
	if claims["acr"] != "2" {
		t.Errorf("an essential 2 is answered by acr %v", claims["acr"])
	}
	w.AddUser("bob")
	if page = w.signedIn(t, "bob", "").Get(essential); page.Query(t).Get("error") != "unmet_authentication_requirements" {
		t.Errorf("who has no passkey gets %d %s", page.Status, page.Left)
	}
	// Only wished for: the code is another way on.
	w.Clock.Advance(time.Minute)
	wishing := w.Browser()
	signIn(wishing, "ada", secret)
	page = wishing.Get(portaltest.Authorize("grafana", callback, "acr_values", "phr"))
	if page.URL.Path != "/login/passkey" || !strings.Contains(page.Body, `href="/login/totp?request=`) {
		t.Fatalf("a wished passkey leads to %s", page.URL)
	}
	page = wishing.Submit(wishing.Get("/login/totp?"+page.URL.RawQuery), "code", w.Code(secret))
	claims = claimsOf(t, w.Redeem("grafana", "grafana-secret", code(t, page, callback), callback).Str("id_token"))
	if claims["acr"] != "2" {
		t.Errorf("the ID token says acr %v", claims["acr"])
	}
}

// A passkey is renamed by its person alone, and its name is only a name.
func TestPasskeyIsRenamed(t *testing.T) {
	w := newWorld(t, portaltest.Options{Issuer: named})
	w.AddUser("bob")
	w.AddUser("mallory")
	b, mallory := w.signedIn(t, "bob", ""), w.signedIn(t, "mallory", "")
	id := identity.PasskeyID(addPasskey(t, b, "Blue key").ID)
	addPasskey(t, mallory, "Pale key")
	w.skipEvents()
	page := b.Submit(b.Get("/identity/passkeys"), "passkey", id, "name", "  <b>Green</b>\u202e key ", "action", "rename")
	if page.URL.RequestURI() != "/identity/passkeys?done=passkey_renamed" || !strings.Contains(page.Body, "The passkey has its new name.") ||
		!strings.Contains(page.Body, "<bdi>&lt;b&gt;Green&lt;/b&gt; key</bdi>") || strings.Contains(page.Body, "Blue key") {
		t.Errorf("renaming leads to %s (%d)", page.URL, page.Status)
	}
	w.happened(t, "user_update success bob")
	for _, wrong := range []string{id, "", "?", "AAAA"} {
		if got := outcome(mallory.Once(http.MethodPost, named+"/identity/passkeys", url.Values{"passkey": {wrong}, "name": {"Mine"}, "action": {"rename"}}, nil)); got != "303 /identity/passkeys" {
			t.Errorf("renaming %q of another gives %s", wrong, got)
		}
	}
	w.happened(t)
	if body := b.Get("/identity/passkeys").Body; strings.Contains(body, "Mine") {
		t.Error("somebody else renamed it")
	}
}
