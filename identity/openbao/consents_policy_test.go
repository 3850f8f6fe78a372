package openbao

import "testing"

// --consents grants to write metadata of people, and nothing else of them.
func TestConsentsPolicy(t *testing.T) {
	s := newService(t, false)
	want := newBootstrap(s.Server)
	want.MirrorConsents = true
	if got := bootstrap(t, s.client, want); !got.ConsentsGranted || len(got.Calls) != 1 {
		t.Errorf("with --consents: %v", paths(got.Calls))
	}
	entity := "identity/entity/id/" + s.ada
	s.try(t, []deed{
		{"read a person", "GET", entity, nil, true},
		{"write metadata", "POST", entity, map[string]any{"metadata": map[string]string{"oidc_consents": "{}"}}, true},
		{"give a policy", "POST", entity, map[string]any{"policies": []string{"root"}}, false},
		{"rename", "POST", entity, map[string]any{"name": "root"}, false},
		{"disable", "POST", entity, map[string]any{"metadata": map[string]string{}, "disabled": true}, false},
		{"delete an entity", "DELETE", entity, nil, false},
	})
	want.MirrorConsents = false
	if got := bootstrap(t, s.client, want); !got.ConsentsGranted || len(got.Calls) != 0 {
		t.Errorf("without --consents, granted before: %v", paths(got.Calls))
	}
	s.Do("DELETE", "sys/policies/acl/"+policyConsents, nil)
	s.try(t, []deed{{"write metadata, after it was taken back", "POST", entity, map[string]any{"metadata": map[string]string{}}, false}})
}
