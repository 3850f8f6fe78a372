package openbao

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
