package idp

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/store"
)

const goodHash = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5"

// client is the JSON of a good client with one more field.
func clientWith(fields string) string {
	base := `"client_id":"app","client_secret":"app-secret","redirect_uris":["https://app.example.net/cb"]`
	for _, name := range []string{"client_id", "client_secret", "redirect_uris"} {
		if strings.Contains(fields, `"`+name+`":`) {
			list := strings.Split(base, `,"`)
			list = slices.DeleteFunc(list, func(s string) bool { return strings.HasPrefix(strings.Trim(s, `"`), name+`"`) })
			base = strings.Join(list, `,"`)
			if !strings.HasPrefix(base, `"`) {
				base = `"` + base
			}
		}
	}
	return "{" + strings.Trim(base+","+fields, ",") + "}"
}

func TestParseGoodClients(t *testing.T) {
	for _, fields := range []string{
		"",
		`"name":"App","description":"x","launch_uri":"https://app.example.net/","logo_uri":"data:image/png;base64,AAAA"`,
		`"token_endpoint_auth_method":"client_secret_post"`,
		`"application_type":"native","redirect_uris":["http://127.0.0.1/cb","com.example.app:/cb"]`,
		`"redirect_uris":["https://pve.example.net:8006","http://localhost:8000"]`,
		`"post_logout_redirect_uris":["https://app.example.net/bye"]`,
		`"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"scopes":["openid","offline_access"]`,
		`"id_token_signed_response_alg":"EdDSA","access_token_format":"opaque"`,
		`"access_token_ttl":"5m","id_token_ttl":"1h","refresh_token_ttl":"720h"`,
		`"trusted":true,"require_mfa":true,"disabled":true,"require_pkce":false`,
		`"allowed_groups":["noc"],"roles":[{"role":"Admin:x","groups":["admins"]}],"group_filter":"^as","group_prefix":"ixp:"`,
		`"claims":{"groups":"both","email":"none","name":"id_token","nickname":"userinfo"}`,
	} {
		if _, err := ParseClient([]byte(clientWith(fields))); err != nil {
			t.Errorf("%s: %v", fields, err)
		}
	}
	// The short form of the first seed, and each other way to have no secret in clear.
	for _, text := range []string{
		`{"client_id":"app","client_secret":"app-secret","redirect_uris":["https://app.example.net/cb"],"name":"App"}`,
		`{"client_id":"app","client_secret_hash":"` + goodHash + `","redirect_uris":["https://app.example.net/cb"]}`,
		`{"client_id":"app","client_secret_hash":"` + HashClientSecret("x") + `","redirect_uris":["https://app.example.net/cb"]}`,
		`{"client_id":"app","token_endpoint_auth_method":"none","redirect_uris":["https://app.example.net/cb"]}`,
		`{"client_id":"app","token_endpoint_auth_method":"none","grant_types":["urn:ietf:params:oauth:grant-type:device_code"]}`,
		`{"client_id":"app","client_secret":"app-secret","grant_types":["urn:ietf:params:oauth:grant-type:device_code","refresh_token"]}`,
	} {
		c, err := ParseClient([]byte(text))
		if err != nil || strings.Contains(c.ClientSecretHash, "app-secret") {
			t.Errorf("%s: %v, hash %s", text, err, c.ClientSecretHash)
		}
	}
}

