package portal

import (
	"encoding/json"
	"fmt"

	"peerage/store"
)

func shownControls() map[string]clientControl {
	description := oneLine(Say("client.description"), Say("client.description.hint"), func(c *store.Client) *string { return &c.Description })
	description.kind, description.rows = FieldArea, 2
	logo := oneLine(Say("client.logo_uri"), Say("client.logo_uri.hint"), func(c *store.Client) *string { return &c.LogoURI }).inMono()
	logo.kind, logo.rows, logo.max = FieldArea, 2, 48_000 // a form has 64 KiB
	name := oneLine(Say("client.name"), Say("client.name.hint"), func(c *store.Client) *string { return &c.Name })
	name.max = 200
	return map[string]clientControl{
		"name": name, "description": description, "logo_uri": logo,
		"launch_uri": oneLine(Say("client.launch_uri"), Say("client.launch_uri.hint"), func(c *store.Client) *string { return &c.LaunchURI }).inMono(),
	}
}

func addressControls() map[string]clientControl {
	return map[string]clientControl{
		"redirect_uris":             lines(Say("client.redirect_uris"), Say("client.redirect_uris.hint"), func(c *store.Client) *[]string { return &c.RedirectURIs }),
		"post_logout_redirect_uris": lines(Say("client.post_logout_redirect_uris"), Say("client.post_logout_redirect_uris.hint"), func(c *store.Client) *[]string { return &c.PostLogoutRedirectURIs }),
		"backchannel_logout_uri":    oneLine(Say("client.backchannel_logout_uri"), Say("client.backchannel_logout_uri.hint"), func(c *store.Client) *string { return &c.BackchannelLogoutURI }).inMono(),
	}
}

func accessControls() map[string]clientControl {
	return map[string]clientControl{
		"allowed_groups": lines(Say("client.allowed_groups"), Say("client.allowed_groups.hint"), func(c *store.Client) *[]string { return &c.AllowedGroups }),
		"require_mfa": onOff(Say("client.require_mfa"), Say("client.require_mfa.hint"),
			func(c store.Client) bool { return c.RequireMFA }, func(c *store.Client, on bool) { c.RequireMFA = on }),
		"trusted": onOff(Say("client.trusted"), Say("client.trusted.hint"),
			func(c store.Client) bool { return c.Trusted }, func(c *store.Client, on bool) { c.Trusted = on }),
	}
}

func claimControls() map[string]clientControl {
	return map[string]clientControl{
		"scopes": lines(Say("client.scopes"), Say("client.scopes.hint"), func(c *store.Client) *[]string { return &c.Scopes }),
		"claims": {label: Say("client.claims"), hint: Say("client.claims.hint"), kind: FieldArea, mono: true, rows: 3,
			read:  func(c store.Client) string { return pairs(c.Claims) },
			write: func(c *store.Client, value string) (err error) { c.Claims, err = typedPairs(value); return err }},
		"group_filter": oneLine(Say("client.group_filter"), Say("client.group_filter.hint"), func(c *store.Client) *string { return &c.GroupFilter }).inMono(),
		"group_prefix": oneLine(Say("client.group_prefix"), Say("client.group_prefix.hint"), func(c *store.Client) *string { return &c.GroupPrefix }).inMono(),
		"roles": {label: Say("client.roles"), hint: Say("client.roles.hint"), kind: FieldArea, mono: true, rows: 3,
			read:  func(c store.Client) string { return roleLines(c.Roles) },
			write: func(c *store.Client, value string) (err error) { c.Roles, err = typedRoles(value); return err }},
	}
}

func proofControls() map[string]clientControl {
	return map[string]clientControl{
		"application_type": choice(Say("client.application_type"), Say("client.application_type.hint"), func(c *store.Client) *string { return &c.ApplicationType },
			Option{"web", Say("client.application_type.web")}, Option{"native", Say("client.application_type.native")}),
		"token_endpoint_auth_method": choice(Say("client.token_endpoint_auth_method"), Say("client.token_endpoint_auth_method.hint"), func(c *store.Client) *string { return &c.TokenEndpointAuthMethod },
			Option{"", Say("client.auth.any")}, Option{"client_secret_basic", Say("client.auth.basic")}, Option{"client_secret_post", Say("client.auth.post")},
			Option{"private_key_jwt", Say("client.auth.key")}, Option{"none", Say("client.auth.none")}),
		"require_pkce": onOff(Say("client.require_pkce"), Say("client.require_pkce.hint"),
			func(c store.Client) bool { return c.RequirePKCE == nil || *c.RequirePKCE },
			func(c *store.Client, on bool) {
				if on && c.RequirePKCE == nil {
					return // it is on by itself
				}
				c.RequirePKCE = &on
			}),
		"require_pushed_authorization_requests": onOff(Say("client.require_par"), Say("client.require_par.hint"),
			func(c store.Client) bool { return c.RequirePAR }, func(c *store.Client, on bool) { c.RequirePAR = on }),
		"jwks_uri": oneLine(Say("client.jwks_uri"), Say("client.jwks_uri.hint"), func(c *store.Client) *string { return &c.JWKSURI }).inMono(),
		"jwks": {label: Say("client.jwks"), hint: Say("client.jwks.hint"), kind: FieldArea, mono: true, rows: 3,
			read: func(c store.Client) string { return string(c.JWKS) },
			write: func(c *store.Client, value string) error {
				if value == "" {
					c.JWKS = nil
					return nil
				}
				if !json.Valid([]byte(value)) {
					return fmt.Errorf("must be JSON")
				}
				c.JWKS = json.RawMessage(value)
				return nil
			}},
	}
}

func tokenControls() map[string]clientControl {
	return map[string]clientControl{
		"grant_types":    lines(Say("client.grant_types"), Say("client.grant_types.hint"), func(c *store.Client) *[]string { return &c.GrantTypes }),
		"response_types": lines(Say("client.response_types"), Say("client.response_types.hint"), func(c *store.Client) *[]string { return &c.ResponseTypes }),
		"id_token_signed_response_alg": choice(Say("client.id_token_alg"), Say("client.id_token_alg.hint"), func(c *store.Client) *string { return &c.IDTokenSignedResponseAlg },
			Option{Value: "RS256"}, Option{Value: "ES256"}, Option{Value: "EdDSA"}),
		"userinfo_signed_response_alg": choice(Say("client.userinfo_alg"), Say("client.userinfo_alg.hint"), func(c *store.Client) *string { return &c.UserInfoSignedResponseAlg },
			Option{"", Say("client.alg.unsigned")}, Option{Value: "RS256"}, Option{Value: "ES256"}, Option{Value: "EdDSA"}),
		"access_token_format": choice(Say("client.access_token_format"), Say("client.access_token_format.hint"), func(c *store.Client) *string { return &c.AccessTokenFormat },
			Option{"opaque", Say("client.format.opaque")}, Option{"jwt", Say("client.format.jwt")}),
		"audience":          lines(Say("client.audience"), Say("client.audience.hint"), func(c *store.Client) *[]string { return &c.Audience }),
		"access_token_ttl":  ttl(Say("client.access_token_ttl"), Say("client.access_token_ttl.hint"), func(c *store.Client) *store.Duration { return &c.AccessTokenTTL }),
		"id_token_ttl":      ttl(Say("client.id_token_ttl"), Say("client.id_token_ttl.hint"), func(c *store.Client) *store.Duration { return &c.IDTokenTTL }),
		"refresh_token_ttl": ttl(Say("client.refresh_token_ttl"), Say("client.refresh_token_ttl.hint"), func(c *store.Client) *store.Duration { return &c.RefreshTokenTTL }),
	}
}
