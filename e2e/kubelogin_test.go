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

const kubernetesClients = `[{"client_id":"kubernetes","name":"Kubernetes","application_type":"native","token_endpoint_auth_method":"none",
	"redirect_uris":["http://localhost:8000"],"id_token_ttl":"1m","allowed_groups":["noc"],
	"claims":{"groups":"id_token","preferred_username":"id_token","email":"id_token","email_verified":"id_token"}}]`

// kubelogin is one person's kubectl with the oidc-login plugin.
type kubelogin struct {
	server *server
	args   []string
}

func newKubelogin(t *testing.T, s *server) *kubelogin {
	t.Helper()
	path := filepath.Join(root, ".cache", "clients", "kubelogin")
	needs(t, "kubelogin", path)
	return &kubelogin{s, []string{path, "get-token", "--oidc-issuer-url=" + s.Issuer, "--oidc-client-id=kubernetes",
		"--oidc-extra-scope=groups,profile,email,offline_access", "--oidc-pkce-method=S256", "--skip-open-browser",
		"--listen-address=" + freeAddress(t), "--token-cache-dir=" + t.TempDir(), "--authentication-timeout-sec=60"}}
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
	if life := time.Until(credential.Status.ExpirationTimestamp); credential.Kind != "ExecCredential" || life <= 0 || life > time.Minute {
		t.Errorf("kind %q, valid for another %s, want one minute of the client", credential.Kind, life)
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
func TestKubectlOIDCLogin(t *testing.T) {
	s := newServer(t, "PEERAGE_CLIENTS="+kubernetesClients)
	kubectl := newKubelogin(t, s)
	browser := newBrowser(t)
	s.start(t)
	for _, group := range []string{"noc", "engineers"} {
		s.run(t, "", "group", "create", group)
	}
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

	s.run(t, "", "group", "remove", "engineers", "grace")
	refreshed := kubectl.getToken(t, nil, "--force-refresh")
	if refreshed == token {
		t.Error("the refresh gave the same ID token")
	}
	want.Groups = []string{"noc"}
	if diff := cmp.Diff(want, kubectl.clusterClaims(t, refreshed)); diff != "" {
		t.Errorf("claims after the refresh (-want +got):\n%s", diff)
	}

	// Any program on the machine could have opened the browser: RFC 8252
	// section 8.6.
	token = newKubelogin(t, s).getToken(t, func(address string) {
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
