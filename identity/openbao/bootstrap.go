package openbao

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bootstrap is what an operator wants of an OpenBao server.
type Bootstrap struct {
	// Token is the operator's. What it must be allowed is OperatorPolicy.
	Token string
	// Userpass is the mount of people's accounts; made when it is missing.
	Userpass string
	// MethodID is a TOTP method that is there already; "" for one of ours.
	MethodID string
	// Issuer is the name of this installation in authenticators.
	Issuer string
	// AdminGroup is the group of administrators; made when it is missing.
	AdminGroup string
	// People lets peerage make and delete people, and set their passwords.
	People bool
	// MirrorConsents lets peerage write consents into the metadata of entities.
	MirrorConsents bool
	// SigningKey is a field of a KV secret that peerage may read; zero for none.
	SigningKey KVField
	// Engines are what people may use; their roles are there, but that of PKI is
	// made when it is missing.
	Engines Engines
	// AppRole makes the service credential an AppRole, not a periodic token.
	AppRole bool
	// NewCredential makes another service credential although there was one.
	NewCredential bool
	// DryRun changes nothing and tells what would be.
	DryRun bool
}

// Call is one change that was made, or would be.
type Call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   any    `json:"body,omitempty"`
}

// Bootstrapped is what came of it.
type Bootstrapped struct {
	Version  string // of the server
	Calls    []Call // changes, in their order
	MethodID string // "" in a dry run on a server without the method
	// Token, or RoleID and SecretID, is the service credential; it is told this
	// once. Empty when there was one before.
	Token, RoleID, SecretID string
	// What peerage may do since now or before: administer people, mirror
	// consents, read a signing key.
	PeopleGranted, ConsentsGranted, SigningKeyGranted bool
}

// bootstrapping is one run.
type bootstrapping struct {
	*Client
	want          Bootstrap
	out           Bootstrapped
	accessor      string // of the userpass mount
	tokenAccessor string
	signingKey    path // where it is read
}

// Bootstrap sets the server up for peerage. What is there already is left
// alone, so that a second run changes nothing. It stops at the first fault; run
// again, it goes on from there.
func (c *Client) Bootstrap(ctx context.Context, want Bootstrap) (Bootstrapped, error) {
	b := &bootstrapping{Client: c, want: want}
	for _, step := range []func(context.Context) error{b.server, b.rights, b.mount, b.lockout, b.method, b.foreign, b.kv, b.pki, b.policies, b.roles, b.group, b.credential} {
		if err := step(ctx); err != nil {
			return b.out, err
		}
	}
	return b.out, nil
}

// server looks at the server itself.
func (b *bootstrapping) server(ctx context.Context) (err error) {
	if err := CheckMount(b.want.Userpass); err != nil {
		return fmt.Errorf("the mount of people: %w", err)
	}
	if err := b.want.Engines.check(); err != nil {
		return err
	}
	if b.out.Version, _, err = b.health(ctx); err != nil {
		return err
	}
	return checkVersion(b.out.Version)
}

// rights asks before the first change whether the last will be allowed.
func (b *bootstrapping) rights(ctx context.Context) error {
	lacks, err := b.missing(ctx, b.want.Token, b.want.needs())
	if err == nil && len(lacks) > 0 {
		err = fmt.Errorf("the operator's token lacks: %s", strings.Join(lacks, ", "))
	}
	return err
}

// read reads a path; false: there is nothing.
func (b *bootstrapping) read(ctx context.Context, method string, p path, into any) (bool, error) {
	got, err := b.do(ctx, request{operation: "bootstrap", method: method, path: p, token: b.want.Token})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = got.decode(into)
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", p.text, told(err))
	}
	return true, nil
}

// change writes, or tells in a dry run what would be written.
func (b *bootstrapping) change(ctx context.Context, method string, p path, body any) (answer, error) {
	b.out.Calls = append(b.out.Calls, Call{method, p.text, body})
	if b.want.DryRun {
		return answer{}, nil
	}
	got, err := b.do(ctx, request{operation: "bootstrap", method: method, path: p, token: b.want.Token, body: body})
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, p.text, told(err))
	}
	return got, nil
}

