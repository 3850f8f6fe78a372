package portal_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

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
