package idp

import "testing"

// FuzzParseClientKeys: what a client's server answers is never taken for keys
// that are private, symmetric or too many.
func FuzzParseClientKeys(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"keys":[]}`, `{"keys":[{"kty":"oct","k":"AAAA"}]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`,
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`, `{"keys":null}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseClientKeys(text)
		if err == nil && (len(keys) == 0 || len(keys) > 32) {
			t.Fatalf("%d keys", len(keys))
		}
		for _, key := range keys {
			if _, symmetric := key.Key.([]byte); symmetric || !key.IsPublic() || !key.Valid() {
				t.Fatalf("a key that must not count: %T", key.Key)
			}
		}
	})
}
