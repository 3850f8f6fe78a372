package idp

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Response modes (OAuth 2.0 Multiple Response Types section 2.1, Form Post).
const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

// AuthRequest is one validated authorization request; it is stored as JSON.
type AuthRequest struct {
	RedirectURI   string   `json:"redirect_uri"`
	ResponseMode  string   `json:"response_mode"`
	State         string   `json:"state,omitempty"`
	Scopes        []string `json:"scopes"`
	Nonce         string   `json:"nonce,omitempty"`
	CodeChallenge string   `json:"code_challenge,omitempty"`
	Prompts       []string `json:"prompts,omitempty"`
	MaxAge        *int64   `json:"max_age,omitempty"`
	ACRValues     []string `json:"acr_values,omitempty"`
	LoginHint     string   `json:"login_hint,omitempty"`
	HintSub       string   `json:"hint_sub,omitempty"`
	// EssentialACR: only these classes will do.
	EssentialACR []string       `json:"essential_acr,omitempty"`
	Claims       *claimsRequest `json:"claims,omitempty"`
}

// maxAge is negative when the client did not ask for one.
func (a AuthRequest) maxAge() time.Duration {
	if a.MaxAge == nil {
		return -1
	}
	return time.Duration(*a.MaxAge) * time.Second
}

// bounds of single parameters, in bytes.
var parameterLimits = map[string]int{
	"client_id": 200, "redirect_uri": maxAddress, "state": 8 << 10, "nonce": 1 << 10, "scope": 2 << 10, "response_type": 100,
	"response_mode": 100, "prompt": 100, "max_age": 10, "login_hint": 256, "id_token_hint": 16 << 10, "acr_values": 256,
	"code_challenge": 43, "code_challenge_method": 10,
}

// addressFault is a fault that must not be redirected: where the answer would
// go is not known to be the client's (RFC 6749 section 4.1.2.1).
type addressFault struct {
	Fault
	kind    PageReason
	address string
}

// client finds out to whom and where an answer may go. Everything else is
// checked after it, and its faults go there.
func (p *Provider) parseAddress(form url.Values) (*Client, *AuthRequest, *addressFault) {
	id := form["client_id"]
	switch {
	case len(id) > 1:
		return nil, nil, &addressFault{Fault{"invalid_request", "client_id stands more than once"}, ReasonDuplicate, ""}
	case len(id) == 0 || id[0] == "":
		return nil, nil, &addressFault{Fault{"invalid_request", "client_id is missing"}, ReasonRequest, ""}
	}
	client, ok := p.clients.Client(id[0])
	if !ok {
		return nil, nil, &addressFault{Fault{"invalid_client", "no such application is registered here"}, ReasonClient, ""}
	}
	address := form["redirect_uri"]
	switch {
	case len(address) > 1:
		return client, nil, &addressFault{Fault{"invalid_request", "redirect_uri stands more than once"}, ReasonDuplicate, ""}
	case len(address) == 0 || address[0] == "":
		return client, nil, &addressFault{Fault{"invalid_request", "redirect_uri is missing"}, ReasonAddressMissing, ""}
	case !matchRedirectURI(client.Client.RedirectURIs, client.native(), address[0]):
		return client, nil, &addressFault{Fault{"invalid_request", "redirect_uri is not registered for this application"}, ReasonAddress, address[0]}
	}
	a := &AuthRequest{RedirectURI: address[0], ResponseMode: modeQuery}
	if state := form["state"]; len(state) == 1 && len(state[0]) <= parameterLimits["state"] && !hasControls(state[0]) {
		a.State = state[0]
	}
	if mode := form["response_mode"]; len(mode) == 1 && mode[0] == modeFormPost {
		a.ResponseMode = modeFormPost // errors go back the same way
	}
	return client, a, nil
}

