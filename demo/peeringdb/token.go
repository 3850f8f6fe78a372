package peeringdb

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	codeLifetime   = 60 * time.Second
	accessLifetime = 10 * time.Hour
)

// code waits to be exchanged. A failed attempt does not burn it.
type code struct {
	client, redirectURI, scope, nonce string
	challenge, method                 string
	person                            int
	amr                               []string
	expires                           time.Time
}

type accessToken struct {
	token, client, scope string
	person               int
	amr                  []string // of the sign-in; empty after a refresh
	expires              time.Time
}

// refreshToken never expires. Its scopes are those of its access token: when
// that was revoked alone, there are none for ever after.
type refreshToken struct {
	client string
	person int
	access *accessToken // nil when it was revoked
}

func (a *accessToken) has(scope string) bool {
	return slices.Contains(strings.Fields(a.scope), scope)
}

// authenticate checks client_secret_post, the only way that works: Basic never
// comes this far.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) *Client {
	i := slices.IndexFunc(s.clients, func(c Client) bool { return c.ID == r.PostFormValue("client_id") })
	if i >= 0 && (s.clients[i].Public || subtle.ConstantTimeCompare([]byte(r.PostFormValue("client_secret")), []byte(s.clients[i].Secret)) == 1) {
		return &s.clients[i]
	}
	w.Header().Set("WWW-Authenticate", `Bearer error="invalid_client"`)
	oauthError(w, http.StatusUnauthorized, "invalid_client", "")
	return nil
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	c := s.authenticate(w, r)
	if c == nil {
		return
	}
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		s.exchange(w, r, c)
	case "refresh_token":
		s.rotate(w, r, c)
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "")
	}
}

func (s *Server) exchange(w http.ResponseWriter, r *http.Request, c *Client) {
	name := r.PostFormValue("code")
	k := s.codes[name]
	if k == nil || k.client != c.ID || !s.now().Before(k.expires) {
		oauthError(w, http.StatusBadRequest, "invalid_grant", "")
		return
	}
	if k.challenge != "" {
		verifier := r.PostFormValue("code_verifier")
		if verifier == "" {
			oauthError(w, http.StatusBadRequest, "invalid_request", "Code verifier required.")
			return
		}
		if !matches(k.method, k.challenge, verifier) {
			oauthError(w, http.StatusBadRequest, "invalid_grant", "")
			return
		}
	}
	if r.PostFormValue("redirect_uri") != k.redirectURI {
		oauthError(w, http.StatusBadRequest, "invalid_request", "Mismatching redirect URI.")
		return
	}
	delete(s.codes, name) // a replay finds nothing, and what was issued lives on
	s.issue(w, c, k.person, k.scope, k.nonce, k.amr)
}

// matches checks a PKCE verifier (RFC 7636 4.6).
func matches(method, challenge, verifier string) bool {
	if method == "S256" {
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return subtle.ConstantTimeCompare([]byte(verifier), []byte(challenge)) == 1
}

// rotate has no grace: the old refresh token and the old access token are dead
// at once. A smaller scope stays small for good.
func (s *Server) rotate(w http.ResponseWriter, r *http.Request, c *Client) {
	name := r.PostFormValue("refresh_token")
	t := s.refresh[name]
	if t == nil || t.client != c.ID {
		if s.spent[name] {
			s.reused++
		}
		oauthError(w, http.StatusBadRequest, "invalid_grant", "")
		return
	}
	scope := ""
	if t.access != nil {
		scope = t.access.scope
	}
	if asked := r.PostFormValue("scope"); asked != "" {
		for _, one := range strings.Fields(asked) {
			if !slices.Contains(strings.Fields(scope), one) {
				oauthError(w, http.StatusBadRequest, "invalid_scope", "")
				return
			}
		}
		scope = asked
	}
	delete(s.refresh, name)
	s.spent[name] = true
	if t.access != nil {
		delete(s.access, t.access.token)
	}
	s.issue(w, c, t.person, scope, "", nil)
}

// Grant makes the tokens of a sign-in with all scopes that a person had long
// ago, for tests that need many people. It panics for people who do not exist.
func (s *Server) Grant(client, username string) (access, refresh string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.named(username)
	if p == nil {
		panic("peeringdb: nobody is called " + username)
	}
	a, refresh := s.newTokens(client, p.ID, strings.Join(scopes, " "), nil)
	return a.token, refresh
}

// Adopt lets a refresh token count that another run gave out; who nobody here is
// has none.
func (s *Server) Adopt(client string, person int, refresh string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID(person) != nil {
		s.refresh[refresh] = &refreshToken{client: client, person: person, access: &accessToken{client: client, scope: strings.Join(scopes, " "), person: person}}
	}
}

func (s *Server) newTokens(client string, person int, scope string, amr []string) (*accessToken, string) {
	a := &accessToken{token: rand.Text(), client: client, scope: scope, person: person, amr: listed(amr), expires: s.now().Add(accessLifetime)}
	refresh := rand.Text()
	s.access[a.token], s.refresh[refresh] = a, &refreshToken{client: client, person: person, access: a}
	return a, refresh
}

// issue answers with a new set of tokens.
func (s *Server) issue(w http.ResponseWriter, c *Client, person int, scope, nonce string, amr []string) {
	p := s.byID(person)
	if p == nil {
		oauthError(w, http.StatusBadRequest, "invalid_grant", "")
		return
	}
	a, refresh := s.newTokens(c.ID, person, scope, amr)
	body := map[string]any{"access_token": a.token, "expires_in": int(accessLifetime.Seconds()), "token_type": "Bearer", "scope": scope}
	if a.has("openid") {
		if c.Algorithm == "none" {
			s.serverError(w)
			return
		}
		signed, err := s.idToken(c, a, p, nonce, amr)
		if err != nil {
			s.serverError(w)
			return
		}
		body["id_token"] = signed
	}
	body["refresh_token"] = refresh
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, body)
}

// revoke ends a refresh token with its access token, but an access token
// alone: its refresh token then yields tokens without any scope.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	c := s.authenticate(w, r)
	if c == nil {
		return
	}
	name := r.PostFormValue("token")
	if t := s.refresh[name]; t != nil && t.client == c.ID {
		delete(s.refresh, name)
		if t.access != nil {
			delete(s.access, t.access.token)
		}
	}
	if a := s.access[name]; a != nil && a.client == c.ID {
		s.drop(a)
	}
	answerHTML(w, http.StatusOK, "")
}

// drop ends an access token and leaves its refresh token.
func (s *Server) drop(a *accessToken) {
	delete(s.access, a.token)
	for _, t := range s.refresh {
		if t.access == a {
			t.access = nil
		}
	}
}

// DropAccess revokes the access tokens of a person and leaves the refresh
// tokens, whose next answers have an empty scope.
func (s *Server) DropAccess(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.named(username)
	for _, a := range s.access {
		if p != nil && a.person == p.ID {
			s.drop(a)
		}
	}
}

func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	c := s.authenticate(w, r)
	if c == nil {
		return
	}
	a := s.access[r.PostFormValue("token")]
	if a == nil || !s.now().Before(a.expires) || s.byID(a.person) == nil {
		writeJSON(w, http.StatusOK, map[string]any{"active": false})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"active": true, "scope": a.scope, "exp": a.expires.Unix(), "client_id": a.client, "username": s.byID(a.person).Username})
}

func oauthError(w http.ResponseWriter, status int, kind, description string) {
	body := map[string]string{"error": kind}
	if description != "" {
		body["error_description"] = description
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, body)
}
