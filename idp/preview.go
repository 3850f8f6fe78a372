package idp

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"peerage/identity"
	"peerage/store"
)

// Preview is what a sign-in of one person would give one client, if it asked
// for every scope that it may have.
type Preview struct {
	Scopes []string
	// IDToken are the claims of the ID token, nil when the client may not ask
	// for one. IDTokenBytes is the length of the signed token.
	IDToken      map[string]any
	IDTokenBytes int
	// UserInfo are the claims of UserInfo, UserInfoBytes the length of its body.
	UserInfo      map[string]any
	UserInfoBytes int
	// Session is what the larger of the two weighs in a cookie.
	Session  SessionSize
	Warnings []Warning
}

// Warning is something that would go wrong, or surprise.
type Warning string

// The warnings.
const (
	// WarnClientDisabled, WarnPersonDisabled, WarnNoAccess: the sign-in would
	// be refused.
	WarnClientDisabled Warning = "client_disabled"
	WarnPersonDisabled Warning = "person_disabled"
	WarnNoAccess       Warning = "no_access"
	// WarnNoFactor: a second factor is demanded and the person has none.
	WarnNoFactor Warning = "no_factor"
	// WarnNoEmail, WarnEmailUnverified, WarnNoName: applications such as
	// oauth2-proxy refuse such a person, or show them without a name.
	WarnNoEmail         Warning = "no_email"
	WarnEmailUnverified Warning = "email_unverified"
	WarnNoName          Warning = "no_name"
	// WarnTooLarge: the session outgrows a cookie because of groups.
	WarnTooLarge Warning = "too_large"
	// WarnNoOpenID: without scope openid there is no ID token and no UserInfo.
	WarnNoOpenID Warning = "no_openid"
)

// Preview makes the claims that a client would get of a person, by the code
// that the grants use. Nothing is signed, issued or stored.
func (p *Provider) Preview(c store.Client, user identity.User) (Preview, error) {
	client := newClient(c)
	g := p.previewGrant(client, user)
	v := Preview{Scopes: g.Scopes, Warnings: p.warnings(client, user)}
	if !slices.Contains(g.Scopes, oidc.ScopeOpenID) {
		v.Warnings = append(v.Warnings, WarnNoOpenID)
		return v, nil
	}
	access := "pat_" + strings.Repeat("x", 43)
	var err error
	if v.IDToken, err = p.idTokenClaims(client, user, g, g.Scopes, "", access); err != nil {
		return Preview{}, err
	}
	if v.IDTokenBytes, err = p.keys.signedLength(client.alg(), typeIDToken, v.IDToken); err != nil {
		return Preview{}, err
	}
	v.UserInfo = p.userInfoClaims(client, user, g, g.Scopes)
	if v.UserInfoBytes, err = p.userInfoLength(client, v.UserInfo); err != nil {
		return Preview{}, err
	}
	v.Session = SizeOfIDToken(v.IDToken, strings.Repeat("x", v.IDTokenBytes), access)
	if other := SizeOfUserInfo(v.UserInfo); other.Groups > 0 && other.Bytes > v.Session.Bytes {
		v.Session = other
	}
	if v.Session.TooLarge() {
		v.Warnings = append(v.Warnings, WarnTooLarge)
	}
	return v, nil
}

// previewGrant is a sign-in of now with the factors that the person has.
func (p *Provider) previewGrant(client *Client, user identity.User) grant {
	g := grant{Scopes: client.scopes(), AuthTime: p.now().Unix(), ACR: identity.ACROneFactor, AMR: []string{"pwd"}}
	switch {
	case user.TOTP:
		g.ACR, g.AMR = identity.ACRTwoFactors, []string{"pwd", "otp", "mfa"}
	case user.HasSecondFactor():
		g.ACR, g.AMR = identity.ACRPasskey, []string{"hwk", "user"}
	}
	if client.BackchannelLogoutURI != "" {
		g.SID = "00000000-0000-0000-0000-000000000000"
	}
	return g
}

// warnings are those about the client and the person, whatever the claims are.
func (p *Provider) warnings(client *Client, user identity.User) (list []Warning) {
	warn := func(wrong bool, w Warning) {
		if wrong {
			list = append(list, w)
		}
	}
	email, profile := slices.Contains(client.scopes(), "email"), slices.Contains(client.scopes(), "profile")
	warn(client.Disabled, WarnClientDisabled)
	warn(user.Disabled, WarnPersonDisabled)
	warn(!client.AllowsUser(user), WarnNoAccess)
	warn(!user.HasSecondFactor() && (client.RequireMFA || p.directory.MustHaveMFA(user)), WarnNoFactor)
	warn(email && user.Email == "", WarnNoEmail)
	warn(email && user.Email != "" && !user.EmailVerified, WarnEmailUnverified)
	warn(profile && user.Name == "", WarnNoName)
	return list
}

// userInfoLength is the length of UserInfo's body, signed or not.
func (p *Provider) userInfoLength(client *Client, claims map[string]any) (int, error) {
	if client.UserInfoSignedResponseAlg != "" {
		return p.keys.signedLength(client.UserInfoSignedResponseAlg, typeIDToken, claims)
	}
	body, err := json.Marshal(claims)
	return len(body), err
}

// signedLength is the length that sign's token would have (RFC 7515 section
// 7.1), without a signature being made.
func (k *KeyRing) signedLength(alg, typ string, claims any) (int, error) {
	r := k.ring.Load()
	s, ok := r.active[alg]
	if !ok {
		return 0, fmt.Errorf("there is no active key for %s", alg)
	}
	header, err := json.Marshal(map[string]string{"alg": alg, "kid": s.kid, "typ": typ})
	if err != nil {
		return 0, err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return 0, fmt.Errorf("writing claims: %w", err)
	}
	n := base64.RawURLEncoding.EncodedLen
	return n(len(header)) + 1 + n(len(payload)) + 1 + n(signatureLength(r.public[s.kid])), nil
}

// signatureLength is 64 bytes for ES256 (RFC 7518 section 3.4) and EdDSA (RFC
// 8037 section 3.1), and that of the modulus for RSA.
func signatureLength(key jose.JSONWebKey) int {
	if public, ok := key.Key.(interface{ Size() int }); ok {
		return public.Size()
	}
	return 64
}
