package portal_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"html"
	"mime/multipart"
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

// The file lets kubectl in; only its person gets it, with a fresh factor.
func TestKubeconfigDownload(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "ada", "")
	page := b.Get("/kubeconfig")
	w.wants(t, "the page", page, "200")
	if !strings.Contains(page.Body, "even after you sign out") {
		t.Error("it does not say that the token lives on")
	}
	file := b.Get("/kubeconfig?download=1")
	for _, line := range []string{`    server: "https://kube.example.net:6443"`, `    certificate-authority-data: "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="`, `- name: "portal"`, `    namespace: "dev"`, `current-context: "portal"`, `    token: "eyJ`} {
		if !strings.Contains(file.Body, line) {
			t.Errorf("%q is missing in\n%s", line, file.Body)
		}
	}
	if file.Header.Get("Content-Disposition") != `attachment; filename="kubeconfig.yaml"` || file.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("its headers are %v", file.Header)
	}
	w.wants(t, "a namespace of its own", b.Get("/kubeconfig?download=1&namespace=dev"), "200")
	for _, namespace := range []string{"prod", "../kube-system", "a%0Ab"} {
		w.wants(t, namespace, b.Get("/kubeconfig?download=1&namespace="+namespace), "422 invalid_request")
	}
	asked := len(w.cluster.Requests())
	// Neither HEAD nor another site's link makes credentials.
	if head := b.Once(http.MethodHead, "/kubeconfig?download=1", nil, nil); head.Status != 200 {
		t.Errorf("HEAD: %d", head.Status)
	}
	linked := b.Once(http.MethodGet, "/kubeconfig?download=1", nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	if linked.Status != 200 || strings.Contains(linked.Body, "token:") || len(w.cluster.Requests()) != asked {
		t.Errorf("by another site's link: %d, the cluster was asked %v", linked.Status, w.cluster.Requests())
	}
	w.Clock.Advance(11 * time.Minute)
	w.wants(t, "without a fresh factor", b.Once(http.MethodGet, "/kubeconfig?download=1", nil, nil), "303 /login/confirm?return=%2Fkubeconfig%3Fdownload%3D1")
	w.cluster.Break()
	page = b.Submit(b.Get("/login/confirm?return=/kubeconfig%3Fdownload%3D1"), "password", portaltest.Password)
	w.wants(t, "a broken cluster", page, "503 backend_unavailable")
}

// Where an account is made for each token, the page warns that signing out
// ends it.
func TestKubeconfigOfAGeneratedAccount(t *testing.T) {
	w := newBaoWorld(t, "")
	b := w.signedIn(t, "ada", "")
	if page := b.Get("/kubeconfig"); !strings.Contains(page.Body, "It ends as soon as you sign out here") {
		t.Errorf("the page does not warn:\n%s", page.Body)
	}
	if file := b.Get("/kubeconfig?download=1"); !strings.Contains(file.Body, "token: ") {
		t.Fatalf("no file: %s", outcome(file))
	}
	b.Post("/logout", url.Values{"logout": {"yes"}})
	deadline := time.After(10 * time.Second)
	for !slices.ContainsFunc(w.cluster.Requests(), func(r string) bool { return strings.HasPrefix(r, "DELETE /api/v1/namespaces/dev/serviceaccounts/") }) {
		select {
		case <-deadline:
			t.Fatalf("the account stays: %v", w.cluster.Requests())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// The second tab is for everybody, holds no secret, and has the arguments of
// the recipe.
func TestKubeconfigBySignIn(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "local", w.local)
	if page := b.Get("/kubeconfig?tab=oidc-login&download=1"); !strings.Contains(page.Body, "peerage client recipe kubernetes --url https://kube.example.net:6443") {
		t.Errorf("without the client: %s\n%s", outcome(page), page.Body)
	}
	admin := w.administrator(t, "root")
	made := admin.Post("/admin/clients", url.Values{"recipe": {"kubernetes"}, "url": {"https://kube.example.net:6443"}})
	recipe := regexp.MustCompile(`(?s)kubectl config set-credentials.*?</pre>`).FindString(made.Body)
	file := b.Get("/kubeconfig?tab=oidc-login&download=1")
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^      - "([^"]*)"$`).FindAllStringSubmatch(file.Body, -1) {
		got = append(got, m[1])
	}
	var want []string
	for _, m := range regexp.MustCompile(`--exec-arg=([^\s\\]+)`).FindAllStringSubmatch(html.UnescapeString(recipe), -1) {
		want = append(want, m[1])
	}
	if len(want) < 5 || !slices.Equal(got, want) {
		t.Errorf("the arguments are %q, of the recipe %q", got, want)
	}
	if shownFile := html.UnescapeString(b.Get("/kubeconfig?tab=oidc-login").Body); !strings.Contains(shownFile, file.Body) {
		t.Error("the page shows another file")
	}
}