// told adds the server's own words, which the operator needs: nothing that was
// sent here is a secret.
func told(err error) error {
	var fault *Error
	if errors.As(err, &fault) && len(fault.said) > 0 {
		return fmt.Errorf("%w: %s", err, strings.Join(strings.Fields(strings.Join(fault.said, " ")), " "))
	}
	return err
}

// holds tells whether all that is wanted is so.
func holds(is, want map[string]any) bool {
	for name, value := range want {
		a, err := json.Marshal(value)
		if err != nil {
			return false
		}
		if has, err := json.Marshal(is[name]); err != nil || string(a) != string(has) {
			return false
		}
	}
	return true
}

type mountState struct {
	Type     string `json:"type"`
	Accessor string `json:"accessor"`
}

// mounted finds an auth mount; false: there is none.
func (b *bootstrapping) mounted(ctx context.Context, mount string) (state mountState, found bool, err error) {
	found, err = b.read(ctx, "GET", at("sys/auth/{mount}", mount), &state)
	return state, found, err
}

// mount makes the mount of people's accounts.
func (b *bootstrapping) mount(ctx context.Context) error {
	state, found, err := b.mounted(ctx, b.want.Userpass)
	if err != nil {
		return err
	}
	if !found {
		if _, err = b.change(ctx, "POST", at("sys/auth/{mount}", b.want.Userpass), map[string]any{"type": "userpass", "description": "People of peerage"}); err != nil {
			return err
		}
		if b.want.DryRun {
			state = mountState{"userpass", "ACCESSOR-OF-" + b.want.Userpass}
		} else if state, _, err = b.mounted(ctx, b.want.Userpass); err != nil {
			return err
		}
	}
	if state.Type != "userpass" {
		return fmt.Errorf("the mount %s is of type %s and not userpass: name another by PEERAGE_BAO_USERPASS", b.want.Userpass, state.Type)
	}
	b.accessor = state.Accessor
	tokens, _, err := b.mounted(ctx, "token")
	b.tokenAccessor = tokens.Accessor
	return err
}

// lockout bounds tokens, which would live for 32 days, and password guessing.
func (b *bootstrapping) lockout(ctx context.Context) error {
	is := map[string]any{}
	p := at("sys/auth/{mount}/tune", b.want.Userpass)
	if _, err := b.read(ctx, "GET", p, &is); err != nil {
		return err
	}
	if holds(is, map[string]any{"default_lease_ttl": 28800, "max_lease_ttl": 43200, "token_type": "default-service",
		"user_lockout_threshold": 5, "user_lockout_duration": 900, "user_lockout_counter_reset_duration": 900, "user_lockout_disable": false}) {
		return nil
	}
	// The names of the lockout are others here than in the answer; one that
	// the server does not know is ignored without a word.
	_, err := b.change(ctx, "POST", p, map[string]any{"default_lease_ttl": "8h", "max_lease_ttl": "12h", "token_type": "default-service",
		"user_lockout_config": map[string]any{"lockout_threshold": "5", "lockout_duration": "15m", "lockout_counter_reset_duration": "15m", "lockout_disable": false}})
	return err
}

// method finds the TOTP method, or makes it.
func (b *bootstrapping) method(ctx context.Context) error {
	var list struct {
		KeyInfo map[string]map[string]any `json:"key_info"`
	}
	if _, err := b.read(ctx, "LIST", at(totpMethods), &list); err != nil {
		return err
	}
	if b.want.MethodID != "" {
		if list.KeyInfo[b.want.MethodID] == nil {
			return fmt.Errorf("there is no TOTP method %s: correct PEERAGE_BAO_MFA_METHOD_ID, or leave it out for one of ours", b.want.MethodID)
		}
		b.out.MethodID = b.want.MethodID
		return nil
	}
	want := map[string]any{"issuer": b.want.Issuer, "period": 30, "digits": 6, "algorithm": "SHA1", "skew": 1, "key_size": 20, "qr_size": 0, "max_validation_attempts": 5}
	for id, is := range list.KeyInfo {
		if is["name"] == MethodName {
			b.out.MethodID = id
			if holds(is, want) {
				return nil
			}
		}
	}
	want["method_name"] = MethodName
	got, err := b.change(ctx, "POST", at(totpMethods), want)
	if err != nil || b.want.DryRun {
		return err
	}
	var made struct {
		ID string `json:"method_id"`
	}
	if err := got.decode(&made); err != nil {
		return err
	}
	b.out.MethodID = made.ID
	return nil
}

