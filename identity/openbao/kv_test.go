package openbao

import (
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

func TestKVFieldIsParsed(t *testing.T) {
	for text, want := range map[string]KVField{
		"bao:secret/infra/portal/oidc#signing_key": {"secret/infra/portal/oidc", "signing_key"},
		"bao:/kv/x/#a":                         {"kv/x", "a"},
		"bao:secret/x#signing-key.pem\n":       {"secret/x", "signing-key.pem"},
		"secret/x#a":                           {},
		"bao:secret/x":                         {},
		"bao:secret#a":                         {},
		"bao:secret/../../auth/token/create#a": {},
		"bao:secret/x?list=true#a":             {},
		"bao:secret/a b#a":                     {},
		"bao:secret/x#a/b":                     {},
		"bao:secret/x#":                        {},
		"bao:secret//x#a":                      {},
		"-----BEGIN PRIVATE KEY-----":          {},
	} {
		got, err := ParseKVField(text)
		if got != want || (err == nil) != (want != KVField{}) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if err == nil {
			if again, err := ParseKVField(got.String()); again != got || err != nil {
				t.Errorf("%s: %v, %v", got, again, err)
			}
		}
	}
}

// kept puts a secret into a KV engine of a version.
func kept(s *baotest.Server, mount, version string, data map[string]any) {
	s.Do("POST", "sys/mounts/"+mount, map[string]any{"type": "kv", "options": map[string]string{"version": version}})
	if version == "2" {
		// A new engine of version 2 makes itself ready first, and refuses meanwhile.
		deadline := time.Now().Add(30 * time.Second)
		for s.Ask("POST", mount+"/data/infra/oidc", map[string]any{"data": data}).Status == 400 && time.Now().Before(deadline) {
			<-time.After(20 * time.Millisecond)
		}
		return
	}
	s.Do("POST", mount+"/infra/oidc", data)
}

// The right that bootstrap gives reads exactly that secret, of both versions.
func TestKVIsReadUnderThePolicyOfBootstrap(t *testing.T) {
	for version, mount := range map[string]string{"1": "kv/one", "2": "secret"} {
		s := newService(t, false)
		kept(s.Server, mount, version, map[string]any{"signing_key": "hush", "number": 7})
		s.Do("POST", "sys/mounts/kv/other", map[string]any{"type": "kv"})
		f := KVField{mount + "/infra/oidc", "signing_key"}
		_, err := s.client.ReadKV(t.Context(), s.token, f)
		wantKind(t, err, ErrForbidden)

		want := newBootstrap(s.Server)
		want.SigningKey = f
		want.Token = s.Token("operator-of-keys", want.OperatorPolicy())
		if got := bootstrap(t, s.client, want); len(got.Calls) != 1 {
			t.Errorf("version %s: bootstrap did %v", version, paths(got.Calls))
		}
		if got := bootstrap(t, s.client, want); len(got.Calls) != 0 {
			t.Errorf("version %s: bootstrap did %v again", version, paths(got.Calls))
		}
		got, err := s.client.ReadKV(t.Context(), s.token, f)
		if got != "hush" || err != nil {
			t.Errorf("version %s: %q, %v", version, got, err)
		}
		for _, field := range []string{"number", "nothing"} {
			_, err := s.client.ReadKV(t.Context(), s.token, KVField{f.Path, field})
			wantKind(t, err, ErrNotFound)
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("the error quotes: %v", err)
			}
		}
		_, err = s.client.ReadKV(t.Context(), s.token, KVField{mount + "/infra/else", "a"})
		wantKind(t, err, ErrForbidden)
		secret := mount + "/infra/oidc"
		if version == "2" {
			secret = mount + "/data/infra/oidc"
		}
		s.try(t, []deed{
			{"read it", "GET", secret, nil, true},
			{"write it", "POST", secret, map[string]any{"data": map[string]any{}}, false},
			{"delete it", "DELETE", secret, nil, false},
			{"list beside it", "LIST", mount + "/infra", nil, false},
			{"read above it", "GET", mount + "/infra", nil, false},
		})
		s.Do("DELETE", secret, nil)
		_, err = s.client.ReadKV(t.Context(), s.token, f)
		wantKind(t, err, ErrNotFound)

		// What was granted stays without being asked for again.
		if got := bootstrap(t, s.client, newBootstrap(s.Server)); len(got.Calls) != 0 {
			t.Errorf("version %s: bootstrap took back: %v", version, paths(got.Calls))
		}
	}
}

func TestBootstrapRefusesAKeyInNoKV(t *testing.T) {
	s := newService(t, false)
	s.Do("POST", "sys/mounts/transit", map[string]any{"type": "transit"})
	want := newBootstrap(s.Server)
	for path, words := range map[string]string{"nowhere/x": "nowhere/x is in no KV engine", "transit/keys/x": "transit/keys/x is in no KV engine"} {
		want.SigningKey = KVField{path, "a"}
		want.Token = s.Token("operator-of-keys", want.OperatorPolicy())
		if _, err := s.client.Bootstrap(t.Context(), want); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestKVWhileOpenBaoIsAway(t *testing.T) {
	c := newTestClient(t, Config{Address: "http://127.0.0.1:1"})
	_, err := c.ReadKV(t.Context(), "token", KVField{"secret/x", "a"})
	wantKind(t, err, identity.ErrUnavailable)
}
