package idp_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
)

// Discovery is exactly what is there: a strict list, each endpoint asked.
func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	a := w.Call(http.MethodGet, "/.well-known/openid-configuration", nil, nil)
	list := func(words string) any {
		var out []any
		for _, word := range strings.Fields(words) {
			out = append(out, word)
		}
		return out
	}
	want := map[string]any{
		"issuer":                                                   w.Issuer,
		"authorization_endpoint":                                   w.Issuer + "/oauth2/authorize",
		"token_endpoint":                                           w.Issuer + "/oauth2/token",
		"userinfo_endpoint":                                        w.Issuer + "/oauth2/userinfo",
		"device_authorization_endpoint":                            w.Issuer + "/oauth2/device_authorization",
		"end_session_endpoint":                                     w.Issuer + "/oauth2/logout",
		"jwks_uri":                                                 w.Issuer + "/.well-known/jwks.json",
		"scopes_supported":                                         list("openid profile email groups networks offline_access"),
		"response_types_supported":                                 list("code"),
		"response_modes_supported":                                 list("query form_post"),
		"grant_types_supported":                                    list("authorization_code refresh_token client_credentials urn:ietf:params:oauth:grant-type:device_code"),
		"acr_values_supported":                                     list("1 2 phr"),
		"subject_types_supported":                                  list("public"),
		"userinfo_signing_alg_values_supported":                    list("RS256 ES256 EdDSA"),
		"id_token_signing_alg_values_supported":                    list("RS256 ES256 EdDSA"),
		"token_endpoint_auth_methods_supported":                    list("none client_secret_basic client_secret_post private_key_jwt"),
		"token_endpoint_auth_signing_alg_values_supported":         list("RS256 PS256 ES256 EdDSA"),
		"introspection_endpoint":                                   w.Issuer + "/oauth2/introspect",
		"introspection_endpoint_auth_methods_supported":            list("client_secret_basic client_secret_post private_key_jwt"),
		"introspection_endpoint_auth_signing_alg_values_supported": list("RS256 PS256 ES256 EdDSA"),
		"revocation_endpoint":                                      w.Issuer + "/oauth2/revoke",
		"revocation_endpoint_auth_methods_supported":               list("none client_secret_basic client_secret_post private_key_jwt"),
		"revocation_endpoint_auth_signing_alg_values_supported":    list("RS256 PS256 ES256 EdDSA"),
		"pushed_authorization_request_endpoint":                    w.Issuer + "/oauth2/par",
		"claim_types_supported":                                    list("normal"),
		"claims_supported":                                         list("sub iss aud exp iat auth_time nonce acr amr at_hash sid preferred_username nickname name given_name family_name updated_at email email_verified groups networks"),
		"code_challenge_methods_supported":                         list("S256"),
		"backchannel_logout_supported":                             true,
		"backchannel_logout_session_supported":                     true,
		"claims_parameter_supported":                               true,
		"request_parameter_supported":                              false,
		"request_uri_parameter_supported":                          false,
		"authorization_response_iss_parameter_supported":           true,
	}
	if diff := cmp.Diff(want, a.JSON); diff != "" {
		t.Errorf("discovery (-want +got):\n%s", diff)
	}
	for name, value := range a.JSON {
		address, ok := value.(string)
		if !ok || !strings.HasPrefix(address, w.Issuer+"/") {
			continue
		}
		if answer := w.Call(http.MethodGet, strings.TrimPrefix(address, w.Issuer), nil, nil); answer.Status == http.StatusNotFound || answer.Status >= 500 {
			t.Errorf("%s answers %d", name, answer.Status)
		}
	}
	// What is not built is not there either.
	for _, path := range []string{"register"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if answer := w.Call(method, "/oauth2/"+path, url.Values{"client_id": {"web"}}, nil); answer.Status != http.StatusNotFound {
				t.Errorf("%s /oauth2/%s answers %d", method, path, answer.Status)
			}
		}
	}
	for _, path := range []string{"/healthz", "/ready", "/readyz"} { // the library would serve two of them to everybody
		if answer := w.Call(http.MethodGet, path, nil, nil); answer.Status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, answer.Status)
		}
	}
	twin := w.Call(http.MethodGet, "/.well-known/oauth-authorization-server", nil, nil)
	if twin.Body != a.Body || twin.Header.Get("ETag") != a.Header.Get("ETag") {
		t.Error("the RFC 8414 twin differs")
	}
	provider, err := oidc.NewProvider(t.Context(), w.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	if e := provider.Endpoint(); e.AuthURL != w.Issuer+"/oauth2/authorize" || e.TokenURL != w.Issuer+"/oauth2/token" {
		t.Errorf("go-oidc reads %+v", e)
	}
	if _, err := oidc.NewProvider(t.Context(), w.Issuer+"/"); err == nil {
		t.Error("an issuer with a slash too many passes")
	}
}

func TestDocumentsAreCached(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json"} {
		first := w.Call(http.MethodGet, path, nil, nil)
		tag := first.Header.Get("ETag")
		if first.Status != http.StatusOK || tag == "" || first.Header.Get("Cache-Control") != "public, max-age=60" || first.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", path, first.Status, first.Header)
		}
		for value, want := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "": 200, strings.Trim(tag, `"`): 200} {
			a := w.Call(http.MethodGet, path, nil, func(r *http.Request) { r.Header.Set("If-None-Match", value) })
			if a.Status != want || want == 304 && (a.Body != "" || a.Header.Get("ETag") != tag) {
				t.Errorf("%s with If-None-Match %s: %d %q", path, value, a.Status, a.Body)
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			if a := w.Call(method, path, url.Values{}, nil); a.Status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, a.Status)
			}
		}
	}
}

func TestJWKSHasNoPrivateParts(t *testing.T) {
	w := newWorld(t)
	a := w.Call(http.MethodGet, "/.well-known/jwks.json", nil, nil)
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(a.Body), &set); err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{"RSA": {"e", "n"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}
	var algs []string
	for _, key := range set.Keys {
		kty, _ := key["kty"].(string)
		alg, _ := key["alg"].(string)
		algs = append(algs, alg)
		if key["use"] != "sig" || key["kid"] == "" {
			t.Errorf("%s: use %v, kid %v", alg, key["use"], key["kid"])
		}
		for member := range key {
			if !slices.Contains([]string{"kty", "alg", "use", "kid"}, member) && !slices.Contains(allowed[kty], member) {
				t.Errorf("%s has the member %s", alg, member)
			}
		}
	}
	slices.Sort(algs)
	if !slices.Equal(algs, []string{"ES256", "EdDSA", "RS256"}) {
		t.Errorf("keys for %v", algs)
	}
}