func TestParseBadClients(t *testing.T) {
	for _, c := range []struct{ fields, fault string }{
		{`"client_id":""`, "client_id must be"},
		{`"client_id":"a b"`, "client_id must be"},
		{`"client_id":"unknown"`, `client_id: "unknown" is what metrics call`},
		{`"client_id":"-app"`, "client_id must be"},
		{`"client_id":"` + strings.Repeat("a", 201) + `"`, "client_id must be"},
		{`"client_id":7`, `"client_id"`},
		{`"client_secret":"short"`, "at least 8 characters"},
		{`"client_secret":""`, "needs client_secret"},
		{`"client_secret_hash":"` + goodHash + `"`, "exclude each other"},
		{`"client_secret":"","client_secret_hash":"plain text"`, "client_secret_hash must be"},
		{`"client_secret":"","client_secret_hash":"sha256:abc"`, "client_secret_hash must be"},
		{`"client_secret":"","client_secret_hash":"$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHRzYWx0$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5"`, "client_secret_hash must be"},
		{`"client_secret":"","client_secret_hash":"$argon2id$v=19$m=64,t=1,p=0$c2FsdHNhbHRzYWx0$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5"`, "client_secret_hash must be"},
		{`"client_secret":"","client_secret_hash":"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$"`, "client_secret_hash must be"},
		{`"client_secret":"","client_secret_hash":"$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHRzYWx0$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5"`, "client_secret_hash must be"},
		{`"old_secret_hash":"nonsense"`, "old_secret_hash must be"},
		{`"token_endpoint_auth_method":"none"`, "has no secret"},
		{`"token_endpoint_auth_method":"private_key_jwt"`, "has no secret"},
		{`"client_secret":"","token_endpoint_auth_method":"private_key_jwt"`, "either jwks or jwks_uri"},
		{`"client_secret":"","token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[]}`, "0 keys"},
		{`"client_secret":"","token_endpoint_auth_method":"private_key_jwt","jwks":"keys"`, "not a JSON Web Key Set"},
		{`"client_secret":"","token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"oct","k":"AAAA"}]}`, "jwks"},
		{`"client_secret":"","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"file:///etc/passwd"`, "jwks_uri must be"},
		{`"token_endpoint_auth_method":"tls_client_auth"`, "is not none"},
		{`"client_secret":"","token_endpoint_auth_method":"none","require_pkce":false`, "require_pkce"},
		{`"application_type":"desktop"`, "web or native"},
		{`"redirect_uris":[]`, "at least one address"},
		{`"redirect_uris":["javascript:alert(1)"]`, "never allowed"},
		{`"redirect_uris":["data:text/html,x"],"application_type":"native"`, "never allowed"},
		{`"redirect_uris":["VBScript:x"],"application_type":"native"`, "never allowed"},
		{`"redirect_uris":["http://app.example.net/cb"]`, "must use https"},
		{`"redirect_uris":["com.example.app:/cb"]`, "native"},
		{`"redirect_uris":["https://app.example.net/cb#x"]`, "fragment"},
		{`"redirect_uris":"https://app.example.net/cb"`, `"redirect_uris"`},
		{`"redirect_uris":[7]`, `"redirect_uris"`},
		{`"post_logout_redirect_uris":["javascript:alert(1)"]`, "post_logout_redirect_uris"},
		{`"redirect_uris":[` + strings.TrimSuffix(strings.Repeat(`"https://app.example.net/cb",`, 101), ",") + `]`, "at most 100"},
		{`"launch_uri":"javascript:alert(1)"`, "launch_uri"},
		{`"launch_uri":"https://user@app.example.net/"`, "launch_uri"},
		{`"logo_uri":"https://app.example.net/logo.png"`, "logo_uri"},
		{`"logo_uri":"data:text/html;base64,AAAA"`, "logo_uri"},
		{`"logo_uri":"data:image/png;base64,` + strings.Repeat("A", maxLogo) + `"`, "logo_uri"},
		{`"name":"` + strings.Repeat("n", 201) + `"`, "too long"},
		{`"name":"App\u001b[1m"`, "name has characters that are not shown"},
		{`"name":"Two\nlines"`, "name has"},
		{`"description":"a\u0000b"`, "description has"},
		{`"redirect_uris":["https://*.example.net/cb"]`, "which stands for nothing"},
		{`"trusted":"yes"`, `"trusted": cannot be a JSON string`},
		{`"colour":"red"`, `"colour": there is no such field`},
		{`"client_secret":"","token_endpoint_auth_method":"none","grant_types":["client_credentials"]`, "needs a client with a secret"},
		{`"redirect_uris":[],"grant_types":["urn:ietf:params:oauth:grant-type:device_code","authorization_code"]`, "at least one address"},
		{`"grant_types":["device_code"]`, "not known"},
		{`"grant_types":["implicit"]`, "not known"},
		{`"response_types":["token"]`, "not supported"},
		{`"scopes":["openid","everything"]`, "not known"},
		{`"id_token_signed_response_alg":"none"`, "not RS256"},
		{`"id_token_signed_response_alg":"HS256"`, "not RS256"},
		{`"access_token_format":"paper"`, "not opaque"},
		{`"access_token_ttl":"30s"`, "access_token_ttl"},
		{`"id_token_ttl":"25h"`, "id_token_ttl"},
		{`"refresh_token_ttl":"1s"`, "refresh_token_ttl"},
		{`"access_token_ttl":"soon"`, "access_token_ttl"},
		{`"access_token_ttl":-5`, "access_token_ttl"},
		{`"claims":{"groups":"everywhere"}`, "everywhere"},
		{`"claims":{"sub":"none"}`, "can be placed"},
		{`"group_filter":"("`, "group_filter"},
		{`"group_prefix":"a b"`, "group_prefix"},
		{`"group_prefix":"as"`, "affiliations"},
		{`"group_prefix":"AS6"`, "affiliations"},
		{`"roles":[{"role":"","groups":["x"]}]`, "role"},
		{`"roles":[{"role":"admin"}]`, "role"},
		{`"roles":[{"role":"as64500","groups":["x"]}]`, "affiliations"},
		{`"jwks":{"keys":[]}`, "are for token_endpoint_auth_method private_key_jwt"},
		{`"jwks_uri":"https://app.example.net/jwks"`, "are for token_endpoint_auth_method private_key_jwt"},
		{`"name":"Grafana\u202e"`, "not shown"},
		{`"name":"Graf\u0000ana"`, "not shown"},
		{`"backchannel_logout_uri":"https://app.example.net/out#x"`, "no fragment"},
		{`"backchannel_logout_uri":"javascript:alert(1)"`, "backchannel_logout_uri must be"},
		{`"require_pushed_authorization_requests":"yes"`, "require_pushed_authorization_requests"},
		{`"userinfo_signed_response_alg":"none"`, "userinfo_signed_response_alg"},
		{`"colour":"red"`, "colour"},
		{`"trusted":"yes"`, `"trusted"`},
	} {
		_, err := ParseClient([]byte(clientWith(c.fields)))
		if err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%.120s: %v, want %q", c.fields, err, c.fault)
		}
		if err != nil && strings.Contains(err.Error(), "app-secret") {
			t.Errorf("%.120s: the error tells the secret", c.fields)
		}
	}
}

