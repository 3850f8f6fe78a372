package openbao

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peerage/identity"
)

// Setup is what the settings say of an OpenBao that was bootstrapped.
type Setup struct {
	Credential ServiceCredential
	Userpass   string // mount
	MethodID   string // "" to find it by MethodName
	// MirrorConsents and SigningKey are as in Bootstrap.
	MirrorConsents bool
	SigningKey     KVField
	Engines        Engines
}

// Inspection is what a server that is set up looks like.
type Inspection struct {
	Version  string
	MethodID string
	// Ahead is how far our clock is ahead of the server's, negative when it is
	// behind.
	Ahead time.Duration
	// TTL is how long the service credential lives, 0 for one without an end.
	TTL time.Duration
	// People tells that peerage may administer people.
	People bool
	// SigningKey is the PEM that Setup.SigningKey names: a secret.
	SigningKey string
	// Warnings are lines of what works and should not stay so.
	Warnings []string
}

// bootstrapAgain is what mends most faults.
const bootstrapAgain = "run peerage openbao bootstrap again"

// Inspect repeats the checks of Bootstrap with the service credential, and
// changes nothing. The error has a line for each fault.
func (c *Client) Inspect(ctx context.Context, s Setup) (seen Inspection, err error) {
	if seen.Version, seen.Ahead, err = c.health(ctx); err != nil {
		return seen, err
	}
	faults := []error{checkVersion(seen.Version)}
	token, done, err := c.borrow(ctx, s.Credential)
	if err != nil {
		return seen, errors.Join(append(faults, err)...)
	}
	defer done()
	state, err := c.lookUp(ctx, token)
	switch {
	case errors.Is(err, ErrForbidden):
		err = errors.New("the service credential is wrong or has ended: peerage openbao bootstrap --new-credential makes another")
	case err == nil && slices.Contains(state.Policies, "root"):
		err = errors.New("the service credential is a root token: peerage openbao bootstrap makes one that may only do what peerage needs")
	}
	if err != nil {
		return seen, errors.Join(append(faults, err)...)
	}
	seen.TTL = time.Duration(state.TTL) * time.Second
	if !state.Renewable && state.TTL > 0 {
		seen.Warnings = append(seen.Warnings, "the service credential cannot be renewed: peerage openbao bootstrap --new-credential makes one that can")
	}
	mount, err := c.peopleMount(ctx, token, s.Userpass)
	if err != nil {
		return seen, errors.Join(append(faults, err)...)
	}
	if !mount.tuned() {
		seen.Warnings = append(seen.Warnings, "the mount "+s.Userpass+" has other limits for tokens or wrong passwords than bootstrap sets; "+bootstrapAgain)
	}
	if seen.MethodID, err = c.findMethod(ctx, token, s.MethodID); err != nil {
		return seen, errors.Join(append(faults, err)...)
	}
	lacks, err := c.missing(ctx, token, capabilities(append(serviceRules(s.Userpass, mount.Accessor, "", seen.MethodID), engineRules(s.Engines)...)))
	if err == nil && len(lacks) > 0 {
		err = fmt.Errorf("the service credential lacks %s; %s", strings.Join(lacks, ", "), bootstrapAgain)
	}
	faults = append(faults, err)
	warnings, err := c.inspectEngines(ctx, token, mount.Accessor, s.Engines)
	seen.Warnings = append(seen.Warnings, warnings...)
	faults = append(faults, err)
	lacks, err = c.missing(ctx, token, capabilities(peopleRules(s.Userpass, mount.Accessor, "")))
	seen.People = len(lacks) == 0
	faults = append(faults, err)
	if s.MirrorConsents {
		if lacks, err = c.missing(ctx, token, capabilities(consentsRules())); err == nil && len(lacks) > 0 {
			err = errors.New("the service credential may not mirror consents: run peerage openbao bootstrap --consents")
		}
		faults = append(faults, err)
	}
	if s.SigningKey != (KVField{}) {
		seen.SigningKey, err = c.ReadKV(ctx, token, s.SigningKey)
		faults = append(faults, err)
	}
	all, err := c.enforcements(ctx, token)
	if err == nil {
		err = collisions(all, seen.MethodID, mount.Accessor)
	}
	return seen, errors.Join(append(faults, err)...)
}

