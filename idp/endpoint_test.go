package idp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// Secrets in the address end in logs.
func TestSecretsInTheQuery(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	form := grantForm("web", w.code(b, "web"), "client_id", "web", "client_secret", "web-secret")
	access := w.tokens(b, "web").Str("access_token")
	wantOAuth(t, "all in the query", w.Call(http.MethodPost, "/oauth2/token?"+form.Encode(), url.Values{}, nil), http.StatusBadRequest, "invalid_request")
	wantOAuth(t, "secret in the query", w.Call(http.MethodPost, "/oauth2/token?client_secret=web-secret", with(form, "client_secret", ""), nil), http.StatusBadRequest, "invalid_request")
	wantOAuth(t, "anything in the query", w.Call(http.MethodPost, "/oauth2/token?x=y", form, nil), http.StatusBadRequest, "invalid_request")
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		a := w.Call(method, "/oauth2/token?"+form.Encode(), nil, nil)
		wantOAuth(t, method, a, http.StatusMethodNotAllowed, "invalid_request")
		if a.Header.Get("Allow") != "POST" {
			t.Errorf("%s: Allow %q", method, a.Header.Get("Allow"))
		}
	}
	if a := w.Call(http.MethodPost, "/oauth2/token", form, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }); a.Status != http.StatusUnsupportedMediaType {
		t.Errorf("JSON: %d %s", a.Status, a.Body)
	}
	// Most programs name no type for nothing.
	nothing := w.Call(http.MethodPost, "/oauth2/token", nil, func(r *http.Request) {
		r.Header.Del("Content-Type")
		r.SetBasicAuth("web", "web-secret")
	})
	wantOAuth(t, "no body", nothing, http.StatusBadRequest, "invalid_request")
	if a := w.Call(http.MethodPost, "/oauth2/token", form, nil); a.Status != http.StatusOK {
		t.Errorf("none of that may spend the code: %d %s", a.Status, a.Body)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		wantOAuth(t, method+" UserInfo", w.Call(method, "/oauth2/userinfo?access_token="+access, nil, nil), http.StatusBadRequest, "invalid_request")
	}
}

// The last or the first of two would win otherwise, and whoever checks one
// does not see the other (RFC 6749 section 3.1).
func TestDuplicateParameter(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	values := map[string]string{"scope": "openid", "state": "state-1", "nonce": "nonce-1", "response_type": "code", "response_mode": "query", "prompt": "consent", "max_age": "100",
		"login_hint": "ada", "id_token_hint": "x", "acr_values": "1", "code_challenge": portaltest.Challenge(), "code_challenge_method": "S256",
		"ui_locales": "de", "display": "page", "claims": "{}", "request": "x", "request_uri": "x", "registration": "x", "resource": "x", "an_extension": "x"}
	for name, value := range values {
		page := b.Get(authorize("trusted", name, value) + "&" + name + "=" + value)
		if !strings.HasPrefix(page.Left, testClients["trusted"].callback+"?") || page.Query(t).Get("error") != "invalid_request" || page.Query(t).Get("code") != "" {
			t.Errorf("authorize with two %s: %d, leaves for %q", name, page.Status, page.Left)
		} else if state := page.Query(t).Get("state"); name == "state" && state != "" || name != "state" && state != "state-1" {
			t.Errorf("authorize with two %s: state %q", name, state)
		}
	}
	code := w.code(b, "trusted", "scope", offline)
	refresh := w.tokens(b, "trusted", "scope", offline).Str("refresh_token")
	exchange, again := grantForm("trusted", code, "an_extension", "x"), refreshForm(refresh, "scope", "openid")
	for _, form := range []url.Values{exchange, again} {
		form.Set("client_id", "trusted")
		form.Set("client_secret", "trusted-secret")
		for name := range form {
			doubled := with(form)
			doubled[name] = append(doubled[name][:1:1], doubled[name][0])
			wantOAuth(t, "token with two "+name, w.Token("", "", doubled), http.StatusBadRequest, "invalid_request")
		}
		if a := w.Token("", "", form); a.Status != http.StatusOK {
			t.Errorf("once each: %d %s", a.Status, a.Body)
		}
	}
	a := w.Call(http.MethodPost, "/oauth2/token", exchange, func(r *http.Request) {
		r.Header.Add("Authorization", "Basic eDp5")
		r.Header.Add("Authorization", "Basic eDp5")
	})
	wantOAuth(t, "two Authorization headers", a, http.StatusBadRequest, "invalid_request")
}

