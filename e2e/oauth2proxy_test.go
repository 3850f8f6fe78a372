package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// proxy is an oauth2-proxy before an upstream that tells what it is told.
type proxy struct {
	Self string // http://127.0.0.1:PORT
	// idp's sign-out, back to the proxy.
	signOut string
}

const proxySecret = "a secret of the proxy"

// startProxy starts oauth2-proxy, which lets members of noc through.
func startProxy(t *testing.T, s *server, address string) *proxy {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"path": r.URL.Path, "user": r.Header.Get("X-Forwarded-Preferred-Username"),
			"id": r.Header.Get("X-Forwarded-User"), "email": r.Header.Get("X-Forwarded-Email"), "groups": r.Header.Get("X-Forwarded-Groups")})
	}))
	t.Cleanup(upstream.Close)
	p := &proxy{Self: "http://" + address}
	issuer, _ := url.Parse(s.Issuer)
	p.signOut = s.Issuer + "/oauth2/logout?" + url.Values{"client_id": {"proxy"}, "post_logout_redirect_uri": {p.Self + "/"}}.Encode()
	cmd := exec.Command(filepath.Join(root, ".cache", "clients", "oauth2-proxy"), "--provider=oidc", "--oidc-issuer-url="+s.Issuer,
		"--client-id=proxy", "--client-secret="+proxySecret, "--redirect-url="+p.Self+"/oauth2/callback", "--http-address="+address,
		"--upstream="+upstream.URL, "--allowed-group=noc", "--oidc-groups-claim=groups", "--scope=openid profile email groups offline_access",
		"--code-challenge-method=S256", "--email-domain=*", "--cookie-secret="+strings.Repeat("c", 32), "--cookie-secure=false",
		"--cookie-refresh=1s", "--skip-provider-button", "--insecure-oidc-skip-nonce=false", "--whitelist-domain="+issuer.Host)
	var said lockedBuffer
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{"HOME=" + t.TempDir()}, &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting oauth2-proxy: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("log of oauth2-proxy:\n%s", said.tail(4000))
		}
	})
	for begun := time.Now(); ; <-time.After(20 * time.Millisecond) {
		response, err := http.Get(p.Self + "/ping")
		if err == nil {
			response.Body.Close()
			return p
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("oauth2-proxy is not ready: %v\n%s", err, said.tail(4000))
		}
	}
}

// enter opens a page behind the proxy as somebody without a session at it and
// gives the proxy the issuer's answer.
func (p *proxy) enter(t *testing.T, who *person, path string) (page *webPage, asked []string) {
	t.Helper()
	callback, asked, err := who.authorize(t.Context(), p.Self+path)
	if err != nil {
		t.Fatalf("%s signs in to the proxy: %v", who.username, err)
	}
	if page, err = who.get(t.Context(), p.Self+"/oauth2/callback?"+callback.Encode()); err != nil {
		t.Fatalf("%s returns to the proxy: %v", who.username, err)
	}
	return page, asked
}

// told opens a page behind the proxy and returns what the upstream was told.
func (p *proxy) told(t *testing.T, who *person, path string) map[string]string {
	t.Helper()
	page, err := who.get(t.Context(), p.Self+path)
	if err != nil {
		t.Fatalf("%s opens %s: %v", who.username, path, err)
	}
	var told map[string]string
	if err := json.Unmarshal([]byte(page.body), &told); err != nil {
		t.Fatalf("%s opens %s and gets %d %q", who.username, path, page.status, page.body)
	}
	groups := strings.Split(told["groups"], ",")
	slices.Sort(groups)
	told["groups"] = strings.Join(groups, ",")
	return told
}

