package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
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
	// idp's sign-out, back to the proxy, escaped for a query.
	signOut string
}

// startProxy registers oauth2-proxy by its recipe and starts it with the
// configuration that the recipe gives; it lets members of a group through.
func startProxy(t *testing.T, s *server, address, group string) *proxy {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"path": r.URL.Path, "user": r.Header.Get("X-Forwarded-Preferred-Username"),
			"id": r.Header.Get("X-Forwarded-User"), "email": r.Header.Get("X-Forwarded-Email"), "groups": r.Header.Get("X-Forwarded-Groups")})
	}))
	t.Cleanup(upstream.Close)
	p := &proxy{Self: "http://" + address}
	made := s.recipe(t, "oauth2-proxy", "--url", p.Self, "--id", "proxy", "--set", "group="+group, "--set", "upstream="+upstream.URL)
	_, p.signOut, _ = strings.Cut(made.step(t, "/oauth2/sign_out"), "?rd=")
	config := filepath.Join(t.TempDir(), "oauth2-proxy.cfg")
	if err := os.WriteFile(config, []byte(made.step(t, "oidc_issuer_url")), 0o600); err != nil {
		t.Fatal(err)
	}
	// Where it listens, http, and a refresh that the test need not wait for.
	cmd := exec.Command(filepath.Join(root, ".cache", "clients", "oauth2-proxy"), "--config="+config,
		"--http-address="+address, "--cookie-secure=false", "--cookie-refresh=1s")
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
func TestOAuth2Proxy(t *testing.T) { eachBackend(t, proxyLetsMembersIn) }

func proxyLetsMembersIn(t *testing.T, newServer serverMaker) {
	needs(t, "oauth2-proxy", filepath.Join(root, ".cache", "clients", "oauth2-proxy"))
	address := freeAddress(t)
	s := newServer(t)
	s.start(t)
	s.addGroups(t, "noc", "engineers")
	s.addUser(t, "grace", "noc", "engineers")
	s.addUser(t, "mallory", "engineers")
	p := startProxy(t, s, address, "noc")

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
	s.leave(t, "noc", "grace")
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
	page, err := who.get(t.Context(), p.Self+"/oauth2/sign_out?rd="+p.signOut)
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
