package portal_test

import (
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
	"peerage/portal"
	"peerage/portal/portaltest"
	"peerage/store"
)

// baoWorld is a site whose people live in a real OpenBao: ada and eve, beside
// a local person.
type baoWorld struct {
	*world
	bao     *baotest.Server
	proxy   *baotest.Proxy
	cluster *baotest.Kubernetes
	entity  map[string]string // by name
	local   string            // the secret of the local person's second factor
}

// newBaoWorld has both secrets engines unless with says otherwise.
func newBaoWorld(t *testing.T, account string, with ...func(*portaltest.OpenBao)) baoWorld {
	t.Helper()
	w := baoWorld{bao: baotest.Shared(t), cluster: baotest.NewKubernetes(t), entity: map[string]string{}}
	w.proxy = baotest.NewProxy(t, w.bao.Addr)
	w.bao.MountKubernetes(w.cluster, account, "dev")
	w.bao.MountPKI()
	o := portaltest.OpenBao{Server: w.bao, Address: w.proxy.Addr, Cluster: portal.Cluster{Server: "https://kube.example.net:6443", CA: []byte("-----BEGIN CERTIFICATE-----\n")},
		Engines: openbao.Engines{Kubernetes: openbao.Role{Mount: "kubernetes", Name: "people"}, PKI: openbao.Role{Mount: "pki", Name: "people"}}}
	for _, change := range with {
		change(&o)
	}
	w.world = newWorld(t, portaltest.Options{OpenBao: &o})
	for _, name := range []string{"ada", "eve"} {
		w.entity[name] = w.bao.Add(baotest.Person{Name: name, Password: portaltest.Password, Policies: []string{"portal-user"}})
	}
	w.local = w.AddTOTP(w.AddUser("local")) // local people beside OpenBao must have a second factor
	return w
}

var (
	shownWrapping = regexp.MustCompile(`<code class="block" id="wrapping-token">([^<]+)</code>`)
	accessorField = regexp.MustCompile(`name="accessor" value="([^"]+)"`)
	serialField   = regexp.MustCompile(`name="serial" value="([^"]+)"`)
)

// shown is what a pattern finds on a page, as a browser shows it.
func shown(t *testing.T, page *portaltest.Page, pattern *regexp.Regexp) string {
	t.Helper()
	found := pattern.FindStringSubmatch(page.Body)
	if found == nil {
		t.Fatalf("%s (%d, error %q) has no %s:\n%s", page.URL, page.Status, page.Error, pattern, page.Body)
	}
	return html.UnescapeString(found[1])
}

func (w baoWorld) wants(t *testing.T, what string, page *portaltest.Page, want string) {
	t.Helper()
	if got := outcome(page); got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// A person makes a token, unwraps it with the command that the page shows, and
// ends it; the wrapping is shown once.
func TestAPITokensPage(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "ada", "")
	page := b.Submit(b.Get("/identity/tokens"), "action", "create")
	w.wants(t, "making one", page, "200")
	wrapping := shown(t, page, shownWrapping)
	if !strings.Contains(page.Body, "bao unwrap -namespace="+w.bao.Namespace+" -field=token "+wrapping) || !strings.Contains(page.Body, "waits to be unwrapped") ||
		!strings.Contains(page.Body, "Do not use it as a token") || page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page does not say what to do:\n%s", page.Body)
	}
	token, _ := w.bao.Call(wrapping, "POST", "sys/wrapping/unwrap", nil).Auth["client_token"].(string)
	if self := w.bao.Call(token, "GET", "auth/token/lookup-self", nil); self.Data["entity_id"] != w.entity["ada"] {
		t.Fatalf("the token is %v", self)
	}
	w.leaks.keep("API token", token)
	page = b.Get("/identity/tokens")
	if strings.Contains(page.Body, wrapping) || !strings.Contains(page.Body, ">works<") {
		t.Error("the list shows the wrapping again, or not that the token works")
	}
	page = b.Submit(page, "action", "revoke", "accessor", shown(t, page, accessorField))
	if page.URL.Path != "/identity/tokens" || !strings.Contains(page.Body, "The token has ended.") {
		t.Errorf("ending it: %s", outcome(page))
	}
	if answer := w.bao.Call(token, "GET", "auth/token/lookup-self", nil); answer.Status != 403 {
		t.Error("the token lives")
	}
	for _, action := range []string{"create", "revoke"} {
		if metric(t, w.Site, "peerage_token_operation_total", "action", action) != 1 {
			t.Errorf("no operation %s is counted", action)
		}
	}
	w.wants(t, "another action", b.Post("/identity/tokens", url.Values{"action": {"steal"}}), "422 invalid_request")
	w.Directory.Audit.Flush()
	if !strings.Contains(b.Get("/identity/activity").Body, "An API token was ended") {
		t.Error("the activity does not tell of it")
	}
}

