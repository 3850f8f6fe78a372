package idp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/alexedwards/argon2id"

	"peerage/identity"
	"peerage/store"
)

const (
	maxClientJSON = 1 << 20
	minSecret     = 8
	maxLogo       = 100 << 10
)

// registration is the JSON of one client as people write it: the stored
// document and a secret in clear.
type registration struct {
	store.Client
	ClientSecret string `json:"client_secret"`
}

// ParseClients reads a JSON list of clients (PEERAGE_CLIENTS). All faults are
// told at once, each with the client that has it.
func ParseClients(data []byte) ([]store.Client, error) {
	if len(data) > maxClientJSON {
		return nil, fmt.Errorf("the list of clients has %d bytes, at most %d are read", len(data), maxClientJSON)
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("the clients must be a JSON list of objects: %w", err)
	}
	if raw == nil {
		return nil, errors.New("the clients must be a JSON list of objects, and [] means none")
	}
	var faults []error
	seen := map[string]bool{}
	clients := make([]store.Client, 0, len(raw))
	for i, r := range raw {
		c, err := ParseClient(r)
		if err != nil {
			for _, fault := range single(err) {
				faults = append(faults, fmt.Errorf("client %d (%q): %w", i+1, c.ClientID, fault))
			}
		} else if seen[c.ClientID] {
			faults = append(faults, fmt.Errorf("client %d: the client_id %q stands twice", i+1, c.ClientID))
		}
		seen[c.ClientID] = true
		clients = append(clients, c)
	}
	return clients, errors.Join(faults...)
}

// ParseClient reads and checks the JSON of one client and tells all that is
// wrong with it. A client_secret in clear comes back as its hash.
func ParseClient(data []byte) (store.Client, error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil || given == nil {
		return store.Client{}, errors.New("a client must be a JSON object")
	}
	var r registration
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if err := r.read(name, given[name]); err != nil {
			faults = append(faults, err)
		}
	}
	if r.ClientSecret != "" {
		if r.ClientSecretHash != "" {
			faults = append(faults, wrongField("client_secret", "and client_secret_hash exclude each other"))
		} else if len(r.ClientSecret) < minSecret {
			faults = append(faults, wrongField("client_secret", "needs at least %d characters", minSecret))
		}
		r.ClientSecretHash = HashClientSecret(r.ClientSecret)
	}
	return r.Client, errors.Join(append(faults, CheckClient(r.Client))...)
}

// read takes over one field, so that one that is wrong does not hide the others.
func (r *registration) read(name string, value json.RawMessage) error {
	field, err := json.Marshal(map[string]json.RawMessage{name: value})
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(field))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(r)
	var mistyped *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mistyped):
		return fmt.Errorf("%q: cannot be a JSON %s", name, mistyped.Value)
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return fmt.Errorf("%q: there is no such field", name)
	}
	return fmt.Errorf("%q: %w", name, err)
}

// NewClientSecret makes a secret of 256 random bits and its hash.
func NewClientSecret() (secret, hash string) {
	secret = identity.NewSecret()
	return secret, HashClientSecret(secret)
}

// HashClientSecret is the "sha256:" form of a secret.
func HashClientSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(sum[:])
}

