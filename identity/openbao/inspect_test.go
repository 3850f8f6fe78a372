package openbao

import (
	"strings"
	"testing"
	"time"

	"peerage/identity/openbao/baotest"
)

// What bootstrap left is found good, with both kinds of credential; what was
// changed since is told with what to do.
func TestInspect(t *testing.T) {
	s := newService(t, false)
	setup := Setup{Credential: ServiceCredential{Token: s.token}, Userpass: "userpass"}
	seen, err := s.client.Inspect(t.Context(), setup)
	if err != nil || seen.Version != "2.6.2" || seen.MethodID != s.method || seen.TTL < 23*time.Hour || seen.People || len(seen.Warnings) != 0 {
		t.Fatalf("it looks like %+v, %v", seen, err)
	}
	want := newBootstrap(s.Server)
	want.AppRole, want.People = true, true
	want.Token = s.Token("operator", want.OperatorPolicy())
	made := bootstrap(t, s.client, want)
	seen, err = s.client.Inspect(t.Context(), Setup{Credential: ServiceCredential{RoleID: made.RoleID, SecretID: made.SecretID}, Userpass: "userpass"})
	if err != nil || !seen.People {
		t.Errorf("by AppRole it looks like %+v, %v", seen, err)
	}

	fault := func(name string, setup Setup, words string) {
		t.Helper()
		if _, err := s.client.Inspect(t.Context(), setup); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", name, err, words)
		}
	}
	other := setup
	other.Credential.Token = "s.nonsense"
	fault("no token", other, "bootstrap --new-credential")
	other.Credential = ServiceCredential{RoleID: made.RoleID, SecretID: "wrong"}
	fault("no secret", other, "the AppRole is refused")
	other = setup
	other.Userpass = "nowhere"
	fault("no mount", other, "the mount nowhere is missing")
	other.Userpass = "token"
	fault("another mount", other, "and not userpass")
	other = setup
	other.MethodID = "00000000-0000-4000-8000-000000000000"
	fault("no method", other, "correct PEERAGE_BAO_MFA_METHOD_ID")
	other = setup
	other.Credential.Token = s.Token("greedy", `path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }`)
	if seen, err := s.client.Inspect(t.Context(), other); err != nil || seen.TTL == 0 {
		t.Errorf("an operator's token: %+v, %v", seen, err)
	}

	s.Do("POST", "sys/auth/userpass/tune", map[string]any{"max_lease_ttl": "100h"})
	if seen, err := s.client.Inspect(t.Context(), setup); err != nil || len(seen.Warnings) != 1 {
		t.Errorf("with longer tokens: %+v, %v", seen, err)
	}
	s.Do("POST", "identity/mfa/login-enforcement/everybody", map[string]any{"mfa_method_ids": []string{s.method}, "auth_method_types": []string{"userpass"}})
	fault("two enforcements", setup, `the login enforcement "everybody" uses the method of peerage`)
	s.Do("DELETE", "identity/mfa/login-enforcement/everybody", nil)
	policy := servicePolicy("userpass", s.Accessor("userpass"), s.Accessor("token"), s.method, Engines{})
	s.Do("PUT", "sys/policies/acl/portal-service", map[string]any{"policy": strings.Replace(policy, `path "identity/group/id"`, `path "identity/nothing"`, 1)})
	fault("a right is missing", setup, "lacks list on identity/group/id")
}

// Codes are checked by two clocks, which must agree.
func TestInspectComparesClocks(t *testing.T) {
	bao := baotest.Shared(t)
	for off, want := range map[time.Duration]bool{0: true, time.Minute: false, -time.Minute: false} {
		c := newTestClient(t, Config{Address: bao.Addr, Namespace: bao.Namespace, Now: func() time.Time { return time.Now().Add(off) }})
		seen, _ := c.Inspect(t.Context(), Setup{Credential: ServiceCredential{Token: "s.nonsense"}, Userpass: "userpass"})
		if agrees := seen.Ahead == 0; agrees != want || (seen.Ahead-off).Abs() > 2*time.Second {
			t.Errorf("a clock that is off by %s is found off by %s", off, seen.Ahead)
		}
	}
}
