package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"peerage/idp"
	"peerage/store"
)

// Where a client of Loop Portal stands.
const (
	fromEnvironment = "OIDC_CLIENTS"
	fromDatabase    = "database"
)

// loopPortal is what is read of a Loop Portal.
type loopPortal struct {
	env     map[string]string
	clients []portalClient
	// databaseRead tells that its database was given too.
	databaseRead bool
}

// portalClient is one client as Loop Portal has it.
type portalClient struct {
	id, from string
	fields   map[string]json.RawMessage
	fault    error // why it cannot be read
}

// read reads the environment and the database.
func (c importLoopPortalCommand) read(ctx context.Context, p *program) (old loopPortal, err error) {
	if old.env, err = c.environment(p); err != nil {
		return old, err
	}
	if text := old.env["OIDC_CLIENTS"]; text != "" {
		if old.clients, err = environmentClients(text); err != nil {
			return old, err
		}
	}
	if c.PortalDatabase != "" {
		made, err := c.databaseClients(ctx)
		if err != nil {
			return old, err
		}
		old.clients, old.databaseRead = append(old.clients, made...), true
	}
	return old, nil
}

// environment reads Loop Portal's variables.
func (c importLoopPortalCommand) environment(p *program) (map[string]string, error) {
	if c.EnvFile == "" {
		env := map[string]string{}
		for _, pair := range p.environ {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		return env, nil
	}
	text, err := p.readInput(c.EnvFile, maxSettingFile, "reading Loop Portal's environment")
	if err != nil {
		return nil, err
	}
	env, err := parseEnvironmentFile(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s:\n%w", c.EnvFile, err)
	}
	return env, nil
}

// environmentClients splits the list, so that a client that is wrong does not
// hide the others.
func environmentClients(text string) ([]portalClient, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, fmt.Errorf("OIDC_CLIENTS must be a JSON list of clients: %w", err)
	}
	var clients []portalClient
	for i, data := range raw {
		c := portalClient{id: fmt.Sprintf("number %d", i+1), from: fromEnvironment}
		if err := json.Unmarshal(data, &c.fields); err != nil || c.fields == nil {
			c.fault = fmt.Errorf("a client must be a JSON object")
		}
		var id string
		if json.Unmarshal(c.fields["client_id"], &id) == nil && id != "" {
			c.id = id
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// portalIDTokenClaims is where Loop Portal put claims: into the ID token too,
// which kube-apiserver and others read alone.
var portalIDTokenClaims = map[string]string{"preferred_username": "both", "nickname": "both", "name": "both", "email": "both", "email_verified": "both", "groups": "both"}

// parse makes a client of ours that behaves as it did at Loop Portal.
func (c portalClient) parse() (store.Client, error) {
	if c.fault != nil {
		return store.Client{}, c.fault
	}
	fields := map[string]any{}
	for name, value := range c.fields {
		if text := strings.TrimSpace(string(value)); text != "null" && text != `""` {
			fields[name] = value
		}
	}
	defaults := map[string]any{"name": c.id, "access_token_format": "jwt", "claims": portalIDTokenClaims}
	var known struct {
		Method string   `json:"token_endpoint_auth_method"`
		URIs   []string `json:"redirect_uris"`
	}
	// What does not fit here is told by ParseClient, with its name.
	whole, err := json.Marshal(c.fields)
	if err != nil {
		return store.Client{}, err
	}
	_ = json.Unmarshal(whole, &known)
	if known.Method != "none" {
		// Who has a secret could leave PKCE out there.
		defaults["require_pkce"] = false
	}
	for _, uri := range known.URIs {
		if scheme, _, ok := strings.Cut(uri, ":"); ok && scheme != "https" && scheme != "http" {
			defaults["application_type"] = "native" // an address of a program on people's own machines
		}
	}
	for name, value := range defaults {
		if _, given := fields[name]; !given {
			fields[name] = value
		}
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return store.Client{}, err
	}
	return idp.ParseClient(data)
}

// next is what is left to do by hand, a line each. Secrets are named and never
// shown.
func (old loopPortal) next(s Settings, clients []takenOver) (lines []string) {
	tell := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if issuer := old.env["OIDC_ISSUER"]; s.Issuer != issuer && issuer != "" {
		tell("set PEERAGE_ISSUER=%s for the server", issuer)
	}
	if address := old.env["BAO_ADDR"]; address != "" && s.BaoAddr != address {
		tell("set BAO_ADDR=%s for the server", address)
	}
	if method := old.env["BAO_MFA_METHOD_ID"]; method != "" && s.BaoMFAMethodID != method {
		tell("set PEERAGE_BAO_MFA_METHOD_ID=%s for bootstrap and for the server; docs/from-loop-portal.md says how second factors stay", method)
	}
	if !s.hasBaoCredential() {
		tell("run peerage openbao bootstrap and give the server the credential that it prints, not BAO_MFA_TOKEN")
	}
	if old.env["OIDC_SIGNING_KEY_PEM"] == "" {
		tell("there is no OIDC_SIGNING_KEY_PEM: applications will fetch a new key")
	}
	if path := old.env["DB_PATH"]; path != "" && !old.databaseRead {
		tell("for the clients that people made at Loop Portal, name its database: --portal-database %s", path)
	}
	var loose []string
	for _, c := range clients {
		if c.withoutPKCE {
			loose = append(loose, c.Name)
		}
	}
	if len(loose) > 0 {
		tell("%s may leave PKCE out, as at Loop Portal: peerage client edit ID --require-pkce for each that sends it", strings.Join(loose, ", "))
	}
	if len(clients) > 0 {
		tell("keep OIDC_CLIENTS, OIDC_SIGNING_KEY_PEM and DB_PATH out of the environment of peerage: it reads them too")
	}
	return lines
}
