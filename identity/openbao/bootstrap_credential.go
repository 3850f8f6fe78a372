package openbao

import (
	"context"
	"fmt"
	"slices"
)

// appRoleMount is where the AppRole of peerage is, when it has one.
const appRoleMount = "approle"

// servicePeriod is how long the service credential lives without renewal, in
// seconds.
const servicePeriod = 24 * 60 * 60

// servicePolicies are always all: those that the operator may grant on top
// grant nothing until they are written, and then the credential needs no
// change. Sorted, as the server keeps them.
var servicePolicies = []string{policyConsents, policyPeople, policyService, policySigningKey}

// needs are the capabilities that OperatorPolicy grants.
func (w Bootstrap) needs() []capability {
	list := []capability{
		{"sys/auth/" + w.Userpass, []string{"read", "update", "sudo"}},
		{"sys/auth/token", []string{"read", "sudo"}},
		{"sys/auth/" + w.Userpass + "/tune", []string{"read", "update", "sudo"}},
		{"identity/mfa/method/totp", []string{"list", "update"}},
		{"identity/mfa/login-enforcement", []string{"list"}},
		{"identity/group", []string{"update"}},
		{"identity/group/id", []string{"list"}},
		{"auth/token/create/" + policyService, []string{"update"}},
	}
	for _, name := range []string{policyService, policyUser, policyAPI, policyPeople, policyConsents, policySigningKey} {
		list = append(list, capability{"sys/policies/acl/" + name, []string{"read", "update"}})
	}
	for _, name := range []string{policyService, policyAPI} {
		list = append(list, capability{"auth/token/roles/" + name, []string{"read", "update"}})
	}
	if w.SigningKey != (KVField{}) {
		list = append(list, capability{"sys/mounts", []string{"read"}})
	}
	if r := w.Engines.PKI; r.On() {
		list = append(list, capability{r.Mount + "/roles/" + r.Name, []string{"read", "update"}})
	}
	if w.AppRole {
		role := "auth/" + appRoleMount + "/role/" + policyService
		list = append(list,
			capability{"sys/auth/" + appRoleMount, []string{"read", "update", "sudo"}},
			capability{"sys/auth/" + appRoleMount + "/tune", []string{"update", "sudo"}},
			capability{role, []string{"create", "read", "update"}},
			capability{role + "/role-id", []string{"read"}},
			capability{role + "/secret-id", []string{"update"}})
	}
	return list
}

// OperatorPolicy is the least that the token of the operator must be allowed.
func (w Bootstrap) OperatorPolicy() string {
	var rules []rule
	for _, need := range w.needs() {
		capabilities := need.needs
		if slices.Contains(capabilities, "update") && !slices.Contains(capabilities, "create") {
			capabilities = append([]string{"create"}, capabilities...)
		}
		rules = append(rules, rule{path: need.path, capabilities: capabilities, why: "For peerage openbao bootstrap."})
	}
	return hcl("What the operator who bootstraps peerage needs.", rules)
}

// roles makes the token roles.
func (b *bootstrapping) roles(ctx context.Context) error {
	made, err := b.role(ctx, at("auth/token/roles/{}", policyService), map[string]any{
		"allowed_policies": servicePolicies, "orphan": true, "renewable": true, "token_period": servicePeriod})
	if err != nil {
		return err
	}
	if _, err := b.role(ctx, at("auth/token/roles/{}", policyAPI), map[string]any{
		"allowed_policies": []string{policyAPI}, "orphan": true, "renewable": false, "token_explicit_max_ttl": 3600, "allowed_entity_aliases": []string{"*"}}); err != nil {
		return err
	}
	// Who was given a credential by another way has asked for it: a first run
	// is one that makes the role of the credential.
	if !b.want.AppRole {
		b.want.NewCredential = b.want.NewCredential || made
		return nil
	}
	return b.appRole(ctx)
}

// role makes a role, or corrects it; made: it was not there.
func (b *bootstrapping) role(ctx context.Context, p path, want map[string]any) (made bool, err error) {
	is := map[string]any{}
	found, err := b.read(ctx, "GET", p, &is)
	if err != nil || found && holds(is, want) {
		return false, err
	}
	_, err = b.change(ctx, "POST", p, want)
	return !found, err
}

// appRole makes the mount and the role of an AppRole.
func (b *bootstrapping) appRole(ctx context.Context) error {
	state, found, err := b.mounted(ctx, appRoleMount)
	if err != nil {
		return err
	}
	if found && state.Type != "approle" {
		return fmt.Errorf("the mount %s is of type %s: use a token instead", appRoleMount, state.Type)
	}
	if !found {
		if _, err := b.change(ctx, "POST", at("sys/auth/{mount}", appRoleMount), map[string]any{"type": "approle"}); err != nil {
			return err
		}
		// Five wrong secrets of anybody who knows the role's id would lock
		// peerage out. A mount that was there is somebody else's to tune.
		if _, err := b.change(ctx, "POST", at("sys/auth/{mount}/tune", appRoleMount), map[string]any{"user_lockout_config": map[string]any{"lockout_disable": true}}); err != nil {
			return err
		}
		found = b.want.DryRun
	}
	want := map[string]any{"bind_secret_id": true, "token_policies": servicePolicies, "token_period": servicePeriod, "token_type": "service"}
	p := at("auth/{mount}/role/{}", appRoleMount, policyService)
	if b.want.DryRun && found && state.Type == "" {
		b.want.NewCredential = true
		_, err := b.change(ctx, "POST", p, want) // there is no mount to look into
		return err
	}
	made, err := b.role(ctx, p, want)
	b.want.NewCredential = b.want.NewCredential || made
	return err
}

// credential makes the service credential. It is the only step that gives
// something else each time, so it is not repeated unasked.
func (b *bootstrapping) credential(ctx context.Context) error {
	if !b.want.NewCredential {
		return nil
	}
	if !b.want.AppRole {
		got, err := b.change(ctx, "POST", at("auth/token/create/{}", policyService), map[string]any{"policies": servicePolicies, "display_name": "peerage"})
		if err == nil && got.Auth != nil {
			b.out.Token = got.Auth.Token
		}
		return err
	}
	var role struct {
		RoleID string `json:"role_id"`
	}
	if _, err := b.read(ctx, "GET", at("auth/{mount}/role/{}/role-id", appRoleMount, policyService), &role); err != nil && !b.want.DryRun {
		return err
	}
	got, err := b.change(ctx, "POST", at("auth/{mount}/role/{}/secret-id", appRoleMount, policyService), nil)
	if err != nil || b.want.DryRun {
		return err
	}
	var made struct {
		SecretID string `json:"secret_id"`
	}
	if err := got.decode(&made); err != nil {
		return err
	}
	b.out.RoleID, b.out.SecretID = role.RoleID, made.SecretID
	return nil
}
