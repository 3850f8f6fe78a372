package peeringdb

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// bearer finds the live access token of a request.
func (s *Server) bearer(w http.ResponseWriter, r *http.Request) (*accessToken, *Person) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, nil
	}
	a := s.access[token]
	if a == nil || !s.now().Before(a.expires) {
		return nil, nil
	}
	p := s.byID(a.person)
	if p == nil {
		return nil, nil
	}
	w.Header().Set("X-Auth-Status", "authenticated")
	return a, p
}

// profileBody leaves out what was not granted; a granted address may be null.
type profileBody struct {
	ID            int               `json:"id"`
	GivenName     string            `json:"given_name"`
	FamilyName    string            `json:"family_name"`
	Name          string            `json:"name"`
	VerifiedUser  bool              `json:"verified_user"`
	Email         **string          `json:"email,omitempty"`
	VerifiedEmail *bool             `json:"verified_email,omitempty"`
	Networks      *[]map[string]any `json:"networks,omitempty"`
	AMR           *[]string         `json:"amr,omitempty"`
}

// profile never answers 401: a dead token, no token and a missing scope are
// all an empty 403, told apart by X-Auth-Status alone.
func (s *Server) profile(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("access_token") {
		s.serverError(w)
		return
	}
	a, p := s.bearer(w, r)
	if a == nil || !a.has("profile") {
		answerHTML(w, http.StatusForbidden, "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if p.Profile != nil {
		w.Write(p.Profile)
		return
	}
	body := profileBody{ID: p.ID, GivenName: p.GivenName, FamilyName: p.FamilyName, Name: p.name(), VerifiedUser: p.VerifiedUser}
	if a.has("email") {
		email := &p.Email
		if p.Email == "" {
			email = nil
		}
		body.Email, body.VerifiedEmail = &email, &p.VerifiedEmail
	}
	if a.has("networks") {
		networks := s.networkClaims(p, true)
		body.Networks = &networks
	}
	if a.has("amr") {
		body.AMR = &a.amr
	}
	encoder := json.NewEncoder(w)
	if r.URL.Query().Has("pretty") {
		encoder.SetIndent("", "  ")
	}
	encoder.Encode(body)
}

func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) {
	a, p := s.bearer(w, r)
	if a == nil || !a.has("openid") {
		const words = "The access token provided is expired, revoked, malformed, or invalid for other reasons."
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="`+words+`"`)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		encode(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token", "error_description": words})
		return
	}
	writeJSON(w, http.StatusOK, s.claims(a, p, nil))
}

// claims are those of UserInfo and of the ID token: what was not granted is
// there with the value null, and amr hangs on openid.
func (s *Server) claims(a *accessToken, p *Person, amr []string) map[string]any {
	c := map[string]any{"sub": strconv.Itoa(p.ID), "name": nil, "given_name": nil, "family_name": nil, "email": nil, "email_verified": nil,
		"id": nil, "verified_user": nil, "networks": nil, "amr": listed(amr)}
	if a.has("profile") {
		c["name"], c["given_name"], c["family_name"], c["id"], c["verified_user"] = p.name(), p.GivenName, p.FamilyName, p.ID, p.VerifiedUser
	}
	if a.has("email") {
		c["email"], c["email_verified"] = orNull(p.Email), p.VerifiedEmail
	}
	if a.has("networks") {
		c["networks"] = s.networkClaims(p, false)
	}
	return c
}

// idToken is signed for a client. Only the one that comes with a code has a
// nonce and an amr; auth_time is the person's last sign-in anywhere.
func (s *Server) idToken(c *Client, a *accessToken, p *Person, nonce string, amr []string) (string, error) {
	claims := s.claims(a, p, amr)
	sum := sha256.Sum256([]byte(a.token))
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	claims["iss"], claims["aud"], claims["iat"], claims["exp"] = s.issuer(), c.ID, s.now().Unix(), s.now().Add(accessLifetime).Unix()
	claims["auth_time"], claims["jti"] = p.lastLogin, rand.Text()
	if nonce != "" {
		claims["nonce"] = nonce
	}
	key := jose.SigningKey{Algorithm: jose.HS256, Key: s.hashKey}
	if c.Algorithm != "HS256" {
		private, err := s.signingKey()
		if err != nil {
			return "", err
		}
		key = jose.SigningKey{Algorithm: jose.RS256, Key: private}
	}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("making the look-alike's signer: %w", err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("writing the look-alike's claims: %w", err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return "", fmt.Errorf("signing the look-alike's ID token: %w", err)
	}
	return signed.CompactSerialize()
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// listed makes [] of nothing, where null would mean another thing.
func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return slices.Clone(list)
}