// What another person has is refused, whatever names it.
func TestAnotherPersonsAccessorAndSerial(t *testing.T) {
	w := newBaoWorld(t, "portal")
	ada, eve := w.signedIn(t, "ada", ""), w.signedIn(t, "eve", "")
	page := ada.Post("/identity/tokens", url.Values{"action": {"create"}})
	accessor := shown(t, page, accessorField)
	page = ada.Post("/certs", url.Values{"action": {"issue"}})
	serial := shown(t, page, serialField)
	for _, value := range []string{accessor, "../../auth/token/revoke-self", ""} {
		w.wants(t, "the accessor "+value, eve.Post("/identity/tokens", url.Values{"action": {"revoke"}, "accessor": {value}}), "422 not_found")
	}
	for _, value := range []string{serial, "../../pki/crl/rotate", ""} {
		w.wants(t, "the serial number "+value, eve.Post("/certs", url.Values{"action": {"revoke"}, "serial": {value}}), "422 not_found")
	}
	if !strings.Contains(ada.Get("/identity/tokens").Body, "waits to be unwrapped") || !strings.Contains(ada.Get("/certs").Body, ">valid<") {
		t.Error("eve ended what is ada's")
	}
	if strings.Contains(eve.Get("/identity/tokens").Body, accessor) || strings.Contains(eve.Get("/certs").Body, serial) {
		t.Error("eve sees what is ada's")
	}
}

