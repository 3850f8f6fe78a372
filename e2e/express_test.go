package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// expressApp is a web application on express-openid-connect that pushes its
// requests, authenticates by its key and listens for logout tokens.
type expressApp struct {
	Self   string // http://127.0.0.1:PORT
	issuer string
}

// assertionKey makes a client's key: the private JWK, and the key set to register.
func assertionKey(t *testing.T) (private string, public jose.JSONWebKeySet) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk := jose.JSONWebKey{Key: key, KeyID: "application", Algorithm: "ES256", Use: "sig"}
	text, err := json.Marshal(jwk)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk.Public()}}
}

// startExpress starts the application and a server that knows it.
func startExpress(t *testing.T) (*server, *expressApp) {
	t.Helper()
	modules := filepath.Join(root, ".cache", "node", "node_modules")
	needs(t, "express-openid-connect", filepath.Join(modules, "express-openid-connect"))
	address := freeAddress(t)
	private, public := assertionKey(t)
	app := &expressApp{Self: "http://" + address}
	s := newServer(t)
	s.setClients(t, map[string]any{"client_id": "wiki", "name": "Wiki", "redirect_uris": []string{app.Self + "/callback"},
		"token_endpoint_auth_method": "private_key_jwt", "jwks": public, "require_pushed_authorization_requests": true,
		"backchannel_logout_uri": app.Self + "/backchannel-logout"})
	s.start(t)
	app.issuer = s.Issuer
	cmd := exec.Command("node", filepath.Join(root, "e2e", "clients", "node", "application.js"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NODE_PATH=" + modules,
		"ISSUER=" + s.Issuer, "SELF=" + app.Self, "CLIENT_ID=wiki", "KEY=" + private, "SECRET=" + strings.Repeat("s", 40)}
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the application: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("log of the application:\n%s", said.tail(4000))
		}
	})
	eventually(t, "the application listens", func() bool { return strings.Contains(said.tail(4000), "listening") })
	return s, app
}

// enter signs a person in to the application.
func (app *expressApp) enter(t *testing.T, who *person) {
	t.Helper()
	callback, _, err := who.authorize(t.Context(), app.Self+"/login")
	if err != nil {
		t.Fatalf("%s signs in to the application: %v", who.username, err)
	}
	page, err := who.get(t.Context(), app.Self+"/callback?"+callback.Encode())
	if err != nil || page.left == "" {
		t.Fatalf("%s returns to the application and gets %+v, %v", who.username, page, err)
	}
}

// seen is what the application knows of its visitor.
type seen struct {
	SignedIn bool                      `json:"signedIn"`
	Claims   struct{ Sub, SID string } `json:"claims"`
}

// ask opens a page of the application, which answers in JSON.
func (app *expressApp) ask(t *testing.T, who *person, path string, into any) {
	t.Helper()
	page, err := who.get(t.Context(), app.Self+path)
	if err != nil {
		t.Fatalf("%s opens %s of the application: %v", who.username, path, err)
	}
	if err := json.Unmarshal([]byte(page.body), into); err != nil {
		t.Fatalf("%s opens %s of the application and gets %d %q", who.username, path, page.status, page.body)
	}
}

func (app *expressApp) me(t *testing.T, who *person) (me seen) {
	t.Helper()
	app.ask(t, who, "/me", &me)
	return me
}

// TestExpressApplication: a library that is not ours pushes its authorization
// request, authenticates by a key at every step, and ends its own sessions
// when a logout token comes: that of the person who signs out, and that of the
// one whom the operator signs out, and no other.
func TestExpressApplication(t *testing.T) {
	s, app := startExpress(t)
	s.addUser(t, "grace")
	s.addUser(t, "linus")
	grace, linus := s.newPerson(t, "grace"), s.newPerson(t, "linus")
	app.enter(t, grace)
	app.enter(t, linus)
	me := app.me(t, grace)
	var told idClaims
	app.ask(t, grace, "/userinfo", &told)
	want := idClaims{Sub: me.Claims.Sub, Username: "grace", Name: "Grace Example", Email: "grace@example.net", EmailVerified: true}
	if diff := cmp.Diff(want, told); !me.SignedIn || me.Claims.Sub == "" || me.Claims.SID == "" || diff != "" {
		t.Fatalf("the application knows of grace %+v; UserInfo (-want +got):\n%s", me, diff)
	}
	app.checkPushed(t, s, grace)
	if page, err := grace.send(t.Context(), http.MethodPost, app.Self+"/refresh", nil); err != nil || !strings.Contains(page.body, `"fresh":true`) {
		t.Fatalf("a refresh gives %+v, %v", page, err)
	}

	grace.signOut(t)
	eventually(t, "the application ends the session of who signed out", func() bool { return !app.me(t, grace).SignedIn })
	if !app.me(t, linus).SignedIn {
		t.Error("the application ended the session of somebody else")
	}
	app.enter(t, grace)
	if !app.me(t, grace).SignedIn {
		t.Error("whoever comes back after a sign-out is not signed in")
	}
	s.run(t, "", "user", "sign-out", "linus")
	eventually(t, "the application ends the session of whom the operator signed out", func() bool { return !app.me(t, linus).SignedIn })
	if !app.me(t, grace).SignedIn {
		t.Error("the application ended the session of somebody else")
	}
}

// checkPushed: the browser carries nothing of the request but the reference to
// what was pushed, and the same request by way of the browser is refused.
func (app *expressApp) checkPushed(t *testing.T, s *server, who *person) {
	t.Helper()
	response, err := who.browser.Get(app.Self + "/login")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	to, err := response.Location()
	if err != nil {
		t.Fatalf("the application sends nobody on: %v", err)
	}
	names := []string{}
	for name := range to.Query() {
		names = append(names, name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"client_id", "request_uri"}) || !strings.HasPrefix(to.Query().Get("request_uri"), "urn:ietf:params:oauth:request_uri:") {
		t.Errorf("the browser carries %s", to)
	}
	page, err := who.get(t.Context(), s.Issuer+"/oauth2/authorize?"+url.Values{"client_id": {"wiki"}, "response_type": {"code"}, "scope": {"openid"},
		"redirect_uri": {app.Self + "/callback"}, "code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := url.Parse(page.left); left.Query().Get("error") != "invalid_request" {
		t.Errorf("a request that was not pushed leads to %s %q %q", page.url, page.left, page.fault)
	}
}

// signOut signs a person out at the issuer.
func (p *person) signOut(t *testing.T) {
	t.Helper()
	page, err := p.get(t.Context(), p.issuer+"/logout")
	if err != nil {
		t.Fatalf("%s opens the sign-out: %v", p.username, err)
	}
	asks := slices.IndexFunc(page.forms, func(f webForm) bool { return f.buttons["logout=yes"] })
	if asks < 0 {
		t.Fatalf("the sign-out shows %s, %d, which asks nothing", page.url, page.status)
	}
	if _, err := p.submit(t.Context(), page, page.forms[asks], "logout", "yes"); err != nil {
		t.Fatalf("%s signs out: %v", p.username, err)
	}
}
