package portal

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"peerage/identity/openbao"
)

// kubeconfig writes a file for kubectl with one cluster, one user and one
// context. user are the lines below "user:".
func kubeconfig(c Cluster, name, user, namespace string) string {
	var b strings.Builder
	line := func(format string, values ...string) {
		var texts []any
		for _, value := range values {
			texts = append(texts, quotedYAML(value))
		}
		fmt.Fprintf(&b, format+"\n", texts...)
	}
	line("apiVersion: v1\nkind: Config\nclusters:\n- name: %s\n  cluster:\n    server: %s", name, c.Server)
	if len(c.CA) > 0 {
		line("    certificate-authority-data: %s", base64.StdEncoding.EncodeToString(c.CA))
	}
	line("users:\n- name: %s\n  user:", name)
	b.WriteString(user)
	line("contexts:\n- name: %s\n  context:\n    cluster: %[1]s\n    user: %[1]s", name)
	if namespace != "" {
		line("    namespace: %s", namespace)
	}
	line("current-context: %s", name)
	return b.String()
}

// quotedYAML writes a string as JSON does, which YAML reads alike.
func quotedYAML(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return `""` // a string is always written
	}
	return string(quoted)
}

// tokenKubeconfig lets in by a token of OpenBao.
func tokenKubeconfig(c Cluster, t openbao.ClusterToken) string {
	return kubeconfig(c, t.Account, "    token: "+quotedYAML(t.Token)+"\n", t.Namespace)
}

// loginKubeconfig lets in who signs in here; it holds no secret. The arguments
// are those of the recipe.
func loginKubeconfig(c Cluster, issuer string) string {
	user := "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      interactiveMode: Never\n      command: kubectl\n      args:\n"
	for _, arg := range loginArguments(issuer) {
		user += "      - " + quotedYAML(arg) + "\n"
	}
	return kubeconfig(c, kubernetesClient, user, "")
}

func loginArguments(issuer string) []string {
	return []string{"oidc-login", "get-token", "--oidc-issuer-url=" + issuer, "--oidc-client-id=" + kubernetesClient,
		"--oidc-extra-scope=groups,profile,email,offline_access", "--oidc-pkce-method=S256"}
}