// foreign refuses to go on where nobody with a second factor could come in.
func (b *bootstrapping) foreign(ctx context.Context) error {
	all, err := b.enforcements(ctx, b.want.Token)
	if err != nil {
		return err
	}
	return collisions(all, b.out.MethodID, b.accessor)
}

// kv finds the engine that holds the signing key.
func (b *bootstrapping) kv(ctx context.Context) error {
	if b.want.SigningKey == (KVField{}) {
		return nil
	}
	var all map[string]kvMount
	if _, err := b.read(ctx, "GET", at("sys/mounts"), &all); err != nil {
		return err
	}
	var found kvMount
	for mount, state := range all {
		// Of two, the one that is mounted below the other.
		if strings.HasPrefix(b.want.SigningKey.Path+"/", mount) && len(mount) > len(found.Path) {
			found = state
			found.Path = mount
		}
	}
	b.signingKey = found.read(b.want.SigningKey)
	return b.signingKey.err
}

// policies writes what peerage, people and API tokens may do.
func (b *bootstrapping) policies(ctx context.Context) error {
	method := b.out.MethodID
	if method == "" {
		method = "ID-OF-METHOD-" + MethodName
	}
	wanted := map[string]string{
		policyService:    servicePolicy(b.want.Userpass, b.accessor, b.tokenAccessor, method, b.want.Engines),
		policyUser:       userPolicy(b.want.Userpass, b.accessor, b.want.Engines),
		policyAPI:        apiPolicy,
		policyPeople:     peoplePolicy(b.want.Userpass, b.accessor, b.tokenAccessor),
		policyConsents:   consentsPolicy(),
		policySigningKey: signingKeyPolicy(b.signingKey),
	}
	// These are the operator's to grant; what was granted before stays.
	asked := map[string]bool{policyPeople: b.want.People, policyConsents: b.want.MirrorConsents, policySigningKey: b.signingKey.text != ""}
	granted := map[string]*bool{policyPeople: &b.out.PeopleGranted, policyConsents: &b.out.ConsentsGranted, policySigningKey: &b.out.SigningKeyGranted}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		var is struct {
			Policy string `json:"policy"`
		}
		found, err := b.read(ctx, "GET", at("sys/policies/acl/{}", name), &is)
		if err != nil {
			return err
		}
		if told := granted[name]; told != nil {
			if *told = found || asked[name]; !*told {
				continue
			}
		}
		// The text of the two is not known here, or the operator's.
		if found && (is.Policy == wanted[name] || name == policyAPI || name == policySigningKey && !asked[name]) {
			continue
		}
		if _, err := b.change(ctx, "PUT", at("sys/policies/acl/{}", name), map[string]string{"policy": wanted[name]}); err != nil {
			return err
		}
	}
	return nil
}

// group makes the group of administrators and never touches its members.
func (b *bootstrapping) group(ctx context.Context) error {
	var list struct {
		KeyInfo map[string]struct {
			Name string `json:"name"`
		} `json:"key_info"`
	}
	if _, err := b.read(ctx, "LIST", at("identity/group/id"), &list); err != nil {
		return err
	}
	for _, g := range list.KeyInfo {
		if g.Name == b.want.AdminGroup {
			return nil
		}
	}
	_, err := b.change(ctx, "POST", at("identity/group"), map[string]string{"name": b.want.AdminGroup, "type": "internal"})
	return err
}
