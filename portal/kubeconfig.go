package portal

import (
	"errors"
	"net/http"
	"strings"

	"peerage/identity"
	"peerage/identity/openbao"
)

// Cluster is the Kubernetes cluster that people get kubeconfigs for.
type Cluster struct {
	// Server is the address of its API server.
	Server string
	// CA is the PEM of the authorities of that server's certificate; nil for
	// those that every machine knows.
	CA []byte
}

// kubernetesClient is the client of kubectl oidc-login, as its recipe makes it.
const kubernetesClient = "kubernetes"

// kubeconfigPage offers two kubeconfigs: one with a token from OpenBao, and one
// that signs in here. ?download=1 gives the file.
func (p *Portal) kubeconfigPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	query := r.URL.Query()
	byLogin := query.Get("tab") == "oidc-login"
	// HEAD shows the page alone, and so does another site's link: neither may
	// make credentials.
	download := query.Get("download") == "1" && r.Method == http.MethodGet && !fromElsewhere(r)
	switch {
	case byLogin && download && p.loginConfigured():
		return p.download(w, "kubeconfig-oidc.yaml", "application/yaml", loginKubeconfig(p.Cluster, p.Issuer))
	case byLogin:
		page := &KubeconfigPage{Base: p.base(r, &v), ByLogin: true, Server: p.Cluster.Server}
		if p.loginConfigured() {
			page.File = loginKubeconfig(p.Cluster, p.Issuer)
		}
		return p.render.Render(w, http.StatusOK, page)
	case !download:
		return p.showKubeconfig(w, r, v, nil)
	case !ofOpenBao(v):
		return errNotAllowed
	case !p.directory.Fresh(v):
		return p.askFresh(w, r)
	}
	made, err := p.openbao.ClusterToken(r.Context(), v.User, v.Session.BackendToken, strings.TrimSpace(query.Get("namespace")))
	if errors.Is(err, openbao.ErrNoToken) {
		return p.withoutToken(w, r, v)
	}
	if err != nil {
		return p.showKubeconfig(w, r, v, err)
	}
	return p.download(w, "kubeconfig.yaml", "application/yaml", tokenKubeconfig(p.Cluster, made))
}

// showKubeconfig shows the page, with what went wrong beside the namespace.
func (p *Portal) showKubeconfig(w http.ResponseWriter, r *http.Request, v identity.Visitor, fault error) error {
	page := &KubeconfigPage{Base: p.base(r, &v), Server: p.Cluster.Server, Elsewhere: !ofOpenBao(v)}
	page.Namespace = Field{Name: "namespace", Label: Say("kubeconfig.namespace"), Hint: Say("kubeconfig.namespace.hint"), Value: r.URL.Query().Get("namespace"), Max: 63, Mono: true}
	status := http.StatusOK
	if !page.Elsewhere {
		var err error
		page.Generated, err = p.openbao.ClusterAccounts(r.Context())
		fault = errors.Join(fault, err)
	}
	if fault != nil {
		var ok bool
		if status, page.Wrong, ok = p.baoFault(r, &page.Base, fault); !ok {
			return fault
		}
		if errors.Is(fault, openbao.ErrNamespace) {
			page.Namespace.Fault, page.Wrong = page.Wrong, Sentence{}
		}
	}
	return p.render.Render(w, status, page)
}

// loginConfigured tells whether kubectl could sign in here.
func (p *Portal) loginConfigured() bool {
	_, ok := p.clients.Client(kubernetesClient)
	return ok
}

// fromElsewhere tells whether another site made the browser ask (Fetch Metadata).
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// download gives a file, this once.
func (p *Portal) download(w http.ResponseWriter, name, kind, text string) error {
	h := w.Header()
	h.Set("Content-Type", kind+"; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	_, err := w.Write([]byte(text))
	return err
}