// request is a certificate signing request in PEM, with its key.
func request(t *testing.T, name string) (csr string, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// uploads sends a file as the form of the page does.
func uploads(t *testing.T, b *portaltest.Browser, text string) *portaltest.Page {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range map[string]string{"action": "sign", "csr": ""} {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("file", "ada.csr")
	if err != nil {
		t.Fatal(err)
	}
	file.Write([]byte(text))
	form.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.Site.Issuer+"/certs", &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.Do(r)
}

var (
	shownCertificate = regexp.MustCompile(`(?s)<pre[^>]* id="certificate"[^>]*>(.*?)</pre>`)
	shownKey         = regexp.MustCompile(`(?s)<pre[^>]* id="key"[^>]*>(.*?)</pre>`)
)

func TestCertificatesPage(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "ada", "")
	csr, key := request(t, "ada")
	for name, sign := range map[string]func() *portaltest.Page{
		"pasted":   func() *portaltest.Page { return b.Submit(b.Get("/certs"), "action", "sign", "csr", csr) },
		"uploaded": func() *portaltest.Page { return uploads(t, b, csr) },
	} {
		page := sign()
		w.wants(t, name, page, "200")
		if _, err := tls.X509KeyPair([]byte(shown(t, page, shownCertificate)), key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if shownKey.MatchString(page.Body) {
			t.Errorf("%s: a key is shown", name)
		}
	}
	// With a key of ours: shown once, given as a file, stored nowhere.
	page := b.Submit(b.Get("/certs"), "action", "issue")
	certificate, secret := shown(t, page, shownCertificate), shown(t, page, shownKey)
	if _, err := tls.X509KeyPair([]byte(certificate), []byte(secret)); err != nil {
		t.Errorf("key and certificate: %v", err)
	}
	file := b.Submit(page, "key", secret)
	if !strings.HasPrefix(file.Body, secret+certificate) || file.Header.Get("Content-Disposition") != `attachment; filename="ada.pem"` {
		t.Errorf("the file is %s\n%s", file.Header, file.Body)
	}
	w.leaks.keep("private key", strings.Split(secret, "\n")[1])
	if strings.Contains(b.Get("/certs").Body, "PRIVATE KEY") || strings.Contains(w.Log.String(), strings.Split(secret, "\n")[1]) {
		t.Error("the key is still there")
	}
	page = b.Get("/certs")
	page = b.Submit(page, "action", "revoke", "serial", shown(t, page, serialField))
	if !strings.Contains(page.Body, "The certificate is revoked.") || !strings.Contains(page.Body, ">revoked<") {
		t.Errorf("revoking: %s", outcome(page))
	}
	crl := w.Browser().Get("/certs/crl")
	block, _ := pem.Decode([]byte(crl.Body))
	if crl.Status != 200 || block == nil || block.Type != "X509 CRL" {
		t.Fatalf("the list of revoked ones is %d %s", crl.Status, crl.Body)
	}
	if list, err := x509.ParseRevocationList(block.Bytes); err != nil || len(list.RevokedCertificateEntries) != 1 {
		t.Errorf("revoked are %v, %v", list, err)
	}
	w.wants(t, "another action", b.Post("/certs", url.Values{"action": {"forge"}}), "422 invalid_request")
}

// Requests in another's name, and what is none, come back with what was typed.
func TestCSRsThatAreRefused(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "ada", "")
	foreign, _ := request(t, "eve")
	own, _ := request(t, "ada")
	page := b.Post("/certs", url.Values{"action": {"sign"}, "csr": {foreign}})
	w.wants(t, "another's name", page, "422 invalid_request")
	if !strings.Contains(page.Body, "It names somebody or something else than you") || !strings.Contains(html.UnescapeString(page.Body), foreign) {
		t.Errorf("the form does not come back:\n%s", page.Body)
	}
	w.wants(t, "an upload in another's name", uploads(t, b, foreign), "422 invalid_request")
	w.wants(t, "nothing", b.Post("/certs", url.Values{"action": {"sign"}}), "422 invalid_request")
	w.wants(t, "a path", b.Post("/certs", url.Values{"action": {"sign"}, "csr": {"../../../etc/passwd"}}), "422 invalid_request")
	large := own + strings.Repeat("\n", 1<<20)
	w.wants(t, "a megabyte", b.Post("/certs", url.Values{"action": {"sign"}, "csr": {large}}), "413 invalid_request")
	w.wants(t, "an upload of a megabyte", uploads(t, b, large), "413 invalid_request")
	w.wants(t, "more than any request has", b.Post("/certs", url.Values{"action": {"sign"}, "csr": {own + strings.Repeat("\n", 20<<10)}}), "422 invalid_request")
	if strings.Contains(b.Get("/certs").Body, `name="serial"`) {
		t.Error("a certificate was made")
	}
	// The page that gives a key back as a file writes nothing but keys and certificates.
	for _, forged := range []string{"", "#!/bin/sh\n", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"} {
		w.wants(t, "the file "+forged, b.Once(http.MethodPost, "/certs/file", url.Values{"certificate": {forged}}, nil), "303 /certs")
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
