package openbao

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"peerage/identity"
)

// operationCluster's answers mean something of their own.
const operationCluster = "cluster_token"

// ErrNamespace: the role gives no token for that namespace of the cluster, or
// wants to be told one.
var ErrNamespace = errors.New("no token for that namespace of the cluster")

// namespaceShape is a name of a Kubernetes namespace (RFC 1123 label).
var namespaceShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ClusterToken lets a person into a Kubernetes cluster.
type ClusterToken struct {
	Token     string
	Account   string // of the service account
	Namespace string
	Expires   time.Time
}

// ClusterToken gets a token of a service account, as the person: who may have
// one is for OpenBao's policies to say. namespace may be empty for a role of
// one namespace. Errors: ErrNoToken; ErrForbidden: OpenBao does not let this
// person; ErrNamespace; identity.ErrUnavailable, for a fault of the cluster too.
func (b *Backend) ClusterToken(ctx context.Context, u identity.User, token []byte, namespace string) (ClusterToken, error) {
	made, err := b.clusterToken(ctx, token, namespace)
	if errors.Is(err, ErrNoToken) {
		return made, err // nothing was tried: the person is asked for their password
	}
	b.event(ctx, "kubeconfig_create", u, err, slog.String("namespace", namespace), slog.String("account", made.Account))
	return made, err
}

func (b *Backend) clusterToken(ctx context.Context, token []byte, namespace string) (ClusterToken, error) {
	body := map[string]string{}
	if namespace != "" {
		if !namespaceShape.MatchString(namespace) {
			return ClusterToken{}, &Error{Operation: operationCluster, Kind: ErrNamespace}
		}
		body["kubernetes_namespace"] = namespace
	}
	got, err := b.asPerson(ctx, token, request{operation: operationCluster, method: "POST", path: b.Kubernetes.at("{mount}/creds/{}"), body: body})
	if err != nil {
		return ClusterToken{}, err
	}
	var given struct {
		Account   string `json:"service_account_name"`
		Namespace string `json:"service_account_namespace"`
		Token     string `json:"service_account_token"`
	}
	if err := got.decode(&given); err != nil {
		return ClusterToken{}, err
	}
	if given.Token == "" {
		return ClusterToken{}, &Error{Operation: operationCluster, Kind: identity.ErrUnavailable, Reason: "an answer without token"}
	}
	return ClusterToken{given.Token, given.Account, given.Namespace, b.now().Add(time.Duration(got.LeaseDuration) * time.Second)}, nil
}

// ClusterAccounts tells whether the role makes a service account for each token,
// which goes when the person signs out; else the account is there already, and
// its tokens live on until they expire.
func (b *Backend) ClusterAccounts(ctx context.Context) (generated bool, err error) {
	role, err := b.clusterRole.get(ctx)
	return role.Account == "", err
}

// clusterRole is the role of the Kubernetes secrets engine.
type clusterRole struct {
	Account string `json:"service_account_name"`
}

func (b *Backend) askClusterRole(ctx context.Context) (clusterRole, error) {
	return askRole[clusterRole](ctx, b, b.Kubernetes)
}

// classifyCluster reads the answer of the Kubernetes secrets engine, which has
// the same status for its faults and for the cluster's.
func classifyCluster(status int, said func(string) bool, fault func(error, string) error) error {
	switch {
	case said("allowed_kubernetes_namespaces"), said("'kubernetes_namespace' is required"):
		return fault(ErrNamespace, "")
	case status == http.StatusForbidden:
		return fault(ErrForbidden, "")
	case status == http.StatusBadRequest, status == http.StatusNotFound:
		return fault(identity.ErrUnavailable, "the mount or the role is missing")
	}
	return fault(identity.ErrUnavailable, "the cluster does not give what OpenBao asks of it")
}