func TestUnknownGrants(t *testing.T) {
	w := newWorld(t)
	for grant, code := range map[string]string{
		"": "invalid_request", "password": "unsupported_grant_type", "nonsense": "unsupported_grant_type", "implicit": "unsupported_grant_type",
		"client_credentials": "", "urn:ietf:params:oauth:grant-type:device_code": "", "urn:ietf:params:oauth:grant-type:token-exchange": "",
		"urn:ietf:params:oauth:grant-type:jwt-bearer": "",
	} {
		a := w.as("web", url.Values{"grant_type": {grant}, "assertion": {"a.b.c"}, "device_code": {"x"}, "subject_token": {"x"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}})
		if a.Status != http.StatusBadRequest || code != "" && a.Str("error") != code || a.Str("error") == "" || a.JSON["access_token"] != nil {
			t.Errorf("grant %q gives %d %s", grant, a.Status, a.Body)
		}
	}
	w.calm()
}

// UserInfo takes an access token once, in the header or in the body.
func TestUserInfoBearer(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	tokens := w.tokens(b, "web", "scope", offline)
	access := tokens.Str("access_token")
	bearer := func(values ...string) func(*http.Request) {
		return func(r *http.Request) {
			for _, v := range values {
				r.Header.Add("Authorization", v)
			}
		}
	}
	form := url.Values{"access_token": {access}}
	for what, a := range map[string]portaltest.Answer{
		"header":       w.UserInfo(access),
		"POST, header": w.Call(http.MethodPost, "/oauth2/userinfo", nil, bearer("Bearer "+access)),
		"POST, body":   w.Call(http.MethodPost, "/oauth2/userinfo", form, nil),
		"lower case":   w.Call(http.MethodGet, "/oauth2/userinfo", nil, bearer("bearer "+access)),
	} {
		if a.Status != http.StatusOK || a.Str("sub") == "" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	for what, c := range map[string]struct {
		answer portaltest.Answer
		status int
		code   string
	}{
		"nothing":         {w.Call(http.MethodGet, "/oauth2/userinfo", nil, nil), http.StatusUnauthorized, ""},
		"Basic":           {w.Call(http.MethodGet, "/oauth2/userinfo", nil, bearer("Basic eDp5")), http.StatusUnauthorized, ""},
		"header and body": {w.Call(http.MethodPost, "/oauth2/userinfo", form, bearer("Bearer "+access)), http.StatusBadRequest, "invalid_request"},
		"two headers":     {w.Call(http.MethodGet, "/oauth2/userinfo", nil, bearer("Bearer "+access, "Bearer "+access)), http.StatusBadRequest, "invalid_request"},
		"twice in body":   {w.Call(http.MethodPost, "/oauth2/userinfo", url.Values{"access_token": {access, access}}, nil), http.StatusBadRequest, "invalid_request"},
		"ID token":        {w.UserInfo(tokens.Str("id_token")), http.StatusUnauthorized, "invalid_token"},
		"refresh token":   {w.UserInfo(tokens.Str("refresh_token")), http.StatusUnauthorized, "invalid_token"},
		"garbage":         {w.UserInfo("pat_" + strings.Repeat("x", 43)), http.StatusUnauthorized, "invalid_token"},
		"refresh by it":   {w.as("web", refreshForm(access)), http.StatusBadRequest, "invalid_grant"},
	} {
		if c.answer.Status != c.status || c.answer.JSON["sub"] != nil || c.answer.Str("error_description") == "" {
			t.Errorf("%s: %d %s", what, c.answer.Status, c.answer.Body)
		}
		challenge := c.answer.Header.Get("WWW-Authenticate")
		if what != "refresh by it" && (!strings.HasPrefix(challenge, `Bearer realm="peerage"`) || strings.Contains(challenge, "error=") != (c.code != "") || !strings.Contains(challenge, c.code)) {
			t.Errorf("%s: WWW-Authenticate %q", what, challenge)
		}
	}
}

// Only scripts of a client's own origin may read what is that client's; no
// answer ever allows credentials (the library's default reflects any origin
// with them on every route).
func TestCORS(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	access := w.tokens(b, "spa").Str("access_token")
	const own, foreign, others = "https://spa.example.net", "https://evil.example", "https://web.example.net"
	from := func(method, path, origin string, form url.Values, token string) portaltest.Answer {
		return w.Call(method, path, form, func(r *http.Request) {
			r.Header.Set("Origin", origin)
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			if method == http.MethodOptions {
				r.Header.Set("Access-Control-Request-Method", "POST")
				r.Header.Set("Access-Control-Request-Headers", "authorization")
			}
		})
	}
	spent := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "client_id": {"spa"}}
	for _, c := range []struct {
		what string
		a    portaltest.Answer
		want string
	}{
		{"discovery", from("GET", "/.well-known/openid-configuration", foreign, nil, ""), "*"},
		{"its twin", from("GET", "/.well-known/oauth-authorization-server", foreign, nil, ""), "*"},
		{"key set", from("GET", "/.well-known/jwks.json", foreign, nil, ""), "*"},
		{"token, own origin", from("POST", "/oauth2/token", own, spent, ""), own},
		{"token, foreign origin", from("POST", "/oauth2/token", foreign, spent, ""), ""},
		{"token, another client's origin", from("POST", "/oauth2/token", others, spent, ""), ""},
		{"token, origin null", from("POST", "/oauth2/token", "null", spent, ""), ""},
		{"UserInfo, own origin", from("GET", "/oauth2/userinfo", own, nil, access), own},
		{"UserInfo, foreign origin", from("GET", "/oauth2/userinfo", foreign, nil, access), ""},
		{"UserInfo, another client's origin", from("GET", "/oauth2/userinfo", others, nil, access), ""},
		{"UserInfo, own origin, expired", from("GET", "/oauth2/userinfo", own, nil, "pat_unknown"), own},
		{"UserInfo, own origin, no token", from("GET", "/oauth2/userinfo", own, nil, ""), own},
		{"UserInfo, foreign origin, expired", from("GET", "/oauth2/userinfo", foreign, nil, "pat_unknown"), ""},
		{"preflight of token", from("OPTIONS", "/oauth2/token", own, nil, ""), own},
		{"preflight of token, foreign", from("OPTIONS", "/oauth2/token", foreign, nil, ""), ""},
		{"preflight of UserInfo", from("OPTIONS", "/oauth2/userinfo", own, nil, ""), own},
		{"preflight of UserInfo, foreign", from("OPTIONS", "/oauth2/userinfo", foreign, nil, ""), ""},
		{"authorize", from("GET", authorize("spa"), own, nil, ""), ""},
		{"preflight of authorize", from("OPTIONS", "/oauth2/authorize", own, nil, ""), ""},
		{"resume", from("GET", "/oauth2/authorize/resume", own, nil, ""), ""},
		{"sign-in", from("GET", "/login", own, nil, ""), ""},
		{"consent", from("GET", "/consent", own, nil, ""), ""},
		{"sign-out", from("GET", "/oauth2/logout", own, nil, ""), ""},
		{"home", from("GET", "/", own, nil, ""), ""},
	} {
		if got := c.a.Header.Get("Access-Control-Allow-Origin"); got != c.want {
			t.Errorf("%s: Access-Control-Allow-Origin %q, want %q", c.what, got, c.want)
		}
		if got := c.a.Header.Values("Access-Control-Allow-Credentials"); len(got) > 0 {
			t.Errorf("%s: Access-Control-Allow-Credentials %v", c.what, got)
		}
		if c.want != "*" && strings.Contains(c.a.Header.Get("Access-Control-Allow-Origin"), "example") && !strings.Contains(strings.Join(c.a.Header.Values("Vary"), ","), "Origin") {
			t.Errorf("%s: Vary %v", c.what, c.a.Header.Values("Vary"))
		}
	}
}