// parseAuthorize checks the rest of an authorization request (RFC 6749
// section 4.1.1, OIDC Core section 3.1.2.1, RFC 7636 section 4.3).
func (p *Provider) parseAuthorize(client *Client, form url.Values, a *AuthRequest) *Fault {
	for name, values := range form {
		if len(values) > 1 {
			return faultf("invalid_request", "%s stands more than once", printable(name))
		}
		if limit, ok := parameterLimits[name]; ok && len(values[0]) > limit {
			return faultf("invalid_request", "%s is longer than %d bytes", name, limit)
		}
		if _, ours := parameterLimits[name]; ours && hasControls(values[0]) {
			return faultf("invalid_request", "%s has control characters or is not UTF-8", name)
		}
	}
	for parameter, code := range map[string]string{"request": "request_not_supported", "request_uri": "request_uri_not_supported", "registration": "registration_not_supported"} {
		if form.Get(parameter) != "" {
			return faultf(code, "%s is not supported", parameter)
		}
	}
	switch t := form.Get("response_type"); t {
	case "code":
	case "":
		return faultf("invalid_request", "response_type is missing")
	default:
		return faultf("unsupported_response_type", "only response_type=code is supported")
	}
	if !client.allows(grantCode) {
		return faultf("unauthorized_client", "this client may not use the authorization code grant")
	}
	if m := form.Get("response_mode"); m != "" && m != modeQuery && m != modeFormPost {
		return faultf("invalid_request", "response_mode must be query or form_post")
	}
	a.Nonce, a.LoginHint = form.Get("nonce"), form.Get("login_hint")
	a.ACRValues = strings.Fields(form.Get("acr_values"))
	if h, ok := p.verifyHint(form.Get("id_token_hint")); ok && h.ClientID == client.ClientID {
		a.HintSub = h.Sub // a hint that cannot be read is no reason to stop
	}
	for _, check := range []func(*Client, url.Values, *AuthRequest) *Fault{parseScope, parsePKCE, parsePrompt, parseClaimsInto} {
		if fault := check(client, form, a); fault != nil {
			return fault
		}
	}
	return nil
}

// parseScope keeps what is known and allowed; unknown scopes are ignored
// (OIDC Core section 3.1.2.1), repeated ones count once.
func parseScope(client *Client, form url.Values, a *AuthRequest) *Fault {
	for _, s := range strings.Fields(form.Get("scope")) {
		if slices.Contains(a.Scopes, s) || !slices.Contains(client.scopes(), s) {
			continue
		}
		if s == "offline_access" && !client.allows(grantRefresh) {
			continue
		}
		a.Scopes = append(a.Scopes, s)
	}
	if len(a.Scopes) == 0 {
		return faultf("invalid_scope", "the request needs a scope that this client may ask for, such as openid")
	}
	return nil
}

// parsePKCE: only S256. "plain" and an absent method are refused, for both let
// whoever reads the request redeem the code.
func parsePKCE(client *Client, form url.Values, a *AuthRequest) *Fault {
	challenge, method := form.Get("code_challenge"), form.Get("code_challenge_method")
	if challenge == "" {
		if method != "" {
			return faultf("invalid_request", "code_challenge_method without code_challenge")
		}
		if client.requirePKCE() {
			return faultf("invalid_request", "this client must use PKCE: code_challenge is missing")
		}
		return nil
	}
	if method != "S256" {
		return faultf("invalid_request", "code_challenge_method must be S256")
	}
	if sum, err := base64.RawURLEncoding.Strict().DecodeString(challenge); err != nil || len(sum) != 32 {
		return faultf("invalid_request", "code_challenge is not a base64url SHA-256")
	}
	a.CodeChallenge = challenge
	return nil
}

func parsePrompt(_ *Client, form url.Values, a *AuthRequest) *Fault {
	a.Prompts = strings.Fields(form.Get("prompt"))
	for _, prompt := range a.Prompts {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, prompt) {
			return faultf("invalid_request", "prompt must be none, login, consent or select_account")
		}
	}
	if slices.Contains(a.Prompts, "none") && len(a.Prompts) > 1 {
		return faultf("invalid_request", "prompt=none stands alone")
	}
	if text := form.Get("max_age"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil || seconds < 0 {
			return faultf("invalid_request", "max_age must be a number of seconds")
		}
		a.MaxAge = &seconds
	}
	return nil
}

// parseClaimsInto puts what the claims parameter says of the person and the
// class beside what other parameters say.
func parseClaimsInto(client *Client, form url.Values, a *AuthRequest) *Fault {
	claims, fault := parseClaims(form.Get("claims"))
	if fault != nil {
		return fault
	}
	a.Claims = claims
	essential, wished := claims.acr()
	a.EssentialACR = essential
	a.ACRValues = append(a.ACRValues, wished...)
	if sub := claims.sub(); sub != "" {
		a.HintSub = sub
	}
	return nil
}

// hasControls also tells of text that is not UTF-8: stored as JSON it would
// come back as other text.
func hasControls(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// printable keeps a name from outside short and harmless in an answer
// (RFC 6749 section 4.1.2.1 allows only these characters).
func printable(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
	return clean[:min(len(clean), 64)]
}
