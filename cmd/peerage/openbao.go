package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/idp"
)

type openbaoCommands struct {
	Bootstrap openbaoBootstrapCommand `cmd:"" help:"Set the server up: the operator's token in BAO_TOKEN, the server in BAO_ADDR. A second run changes nothing."`
}

type openbaoBootstrapCommand struct {
	DryRun         bool   `help:"Print the calls and the policies, and change nothing."`
	People         bool   `help:"Let peerage make and delete people too, and set their passwords."`
	Consents       bool   `help:"Let peerage write people's consents into their entities (PEERAGE_BAO_MIRROR_CONSENTS)."`
	SigningKeyFrom string `name:"signing-key-from" placeholder:"bao:MOUNT/PATH#FIELD" help:"Let peerage read this secret of a KV engine, and no other: its signing key. PEERAGE_SIGNING_KEY says the same."`
	AppRole        bool   `help:"Make the service credential an AppRole and not a token."`
	NewCredential  bool   `help:"Make another service credential although there was one."`
	OperatorPolicy bool   `help:"Print the policy that the operator's token needs for this, and ask no server."`
	JSON           bool   `name:"json" help:"Print one JSON object."`
}

// bootstrapJSON is what scripts read.
type bootstrapJSON struct {
	Token    string         `json:"token,omitempty"`
	RoleID   string         `json:"role_id,omitempty"`
	SecretID string         `json:"secret_id,omitempty"`
	MethodID string         `json:"mfa_method_id"`
	DryRun   bool           `json:"dry_run"`
	Calls    []openbao.Call `json:"calls"`
}

// Run sets the server up, or tells what it would do.
func (c openbaoBootstrapCommand) Run(ctx context.Context, p *program) error {
	s, err := p.settings()
	if err != nil {
		return err
	}
	want := openbao.Bootstrap{Userpass: s.BaoUserpass, MethodID: s.BaoMFAMethodID, Issuer: s.BrandName, AdminGroup: s.AdminGroup,
		People: c.People, MirrorConsents: c.Consents, AppRole: c.AppRole, NewCredential: c.NewCredential, DryRun: c.DryRun}
	if want.Engines, err = s.engines(); err != nil {
		return err
	}
	if c.SigningKeyFrom == "" && openbao.IsKVField(string(s.SigningKey)) {
		c.SigningKeyFrom = string(s.SigningKey)
	}
	if c.SigningKeyFrom != "" {
		if want.SigningKey, err = openbao.ParseKVField(c.SigningKeyFrom); err != nil {
			return usagef("--signing-key-from: %w", err)
		}
	}
	if c.OperatorPolicy {
		_, err := io.WriteString(p.stdout, want.OperatorPolicy())
		return err
	}
	if s.BaoAddr == "" {
		return settingFaults{errors.New("BAO_ADDR: is required")}
	}
	if want.Token = p.variable("BAO_TOKEN"); want.Token == "" {
		return settingFaults{errors.New("BAO_TOKEN: is required: the operator's token, whose policy peerage openbao bootstrap --operator-policy prints")}
	}
	client, err := s.openBaoClient()
	if err != nil {
		return err
	}
	out, err := client.Bootstrap(ctx, want)
	if c.JSON && err == nil {
		return printJSON(p.stdout, bootstrapJSON{out.Token, out.RoleID, out.SecretID, out.MethodID, c.DryRun, append([]openbao.Call{}, out.Calls...)})
	}
	if !c.JSON {
		c.print(p.stdout, s, out, err)
	} else if len(out.Calls) > 0 {
		fmt.Fprintf(p.stderr, "peerage: %d calls before this one were done; the next run goes on from there\n", len(out.Calls)-1)
	}
	if err != nil && out.Version == "" && errors.Is(err, identity.ErrUnavailable) {
		return fmt.Errorf("setting OpenBao up: %w%s", err, s.whereOpenBao())
	}
	if err != nil {
		return fmt.Errorf("setting OpenBao up: %w", err)
	}
	return nil
}

// whereOpenBao is what to look at when OpenBao does not answer.
func (s Settings) whereOpenBao() string {
	return "; look at BAO_ADDR (" + s.BaoAddr + "), at BAO_CACERT, and whether OpenBao runs"
}

// variable is a variable of the environment that is no setting.
func (p *program) variable(name string) string {
	for _, pair := range p.environ {
		if found, value, _ := strings.Cut(pair, "="); found == name {
			return value
		}
	}
	return ""
}

