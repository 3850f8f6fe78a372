package e2e

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
)

// kubelogin is one person's kubectl with the oidc-login plugin.
type kubelogin struct {
	server *server
	args   []string
}

// kubernetesArgs makes the client by its recipe and returns the arguments that
// the recipe gives to the plugin.
func kubernetesArgs(t *testing.T, s *server) (args []string) {
	t.Helper()
	for _, word := range strings.Fields(s.recipe(t, "kubernetes", "--url", "https://kube.example.net:6443").step(t, "kubectl config set-credentials")) {
		if arg, ok := strings.CutPrefix(word, "--exec-arg="); ok && arg != "oidc-login" {
			args = append(args, arg)
		}
	}
	return args
}

func newKubelogin(t *testing.T, s *server, given []string) *kubelogin {
	t.Helper()
	path := filepath.Join(root, ".cache", "clients", "kubelogin")
	needs(t, "kubelogin", path)
	args := append([]string{path}, given...)
	return &kubelogin{s, append(args, "--skip-open-browser", "--listen-address="+freeAddress(t), "--token-cache-dir="+t.TempDir(), "--authentication-timeout-sec=60")}
}

// getToken runs `kubectl oidc-login get-token` and returns the ID token that
// the cluster would get. visit is called with the address that it asks a
// person to open; nil when it must not ask.
func (k *kubelogin) getToken(t *testing.T, visit func(address string), more ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	args := append(k.args[1:], more...)
	cmd := exec.CommandContext(ctx, k.args[0], args...)
	var said, out lockedBuffer
	cmd.Env, cmd.Stderr, cmd.Stdout = []string{"HOME=" + t.TempDir()}, &said, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting kubelogin: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for asked := false; ; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("kubelogin: %v\n%s", err, said.tail(4000))
			}
			return idTokenOf(t, out.tail(1<<20))
		case <-time.After(10 * time.Millisecond):
		}
		address := localAddress.FindString(said.tail(4000))
		if address == "" || asked {
			continue
		}
		if asked = true; visit == nil {
			t.Fatalf("kubelogin asks for a browser:\n%s", said.tail(4000))
		}
		visit(address)
	}
}

var localAddress = regexp.MustCompile(`http://localhost:\d+/?`)

// idTokenOf reads the ExecCredential that kubectl gets.
func idTokenOf(t *testing.T, out string) string {
	t.Helper()
	var credential struct {
		Kind   string `json:"kind"`
		Status struct {
			Token               string    `json:"token"`
			ExpirationTimestamp time.Time `json:"expirationTimestamp"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(out), &credential); err != nil {
		t.Fatalf("kubelogin printed %q: %v", out, err)
	}
	if life := time.Until(credential.Status.ExpirationTimestamp); credential.Kind != "ExecCredential" || life <= 0 || life > 15*time.Minute {
		t.Errorf("kind %q, valid for another %s, want the 15 minutes of the settings", credential.Kind, life)
	}
	return credential.Status.Token
}

// clusterClaims verifies an ID token as kube-apiserver does.
func (k *kubelogin) clusterClaims(t *testing.T, token string) idClaims {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), k.server.Issuer)
	if err != nil {
		t.Fatalf("discovery: %v", err)
	}
	id, err := provider.Verifier(&oidc.Config{ClientID: "kubernetes", SupportedSigningAlgs: []string{"RS256"}}).Verify(t.Context(), token)
	if err != nil {
		t.Fatalf("verifying the ID token: %v", err)
	}
	claims := claimsOf(t, id)
	slices.Sort(claims.Groups)
	return claims
}

// TestKubectlOIDCLogin: a person signs in for kubectl through Chromium; later
// tokens come by refresh without a browser, with the groups of now; a second
// installation of kubectl is confirmed by the person, though signed in.
func TestKubectlOIDCLogin(t *testing.T) { eachBackend(t, kubectlSignsIn) }

func kubectlSignsIn(t *testing.T, newServer serverMaker) {
	s := newServer(t)
	browser := newBrowser(t)
	s.start(t)
	args := kubernetesArgs(t, s)
	kubectl := newKubelogin(t, s, args)
	s.addGroups(t, "noc", "engineers")
	s.addUser(t, "grace", "noc", "engineers")

	token := kubectl.getToken(t, func(address string) {
		visit(browser, t, address)
		waitURL(browser, t, s.Issuer+"/login")
		fill(browser, t, "username", "grace")
		fill(browser, t, "password", password)
		press(browser, t, "", "")
		waitURL(browser, t, s.Issuer+"/consent")
		click(browser, t, `button[value="allow"]`)
		waitURL(browser, t, strings.TrimSuffix(address, "/"))
	})
	first := kubectl.clusterClaims(t, token)
	want := idClaims{Sub: first.Sub, Username: "grace", Email: "grace@example.net", EmailVerified: true,
		Groups: []string{"engineers", "noc"}, AuthTime: first.AuthTime, ACR: "1", AMR: []string{"pwd"}}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("claims for the cluster (-want +got):\n%s", diff)
	}
	if again := kubectl.getToken(t, nil); again != token {
		t.Error("kubelogin does not use its cache; it read something else from the token than we wrote")
	}

	s.leave(t, "engineers", "grace")
	var refreshed string
	eventually(t, "the cluster learns of it", func() bool {
		refreshed = kubectl.getToken(t, nil, "--force-refresh")
		if refreshed == token {
			t.Error("the refresh gave the same ID token")
		}
		return s.bao == nil || len(kubectl.clusterClaims(t, refreshed).Groups) == 1 // OpenBao's are of the last seconds
	})
	want.Groups = []string{"noc"}
	if diff := cmp.Diff(want, kubectl.clusterClaims(t, refreshed)); diff != "" {
		t.Errorf("claims after the refresh (-want +got):\n%s", diff)
	}

	// Any program on the machine could have opened the browser: RFC 8252
	// section 8.6.
	token = newKubelogin(t, s, args).getToken(t, func(address string) {
		visit(browser, t, address)
		waitURL(browser, t, s.Issuer+"/login")
		if text := bodyText(browser); !strings.Contains(text, "Continue as grace?") {
			t.Errorf("no confirmation:\n%s", text)
		}
		click(browser, t, `button[name="decision"][value="allow"]`)
		waitURL(browser, t, strings.TrimSuffix(address, "/"))
	})
	if diff := cmp.Diff(want, kubectl.clusterClaims(t, token)); diff != "" {
		t.Errorf("claims of the second installation (-want +got):\n%s", diff)
	}
}