// borrow gives the service token; done gives back what an AppRole was given.
func (c *Client) borrow(ctx context.Context, given ServiceCredential) (token string, done func(), err error) {
	if given.Token != "" {
		return given.Token, func() {}, nil
	}
	token, _, err = c.loginAppRole(ctx, given.RoleID, given.SecretID)
	if errors.Is(err, ErrRefused) || errors.Is(err, ErrForbidden) {
		err = errors.New("the AppRole is refused: peerage openbao bootstrap --app-role --new-credential gives it another secret")
	}
	return token, func() { _ = c.revoke(context.WithoutCancel(ctx), token) }, err
}

// peopleMount is what anybody with a right to the mount may know of it.
type peopleMount struct {
	Type     string `json:"type"`
	Accessor string `json:"accessor"`
	Config   struct {
		DefaultTTL int64 `json:"default_lease_ttl"`
		MaxTTL     int64 `json:"max_lease_ttl"`
		Lockout    struct {
			Threshold int64 `json:"user_lockout_threshold"`
			Duration  int64 `json:"user_lockout_duration"`
			Reset     int64 `json:"user_lockout_counter_reset_duration"`
			Disable   bool  `json:"user_lockout_disable"`
		} `json:"user_lockout_config"`
	} `json:"config"`
}

func (m peopleMount) tuned() bool {
	l := m.Config.Lockout
	return m.Config.DefaultTTL == 28800 && m.Config.MaxTTL == 43200 && l.Threshold == 5 && l.Duration == 900 && l.Reset == 900 && !l.Disable
}

// peopleMount reads the mount of people's accounts, or that of tokens, without
// the sudo that sys/auth takes.
func (c *Client) peopleMount(ctx context.Context, token, mount string) (m peopleMount, err error) {
	got, err := c.do(ctx, request{operation: "read_mount", method: "GET", path: at("sys/internal/ui/mounts/auth/{mount}", mount), token: token})
	if err == nil {
		err = got.decode(&m)
	}
	switch {
	case errors.Is(err, ErrForbidden), errors.Is(err, ErrNotFound):
		return m, fmt.Errorf("the mount %s is missing, or the service credential may not use it; %s", mount, bootstrapAgain)
	case err == nil && m.Type != "userpass":
		return m, fmt.Errorf("the mount %s is of type %s and not userpass: correct PEERAGE_BAO_USERPASS", mount, m.Type)
	}
	return m, err
}

// findMethod gives the id of the TOTP method: the one that was configured, or
// that of bootstrap.
func (c *Client) findMethod(ctx context.Context, token, configured string) (id string, err error) {
	names, err := methodNames(c.do(ctx, request{operation: "list_methods", method: "LIST", path: at(totpMethods), token: token}))
	switch {
	case errors.Is(err, ErrForbidden):
		return "", fmt.Errorf("the service credential may not list the TOTP methods; %s", bootstrapAgain)
	case err != nil:
		return "", err
	}
	for _, id := range slices.Sorted(maps.Keys(names)) {
		if id == configured || configured == "" && names[id] == MethodName {
			return id, nil
		}
	}
	if configured != "" {
		return "", fmt.Errorf("there is no TOTP method %s: correct PEERAGE_BAO_MFA_METHOD_ID", configured)
	}
	return "", &Error{Operation: "list_methods", Kind: identity.ErrUnavailable, Reason: "there is no TOTP method " + MethodName + "; " + bootstrapAgain}
}

// capabilities asks for one path of each rule: a wildcard stands for anything.
func capabilities(rules []rule) (list []capability) {
	for _, r := range rules {
		path := strings.ReplaceAll(strings.ReplaceAll(r.path, "+", "x"), "*", "x")
		list = append(list, capability{path, r.capabilities})
	}
	return list
}