// A session that holds no token of OpenBao, as after a passkey or a recovery
// code, is asked for password and code where one is needed, fresh or not.
func TestSessionWithoutOpenBaoTokenMustConfirm(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "ada", "")
	session := w.sessionsOf(t, "ada")[0]
	drop := func() {
		t.Helper()
		if err := w.Store.ReplaceBackendToken(t.Context(), session.ID, nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	drop()
	w.wants(t, "a kubeconfig", b.Once(http.MethodGet, "/kubeconfig?download=1", nil, nil), "303 /login/confirm?return=%2Fkubeconfig%3Fdownload%3D1")
	w.wants(t, "a certificate", b.Once(http.MethodPost, "/certs", url.Values{"action": {"issue"}}, nil), "303 /login/confirm?return=%2Fcerts")
	if len(w.cluster.Requests()) != 0 || strings.Contains(b.Get("/certs").Body, `name="serial"`) {
		t.Error("something was made all the same")
	}
	page := b.Get("/login/confirm?return=/kubeconfig%3Fdownload%3D1")
	if !strings.Contains(page.Body, "To get this from OpenBao, give your password again") {
		t.Fatalf("the confirmation says\n%s", page.Body)
	}
	w.wants(t, "a wrong password", b.Submit(page, "password", "wrong horse"), "422 wrong_credentials")
	file := b.Submit(page, "password", portaltest.Password)
	if !strings.Contains(file.Body, "token: ") {
		t.Fatalf("a right one leads to %s", outcome(file))
	}
	// What needs no token of theirs goes without.
	drop()
	w.wants(t, "an API token", b.Post("/identity/tokens", url.Values{"action": {"create"}}), "200")
	// A token that OpenBao ended is as good as none.
	b.Submit(b.Get("/login/confirm?return=/kubeconfig%3Fdownload%3D1"), "password", portaltest.Password)
	w.bao.Do("PUT", "sys/leases/revoke-prefix/auth/userpass/login/ada", map[string]any{"sync": true})
	w.wants(t, "with a dead token", b.Once(http.MethodGet, "/kubeconfig?download=1", nil, nil), "303 /login/confirm?return=%2Fkubeconfig%3Fdownload%3D1")
	if file = b.Submit(b.Get("/login/confirm?return=/kubeconfig%3Fdownload%3D1"), "password", portaltest.Password); !strings.Contains(file.Body, "token: ") {
		t.Errorf("afterwards: %s", outcome(file))
	}
}

// With a second factor the confirmation takes password and code together.
func TestConfirmationForATokenTakesBothFactors(t *testing.T) {
	w := newBaoWorld(t, "portal")
	secret := w.bao.EnrolTOTP(w.Method, w.entity["ada"])
	w.leaks.keep("TOTP secret", secret)
	// OpenBao takes each code once; those of the neighbouring windows count too.
	now := time.Now()
	b := w.Browser()
	page := b.Submit(b.Submit(b.Get("/login"), "username", "ada", "password", portaltest.Password), "code", baotest.Code(secret, now.Add(-30*time.Second)))
	w.wants(t, "signing in", page, "200")
	session := w.sessionsOf(t, "ada")[0]
	if err := w.Store.ReplaceBackendToken(t.Context(), session.ID, nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	page = b.Get("/login/confirm?return=/certs")
	w.wants(t, "the password alone", b.Submit(page, "password", portaltest.Password, "code", "000000"), "422 wrong_code")
	page = b.Submit(page, "password", portaltest.Password, "code", baotest.Code(secret, now))
	if page.URL.Path != "/certs" || page.Status != 200 {
		t.Fatalf("both lead to %s (%s)", page.URL, outcome(page))
	}
	w.wants(t, "a certificate", b.Submit(page, "action", "issue"), "200")
}

// People whose account is kept here see what the pages are for, and can do
// nothing there.
func TestLocalPeopleGetNothingFromOpenBao(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "local", w.local)
	for _, path := range []string{"/identity/tokens", "/kubeconfig", "/certs"} {
		if page := b.Get(path); page.Status != 200 || !strings.Contains(page.Body, "This is for people whose account is kept in OpenBao.") || strings.Contains(page.Body, `name="action"`) {
			t.Errorf("%s: %s\n%s", path, outcome(page), page.Body)
		}
	}
	w.wants(t, "a token", b.Post("/identity/tokens", url.Values{"action": {"create"}}), "403 not_allowed")
	w.wants(t, "a certificate", b.Post("/certs", url.Values{"action": {"issue"}}), "403 not_allowed")
	w.wants(t, "a kubeconfig", b.Get("/kubeconfig?download=1"), "403 not_allowed")
}

// What the operator did not set up is not there, and not in the menu.
func TestPagesOfEnginesThatAreOff(t *testing.T) {
	w := newBaoWorld(t, "portal", func(o *portaltest.OpenBao) { o.Engines = openbao.Engines{} })
	b := w.signedIn(t, "ada", "")
	for _, path := range []string{"/kubeconfig", "/kubeconfig?download=1", "/certs", "/certs/crl"} {
		w.wants(t, path, b.Get(path), "404 not_found")
	}
	w.wants(t, "a certificate", b.Post("/certs", url.Values{"action": {"issue"}}), "404 not_found")
	menu := b.Get("/identity/tokens").Body
	if !strings.Contains(menu, `href="/identity/tokens"`) || strings.Contains(menu, `href="/kubeconfig"`) || strings.Contains(menu, `href="/certs"`) {
		t.Error("the menu leads to what is not there")
	}
	on := newBaoWorld(t, "portal")
	menu = on.signedIn(t, "ada", "").Get("/identity").Body
	for _, path := range []string{"/identity/tokens", "/kubeconfig", "/certs"} {
		if !strings.Contains(menu, `href="`+path+`"`) {
			t.Errorf("the menu does not lead to %s", path)
		}
	}
}

// While OpenBao is away the pages say so, with what is known; nothing is made.
func TestOpenBaoPagesWhileItIsAway(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "ada", "")
	b.Post("/identity/tokens", url.Values{"action": {"create"}})
	b.Post("/certs", url.Values{"action": {"issue"}})
	w.proxy.Hang()
	for _, path := range []string{"/identity/tokens", "/certs", "/certs/crl"} {
		page := b.Get(path)
		if w.wants(t, path, page, "503 backend_unavailable"); path != "/certs/crl" && !strings.Contains(page.Body, "not known right now") {
			t.Errorf("%s shows no list", path)
		}
	}
	w.wants(t, "a token", b.Post("/identity/tokens", url.Values{"action": {"create"}}), "503 backend_unavailable")
	w.wants(t, "a kubeconfig", b.Get("/kubeconfig?download=1"), "503 backend_unavailable")
	csr, _ := request(t, "ada")
	page := b.Post("/certs", url.Values{"action": {"sign"}, "csr": {csr}})
	if w.wants(t, "a certificate", page, "503 backend_unavailable"); !strings.Contains(html.UnescapeString(page.Body), csr) {
		t.Error("what was typed is lost")
	}
	w.proxy.Resume()
	w.wants(t, "afterwards", b.Get("/identity/tokens"), "200")
}

