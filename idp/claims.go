package idp

import (
	"slices"

	"peerage/identity"
)

// claimsSupported are all names that a token or UserInfo may hold.
var claimsSupported = []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid",
	"preferred_username", "nickname", "name", "given_name", "family_name", "updated_at", "email", "email_verified", "groups", "networks"}

// scopeOfClaim is the scope that brings a claim; these are the claims that a
// client can place.
var scopeOfClaim = map[string]string{
	"preferred_username": "profile", "nickname": "profile", "name": "profile", "given_name": "profile", "family_name": "profile", "updated_at": "profile",
	"email": "email", "email_verified": "email", "groups": "groups", "networks": "networks",
}

// UserClaims are what the scopes let a client know of a person (OIDC Core
// section 5.4), with the groups of now. What is not known is left out.
func (c *Client) UserClaims(u identity.User, scopes []string) map[string]any {
	claims := map[string]any{}
	put := func(name, value string) {
		if value != "" {
			claims[name] = value
		}
	}
	if slices.Contains(scopes, "profile") {
		put("preferred_username", u.Username)
		put("nickname", u.Username)
		put("name", u.Name)
		put("given_name", u.GivenName)
		put("family_name", u.FamilyName)
		if !u.UpdatedAt.IsZero() {
			claims["updated_at"] = u.UpdatedAt.Unix()
		}
	}
	if slices.Contains(scopes, "email") && u.Email != "" {
		claims["email"] = u.Email
		claims["email_verified"] = u.EmailVerified
	}
	if slices.Contains(scopes, "groups") {
		if groups := c.groups(u); len(groups) > 0 {
			claims["groups"] = groups
		}
	}
	if slices.Contains(scopes, "networks") && len(u.Networks) > 0 {
		claims["networks"] = networks(u)
	}
	return claims
}

// groups is the flat list that a client gets: the person's groups, filtered
// and prefixed as registered, and the client's own roles.
func (c *Client) groups(u identity.User) []string {
	var list, made []string
	for _, g := range u.Groups {
		if c.groupFilter == nil || c.groupFilter.MatchString(g) {
			list = append(list, c.GroupPrefix+g)
		}
	}
	for _, role := range c.Roles {
		if u.In(role.Groups) && !slices.Contains(list, role.Role) && !slices.Contains(made, role.Role) {
			made = append(made, role.Role)
		}
	}
	// A prefix or role must not make up what only affiliations may say. The
	// person's own groups hold such names from affiliations alone.
	if c.GroupPrefix != "" {
		list = identity.Emittable(list)
	}
	return append(list, identity.Emittable(made)...)
}

// network is one entry of the claim networks.
type network struct {
	ASN   uint32 `json:"asn"`
	Name  string `json:"name,omitempty"`
	Perms int64  `json:"perms"`
}

// networks is the claim for clients that want more than the names of groups;
// perms are PeeringDB's bits (1 read, 2 update, 4 create, 8 delete).
func networks(u identity.User) []network {
	list := make([]network, 0, len(u.Networks))
	for _, a := range u.Networks {
		list = append(list, network{a.ASN, a.Name, int64(a.Perms)})
	}
	return list
}

// place keeps those claims that the client wants at a place ("id_token" or
// "userinfo"). Unless registered otherwise all go to UserInfo.
func (c *Client) place(claims map[string]any, where string) map[string]any {
	placed := map[string]any{}
	for name, value := range claims {
		place, ok := c.Claims[name]
		if !ok {
			place = "userinfo"
		}
		if place == where || place == "both" {
			placed[name] = value
		}
	}
	return placed
}

// AllowsUser tells whether a person may use this application at all.
func (c *Client) AllowsUser(u identity.User) bool {
	return len(c.AllowedGroups) == 0 || u.In(c.AllowedGroups)
}
