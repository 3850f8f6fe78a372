package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peerage/identity/openbao/baotest"
)

// operator runs commands against a fresh OpenBao, as an operator with the
// least token.
type operator struct {
	t   *testing.T
	bao *baotest.Server
	env []string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	s := baotest.Shared(t)
	return &operator{t, s, []string{"BAO_ADDR=" + s.Addr, "BAO_NAMESPACE=" + s.Namespace, "PEERAGE_ISSUER=https://id.example.net",
		"PEERAGE_SECRET_KEY=" + testSecretKey, "PEERAGE_DATABASE=" + filepath.Join(t.TempDir(), "peerage.db")}}
}

// run runs a command that must end with a code, and returns what it printed.
func (o *operator) run(want int, args ...string) (stdout, stderr string) {
	o.t.Helper()
	var out, faults bytes.Buffer
	if code := run(o.t.Context(), args, strings.NewReader(""), &out, &faults, o.env); code != want {
		o.t.Fatalf("peerage %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), faults.String())
	}
	return out.String(), faults.String()
}

func (o *operator) wants(text string, words ...string) {
	o.t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			o.t.Errorf("%q is missing in:\n%s", w, text)
		}
	}
}

// An operator sets a server up: what they need themselves, what would be done,
// doing it, and that it was done.
func TestOpenBaoBootstrap(t *testing.T) {
	o := newOperator(t)
	_, faults := o.run(2, "openbao", "bootstrap")
	o.wants(faults, "BAO_TOKEN: is required")
	policy, _ := o.run(0, "openbao", "bootstrap", "--operator-policy")
	o.env = append(o.env, "BAO_TOKEN="+o.bao.Token("operator", policy))

	text, _ := o.run(0, "openbao", "bootstrap", "--dry-run")
	o.wants(text, "PUT sys/policies/acl/portal-service\n    # What peerage may do.", `    path "identity/entity/id/+" {`, "nothing was changed; without --dry-run these calls are made")
	if strings.Contains(text, "PEERAGE_BAO_TOKEN=") {
		t.Error("the dry run made a credential")
	}
	text, _ = o.run(0, "openbao", "bootstrap", "--json")
	var made bootstrapJSON
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.Token == "" || made.MethodID == "" || made.DryRun || len(made.Calls) != 10 {
		t.Fatalf("bootstrap printed %s (%v)", text, err)
	}
	text, _ = o.run(0, "openbao", "bootstrap")
	o.wants(text, "nothing had to be changed", "TOTP method "+made.MethodID, "peerage may not make or delete people")
	if strings.Contains(text, "PEERAGE_BAO_TOKEN=") {
		t.Error("the second run made another credential")
	}
	text, _ = o.run(0, "openbao", "bootstrap", "--json")
	if want := `{"mfa_method_id":"` + made.MethodID + `","dry_run":false,"calls":[]}` + "\n"; text != want {
		t.Errorf("the second run printed %s, want %s", text, want)
	}

	// The check says so too; it reads no token of an operator.
	o.run(0, "migrate")
	text, _ = o.run(1, "check")
	o.wants(text, "there is no service credential")
	o.env = append(o.env, "PEERAGE_BAO_TOKEN="+made.Token)
	text, _ = o.run(0, "check")
	o.wants(text, "version 2.6.2; the service credential lives 24h0m0s without renewal and may not make or delete people")
	o.wants(text, "PEERAGE_BAO_EMAIL_VERIFIED=true", "agrees with OpenBao's")
	o.env = append(o.env, "PEERAGE_BAO_EMAIL_VERIFIED=true")
	text, _ = o.run(0, "check")
	if strings.Contains(text, "email_verified") {
		t.Errorf("the operator vouches, and the check says:\n%s", text)
	}
	o.bao.Do("PUT", "sys/policies/acl/portal-service", map[string]any{"policy": `path "identity/mfa/method/totp" { capabilities = ["list"] }`})
	text, _ = o.run(1, "check")
	o.wants(text, "failed", "run peerage openbao bootstrap again")
}

func TestCheckTellsWhichClockIsAhead(t *testing.T) {
	for ahead, want := range map[time.Duration]finding{
		5 * time.Second:   {"clock", "ok", "agrees with OpenBao's"},
		31 * time.Second:  {"clock", "failed", "31s ahead of OpenBao's"},
		-90 * time.Second: {"clock", "failed", "1m30s behind OpenBao's"},
	} {
		got := checkAhead(ahead)
		if got.Name != want.Name || got.Word != want.Word || !strings.Contains(got.Text, want.Text) {
			t.Errorf("%s ahead: %+v, want %+v", ahead, got, want)
		}
	}
}

func TestOpenBaoBootstrapAppRoleAndPeople(t *testing.T) {
	o := newOperator(t)
	policy, _ := o.run(0, "openbao", "bootstrap", "--operator-policy", "--app-role")
	o.env = append(o.env, "BAO_TOKEN="+o.bao.Token("operator", policy))
	text, _ := o.run(0, "openbao", "bootstrap", "--app-role", "--people", "--json")
	var made bootstrapJSON
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.Token != "" || made.RoleID == "" || made.SecretID == "" {
		t.Fatalf("bootstrap printed %s (%v)", text, err)
	}
	text, _ = o.run(0, "openbao", "bootstrap", "--app-role", "--new-credential")
	o.wants(text, "POST auth/approle/role/portal-service/secret-id", "PEERAGE_BAO_ROLE_ID="+made.RoleID, "PEERAGE_BAO_SECRET_ID=", "as granted before")
	o.env = append(o.env, "PEERAGE_BAO_ROLE_ID="+made.RoleID, "PEERAGE_BAO_SECRET_ID="+made.SecretID)
	o.run(0, "migrate")
	text, _ = o.run(0, "check")
	o.wants(text, "may make and delete people")
	o.bao.Do("POST", "identity/mfa/login-enforcement/everybody", map[string]any{"mfa_method_ids": []string{made.MethodID}, "auth_method_types": []string{"userpass"}})
	_, faults := o.run(1, "openbao", "bootstrap", "--app-role")
	o.wants(faults, `the login enforcement "everybody" uses the method of peerage`)
}
