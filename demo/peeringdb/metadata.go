package peeringdb

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

var scopes = []string{"openid", "profile", "email", "networks", "amr"}

var (
	responseTypes = []string{"code", "token", "id_token", "id_token token", "code token", "code id_token", "code id_token token"}
	claimNames    = []string{"given_name", "email", "networks", "amr", "email_verified", "sub", "verified_user", "id", "family_name", "name"}
)

// issuer is what both discovery documents and every ID token name.
func (s *Server) issuer() string {
	if s.breaks(WrongIssuer, "") {
		return "https://auth.example.org/oauth2"
	}
	return s.url + "/oauth2"
}

// discovery advertises client_secret_basic, which can never work here, and
// names neither revocation nor introspection.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	base := s.url + "/oauth2"
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": s.issuer(), "authorization_endpoint": base + "/authorize/", "token_endpoint": base + "/token/", "userinfo_endpoint": base + "/userinfo/",
		"jwks_uri": base + "/.well-known/jwks.json", "scopes_supported": scopes, "response_types_supported": responseTypes,
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256", "HS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"code_challenge_methods_supported":      []string{"plain", "S256"}, "claims_supported": claimNames,
	})
}

// metadata is the document of RFC 8414, which lacks other things.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	base := s.url + "/oauth2"
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": s.issuer(), "authorization_endpoint": base + "/authorize/", "token_endpoint": base + "/token/", "jwks_uri": base + "/.well-known/jwks.json",
		"response_types_supported":              responseTypes,
		"grant_types_supported":                 []string{"authorization_code", "implicit", "password", "client_credentials", "openid hybrid"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"revocation_endpoint":                   base + "/revoke_token/", "introspection_endpoint": base + "/introspect/",
		"subject_types_supported": []string{"public"}, "oidc_claims_supported": claimNames, "scopes_supported": scopes, "signing_algorithms_supported": []string{"RS256", "HS256"},
	})
}

func (s *Server) keySet(w http.ResponseWriter, _ *http.Request) {
	key, err := s.signingKey()
	if err != nil {
		s.serverError(w)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=3600, stale-while-revalidate=3600, stale-if-error=3600")
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
}

func (s *Server) signingKey() (jose.JSONWebKey, error) {
	private, err := s.key()
	if err != nil {
		return jose.JSONWebKey{}, fmt.Errorf("making the look-alike's key: %w", err)
	}
	return jose.JSONWebKey{Key: private, KeyID: "look-alike-of-peeringdb", Algorithm: string(jose.RS256), Use: "sig"}, nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	encode(w, status, body)
}

func encode(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