// An operator repairs a file once, not fault by fault.
func TestAllFaultsAreToldAtOnce(t *testing.T) {
	text := `[
		{"client_id":"one","client_secret":"short","redirect_uris":["http://a.example/","javascript:x"],"colour":"red","jwks_uri":"x","scopes":["network"],"claims":{"sub":"none"},"trusted":7},
		{"client_id":"two","client_secret":"long-enough","redirect_uris":["https://b.example/"]},
		{"client_id":"two","client_secret":"long-enough","redirect_uris":["https://b.example/"]},
		{"client_id":"three"},
		7, null, "x", []
	]`
	_, err := ParseClients([]byte(text))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`client 1 ("one")`, "at least 8 characters", "must use https", "never allowed", "colour", "jwks_uri", `"network"`, `"sub"`, "trusted",
		"client 3", "stands twice", `client 4 ("three"): token_endpoint_auth_method needs client_secret`, `client 4 ("three"): redirect_uris must have at least one address`, "client 5", "client 6", "client 7", "client 8", "JSON object"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told in:\n%v", want, err)
		}
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "client ") {
			t.Errorf("whose fault is %q?", line)
		}
	}
	if strings.Contains(err.Error(), "client 2") || strings.Contains(err.Error(), "long-enough") {
		t.Errorf("a good client is blamed, or a secret told:\n%v", err)
	}
	for _, text := range []string{"", "{", "{}", "null", "null and more", `[{"client_id":"a"}] x`, `{"client_id":"a"}`, "[" + strings.Repeat(" ", maxClientJSON) + "]"} {
		if _, err := ParseClients([]byte(text)); err == nil {
			t.Errorf("%.30q is accepted", text)
		}
	}
	for _, text := range []string{"", "null", "7", `"x"`, "[]", "{", `{"client_id":"a"} x`, `{} {}`} {
		if _, err := ParseClient([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// What is accepted can be used: nothing in it makes a later request panic, and
// it is accepted again when it is written and read.
func FuzzParseClient(f *testing.F) {
	for _, seed := range []string{"", `"group_filter":"^(a|b)$","group_prefix":"x:","roles":[{"role":"r","groups":["g"]}]`, `"claims":{"groups":"both"}`, `"access_token_ttl":"5m"`,
		`"application_type":"native","redirect_uris":["http://[::1]/cb","a:b"]`, `"logo_uri":"data:image/png;base64,AAAA"`, `"jwks":{}`, `"Client_ID":"x"`,
		`"client_secret":"","client_secret_hash":"` + goodHash + `"`, `"redirect_uris":["https://\u00e4.example/"]`, `"old_secret_hash":"` + goodHash + `","old_secret_until":"2030-01-02T03:04:05Z"`} {
		f.Add(clientWith(seed))
	}
	passwords := identity.NewPasswords(1)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseClient([]byte(text))
		if err != nil {
			return
		}
		client := newClient(c)
		user := identity.User{User: store.User{Username: "ada", UpdatedAt: time.Unix(1, 0)}, Groups: []string{"a", "g", "noc"}}
		claims := client.UserClaims(user, client.scopes())
		client.place(claims, "id_token")
		if len(c.ClientSecretHash) < 100 { // dear parameters are allowed, but not in a fuzz test
			if _, err := client.checkSecret(t.Context(), passwords, "x", time.Unix(1, 0)); err != nil {
				t.Fatalf("its secret cannot be compared: %v", err)
			}
		}
		for _, address := range c.RedirectURIs {
			if !matchRedirectURI(c.RedirectURIs, client.native(), address) {
				t.Fatalf("its own address %q does not match", address)
			}
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseClient(written); err != nil {
			t.Fatalf("written as %s it is refused: %v", written, err)
		}
	})
}