// The routes that are there with OpenBao alone want a person, and for changes
// a fresh factor.
func TestOpenBaoRoutesForStrangersAndStaleSessions(t *testing.T) {
	w := newBaoWorld(t, "portal")
	stale, nobody := w.signedIn(t, "ada", ""), w.Browser()
	w.Clock.Advance(11 * time.Minute)
	rows := []struct{ pattern, address, nobody, stale string }{
		{"GET /identity/tokens", "/identity/tokens", "303 /login?return=%2Fidentity%2Ftokens", "200"},
		{"POST /identity/tokens", "/identity/tokens", "303 /login?return=%2Fidentity%2Ftokens", "303 /login/confirm?return=%2Fidentity%2Ftokens"},
		{"GET /kubeconfig", "/kubeconfig", "303 /login?return=%2Fkubeconfig", "200"},
		{"GET /certs", "/certs", "303 /login?return=%2Fcerts", "200"},
		{"POST /certs", "/certs", "303 /login?return=%2Fcerts", "303 /login/confirm?return=%2Fcerts"},
		{"POST /certs/file", "/certs/file", "303 /login?return=%2F", "303 /certs"},
		{"GET /certs/crl", "/certs/crl", "200", "200"},
	}
	for _, row := range rows {
		method := strings.Fields(row.pattern)[0]
		w.wants(t, row.pattern+" by nobody", nobody.Once(method, row.address, nil, nil), row.nobody)
		w.wants(t, row.pattern+" by a stale session", stale.Once(method, row.address, nil, nil), row.stale)
	}
	source, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`"([A-Z]+ /[^"]*)": +p\.offered`).FindAllStringSubmatch(string(source), -1) {
		if !slices.ContainsFunc(rows, func(row struct{ pattern, address, nobody, stale string }) bool { return row.pattern == found[1] }) {
			t.Errorf("no test of route %q with OpenBao", found[1])
		}
	}
}

// sessionsOf lists a person's sessions.
func (w baoWorld) sessionsOf(t *testing.T, name string) []store.Session {
	t.Helper()
	u, err := w.Store.UserByName(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := w.Directory.Sessions(t.Context(), identity.User{User: u})
	if err != nil || len(sessions) == 0 {
		t.Fatalf("%s has the sessions %v, %v", name, sessions, err)
	}
	return sessions
}
