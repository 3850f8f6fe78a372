package idp

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"peerage/identity"
	"peerage/store"
)

// userInfo is the UserInfo endpoint (OIDC Core section 5.3), by GET and POST.
func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	value, problem := bearer(r)
	if problem != "" {
		p.refuseStranger(w, r, http.StatusBadRequest, problem, "the access token must come once, in the Authorization header or in the body")
		return
	}
	if value == "" {
		p.refuseStranger(w, r, http.StatusUnauthorized, "", "")
		return
	}
	token, err := p.store.AccessToken(r.Context(), identity.Hash(value))
	if errors.Is(err, store.ErrNotFound) {
		p.refuseStranger(w, r, http.StatusUnauthorized, "invalid_token", "the access token is unknown, expired or revoked")
		return
	}
	if err != nil {
		p.breakBearer(w, r, err)
		return
	}
	client, ok := p.clients.Client(token.Family.ClientID)
	if !ok {
		p.refuseStranger(w, r, http.StatusUnauthorized, "invalid_token", "the application is disabled")
		return
	}
	p.allowOrigin(w, r, client)
	if !slices.Contains(token.Scopes, "openid") {
		p.refuseBearer(w, r, http.StatusForbidden, "insufficient_scope", "scope openid is needed")
		return
	}
	user, err := p.directory.Person(r.Context(), token.Person)
	if err == nil && (user.Sub == "" || user.Disabled || !client.AllowsUser(user)) {
		p.refuseBearer(w, r, http.StatusUnauthorized, "invalid_token", "the person is no longer here")
		return
	}
	if err != nil {
		p.breakBearer(w, r, err)
		return
	}
	g, err := parseGrant(token.Family.Grant)
	if err != nil {
		p.breakBearer(w, r, err)
		return
	}
	claims := p.userInfoClaims(client, user, g, token.Scopes)
	body, contentType, err := p.userInfoBody(client, claims)
	if err != nil {
		p.breakBearer(w, r, err)
		return
	}
	p.tellSize(r.Context(), client, user, "UserInfo", SizeOfUserInfo(claims))
	p.metrics.userinfo.WithLabelValues("success").Inc()
	p.audit(r, "oidc_userinfo", client, user, "success", "")
	w.Header().Set("Content-Type", contentType)
	if _, err := w.Write(body); err != nil {
		p.log.DebugContext(r.Context(), "sending UserInfo", "error", err)
	}
}

// userInfoClaims are the claims of UserInfo's body; those that only a signed
// one has are there when the client registered an algorithm.
func (p *Provider) userInfoClaims(client *Client, user identity.User, g grant, scopes []string) map[string]any {
	claims := client.claimsAt("userinfo", user, g, scopes)
	claims["sub"] = user.Sub
	if client.UserInfoSignedResponseAlg != "" {
		claims["iss"], claims["aud"] = p.Issuer, client.ClientID
	}
	return claims
}

// userInfoBody is JSON, or for clients that registered an algorithm a JWT (OIDC
// Core section 5.3.2). It has no end, so it cannot pass for an ID token.
func (p *Provider) userInfoBody(client *Client, claims map[string]any) (body []byte, contentType string, err error) {
	alg := client.UserInfoSignedResponseAlg
	if alg == "" {
		body, err = json.Marshal(claims)
		return body, "application/json", err
	}
	token, err := p.keys.sign(alg, typeIDToken, claims)
	return []byte(token), "application/jwt", err
}

// bearer finds the access token (RFC 6750 section 2): header or body, never
// the query, never two.
func bearer(r *http.Request) (token, problem string) {
	if r.URL.Query().Has("access_token") {
		return "", "invalid_request"
	}
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return "", "invalid_request"
	}
	if len(headers) == 1 {
		scheme, value, _ := strings.Cut(headers[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", ""
		}
		token = strings.TrimSpace(value)
	}
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), formType) {
		if err := r.ParseForm(); err != nil {
			return "", "invalid_request"
		}
		body := r.PostForm["access_token"]
		if len(body) > 1 || len(body) == 1 && token != "" {
			return "", "invalid_request"
		}
		if len(body) == 1 {
			token = body[0]
		}
	}
	return token, ""
}

// refuseStranger is refuseBearer while it is not known whose token it is or was.
func (p *Provider) refuseStranger(w http.ResponseWriter, r *http.Request, status int, code, description string) {
	p.allowKnownOrigin(w, r)
	p.refuseBearer(w, r, status, code, description)
}

// refuseBearer answers as RFC 6750 section 3 says.
func (p *Provider) refuseBearer(w http.ResponseWriter, r *http.Request, status int, code, description string) {
	if wait := p.limit(r); wait > 0 {
		tooMany(w, wait)
		return
	}
	p.metrics.userinfo.WithLabelValues("failure").Inc()
	challenge := `Bearer realm="peerage"`
	if code != "" {
		challenge += `, error="` + code + `", error_description="` + description + `"`
		p.audit(r, "oidc_userinfo", nil, identity.User{}, code, "")
	}
	w.Header().Set("WWW-Authenticate", challenge)
	writeOAuthError(w, status, cmp.Or(code, "invalid_request"), cmp.Or(description, "an access token is needed"))
}

func (p *Provider) breakBearer(w http.ResponseWriter, r *http.Request, err error) {
	status, code := http.StatusInternalServerError, "server_error"
	if isUnavailable(err) {
		status, code = http.StatusServiceUnavailable, "temporarily_unavailable"
	}
	p.metrics.userinfo.WithLabelValues("unavailable").Inc()
	p.log.ErrorContext(r.Context(), "UserInfo stopped", "error", err)
	writeOAuthError(w, status, code, "try again later; the operator finds the reason under request id "+identity.CallerFrom(r.Context()).RequestID)
}
