package openbao

import (
	"fmt"
	"strings"
)

// Names that bootstrap gives, beside MethodName.
const (
	// policyService is what peerage itself may do, and the token role for it.
	policyService = "portal-service"
	// policyPeople comes on top where peerage may make and delete people.
	policyPeople = "portal-people"
	// policyConsents comes on top where consents are mirrored, and
	// policySigningKey where the signing key is kept in OpenBao.
	policyConsents   = "portal-consents"
	policySigningKey = "portal-signing-key"
	// policyUser is what a person may do with the token of their sign-in.
	policyUser = "portal-user"
	// policyAPI is what API tokens may do, and the token role for them.
	policyAPI = "portal-api"
	// enforcementPrefix begins the names of our enforcements; the id of the
	// entity follows.
	enforcementPrefix = "totp-"
)

// rule is one path of a policy.
type rule struct {
	path         string
	capabilities []string
	parameters   string // HCL of allowed_parameters, "" for any
	why          string
}

// hcl writes rules as a policy.
func hcl(about string, rules []rule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", about)
	for _, r := range rules {
		fmt.Fprintf(&b, "\n# %s\npath %q {\n  capabilities = [%s]\n", r.why, r.path, quoted(r.capabilities))
		if r.parameters != "" {
			fmt.Fprintf(&b, "  allowed_parameters = { %s }\n", r.parameters)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func quoted(words []string) string {
	var list []string
	for _, w := range words {
		list = append(list, fmt.Sprintf("%q", w))
	}
	return strings.Join(list, ", ")
}

// serviceRules are what peerage needs of the userpass mount (its path and its
// accessor), of the mount of tokens, at which nobody signs in, and of the TOTP
// method.
func serviceRules(mount, accessor, tokenAccessor, method string) []rule {
	ofMethod := fmt.Sprintf(`"method_id" = [%q], "entity_id" = []`, method)
	return []rule{
		{"identity/entity/id", []string{"list"}, "", "Names and addresses of people are read."},
		{"identity/entity/id/+", []string{"read"}, "", "The same."},
		{"identity/lookup/entity", []string{"update"}, "", "The person of a user name."},
		{"identity/group/id", []string{"list"}, "", "Groups become the claim \"groups\"."},
		{"identity/mfa/method/totp", []string{"list"}, "", "Finds the TOTP method by its name."},
		{"identity/mfa/method/totp/admin-generate", []string{"update"}, ofMethod, "Second factors: a secret,"},
		{"identity/mfa/method/totp/admin-destroy", []string{"update"}, ofMethod, "its end,"},
		{"identity/mfa/login-enforcement", []string{"list"}, "", "who has one,"},
		{"identity/mfa/login-enforcement/" + enforcementPrefix + "*", []string{"create", "update", "read", "delete"},
			fmt.Sprintf(`"mfa_method_ids" = [[%q]], "identity_entity_ids" = [], "auth_method_accessors" = [[], [%q]]`, method, tokenAccessor), "and that it is asked for: one enforcement a person, of this method alone."},
		{"auth/" + mount + "/users", []string{"list"}, "", "Accounts without an entity, who never signed in."},
		{"sys/locked-users", []string{"read"}, "", "Who is locked after wrong passwords, and the way out."},
		{"sys/locked-users/" + accessor + "/unlock/+", []string{"update"}, "", "The same."},
		{"sys/leases/revoke-prefix/auth/" + mount + "/login/+", []string{"update", "sudo"}, "", "Signs one person out everywhere; it takes sudo."},
		{"auth/token/create/" + policyAPI, []string{"update"}, `"ttl" = [], "meta" = [], "display_name" = [], "entity_alias" = []`, "API tokens, of that role alone."},
		{"auth/token/lookup-accessor", []string{"update"}, "", "Whether an API token lives,"},
		{"auth/token/revoke-accessor", []string{"update"}, "", "and its end."},
	}
}

// engineRules are what peerage needs of the secrets engines. It gets nothing
// from them: what people get, they get with their own tokens.
func engineRules(e Engines) (rules []rule) {
	if r := e.Kubernetes; r.On() {
		rules = append(rules, rule{r.Mount + "/roles/" + r.Name, []string{"read"}, "", "Whether a kubeconfig ends when its person signs out."})
	}
	if r := e.PKI; r.On() {
		rules = append(rules,
			rule{r.Mount + "/roles/" + r.Name, []string{"read"}, "", "Which keys certificates may have."},
			rule{r.Mount + "/revoke", []string{"update"}, `"serial_number" = []`, "The end of a certificate; peerage knows whose it is, OpenBao does not."})
	}
	return rules
}

// peopleRules are what peerage needs to administer people. Whoever sets
// passwords can sign in as anybody of the mount: it must hold nobody else.
func peopleRules(mount, accessor, tokenAccessor string) []rule {
	return []rule{
		{"auth/" + mount + "/users/+", []string{"create", "read", "delete"}, fmt.Sprintf(`"password" = [], "token_policies" = [[%q]]`, policyUser), "Accounts are made, with no policy but the portal's own, and deleted."},
		{"auth/" + mount + "/users/+/password", []string{"update"}, `"password" = []`, "Passwords are reset."},
		{"identity/entity/name/+", []string{"create", "update", "read"}, `"metadata" = []`, "The entity of a new person."},
		{"identity/entity/id/+", []string{"read", "update", "delete"}, `"metadata" = [], "disabled" = []`, "People are disabled, enabled and deleted."},
		{"identity/entity-alias", []string{"create", "update"}, fmt.Sprintf(`"name" = [], "canonical_id" = [], "mount_accessor" = [%q, %q]`, accessor, tokenAccessor), "A new person's aliases: of their account, and of their API tokens."},
	}
}

// consentsRules are what peerage needs to write consents into entities. Without
// allowed_parameters it could give any entity any policy.
func consentsRules() []rule {
	return []rule{{"identity/entity/id/+", []string{"read", "update"}, `"metadata" = []`, "Only the metadata: with \"policies\" it could make anybody an operator."}}
}

// signingKeyRules are what peerage needs to read its signing key.
func signingKeyRules(at path) []rule {
	return []rule{{at.text, []string{"read"}, "", "This secret alone."}}
}

// consentsPolicy comes on top where an operator granted it.
func consentsPolicy() string {
	return hcl("What peerage may do to mirror consents. Written by peerage openbao bootstrap --consents;\n# bao policy delete "+policyConsents+" takes it back.", consentsRules())
}

// signingKeyPolicy comes on top where the signing key is kept in OpenBao.
func signingKeyPolicy(at path) string {
	return hcl("Where peerage reads its signing key. Written by peerage openbao bootstrap --signing-key-from;\n# bao policy delete "+policySigningKey+" takes it back.", signingKeyRules(at))
}

// servicePolicy is the policy of peerage itself.
func servicePolicy(mount, accessor, tokenAccessor, method string, e Engines) string {
	return hcl("What peerage may do. Written by peerage openbao bootstrap.", append(serviceRules(mount, accessor, tokenAccessor, method), engineRules(e)...))
}

// peoplePolicy comes on top where an operator granted it.
func peoplePolicy(mount, accessor, tokenAccessor string) string {
	return hcl("What peerage may do to administer people. Written by peerage openbao bootstrap --people;\n# bao policy delete "+policyPeople+" takes it back.", peopleRules(mount, accessor, tokenAccessor))
}

// userPolicy lets a person set their own password and nobody else's, and get
// what the secrets engines have for them.
func userPolicy(mount, accessor string, e Engines) string {
	rules := []rule{
		{"auth/" + mount + "/users/{{identity.entity.aliases." + accessor + ".name}}/password", []string{"update"}, `"password" = []`, "The own password."},
	}
	if r := e.Kubernetes; r.On() {
		rules = append(rules, rule{r.Mount + "/creds/" + r.Name, []string{"update"}, `"kubernetes_namespace" = []`, "A kubeconfig."})
	}
	if r := e.PKI; r.On() {
		rules = append(rules, rule{r.Mount + "/sign/" + r.Name, []string{"update"}, `"csr" = [], "common_name" = []`, "A client certificate; the role says for which name."})
	}
	return hcl("What people may do with the token of their sign-in. Written by peerage openbao bootstrap.", rules)
}

// apiPolicy is the operator's to fill: bootstrap never changes it again.
const apiPolicy = `# What API tokens of people may do, beside what their groups allow.
# Add paths here; peerage openbao bootstrap does not touch this policy again.

path "auth/token/lookup-self" {
  capabilities = ["read"]
}
`
