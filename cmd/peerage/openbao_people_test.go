package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"peerage/identity/openbao/baotest"
)

const aPassword = "correct horse battery staple"

// newAdministrator is an operator whose OpenBao is set up, with the credential
// that bootstrap gave.
func newAdministrator(t *testing.T, bootstrap ...string) *operator {
	t.Helper()
	o := newOperator(t)
	policy, _ := o.run(0, "openbao", "bootstrap", "--operator-policy")
	before := o.env
	o.env = append(o.env, "BAO_TOKEN="+o.bao.Token("operator", policy))
	text, _ := o.run(0, append([]string{"openbao", "bootstrap", "--json"}, bootstrap...)...)
	var made bootstrapJSON
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.Token == "" {
		t.Fatalf("bootstrap printed %s (%v)", text, err)
	}
	o.env = append(before, "PEERAGE_BAO_TOKEN="+made.Token, "PEERAGE_BAO_MFA_METHOD_ID="+made.MethodID)
	o.run(0, "migrate")
	return o
}

// typing runs a command with something on standard input.
func (o *operator) typing(want int, input string, args ...string) (stdout, stderr string) {
	o.t.Helper()
	var out, faults bytes.Buffer
	if code := run(o.t.Context(), args, strings.NewReader(input), &out, &faults, o.env); code != want {
		o.t.Fatalf("peerage %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out.String(), faults.String())
	}
	return out.String(), faults.String()
}

// show is a person as the command line shows them.
func (o *operator) show(name string) (u userJSON) {
	o.t.Helper()
	text, _ := o.run(0, "user", "show", name, "--json")
	if err := json.Unmarshal([]byte(text), &u); err != nil {
		o.t.Fatalf("%v\n%s", err, text)
	}
	return u
}

// signsIn tells how OpenBao itself answers a password.
func (o *operator) signsIn(name, password string) int {
	return o.bao.Call("", "POST", "auth/userpass/login/"+name, map[string]any{"password": password}).Status
}

// The life of somebody in OpenBao, from the command line.
func TestPeopleOfOpenBao(t *testing.T) {
	o := newAdministrator(t, "--people")
	o.run(0, "group", "create", "noc")
	o.typing(0, aPassword+"\n", "user", "create", "ada", "--name", "Ada Example", "--email", "ada@example.net", "--email-verified", "--group", "noc", "--password-stdin")
	u := o.show("ada")
	if u.Origin != "openbao" || u.Name != "Ada Example" || !u.EmailVerified || len(u.Groups) != 1 || o.signsIn("ada", aPassword) != 200 {
		t.Errorf("the new person is %+v", u)
	}
	_, faults := o.typing(1, aPassword+"\n", "user", "create", "ADA", "--password-stdin")
	o.wants(faults, `the user name "ada" is taken`)

	o.run(0, "user", "edit", "ada", "--name", "Ada Lovelace", "--email", "ada@example.org")
	entity := o.bao.Do("GET", "identity/entity/id/"+u.Sub, nil)
	if m := entity["metadata"].(map[string]any); m["name"] != "Ada Lovelace" || m["email"] != "ada@example.org" {
		t.Errorf("OpenBao has %v", m)
	}
	o.run(0, "user", "disable", "ada")
	if u = o.show("ada"); !u.Disabled || o.signsIn("ada", aPassword) != 403 {
		t.Errorf("disabled, the person is %+v", u)
	}
	o.run(0, "user", "enable", "ada")
	o.typing(0, "another horse battery staple\n", "user", "password", "ada", "--password-stdin")
	if u = o.show("ada"); u.Disabled || o.signsIn("ada", "another horse battery staple") != 200 {
		t.Errorf("enabled, with a new password, the person is %+v", u)
	}
	for range 5 {
		o.signsIn("ada", "wrong")
	}
	if o.signsIn("ada", "another horse battery staple") != 403 {
		t.Error("OpenBao does not lock")
	}
	o.run(0, "user", "unlock", "ada")
	if o.signsIn("ada", "another horse battery staple") != 200 {
		t.Error("unlock does not reach OpenBao")
	}
	o.run(0, "user", "delete", "ada")
	_, faults = o.run(1, "user", "show", "ada")
	o.wants(faults, "there is nobody called")
	if o.bao.Ask("GET", "identity/entity/id/"+u.Sub, nil).Status != 404 || o.bao.Ask("GET", "auth/userpass/users/ada", nil).Status != 404 {
		t.Error("OpenBao still has them")
	}
}

// Somebody who has an account and a second factor from before, and never signed
// in here, is found, and helped when the factor is lost.
func TestSecondFactorFromBeforeIsReset(t *testing.T) {
	o := newAdministrator(t)
	id := o.bao.Add(baotest.Person{Name: "bob", Metadata: map[string]string{"name": "Bob"}})
	method := strings.TrimPrefix(o.env[len(o.env)-1], "PEERAGE_BAO_MFA_METHOD_ID=")
	o.bao.EnrolTOTP(method, id)
	if u := o.show("bob"); u.Sub != id || !u.TOTP || u.Name != "Bob" {
		t.Errorf("bob is %+v", u)
	}
	text, _ := o.run(0, "user", "reset-mfa", "bob", "--json")
	o.wants(text, "https://id.example.net/recover/")
	if o.show("bob").TOTP || o.signsIn("bob", baotest.DefaultPassword) != 200 {
		t.Error("the factor is still asked for")
	}
	// What bootstrap --people would grant is refused, and changes nothing.
	for _, args := range [][]string{{"user", "disable", "bob"}, {"user", "delete", "bob"}, {"user", "recovery-link", "bob"}, {"user", "invite", "eve"}, {"user", "edit", "bob", "--name", "Robert"}} {
		_, faults := o.run(1, args...)
		o.wants(faults, "peerage openbao bootstrap --people allows it")
	}
	if u := o.show("bob"); u.Disabled || u.Name != "Bob" {
		t.Error("bob was changed all the same")
	}
	_, faults := o.run(1, "user", "show", "eve")
	o.wants(faults, "there is nobody called")
}

// A local person beside OpenBao has a name that nobody has there, and is a way
// in while it is away; who is made then might take a name from somebody.
func TestLocalPersonBesideOpenBao(t *testing.T) {
	o := newAdministrator(t)
	o.bao.Add(baotest.Person{Name: "carol"})
	_, faults := o.typing(1, aPassword+"\n", "user", "create", "carol", "--local", "--password-stdin")
	o.wants(faults, `the user name "carol" is taken`)
	text, _ := o.typing(0, aPassword+"\n", "user", "create", "root-ada", "--local", "--group", "admins", "--password-stdin")
	o.wants(text, "led to enrol a second factor")
	if u := o.show("root-ada"); u.Origin != "local" {
		t.Errorf("the local person is %+v", u)
	}
	text, _ = o.run(0, "check")
	o.wants(text, "somebody is in the group admins")

	o.show("carol") // so that she is known here
	away := o.env
	o.env = append(o.env, "BAO_ADDR=http://127.0.0.1:9")
	begun := time.Now()
	text, faults = o.run(0, "user", "list")
	o.wants(text, "root-ada", "carol")
	o.wants(faults, "OpenBao does not answer")
	if taken := time.Since(begun); taken > 5*time.Second {
		t.Errorf("a list without OpenBao takes %v", taken)
	}
	_, faults = o.typing(1, aPassword+"\n", "user", "create", "dave", "--local", "--password-stdin")
	o.wants(faults, "unavailable")
	o.env = away
	_, faults = o.run(1, "user", "show", "dave")
	o.wants(faults, "there is nobody called")
}
