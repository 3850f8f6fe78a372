package baotest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kubernetes looks like the API server of a cluster to the secrets engine of
// OpenBao: service accounts, their tokens by TokenRequest, and bindings.
type Kubernetes struct {
	// Addr is the address of the API server.
	Addr string

	mu       sync.Mutex
	requests []string
	broken   bool
}

// NewKubernetes runs a look-alike that ends with the test.
func NewKubernetes(t testing.TB) *Kubernetes {
	t.Helper()
	k := &Kubernetes{}
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	k.Addr = server.URL
	return k
}

// Requests are what was asked so far, as "POST /api/v1/…".
func (k *Kubernetes) Requests() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.requests)
}

// Break makes it answer that it has a fault of its own.
func (k *Kubernetes) Break() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = true
}

// ServeHTTP implements http.Handler. The engine writes protobuf, which is not
// read here: what is asked stands in the path.
func (k *Kubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.requests = append(k.requests, r.Method+" "+r.URL.Path)
	broken := k.broken
	k.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case broken:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcd is away","code":500}`)
	case r.Method == http.MethodDelete:
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
	case strings.HasSuffix(r.URL.Path, "/token"):
		parts := strings.Split(r.URL.Path, "/") // /api/v1/namespaces/NS/serviceaccounts/SA/token
		ends := time.Now().Add(time.Hour).Truncate(time.Second)
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]any{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
			"status": map[string]any{"token": accountToken(parts[4], parts[6], ends), "expirationTimestamp": ends.UTC()}})
	case r.Method == http.MethodPost:
		version, kind := "v1", "ServiceAccount"
		if strings.HasSuffix(r.URL.Path, "/rolebindings") {
			version, kind = "rbac.authorization.k8s.io/v1", "RoleBinding"
		}
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{"name": "made", "uid": "00000000-0000-4000-8000-000000000000"}})
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	}
}

// accountToken is a JWT of a service account, whose signature nobody checks.
func accountToken(namespace, account string, ends time.Time) string {
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("a part of a JWT: %v", err))
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	return part(map[string]string{"alg": "RS256"}) + "." + part(map[string]any{"sub": "system:serviceaccount:" + namespace + ":" + account,
		"aud": []string{"https://kubernetes.default.svc"}, "iat": ends.Add(-time.Hour).Unix(), "exp": ends.Unix()}) + ".c2lnbmF0dXJl"
}

// MountKubernetes makes the secrets engine of a cluster at kubernetes/, with
// the role people: it makes an account for each token, unless one is named.
func (s *Server) MountKubernetes(k *Kubernetes, account string, namespaces ...string) {
	s.t.Helper()
	s.Do("POST", "sys/mounts/kubernetes", map[string]any{"type": "kubernetes"})
	s.Do("POST", "kubernetes/config", map[string]any{"kubernetes_host": k.Addr, "service_account_jwt": "of.the.engine", "disable_local_ca_jwt": true})
	role := map[string]any{"allowed_kubernetes_namespaces": namespaces}
	if account != "" {
		role["service_account_name"] = account
	} else {
		role["kubernetes_role_name"], role["kubernetes_role_type"] = "view", "ClusterRole"
	}
	s.Do("POST", "kubernetes/roles/people", role)
}

// MountPKI makes an authority at pki/; its roles are the caller's.
func (s *Server) MountPKI() {
	s.t.Helper()
	s.Do("POST", "sys/mounts/pki", map[string]any{"type": "pki", "config": map[string]any{"max_lease_ttl": "8760h"}})
	s.Do("POST", "pki/root/generate/internal", map[string]any{"common_name": "Example IX people", "key_type": "ec", "key_bits": 256, "ttl": "8760h"})
}
