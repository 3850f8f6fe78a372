package idp

import (
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"peerage/identity"
)

// Paths of the protocol.
const (
	PathAuthorize           = "/oauth2/authorize"
	PathResume              = "/oauth2/authorize/resume"
	PathToken               = "/oauth2/token"
	PathUserInfo            = "/oauth2/userinfo"
	PathIntrospect          = "/oauth2/introspect"
	PathRevoke              = "/oauth2/revoke"
	PathPAR                 = "/oauth2/par"
	PathDeviceAuthorization = "/oauth2/device_authorization" // RFC 8628
	PathLogout              = "/oauth2/logout"
	PathDiscovery           = "/.well-known/openid-configuration"
	PathMetadata            = "/.well-known/oauth-authorization-server" // RFC 8414
	PathJWKS                = "/.well-known/jwks.json"
)

// metadata is what discovery tells (OIDC Discovery section 3, RFC 8414): only
// what is there. The library's struct lacks the RFC 9207 field.
type metadata struct {
	*oidc.DiscoveryConfiguration
	PAREndpoint     string `json:"pushed_authorization_request_endpoint"` // RFC 9126 section 5
	IssParameter    bool   `json:"authorization_response_iss_parameter_supported"`
	ClaimsParameter bool   `json:"claims_parameter_supported"`
	// Written although false, for some clients assume it.
	RequestParameter bool `json:"request_parameter_supported"`
}

func newMetadata(issuer string) (document, error) {
	methods := []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost, oidc.AuthMethodPrivateKeyJWT}
	withNone := append([]oidc.AuthMethod{oidc.AuthMethodNone}, methods...)
	// Strict clients refuse a document that names a JWT method without these.
	var algs []string
	for _, alg := range assertionAlgorithms {
		algs = append(algs, string(alg))
	}
	return newDocument(metadata{
		DiscoveryConfiguration: &oidc.DiscoveryConfiguration{
			Issuer:                                             issuer,
			AuthorizationEndpoint:                              issuer + PathAuthorize,
			TokenEndpoint:                                      issuer + PathToken,
			UserinfoEndpoint:                                   issuer + PathUserInfo,
			IntrospectionEndpoint:                              issuer + PathIntrospect,
			RevocationEndpoint:                                 issuer + PathRevoke,
			DeviceAuthorizationEndpoint:                        issuer + PathDeviceAuthorization,
			EndSessionEndpoint:                                 issuer + PathLogout,
			JwksURI:                                            issuer + PathJWKS,
			ScopesSupported:                                    scopesSupported,
			ResponseTypesSupported:                             []string{"code"},
			ResponseModesSupported:                             []string{modeQuery, modeFormPost},
			GrantTypesSupported:                                []oidc.GrantType{grantCode, grantRefresh, grantClientCredentials, oidc.GrantTypeDeviceCode},
			ACRValuesSupported:                                 identity.ACRValues(),
			SubjectTypesSupported:                              []string{"public"},
			UserinfoSigningAlgValuesSupported:                  algorithms,
			IDTokenSigningAlgValuesSupported:                   algorithms,
			TokenEndpointAuthMethodsSupported:                  withNone,
			RevocationEndpointAuthMethodsSupported:             withNone,
			IntrospectionEndpointAuthMethodsSupported:          methods,
			TokenEndpointAuthSigningAlgValuesSupported:         algs,
			RevocationEndpointAuthSigningAlgValuesSupported:    algs,
			IntrospectionEndpointAuthSigningAlgValuesSupported: algs,
			ClaimTypesSupported:                                []string{"normal"},
			ClaimsSupported:                                    claimsSupported,
			BackChannelLogoutSupported:                         true,
			BackChannelLogoutSessionSupported:                  true,
			CodeChallengeMethodsSupported:                      []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		},
		PAREndpoint:     issuer + PathPAR,
		IssParameter:    true,
		ClaimsParameter: true,
	})
}
