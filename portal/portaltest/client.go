package portaltest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Verifier is a PKCE code_verifier for tests.
const Verifier = "verifier-verifier-verifier-verifier-verifier-1"

// Challenge is its S256 code_challenge.
func Challenge() string {
	sum := sha256.Sum256([]byte(Verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Authorize is the path of an authorization request with PKCE; pairs of name
// and value change or (with "") remove parameters.
func Authorize(clientID, redirectURI string, pairs ...string) string {
	q := url.Values{"client_id": {clientID}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "scope": {"openid profile email groups"},
		"state": {"state-1"}, "nonce": {"nonce-1"}, "code_challenge": {Challenge()}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	return "/oauth2/authorize?" + q.Encode()
}

// Answer is what a back channel endpoint answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	JSON   map[string]any
}

// Str is a string of the JSON body, "" when it is not there.
func (a Answer) Str(name string) string {
	s, _ := a.JSON[name].(string)
	return s
}

// Token posts a form to the token endpoint; with a user name, by Basic.
func (s *Site) Token(id, secret string, form url.Values) Answer {
	s.t.Helper()
	return s.Call(http.MethodPost, "/oauth2/token", form, func(r *http.Request) {
		if id != "" {
			r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		}
	})
}

// Redeem exchanges a code.
func (s *Site) Redeem(id, secret, code, redirectURI string) Answer {
	s.t.Helper()
	return s.Token(id, secret, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {Verifier}})
}

// Refresh spends a refresh token.
func (s *Site) Refresh(id, secret, token string) Answer {
	s.t.Helper()
	return s.Token(id, secret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// UserInfo asks with an access token.
func (s *Site) UserInfo(token string) Answer {
	s.t.Helper()
	return s.Call(http.MethodGet, "/oauth2/userinfo", nil, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
}

// Call sends one request without cookies; change may be nil.
func (s *Site) Call(method, path string, form url.Values, change func(*http.Request)) Answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatalf("making a request: %v", err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(r)
	}
	response, err := s.RoundTrip(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatalf("%s %s: reading: %v", method, path, err)
	}
	a := Answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
	_ = json.Unmarshal(body, &a.JSON) // not every answer is JSON
	return a
}