// print tells people what was done, and what to do next.
func (c openbaoBootstrapCommand) print(w io.Writer, s Settings, out openbao.Bootstrapped, err error) {
	if out.Version != "" {
		fmt.Fprintf(w, "OpenBao %s at %s\n", out.Version, s.BaoAddr)
	}
	for _, call := range out.Calls {
		fmt.Fprintf(w, "%s %s\n", call.Method, call.Path)
		if c.DryRun {
			printCallBody(w, call.Body)
		}
	}
	switch {
	case err != nil:
		return
	case c.DryRun && len(out.Calls) == 0:
		fmt.Fprintln(w, "nothing would be changed")
		return
	case c.DryRun:
		fmt.Fprintln(w, "nothing was changed; without --dry-run these calls are made")
		return
	case len(out.Calls) == 0:
		fmt.Fprintln(w, "nothing had to be changed; --new-credential makes another service credential")
	}
	fmt.Fprintf(w, "TOTP method %s\n", out.MethodID)
	if !out.PeopleGranted {
		fmt.Fprintln(w, "peerage may not make or delete people; bootstrap --people allows it")
	} else if !c.People {
		fmt.Fprintln(w, "peerage may make and delete people, as granted before; bao policy delete portal-people takes it back")
	}
	if out.ConsentsGranted {
		fmt.Fprintln(w, "peerage may write consents into entities; bao policy delete portal-consents takes it back")
	}
	if out.SigningKeyGranted {
		fmt.Fprintln(w, "peerage may read a signing key; bao policy delete portal-signing-key takes it back")
	}
	if out.Token != "" || out.SecretID != "" {
		fmt.Fprintln(w, "The service credential, shown this once:")
	}
	if out.Token != "" {
		fmt.Fprintf(w, "PEERAGE_BAO_TOKEN=%s\n", out.Token)
	}
	if out.SecretID != "" {
		fmt.Fprintf(w, "PEERAGE_BAO_ROLE_ID=%s\nPEERAGE_BAO_SECRET_ID=%s\n", out.RoleID, out.SecretID)
	}
}

// printCallBody writes a policy as it is, and everything else as JSON.
func printCallBody(w io.Writer, body any) {
	if policy, ok := body.(map[string]string); ok && policy["policy"] != "" {
		for line := range strings.SplitSeq(strings.TrimRight(policy["policy"], "\n"), "\n") {
			fmt.Fprintln(w, strings.TrimRight("    "+line, " "))
		}
		return
	}
	if body == nil {
		return
	}
	if text, err := json.Marshal(body); err == nil {
		fmt.Fprintf(w, "    %s\n", text)
	}
}

// checkOpenBao repeats the checks of bootstrap with the service credential.
func checkOpenBao(ctx context.Context, s Settings) []finding {
	if s.BaoAddr == "" {
		return []finding{{"openbao", readyOff, "BAO_ADDR is not set"}}
	}
	if !s.hasBaoCredential() {
		return []finding{{"openbao", "failed", "there is no service credential; peerage openbao bootstrap makes one, PEERAGE_BAO_TOKEN takes it"}}
	}
	client, err := s.openBaoClient()
	if err != nil {
		return []finding{{"openbao", "failed", err.Error()}}
	}
	setup := openbao.Setup{Userpass: s.BaoUserpass, MethodID: s.BaoMFAMethodID, Credential: s.baoCredential(), MirrorConsents: s.BaoMirrorConsents}
	if setup.Engines, err = s.engines(); err != nil {
		return []finding{{"openbao", "failed", err.Error()}}
	}
	if openbao.IsKVField(string(s.SigningKey)) {
		if setup.SigningKey, err = openbao.ParseKVField(string(s.SigningKey)); err != nil {
			return []finding{{"openbao", "failed", "PEERAGE_SIGNING_KEY: " + err.Error()}}
		}
	}
	seen, err := client.Inspect(ctx, setup)
	if err == nil && seen.SigningKey != "" {
		if _, wrong := idp.ParsePrivateKey([]byte(seen.SigningKey)); wrong != nil {
			err = fmt.Errorf("%s: %w", setup.SigningKey, wrong)
		}
	}
	var findings []finding
	if seen.Version != "" {
		findings = append(findings, checkAhead(seen.Ahead))
	}
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if seen.Version == "" && errors.Is(err, identity.ErrUnavailable) {
				line += s.whereOpenBao()
			}
			findings = append(findings, finding{"openbao", "failed", line})
		}
		return findings
	}
	people := "may not make or delete people"
	if seen.People {
		people = "may make and delete people"
	}
	life := "has no end"
	if seen.TTL > 0 {
		life = "lives " + seen.TTL.Round(time.Minute).String() + " without renewal"
	}
	findings = append(findings, finding{"openbao", readyOK, fmt.Sprintf("%s, version %s; the service credential %s and %s", s.BaoAddr, seen.Version, life, people)})
	if inClear(s.BaoAddr) {
		seen.Warnings = append(seen.Warnings, "passwords travel in clear unless the network encrypts; give BAO_ADDR an https address")
	}
	if s.Backend == backendOpenBao && !s.BaoEmailVerified {
		seen.Warnings = append(seen.Warnings, "applications are told email_verified: false of everybody, and oauth2-proxy and others refuse such people; where you vouch for the addresses in OpenBao, set PEERAGE_BAO_EMAIL_VERIFIED=true")
	}
	for _, warning := range seen.Warnings {
		findings = append(findings, finding{"openbao", "warning", warning})
	}
	return findings
}

// checkAhead compares our clock with OpenBao's, which checks the codes of
// sign-ins, as ours does those of enrolments.
func checkAhead(ahead time.Duration) finding {
	if ahead.Abs() <= maxSkew {
		return finding{"clock", readyOK, "agrees with OpenBao's"}
	}
	how := "ahead of"
	if ahead < 0 {
		how = "behind"
	}
	return finding{"clock", "failed", fmt.Sprintf("the clock of this machine is %s %s OpenBao's, so that right codes are refused; set the clocks of both (NTP)", ahead.Abs().Round(time.Second), how)}
}
