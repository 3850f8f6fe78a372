package openbao

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// pkiRole is what matters to us of a role of the PKI engine.
type pkiRole struct {
	AnyName    bool     `json:"allow_any_name"`
	Globs      bool     `json:"allow_glob_domains"`
	Subdomains bool     `json:"allow_subdomains"`
	Template   bool     `json:"allowed_domains_template"`
	Domains    []string `json:"allowed_domains"`
	Localhost  bool     `json:"allow_localhost"`
	IPs        bool     `json:"allow_ip_sans"`
	Server     bool     `json:"server_flag"`
	NoStore    bool     `json:"no_store"`
	KeyType    string   `json:"key_type"`
	KeyBits    int      `json:"key_bits"`
}

// ownName is how a role names whoever asks: by their user name of the mount
// with that accessor.
func ownName(accessor string) string { return "{{identity.entity.aliases." + accessor + ".name}}" }

// newPKIRole is the role that bootstrap makes: client certificates of 30 days
// for the name of who asks and for no other.
func newPKIRole(accessor string) map[string]any {
	return map[string]any{"allowed_domains": []string{ownName(accessor)}, "allowed_domains_template": true, "allow_bare_domains": true, "allow_subdomains": false,
		"allow_localhost": false, "allow_ip_sans": false, "allow_wildcard_certificates": false, "enforce_hostnames": false,
		"client_flag": true, "server_flag": false, "key_type": "any", "ttl": "720h", "max_ttl": "720h", "generate_lease": false, "no_store": false}
}

// fault says how a role lets people be somebody else, "" when it does not. The
// pages look at names themselves; people may ask OpenBao without them.
func (r pkiRole) fault(accessor string) string {
	switch {
	case r.AnyName || r.Globs || !r.Template || !slices.Equal(r.Domains, []string{ownName(accessor)}):
		return "lets people have certificates for other names than their own: set allowed_domains=" + ownName(accessor) + " allowed_domains_template=true allow_any_name=false allow_glob_domains=false"
	case r.NoStore:
		return "keeps no certificates, so that none can be revoked: set no_store=false"
	}
	return ""
}

// warning says what a role allows beside what the pages ask of it.
func (r pkiRole) warning() string {
	switch {
	case r.Subdomains || r.Localhost || r.IPs:
		return "also lets people have certificates for localhost, IP addresses or names below their own; allow_localhost=false allow_ip_sans=false allow_subdomains=false"
	case r.Server:
		return "makes certificates that are good for servers too; server_flag=false"
	}
	return ""
}

func (b *Backend) askPKIRole(ctx context.Context) (pkiRole, error) {
	return askRole[pkiRole](ctx, b, b.PKI)
}

// pki makes the role of the PKI engine where it is missing. The engine and its
// authority are the operator's, and so is a role that is there.
func (b *bootstrapping) pki(ctx context.Context) error {
	if !b.want.Engines.PKI.On() {
		return nil
	}
	p := b.want.Engines.PKI.at("{mount}/roles/{}")
	is := map[string]any{}
	if found, err := b.read(ctx, "GET", p, &is); found || err != nil {
		return err
	}
	_, err := b.change(ctx, "POST", p, newPKIRole(b.accessor))
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("there is no PKI engine at %s: mount one and give it an authority first (bao secrets enable -path=%[1]s pki), or leave PEERAGE_BAO_PKI out: %w", b.want.Engines.PKI.Mount, err)
	}
	return err
}

// inspectEngines looks at the roles of the secrets engines.
func (c *Client) inspectEngines(ctx context.Context, token, accessor string, e Engines) (warnings []string, err error) {
	var faults []error
	missing := func(setting string, r Role, err error) error {
		if errors.Is(err, ErrNotFound) {
			return fmt.Errorf("there is no role %s in the engine at %s: make it, or correct %s", r.Name, r.Mount, setting)
		}
		if errors.Is(err, ErrForbidden) {
			return fmt.Errorf("the service credential may not read the role %s in the engine at %s; %s with the same settings", r.Name, r.Mount, bootstrapAgain)
		}
		return err
	}
	if e.Kubernetes.On() {
		_, err := readRole[clusterRole](ctx, c, token, e.Kubernetes)
		faults = append(faults, missing("PEERAGE_BAO_KUBERNETES", e.Kubernetes, err))
	}
	if e.PKI.On() {
		role, err := readRole[pkiRole](ctx, c, token, e.PKI)
		switch {
		case err != nil:
			faults = append(faults, missing("PEERAGE_BAO_PKI", e.PKI, err))
		case role.fault(accessor) != "":
			faults = append(faults, fmt.Errorf("the role %s in the engine at %s %s", e.PKI.Name, e.PKI.Mount, role.fault(accessor)))
		case role.warning() != "":
			warnings = append(warnings, fmt.Sprintf("the role %s in the engine at %s %s", e.PKI.Name, e.PKI.Mount, role.warning()))
		}
	}
	return warnings, errors.Join(faults...)
}
