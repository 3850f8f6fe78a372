package openbao

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

func newBootstrap(s *baotest.Server) Bootstrap {
	want := Bootstrap{Userpass: "userpass", Issuer: "Example IX", AdminGroup: "IX: admins"}
	want.Token = s.Token("operator", want.OperatorPolicy())
	return want
}

func serverClient(t *testing.T, s *baotest.Server) *Client {
	t.Helper()
	return newTestClient(t, Config{Address: s.Addr, Namespace: s.Namespace, Timeout: 20 * time.Second})
}

func bootstrap(t *testing.T, c *Client, want Bootstrap) Bootstrapped {
	t.Helper()
	got, err := c.Bootstrap(t.Context(), want)
	if err != nil {
		t.Fatalf("bootstrapping: %v", err)
	}
	return got
}

func paths(calls []Call) (list []string) {
	for _, c := range calls {
		list = append(list, c.Method+" "+c.Path)
	}
	return list
}

// The operator needs no more than the policy says, a dry run tells exactly what
// a real one does, and a second run does nothing.
func TestBootstrap(t *testing.T) {
	for name, s := range map[string]*baotest.Server{"in the root namespace": baotest.Start(t), "in a namespace": baotest.Shared(t)} {
		t.Run(name, func(t *testing.T) {
			c := serverClient(t, s)
			want := newBootstrap(s)
			want.DryRun = true
			dry := bootstrap(t, c, want)
			if answer := s.Ask("GET", "sys/auth/userpass", nil); answer.Status == 200 || dry.Token != "" || dry.MethodID != "" {
				t.Error("the dry run changed something")
			}
			want.DryRun = false
			first := bootstrap(t, c, want)
			if diff := cmp.Diff([]string{"POST sys/auth/userpass", "POST sys/auth/userpass/tune", "POST identity/mfa/method/totp", "PUT sys/policies/acl/portal-api",
				"PUT sys/policies/acl/portal-service", "PUT sys/policies/acl/portal-user", "POST auth/token/roles/portal-service", "POST auth/token/roles/portal-api",
				"POST identity/group", "POST auth/token/create/portal-service"}, paths(first.Calls)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(paths(first.Calls), paths(dry.Calls)); diff != "" {
				t.Errorf("the dry run told something else (-done +told):\n%s", diff)
			}
			if first.Token == "" || first.MethodID == "" || first.Version != "2.6.2" || first.PeopleGranted {
				t.Errorf("what came of it: %+v", first)
			}
			second := bootstrap(t, c, want)
			if len(second.Calls) != 0 || second.Token != "" || second.MethodID != first.MethodID {
				t.Errorf("the second run changed %v, and gave %+v", paths(second.Calls), second)
			}
			state, err := c.lookUp(t.Context(), first.Token)
			if err != nil || state.TTL < servicePeriod-60 || !state.Renewable || !slices.Equal(state.Policies, append([]string{"default"}, servicePolicies...)) {
				t.Errorf("the service credential is %+v, %v", state, err)
			}
			tune := s.Do("GET", "sys/auth/userpass/tune", nil)
			if tune["max_lease_ttl"] != 43200.0 || tune["user_lockout_counter_reset_duration"] != 900.0 {
				t.Errorf("the mount is tuned %v", tune)
			}
		})
	}
}

// What somebody changed is put right, and what is theirs is left alone.
func TestBootstrapMends(t *testing.T) {
	s := baotest.Shared(t)
	c, want := serverClient(t, s), newBootstrap(s)
	bootstrap(t, c, want)
	ada := s.Add(baotest.Person{Name: "ada"})
	s.Do("POST", "identity/group/name/IX%3A%20admins", map[string]any{"member_entity_ids": []string{ada}})
	s.Do("PUT", "sys/policies/acl/portal-api", map[string]any{"policy": `path "dev/*" { capabilities = ["read"] }`})
	s.Do("PUT", "sys/policies/acl/portal-service", map[string]any{"policy": `path "*" { capabilities = ["read"] }`})
	s.Do("POST", "sys/auth/userpass/tune", map[string]any{"max_lease_ttl": "100h"})
	s.Do("POST", "auth/token/roles/portal-api", map[string]any{"token_explicit_max_ttl": "100h"})
	got := bootstrap(t, c, want)
	if diff := cmp.Diff([]string{"POST sys/auth/userpass/tune", "PUT sys/policies/acl/portal-service", "POST auth/token/roles/portal-api"}, paths(got.Calls)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if members, _ := s.Do("GET", "identity/group/name/IX%3A%20admins", nil)["member_entity_ids"].([]any); len(members) != 1 {
		t.Errorf("the administrators are %v", members)
	}
	want.NewCredential = true
	if again := bootstrap(t, c, want); again.Token == "" || len(again.Calls) != 1 {
		t.Errorf("another credential: %v", paths(again.Calls))
	}
}

func TestBootstrapRefuses(t *testing.T) {
	s := baotest.Shared(t)
	c := serverClient(t, s)
	want := newBootstrap(s)
	refused := func(name string, want Bootstrap, words string) {
		t.Helper()
		got, err := c.Bootstrap(t.Context(), want)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", name, err, words)
		}
		if len(got.Calls) != 0 {
			t.Errorf("%s: it changed %v", name, paths(got.Calls))
		}
	}
	poor := want
	poor.Token = s.Token("poor", strings.Replace(want.OperatorPolicy(), `path "identity/group"`, `path "identity/nothing"`, 1))
	refused("a right is missing", poor, "the operator's token lacks: update on identity/group")
	poor.Token = "s.nonsense"
	refused("no token", poor, "the token is wrong or has ended")
	s.Do("POST", "sys/auth/machines", map[string]any{"type": "approle"})
	other := want
	other.Userpass = "machines"
	other.Token = s.Token("other", other.OperatorPolicy())
	refused("another mount", other, "the mount machines is of type approle and not userpass")
	s.Accessor("userpass")
	s.Do("POST", "sys/auth/userpass/tune", map[string]any{"default_lease_ttl": "8h", "max_lease_ttl": "12h", "token_type": "default-service",
		"user_lockout_config": map[string]any{"lockout_threshold": "5", "lockout_duration": "15m", "lockout_counter_reset_duration": "15m"}})
	method := want
	method.MethodID = "00000000-0000-4000-8000-000000000000"
	refused("another method", method, "there is no TOTP method")
	mount := want
	mount.Userpass = "../sys"
	refused("no mount", mount, `"../sys" cannot be part of a path`)
}

// Two enforcements that match one sign-in lock everybody out who has a second
// factor, whichever code they give. Bootstrap stops before that can be.
func TestBootstrapRefusesForeignEnforcements(t *testing.T) {
	w := newWorld(t)
	c, want := w.client, newBootstrap(w.Server)
	bootstrap(t, c, want)
	w.Do("POST", "sys/auth/elsewhere", map[string]any{"type": "userpass"})
	other := w.Do("POST", "identity/mfa/method/totp", map[string]any{"method_name": "other", "issuer": "other"})["method_id"].(string)
	group := w.Do("POST", "identity/group", map[string]any{"name": "staff"})["id"].(string)
	for _, e := range []struct {
		name  string
		body  map[string]any
		words string // "" where it is no danger
	}{
		{"ours-by-group", map[string]any{"mfa_method_ids": []string{w.method}, "identity_group_ids": []string{group}}, "uses the method of peerage"},
		{"ours-elsewhere", map[string]any{"mfa_method_ids": []string{w.method}, "auth_method_accessors": []string{w.Accessor("elsewhere")}}, "uses the method of peerage"},
		{"everybody", map[string]any{"mfa_method_ids": []string{other}, "auth_method_accessors": []string{w.Accessor("userpass")}}, "asks everybody who signs in with a password"},
		{"all-userpass", map[string]any{"mfa_method_ids": []string{other}, "auth_method_types": []string{"userpass"}}, "asks everybody who signs in with a password"},
		{"staff", map[string]any{"mfa_method_ids": []string{other}, "identity_group_ids": []string{group}}, "asks entities or groups"},
		{enforcementPrefix + w.ada, map[string]any{"mfa_method_ids": []string{other}, "identity_entity_ids": []string{w.ada}}, "asks entities or groups"},
		{enforcementPrefix + "elsewhere", map[string]any{"mfa_method_ids": []string{other}, "auth_method_accessors": []string{w.Accessor("elsewhere")}}, ""},
	} {
		w.Do("POST", "identity/mfa/login-enforcement/"+e.name, e.body)
		_, err := c.Bootstrap(t.Context(), want)
		if e.words == "" && err != nil || e.words != "" && (err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q %s", e.name, e.words))) {
			t.Errorf("%s: %v, want %q", e.name, err, e.words)
		}
		w.Do("DELETE", "identity/mfa/login-enforcement/"+e.name, nil)
	}
}

// An AppRole signs in and may do the same; five wrong secrets of somebody who
// knows its id do not lock peerage out.
func TestBootstrapAppRole(t *testing.T) {
	s := baotest.Shared(t)
	c, want := serverClient(t, s), newBootstrap(s)
	want.AppRole = true
	want.Token = s.Token("operator", want.OperatorPolicy())
	want.DryRun = true
	dry := bootstrap(t, c, want)
	want.DryRun = false
	got := bootstrap(t, c, want)
	if diff := cmp.Diff(paths(got.Calls), paths(dry.Calls)); diff != "" {
		t.Errorf("the dry run told something else (-done +told):\n%s", diff)
	}
	if got.Token != "" || got.RoleID == "" || got.SecretID == "" {
		t.Fatalf("the credential is %+v", got)
	}
	for range 7 {
		s.Call("", "POST", "auth/approle/login", map[string]any{"role_id": got.RoleID, "secret_id": "wrong"})
	}
	answer := s.Call("", "POST", "auth/approle/login", map[string]any{"role_id": got.RoleID, "secret_id": got.SecretID})
	if answer.Status != 200 || answer.Auth["lease_duration"] != float64(servicePeriod) {
		t.Errorf("signing in: %d %v %v", answer.Status, answer.Errors, answer.Auth)
	}
	if again := bootstrap(t, c, want); len(again.Calls) != 0 || again.SecretID != "" {
		t.Errorf("the second run changed %v", paths(again.Calls))
	}
}

func TestVersion(t *testing.T) {
	for version, good := range map[string]bool{"2.6.2": true, "2.3.2": true, "v2.10.0": true, "2.4.0-beta20250901": true, "3.0.0": true, "2.3.2+x": true,
		"2.3.1": false, "2.3.2-rc1": false, "2.2.9": false, "1.21.4": false, "": false, "latest": false, "99999999999999999999.1.1": false} {
		if err := checkVersion(version); (err == nil) != good {
			t.Errorf("%q: %v", version, err)
		} else if strings.HasPrefix(version, "2.") && err != nil && !strings.Contains(err.Error(), "CVE-2025-54998") {
			t.Errorf("%q: %v names no reason", version, err)
		}
	}
}

func TestBootstrapOfAServerThatCannotWork(t *testing.T) {
	for reason, health := range map[string]string{
		"CVE-2025-55003":         `{"initialized":true,"version":"2.3.1"}`,
		"sealed":                 `{"initialized":true,"sealed":true,"version":"2.6.2"}`,
		"bao operator init":      `{"initialized":false,"sealed":true,"version":"2.6.2"}`,
		"cannot be read":         `{"initialized":true}`,
		"an answer of another s": `[]`,
	} {
		server := newRecorder(t, nil)
		server.answer = answering(health)
		got, err := newTestClient(t, Config{Address: server.URL}).Bootstrap(t.Context(), Bootstrap{Userpass: "userpass"})
		if err == nil || !strings.Contains(err.Error(), reason) || len(got.Calls) != 0 || len(server.requests()) != 1 {
			t.Errorf("%s: %v, want %q", health, err, reason)
		}
	}
}

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