// TestOAuth2Proxy: a member gets through to the upstream, which learns who it
// is; somebody else is refused; a member that is taken out of the group is
// refused at the proxy's next refresh; a sign-out holds for both.
func TestOAuth2Proxy(t *testing.T) {
	needs(t, "oauth2-proxy", filepath.Join(root, ".cache", "clients", "oauth2-proxy"))
	address := freeAddress(t)
	s := newServer(t, fmt.Sprintf(`PEERAGE_CLIENTS=[{"client_id":"proxy","client_secret":%q,"name":"Dashboards","redirect_uris":["http://%s/oauth2/callback"],
		"post_logout_redirect_uris":["http://%s/"],"claims":{"groups":"id_token","preferred_username":"id_token","email":"id_token","email_verified":"id_token"}}]`,
		proxySecret, address, address))
	s.start(t)
	for _, group := range []string{"noc", "engineers"} {
		s.run(t, "", "group", "create", group)
	}
	s.addUser(t, "grace", "noc", "engineers")
	s.addUser(t, "mallory", "engineers")
	p := startProxy(t, s, address)

	grace := s.newPerson(t, "grace")
	page, asked := p.enter(t, grace, "/graphs")
	if page.left != p.Self+"/graphs" || !slices.Equal(asked, []string{"sign-in", "consent"}) {
		t.Fatalf("a member was asked %v and gets %d, to %q", asked, page.status, page.left)
	}
	var user struct{ Sub string }
	s.runJSON(t, &user, "user", "show", "grace", "--json")
	want := map[string]string{"path": "/graphs", "user": "grace", "id": user.Sub, "email": "grace@example.net", "groups": "engineers,noc"}
	if diff := cmp.Diff(want, p.told(t, grace, "/graphs")); diff != "" {
		t.Errorf("the upstream was told (-want +got):\n%s", diff)
	}

	mallory := s.newPerson(t, "mallory")
	if page, _ := p.enter(t, mallory, "/graphs"); page.status != http.StatusForbidden {
		t.Errorf("somebody outside the group gets %d, to %q", page.status, page.left)
	}
	// There is no session at the proxy either: it would send them off again.
	if _, asked := p.enter(t, mallory, "/graphs"); asked != nil {
		t.Errorf("the second time somebody outside the group was asked %v", asked)
	}

	p.checkSignOut(t, grace) // and in again
	s.run(t, "", "group", "remove", "noc", "grace")
	p.awaitRefusal(t, grace)
}

// awaitRefusal waits until the proxy has refreshed its session and learnt that
// the person is no member any more.
func (p *proxy) awaitRefusal(t *testing.T, who *person) {
	t.Helper()
	for begun := time.Now(); ; <-time.After(50 * time.Millisecond) {
		page, err := who.get(t.Context(), p.Self+"/graphs")
		if err != nil {
			t.Fatalf("%s opens a graph: %v", who.username, err)
		}
		if page.status == http.StatusForbidden {
			return
		}
		if time.Since(begun) > 15*time.Second {
			t.Fatalf("somebody taken out of the group still gets %d %q", page.status, page.body)
		}
	}
}

// checkSignOut signs somebody out at the proxy, which sends the browser on to
// the issuer's own sign-out, and in again.
func (p *proxy) checkSignOut(t *testing.T, who *person) {
	t.Helper()
	page, err := who.get(t.Context(), p.Self+"/oauth2/sign_out?rd="+url.QueryEscape(p.signOut))
	if err != nil {
		t.Fatalf("signing out: %v", err)
	}
	asks := slices.IndexFunc(page.forms, func(f webForm) bool { return f.buttons["logout=yes"] })
	if asks < 0 {
		t.Fatalf("the sign-out leads to %s, %d, which asks nothing", page.url, page.status)
	}
	if page, err = who.submit(t.Context(), page, page.forms[asks], "logout", "yes"); err != nil {
		t.Fatalf("signing out: %v", err)
	}
	if page.left != p.Self+"/" {
		t.Errorf("after the sign-out the browser is at %s, %d, to %q", page.url, page.status, page.left)
	}
	if _, asked := p.enter(t, who, "/graphs"); !slices.Equal(asked, []string{"sign-in"}) {
		t.Errorf("after the sign-out the proxy's visitor was asked %v", asked)
	}
}