// A library whose aud:[1] panics must never see a JWT of a stranger.
func TestAudOfNumbersDoesNotPanic(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	// {"alg":"RS256"}.{"aud":[1],"iss":…}.x
	forged := encode(`{"alg":"RS256"}`) + "." + encode(`{"aud":[1],"iss":"`+w.Issuer+`","sub":"x","exp":9999999999}`) + ".AAAA"
	genuine := w.sign(map[string]any{"aud": []int{1}, "iss": w.Issuer, "sub": "x", "exp": 9999999999}, "JWT")
	for what, jwt := range map[string]string{"forged": forged, "signed with our key": genuine} {
		if page := b.Get(authorize("trusted", "id_token_hint", jwt)); page.Query(t).Get("code") == "" {
			t.Errorf("%s, authorize: %d, leaves for %q; a hint that cannot be read is no reason to stop", what, page.Status, page.Left)
		}
		if page := b.Get("/oauth2/logout?id_token_hint=" + jwt); page.Status != http.StatusOK || page.URL.Path != "/logout" {
			t.Errorf("%s, logout: %d %s", what, page.Status, page.URL)
		}
		a := w.Token("", "", url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "redirect_uri": {"x"},
			"client_assertion": {jwt}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}})
		wantOAuth(t, what+", client_assertion", a, http.StatusUnauthorized, "invalid_client")
		a = w.Token("", "", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {jwt}, "client_id": {"spa"}})
		if a.Status != http.StatusBadRequest {
			t.Errorf("%s, assertion: %d %s", what, a.Status, a.Body)
		}
		wantOAuth(t, what+", UserInfo", w.UserInfo(jwt), http.StatusUnauthorized, "invalid_token")
		if page := b.Get(authorize("trusted", "request", jwt)); page.Query(t).Get("error") != "request_not_supported" {
			t.Errorf("%s, request object: leaves for %q", what, page.Left)
		}
	}
	w.calm()
}
