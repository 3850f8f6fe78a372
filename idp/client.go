package idp

import (
	"cmp"
	"context"
	"crypto/subtle"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
	"peerage/store"
)

const (
	grantCode              = "authorization_code"
	grantRefresh           = "refresh_token"
	grantClientCredentials = "client_credentials"
)

// methodPrivateKeyJWT is client authentication by a signed assertion (RFC 7523).
const methodPrivateKeyJWT = "private_key_jwt"

// usualGrants are those of a client that names none.
var usualGrants = []string{grantCode, grantRefresh}

var (
	scopesSupported = []string{"openid", "profile", "email", "groups", "networks", "offline_access"}
	// usualScopes are those of a client that names none: networks is for who
	// asks for it.
	usualScopes = []string{"openid", "profile", "email", "groups", "offline_access"}
	algorithms  = []string{"RS256", "ES256", "EdDSA"}
)

// Client is a registered client with the defaults filled in.
type Client struct {
	store.Client
	groupFilter *regexp.Regexp
	origins     []string
}

func newClient(c store.Client) *Client {
	client := &Client{Client: c}
	if c.GroupFilter != "" {
		client.groupFilter = regexp.MustCompile(c.GroupFilter) // checked at registration
	}
	for _, address := range c.RedirectURIs {
		if o := origin(address); o != "" && !slices.Contains(client.origins, o) {
			client.origins = append(client.origins, o)
		}
	}
	return client
}

// DisplayName is what people know it by.
func (c *Client) DisplayName() string { return cmp.Or(c.Name, c.ClientID) }

func (c *Client) public() bool { return c.TokenEndpointAuthMethod == "none" }

func (c *Client) native() bool { return c.Client.ApplicationType == "native" }

func (c *Client) requirePKCE() bool { return c.public() || c.RequirePKCE == nil || *c.RequirePKCE }

// SigningAlg is the algorithm of the client's ID tokens.
func (c *Client) SigningAlg() string { return c.alg() }

func (c *Client) alg() string { return cmp.Or(c.IDTokenSignedResponseAlg, "RS256") }

func (c *Client) grants() []string {
	if len(c.Client.GrantTypes) == 0 {
		return usualGrants
	}
	return c.Client.GrantTypes
}

func (c *Client) allows(grant string) bool {
	return slices.Contains(c.grants(), grant)
}

// audience is for whom its JWT access tokens are.
func (c *Client) audience() []string {
	if len(c.Audience) == 0 {
		return []string{c.ClientID}
	}
	return c.Audience
}

func (c *Client) scopes() []string {
	if len(c.Scopes) == 0 {
		return usualScopes
	}
	return c.Scopes
}

// checkSecret compares in constant time with the secret and, after a
// rotation, with the old one while it lives. Both are compared whatever the
// first gives, so that the time does not tell which of them was right.
func (c *Client) checkSecret(ctx context.Context, p *identity.Passwords, secret string, now time.Time) (right bool, err error) {
	hashes := []string{c.ClientSecretHash}
	if c.OldSecretHash != "" && now.Before(c.OldSecretUntil) {
		hashes = append(hashes, c.OldSecretHash)
	}
	for _, hash := range hashes {
		if strings.HasPrefix(hash, "sha256:") {
			right = subtle.ConstantTimeCompare([]byte(HashClientSecret(secret)), []byte(hash)) == 1 || right
			continue
		}
		same, _, err := p.Verify(ctx, secret, hash)
		if err != nil {
			return false, err
		}
		right = same || right
	}
	return right, nil
}

// The methods below make Client an op.Client. The library asks only for the
// grant types and whether the client is public; what it would decide from the
// others is decided by our own front channel.

// GetID implements op.Client.
func (c *Client) GetID() string { return c.ClientID }

// RedirectURIs implements op.Client.
func (c *Client) RedirectURIs() []string { return c.Client.RedirectURIs }

// PostLogoutRedirectURIs implements op.Client.
func (c *Client) PostLogoutRedirectURIs() []string { return c.Client.PostLogoutRedirectURIs }

// ApplicationType implements op.Client.
func (c *Client) ApplicationType() op.ApplicationType {
	if c.native() {
		return op.ApplicationTypeNative
	}
	return op.ApplicationTypeWeb
}

// AuthMethod implements op.Client.
func (c *Client) AuthMethod() oidc.AuthMethod {
	return oidc.AuthMethod(cmp.Or(c.TokenEndpointAuthMethod, "client_secret_basic"))
}

// ResponseTypes implements op.Client.
func (c *Client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

// GrantTypes implements op.Client.
func (c *Client) GrantTypes() []oidc.GrantType {
	var list []oidc.GrantType
	for _, g := range c.grants() {
		list = append(list, oidc.GrantType(g))
	}
	return list
}

// LoginURL implements op.Client.
func (c *Client) LoginURL(string) string { return "" }

// AccessTokenType implements op.Client.
func (c *Client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeBearer }

// IDTokenLifetime implements op.Client.
func (c *Client) IDTokenLifetime() time.Duration { return time.Duration(c.IDTokenTTL) }

// DevMode implements op.Client.
func (c *Client) DevMode() bool { return false }

// RestrictAdditionalIdTokenScopes implements op.Client.
func (c *Client) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(s []string) []string { return s }
}

// RestrictAdditionalAccessTokenScopes implements op.Client.
func (c *Client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(s []string) []string { return s }
}

// IsScopeAllowed implements op.Client.
func (c *Client) IsScopeAllowed(scope string) bool { return slices.Contains(c.scopes(), scope) }

// IDTokenUserinfoClaimsAssertion implements op.Client.
func (c *Client) IDTokenUserinfoClaimsAssertion() bool { return false }

// ClockSkew implements op.Client.
func (c *Client) ClockSkew() time.Duration { return 0 }
