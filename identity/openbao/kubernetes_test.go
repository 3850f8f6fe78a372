package openbao_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
)

// withEngines lets people use both secrets engines.
func withEngines(p *openbao.People, b *openbao.Bootstrap) {
	p.Engines = openbao.Engines{Kubernetes: openbao.Role{Mount: "kubernetes", Name: "people"}, PKI: openbao.Role{Mount: "pki", Name: "people"}}
	b.Engines = p.Engines
}

// newEngines is a site whose OpenBao has both secrets engines.
func newEngines(t *testing.T, account string, namespaces ...string) (*site, *baotest.Kubernetes) {
	t.Helper()
	bao, cluster := baotest.Shared(t), baotest.NewKubernetes(t)
	bao.MountKubernetes(cluster, account, namespaces...)
	bao.MountPKI()
	return newSite(t, bao, withEngines), cluster
}

// gone waits until the cluster was told to delete something: OpenBao ends
// leases after it has answered.
func gone(t *testing.T, k *baotest.Kubernetes, what string) bool {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !slices.ContainsFunc(k.Requests(), func(r string) bool { return strings.HasPrefix(r, "DELETE ") && strings.Contains(r, what) }) {
		select {
		case <-deadline:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

// The tokens of an account that is there already live on until they expire:
// OpenBao has nothing to delete in the cluster.
func TestClusterTokenOfAnAccount(t *testing.T) {
	s, cluster := newEngines(t, "portal", "dev")
	ada := s.known("ada")
	session := s.login("ada", password).Token
	made, err := s.backend.ClusterToken(t.Context(), ada, session, "")
	s.wantErr("a token", err, nil)
	if made.Account != "portal" || made.Namespace != "dev" || strings.Count(made.Token, ".") != 2 || made.Expires.Before(s.clock.Now().Add(50*time.Minute)) {
		t.Errorf("it is %+v", made)
	}
	if generated, err := s.backend.ClusterAccounts(t.Context()); err != nil || generated {
		t.Errorf("accounts are made: %v, %v", generated, err)
	}
	s.wantErr("SignOut", s.backend.SignOut(t.Context(), session), nil)
	if requests := cluster.Requests(); !slices.Equal(requests, []string{"POST /api/v1/namespaces/dev/serviceaccounts/portal/token"}) {
		t.Errorf("the cluster was asked %v", requests)
	}
	if e := s.events("kubeconfig_create"); len(e) != 1 || e[0].Result != "success" || !strings.Contains(e[0].Detail, "account=portal") || strings.Contains(e[0].Detail, made.Token) {
		t.Errorf("the audit trail tells %+v", e)
	}
}

// An account that was made for a token goes when its person signs out.
func TestGeneratedAccountEndsWithTheSession(t *testing.T) {
	s, cluster := newEngines(t, "", "*")
	ada := s.known("ada")
	session := s.login("ada", password).Token
	made, err := s.backend.ClusterToken(t.Context(), ada, session, "prod")
	s.wantErr("a token", err, nil)
	if generated, err := s.backend.ClusterAccounts(t.Context()); err != nil || !generated || made.Namespace != "prod" {
		t.Errorf("accounts are made: %v, %v; it is %+v", generated, err, made)
	}
	s.wantErr("SignOut", s.backend.SignOut(t.Context(), session), nil)
	if !gone(t, cluster, "/namespaces/prod/serviceaccounts/") {
		t.Errorf("the account stays: %v", cluster.Requests())
	}
}

// What can be no namespace never reaches OpenBao; what the role does not
// allow, or wants to be told, is said.
func TestClusterNamespaces(t *testing.T) {
	s, cluster := newEngines(t, "portal", "dev", "prod")
	ada := s.known("ada")
	session := s.login("ada", password).Token
	for _, namespace := range []string{"../kube-system", "kube-system", "", "Dev", "dev/serviceaccounts/root", strings.Repeat("a", 64), "dev\n"} {
		_, err := s.backend.ClusterToken(t.Context(), ada, session, namespace)
		s.wantErr("the namespace "+namespace, err, openbao.ErrNamespace)
	}
	if requests := cluster.Requests(); len(requests) != 0 {
		t.Errorf("the cluster was asked %v", requests)
	}
}

// What is got as the person takes a token of theirs that lives, and OpenBao's
// leave.
func TestEnginesTakeThePersonsToken(t *testing.T) {
	s, cluster := newEngines(t, "portal", "dev")
	ada := s.known("ada")
	dead := s.login("ada", password).Token
	s.wantErr("SignOut", s.backend.SignOut(t.Context(), dead), nil)
	for name, token := range map[string][]byte{"none": nil, "a dead one": dead} {
		_, err := s.backend.ClusterToken(t.Context(), ada, token, "")
		s.wantErr("a cluster token with "+name, err, openbao.ErrNoToken)
		_, err = s.backend.IssueCertificate(t.Context(), ada, token)
		s.wantErr("a certificate with "+name, err, openbao.ErrNoToken)
	}
	// Somebody to whom the operator gave no policy.
	s.bao.Add(baotest.Person{Name: "guest"})
	session := s.login("guest", password).Token
	guest := s.user("guest")
	_, err := s.backend.ClusterToken(t.Context(), guest, session, "")
	s.wantErr("a cluster token without the right", err, openbao.ErrForbidden)
	_, err = s.backend.IssueCertificate(t.Context(), guest, session)
	s.wantErr("a certificate without the right", err, openbao.ErrForbidden)
	if requests := cluster.Requests(); len(requests) != 0 || s.doubts.Load() != 0 {
		t.Errorf("the cluster was asked %v; the service credential is doubted %d times", requests, s.doubts.Load())
	}
}

func TestFaultsOfTheClusterAreNotThePersons(t *testing.T) {
	s, cluster := newEngines(t, "portal", "dev")
	ada := s.known("ada")
	session := s.login("ada", password).Token
	cluster.Break()
	_, err := s.backend.ClusterToken(t.Context(), ada, session, "")
	s.wantErr("a broken cluster", err, identity.ErrUnavailable)
	s.bao.Do("DELETE", "kubernetes/roles/people", nil)
	_, err = s.backend.ClusterToken(t.Context(), ada, session, "")
	s.wantErr("without role", err, identity.ErrUnavailable)
	s.proxy.Hang()
	s.patience = time.Second
	_, err = s.at(s.proxy.Addr).ClusterToken(t.Context(), ada, session, "")
	s.wantErr("without OpenBao", err, identity.ErrUnavailable)
}

func TestParseRole(t *testing.T) {
	for text, want := range map[string]openbao.Role{
		"": {}, "pki/people": {Mount: "pki", Name: "people"}, "team/pki/people": {Mount: "team/pki", Name: "people"},
	} {
		if got, err := openbao.ParseRole(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"pki", "/pki", "pki/", "pki//people", "../pki/people", "pki/..", "pki/a b", "pki/{{identity.entity.name}}"} {
		if got, err := openbao.ParseRole(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
