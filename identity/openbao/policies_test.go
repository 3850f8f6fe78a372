package openbao

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

// service is a server that was bootstrapped, with Ada and Grace.
type service struct {
	*world
	token string
}

func newService(t *testing.T, people bool) service {
	t.Helper()
	w := newWorld(t)
	want := newBootstrap(w.Server)
	want.People = people
	got := bootstrap(t, w.client, want)
	if got.MethodID != w.method {
		t.Fatalf("bootstrap made another method than %s", w.method)
	}
	return service{w, got.Token}
}

// deed is one request of peerage, allowed or not.
type deed struct {
	name, method, path string
	body               any
	allowed            bool
}

func (s service) try(t *testing.T, deeds []deed) {
	t.Helper()
	for _, d := range deeds {
		answer := s.Call(s.token, d.method, d.path, d.body)
		if d.allowed != (answer.Status < 300 || answer.Status == 404) || !d.allowed && answer.Status != 403 {
			t.Errorf("%s (%s %s): %d %v", d.name, d.method, d.path, answer.Status, answer.Errors)
		}
	}
}

// Under the policy that bootstrap prints, everything works that peerage does,
// and what would make it or anybody an operator does not.
func TestServicePolicy(t *testing.T) {
	s := newService(t, false)
	foreign := s.Do("POST", "identity/mfa/method/totp", map[string]any{"method_name": "foreign", "issuer": "x"})["method_id"].(string)
	s.Do("POST", "sys/auth/elsewhere", map[string]any{"type": "userpass"})
	entity, ofGrace := "identity/entity/id/"+s.ada, "identity/mfa/login-enforcement/"+enforcementPrefix+s.grace
	s.try(t, []deed{
		{"read a person", "GET", entity, nil, true},
		{"list people", "LIST", "identity/entity/id", nil, true},
		{"find a person", "POST", "identity/lookup/entity", map[string]any{"alias_name": "ada", "alias_mount_accessor": s.Accessor("userpass")}, true},
		{"list groups", "LIST", "identity/group/id", nil, true},
		{"write metadata", "POST", entity, map[string]any{"metadata": map[string]string{"oidc_consents": "{}"}}, false},
		{"give a policy", "POST", entity, map[string]any{"policies": []string{"root"}}, false},
		{"rename", "POST", entity, map[string]any{"name": "root"}, false},
		{"disable", "POST", entity, map[string]any{"metadata": map[string]string{}, "disabled": true}, false},
		{"delete an entity", "DELETE", entity, nil, false},
		{"merge entities", "POST", "identity/entity/merge", map[string]any{"from_entity_ids": []string{s.ada}, "to_entity_id": s.grace}, false},
		{"write a group", "POST", "identity/group/name/admins", map[string]any{"member_entity_ids": []string{s.ada}}, false},
		{"make a secret", "POST", "identity/mfa/method/totp/admin-generate", map[string]any{"method_id": s.method, "entity_id": s.ada}, true},
		{"end a secret", "POST", "identity/mfa/method/totp/admin-destroy", map[string]any{"method_id": s.method, "entity_id": s.ada}, true},
		{"end a foreign secret", "POST", "identity/mfa/method/totp/admin-destroy", map[string]any{"method_id": foreign, "entity_id": s.ada}, false},
		{"list methods", "LIST", "identity/mfa/method/totp", nil, true},
		{"list enforcements", "LIST", "identity/mfa/login-enforcement", nil, true},
		{"ask for a code", "POST", ofGrace, map[string]any{"mfa_method_ids": []string{s.method}, "identity_entity_ids": []string{s.grace}}, true},
		{"ask by another method", "POST", ofGrace, map[string]any{"mfa_method_ids": []string{foreign}, "identity_entity_ids": []string{s.grace}}, false},
		{"ask by two methods", "POST", ofGrace, map[string]any{"mfa_method_ids": []string{s.method, foreign}, "identity_entity_ids": []string{s.grace}}, false},
		{"ask everybody", "POST", ofGrace, map[string]any{"mfa_method_ids": []string{s.method}, "auth_method_accessors": []string{s.Accessor("userpass")}}, false},
		{"delete a foreign enforcement", "DELETE", "identity/mfa/login-enforcement/theirs", nil, false},
		{"stop asking", "DELETE", ofGrace, nil, true},
		{"list accounts", "LIST", "auth/userpass/users", nil, true},
		{"read an account", "GET", "auth/userpass/users/ada", nil, false},
		{"set a password", "POST", "auth/userpass/users/ada/password", map[string]any{"password": "another password"}, false},
		{"set policies", "POST", "auth/userpass/users/ada/policies", map[string]any{"token_policies": "root"}, false},
		{"see who is locked", "GET", "sys/locked-users", nil, true},
		{"unlock", "POST", "sys/locked-users/" + s.Accessor("userpass") + "/unlock/ada", nil, true},
		{"unlock elsewhere", "POST", "sys/locked-users/" + s.Accessor("elsewhere") + "/unlock/ada", nil, false},
		{"sign out everywhere", "PUT", "sys/leases/revoke-prefix/auth/userpass/login/ada", map[string]any{}, true},
		{"sign everybody out", "PUT", "sys/leases/revoke-prefix/auth/userpass/login", map[string]any{}, false},
		{"sign out elsewhere", "PUT", "sys/leases/revoke-prefix/auth/elsewhere/login/ada", map[string]any{}, false},
		{"an API token", "POST", "auth/token/create/portal-api", map[string]any{"entity_alias": "ada", "ttl": "1h"}, true},
		{"an API token with more", "POST", "auth/token/create/portal-api", map[string]any{"entity_alias": "ada", "policies": []string{"root"}}, false},
		{"any token", "POST", "auth/token/create", map[string]any{}, false},
		{"another service token", "POST", "auth/token/create/portal-service", map[string]any{}, false},
		{"the mount's accessor", "GET", "sys/internal/ui/mounts/auth/userpass", nil, true},
		{"the token mount's accessor", "GET", "sys/internal/ui/mounts/auth/token", nil, true},
		{"write a policy", "PUT", "sys/policies/acl/portal-service", map[string]any{"policy": ""}, false},
		{"read secrets", "GET", "secret/data/x", nil, false},
	})
	// An account that an operator made for somebody is theirs: with --people
	// alone it could be made here.
	s.try(t, []deed{{"make an account", "POST", "auth/userpass/users/eve", map[string]any{"password": "password"}, false}})
}