var (
	clientIDShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~:/@+-]{0,199}$`)
	sha256Shape   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	logoShape     = regexp.MustCompile(`^data:image/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]+$`)
	roleShape     = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)
	asShape       = regexp.MustCompile(`^(?i:as)[0-9]*$`)
	placements    = []string{"id_token", "userinfo", "both", "none"}
)

// CheckClient tells all that is wrong with a client: it joins a *FieldError
// for each fault.
func CheckClient(c store.Client) error {
	var faults []error
	fault := func(wrong bool, field, format string, args ...any) {
		if wrong {
			faults = append(faults, wrongField(field, format, args...))
		}
	}
	if err := CheckClientID(c.ClientID); err != nil {
		faults = append(faults, err)
	}
	fault(len(c.Name) > 200, "name", "is too long, at most 200 bytes")
	fault(identity.CheckShown(c.Name) != nil, "name", "has characters that are not shown")
	fault(len(c.Description) > 2000, "description", "is too long, at most 2000 bytes")
	fault(strings.ContainsFunc(c.Description, hidden), "description", "has characters that are not shown")
	fault(c.LogoURI != "" && (len(c.LogoURI) > maxLogo || !logoShape.MatchString(c.LogoURI)), "logo_uri", "must be a base64 data: picture of at most %d bytes", maxLogo)
	fault(c.LaunchURI != "" && !webAddress(c.LaunchURI), "launch_uri", "must be an https or http address")
	fault(c.BackchannelLogoutURI != "" && !webAddress(c.BackchannelLogoutURI), "backchannel_logout_uri", "must be an https or http address")
	fault(strings.Contains(c.BackchannelLogoutURI, "#"), "backchannel_logout_uri", "must have no fragment") // OIDC Back-Channel Logout section 2.2
	fault(!slices.Contains([]string{"", "web", "native"}, c.ApplicationType), "application_type", "must be web or native")
	faults = append(faults, checkAuthentication(c)...)
	faults = append(faults, checkAddresses(c)...)
	faults = append(faults, checkGrants(c)...)
	faults = append(faults, checkClaims(c)...)
	return errors.Join(faults...)
}

// hidden tells whether a character of a text of several lines is not shown.
func hidden(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }

// CheckClientID tells whether a client may be called that.
func CheckClientID(id string) error {
	if !clientIDShape.MatchString(id) {
		return wrongField("client_id", "must be 1 to 200 letters, digits or . _ ~ : / @ + - and begin with a letter or digit")
	}
	if id == unknownClient {
		return wrongField("client_id", "%q is what metrics call the clients that are not registered", id)
	}
	return nil
}

func checkAuthentication(c store.Client) (faults []error) {
	public, byKey := c.TokenEndpointAuthMethod == "none", c.TokenEndpointAuthMethod == methodPrivateKeyJWT
	if !slices.Contains([]string{"", "none", "client_secret_basic", "client_secret_post", methodPrivateKeyJWT}, c.TokenEndpointAuthMethod) {
		faults = append(faults, wrongField("token_endpoint_auth_method", "%q is not none, client_secret_basic, client_secret_post or private_key_jwt", c.TokenEndpointAuthMethod))
	}
	switch {
	case (public || byKey) && c.ClientSecretHash != "":
		faults = append(faults, wrongField("token_endpoint_auth_method", "%q has no secret, and one is there", c.TokenEndpointAuthMethod))
	case !public && !byKey && c.ClientSecretHash == "":
		faults = append(faults, wrongField("token_endpoint_auth_method", "needs client_secret or client_secret_hash, unless it is none or private_key_jwt"))
	}
	if public && c.RequirePKCE != nil && !*c.RequirePKCE {
		faults = append(faults, wrongField("require_pkce", "cannot be false for a public client"))
	}
	for _, h := range []struct{ name, hash string }{{"client_secret_hash", c.ClientSecretHash}, {"old_secret_hash", c.OldSecretHash}} {
		if h.hash != "" && !usableHash(h.hash) {
			faults = append(faults, wrongField(h.name, "must be an argon2id PHC string or sha256:<hex>"))
		}
	}
	return append(faults, checkClientKeys(c, byKey)...)
}

func checkClientKeys(c store.Client, byKey bool) (faults []error) {
	switch {
	case byKey && (len(c.JWKS) == 0) == (c.JWKSURI == ""):
		faults = append(faults, wrongField("jwks_uri", "is needed for private_key_jwt, which needs either jwks or jwks_uri"))
	case !byKey && (len(c.JWKS) > 0 || c.JWKSURI != ""):
		faults = append(faults, wrongField("jwks_uri", "and jwks are for token_endpoint_auth_method private_key_jwt"))
	}
	if len(c.JWKS) > 0 {
		if _, err := parseClientKeys(c.JWKS); err != nil {
			faults = append(faults, wrongField("jwks", "cannot be used: %v", err))
		}
	}
	if c.JWKSURI != "" && !webAddress(c.JWKSURI) {
		faults = append(faults, wrongField("jwks_uri", "must be an https or http address"))
	}
	return faults
}

// usableHash tells whether a secret can be compared with it: argon2 panics
// without passes, lanes or a length, and takes all the memory that it is told to.
func usableHash(hash string) bool {
	if sha256Shape.MatchString(hash) {
		return true
	}
	p, salt, key, err := argon2id.DecodeHash(hash)
	return err == nil && p.Iterations >= 1 && p.Iterations <= 100 && p.Parallelism >= 1 && p.Memory <= 1<<20 && len(salt) >= 8 && len(key) >= 16
}

func checkAddresses(c store.Client) (faults []error) {
	native := c.ApplicationType == "native"
	for _, list := range []struct {
		name      string
		addresses []string
	}{{"redirect_uris", c.RedirectURIs}, {"post_logout_redirect_uris", c.PostLogoutRedirectURIs}} {
		if len(list.addresses) > 100 {
			faults = append(faults, wrongField(list.name, "may hold at most 100 addresses"))
		}
		for _, address := range list.addresses {
			if err := checkRegisteredURI(address, native); err != nil {
				faults = append(faults, wrongField(list.name, "%q %v", address, err))
			}
		}
	}
	if len(c.RedirectURIs) == 0 && (&Client{Client: c}).allows(grantCode) {
		faults = append(faults, wrongField("redirect_uris", "must have at least one address"))
	}
	return faults
}

func checkGrants(c store.Client) (faults []error) {
	for _, g := range c.GrantTypes {
		switch g {
		case grantCode, grantRefresh, grantDevice:
		case grantClientCredentials:
			if c.TokenEndpointAuthMethod == "none" {
				faults = append(faults, wrongField("grant_types", `"client_credentials" needs a client with a secret`))
			}
		default:
			faults = append(faults, wrongField("grant_types", "%q is not known", g))
		}
	}
	for _, r := range c.ResponseTypes {
		if r != "code" {
			faults = append(faults, wrongField("response_types", "%q is not supported, only code is", r))
		}
	}
	for _, s := range c.Scopes {
		if !slices.Contains(scopesSupported, s) {
			faults = append(faults, wrongField("scopes", "%q is not known", s))
		}
	}
	for name, alg := range map[string]string{"id_token_signed_response_alg": c.IDTokenSignedResponseAlg, "userinfo_signed_response_alg": c.UserInfoSignedResponseAlg} {
		if alg != "" && !slices.Contains(algorithms, alg) {
			faults = append(faults, wrongField(name, "%q is not RS256, ES256 or EdDSA", alg))
		}
	}
	switch c.AccessTokenFormat {
	case "", "opaque", "jwt":
	default:
		faults = append(faults, wrongField("access_token_format", "%q is not opaque or jwt", c.AccessTokenFormat))
	}
	for name, ttl := range map[string]store.Duration{"access_token_ttl": c.AccessTokenTTL, "id_token_ttl": c.IDTokenTTL} {
		if d := time.Duration(ttl); d != 0 && (d < time.Minute || d > 24*time.Hour) {
			faults = append(faults, wrongField(name, "must be between 1m and 24h"))
		}
	}
	if d := time.Duration(c.RefreshTokenTTL); d != 0 && d < time.Minute {
		faults = append(faults, wrongField("refresh_token_ttl", "must be at least 1m"))
	}
	return faults
}

func checkClaims(c store.Client) (faults []error) {
	for name, place := range c.Claims {
		if _, ok := scopeOfClaim[name]; !ok {
			faults = append(faults, wrongField("claims", "%q is not a claim that can be placed", name))
		}
		if !slices.Contains(placements, place) {
			faults = append(faults, wrongField("claims", "%q is not id_token, userinfo, both or none", place))
		}
	}
	if _, err := regexp.Compile(c.GroupFilter); err != nil || len(c.GroupFilter) > 1000 {
		faults = append(faults, wrongField("group_filter", "is not a regular expression of at most 1000 characters"))
	}
	if asShape.MatchString(c.GroupPrefix) {
		faults = append(faults, wrongField("group_prefix", "%q would make group names that are kept for affiliations", c.GroupPrefix))
	}
	if len(c.GroupPrefix) > 64 || strings.ContainsFunc(c.GroupPrefix, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		faults = append(faults, wrongField("group_prefix", "must be at most 64 printable ASCII characters without spaces"))
	}
	for _, r := range c.Roles {
		if !roleShape.MatchString(r.Role) || len(r.Groups) == 0 {
			faults = append(faults, wrongField("roles", "%q needs a name of letters, digits and . _ : - and at least one group", r.Role))
		}
		if asShape.MatchString(r.Role) {
			faults = append(faults, wrongField("roles", "%q has a name that is kept for affiliations", r.Role))
		}
	}
	return faults
}

func webAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && len(address) <= 2048
}