// --people grants what it takes to administer people to the credential that
// there is, and to nobody more.
func TestPeoplePolicy(t *testing.T) {
	s := newService(t, true)
	user, entity := "auth/userpass/users/eve", "identity/entity/id/"+s.ada
	s.Do("POST", "sys/auth/elsewhere", map[string]any{"type": "userpass"})
	blank := s.Do("POST", "identity/entity/name/blank", nil)["id"]
	alias := func(mount string) map[string]any {
		return map[string]any{"name": "eve", "canonical_id": blank, "mount_accessor": s.Accessor(mount)}
	}
	s.try(t, []deed{
		{"an operator's account", "POST", user, map[string]any{"password": "a password", "token_policies": []string{"root"}}, false},
		{"two policies", "POST", user, map[string]any{"password": "a password", "token_policies": []string{policyUser, "root"}}, false},
		{"the older name of policies", "POST", user, map[string]any{"password": "a password", "policies": "root"}, false},
		{"a foreign hash", "POST", user, map[string]any{"password_hash": "x"}, false},
		{"an account", "POST", user, map[string]any{"password": "a password", "token_policies": []string{policyUser}}, true},
		{"change its policies", "POST", user, map[string]any{"token_policies": []string{policyUser}}, false},
		{"read an account", "GET", user, nil, true},
		{"a password", "POST", user + "/password", map[string]any{"password": "another password"}, true},
		{"its policies", "POST", user + "/policies", map[string]any{"token_policies": "root"}, false},
		{"an entity", "POST", "identity/entity/name/eve", map[string]any{"metadata": map[string]string{"name": "Eve"}}, true},
		{"an entity with a policy", "POST", "identity/entity/name/eve", map[string]any{"policies": []string{"root"}}, false},
		{"an alias", "POST", "identity/entity-alias", alias("userpass"), true},
		{"an alias for API tokens", "POST", "identity/entity-alias", alias("token"), true},
		{"an alias elsewhere", "POST", "identity/entity-alias", alias("elsewhere"), false},
		{"metadata still", "POST", entity, map[string]any{"metadata": map[string]string{"a": "b"}}, true},
		{"disable", "POST", entity, map[string]any{"disabled": true}, true},
		{"give a policy", "POST", entity, map[string]any{"policies": []string{"root"}}, false},
		{"delete an account", "DELETE", user, nil, true},
		{"delete a person", "DELETE", entity, nil, true},
		{"write a group", "POST", "identity/group/name/admins", map[string]any{"member_entity_ids": []string{s.grace}}, false},
	})
	s.Do("DELETE", "sys/policies/acl/"+policyPeople, nil)
	s.try(t, []deed{{"a password, after it was taken back", "POST", "auth/userpass/users/grace/password", map[string]any{"password": "another password"}, false}})

	// Without the flag, what was granted stays, and is told.
	want := newBootstrap(s.Server)
	if got := bootstrap(t, s.client, want); got.PeopleGranted || len(got.Calls) != 0 {
		t.Errorf("without --people: %v", paths(got.Calls))
	}
	want.People = true
	if got := bootstrap(t, s.client, want); !got.PeopleGranted || len(got.Calls) != 1 {
		t.Errorf("with --people: %v", paths(got.Calls))
	}
	want.People = false
	if got := bootstrap(t, s.client, want); !got.PeopleGranted || len(got.Calls) != 0 {
		t.Errorf("without --people, granted before: %v", paths(got.Calls))
	}
}

// A person's own token changes their own password and nothing else.
func TestUserPolicy(t *testing.T) {
	s := newService(t, false)
	s.Add(baotest.Person{Name: "mary", Policies: []string{policyUser}})
	in := s.login(t, "mary")
	mary := service{s.world, in.Token}
	mary.try(t, []deed{
		{"another's password", "POST", "auth/userpass/users/ada/password", map[string]any{"password": "another password"}, false},
		{"a hash", "POST", "auth/userpass/users/mary/password", map[string]any{"password_hash": "x"}, false},
		{"their policies", "POST", "auth/userpass/users/mary/policies", map[string]any{"token_policies": "root"}, false},
		{"a token", "POST", "auth/token/create", map[string]any{}, false},
		{"a second factor past the portal", "POST", "identity/mfa/method/totp/generate", map[string]any{"method_id": s.method}, false},
		{"their password", "POST", "auth/userpass/users/mary/password", map[string]any{"password": "another password"}, true},
	})
	if _, err := s.client.login(t.Context(), "userpass", "mary", "another password"); err != nil {
		t.Errorf("with the new password: %v", err)
	}
	_, err := s.client.login(t.Context(), "userpass", "mary", baotest.DefaultPassword)
	if !errors.Is(err, identity.ErrWrongCredentials) {
		t.Errorf("with the old password: %v", err)
	}
}

// The policies have no path twice and no wildcard but ours.
func TestPoliciesAreNarrow(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range serviceRules("userpass", "A", "T", "M") {
		if seen[r.path] || strings.Contains(r.path, "*") && !strings.HasSuffix(r.path, "/"+enforcementPrefix+"*") || r.why == "" {
			t.Errorf("the rule of %q", r.path)
		}
		seen[r.path] = true
	}
	if names := slices.Sorted(maps.Keys(seen)); slices.Contains(names, "auth/token/create") {
		t.Error("peerage may make any token")
	}
}
