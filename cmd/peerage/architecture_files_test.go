package main_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestArchitectureRulesOnFiles shows that each rule about files can fail, and
// does not where it should not.
func TestArchitectureRulesOnFiles(t *testing.T) {
	const importsOP = "package idp\n\nimport \"github.com/zitadel/oidc/v3/pkg/op\"\n\n"
	tests := []struct {
		name   string
		rule   func([]sourceFile) []string
		path   string
		source string
		want   []string
	}{
		{
			"as long as allowed", sizeFaults, "store/codes.go",
			"package store\n" + strings.Repeat("\n", 599), nil,
		}, {
			"too long", sizeFaults, "store/codes_test.go",
			"package store\n" + strings.Repeat("\n", 600),
			[]string{"store/codes_test.go has 601 lines, more than 600"},
		}, {
			"a name that says what", nameFaults, "store/helpdesk.go", "package store", nil,
		}, {
			"an empty file name", nameFaults, "store/utils.go", "package store",
			[]string{`store/utils.go is called "utils", which says nothing`},
		}, {
			"an empty word in a file name", nameFaults, "identity/totp_helper_test.go", "package identity_test",
			[]string{`identity/totp_helper_test.go is called "helper", which says nothing`},
		}, {
			"the model of a property test", nameFaults, "store/rotation_model_test.go", "package store_test", nil,
		}, {
			"a model of nothing", nameFaults, "store/model_test.go", "package store_test",
			[]string{`store/model_test.go is called "model", which says nothing`},
		}, {
			"a model in the product", nameFaults, "store/user_model.go", "package store",
			[]string{`store/user_model.go is called "model", which says nothing`},
		}, {
			"an empty folder name", nameFaults, "identity/Common/name.go", "package name",
			[]string{`identity/Common/name.go is called "Common", which says nothing`},
		}, {
			"an empty package name", nameFaults, "identity/name_test.go", "package types_test",
			[]string{`identity/name_test.go is called "types", which says nothing`},
		}, {
			"NetBox from its place", soleSpeakerFaults, "portal/exchange/netbox.go",
			`package exchange; const ports = "/api/dcim/interfaces/"`, nil,
		}, {
			"NetBox from a page", soleSpeakerFaults, "portal/networks.go",
			"package portal; var addresses = base + `/api/ipam/ip-addresses/`",
			[]string{"portal/networks.go speaks to NetBox (/api/ipam/): only portal/exchange, demo may"},
		}, {
			"PeeringDB from the issuer", soleSpeakerFaults, "idp/claims.go",
			`package idp; const profile = "https://auth.example/profile/v1"`,
			[]string{"idp/claims.go speaks to PeeringDB (/profile/v1): only identity, cmd/peerage, demo may"},
		}, {
			"safe parts of the library", bannedNameFaults, "idp/code.go",
			importsOP + "// Never AuthorizeCallback: see RFC 6749.\nvar _ = op.AuthorizeCodeChallenge\nfunc (s server) Authorize() { s.Authorize() }", nil,
		}, {
			"a banned function", bannedNameFaults, "idp/redirecturi.go",
			importsOP + "var _ = op.ValidateAuthReqRedirectURI",
			[]string{"idp/redirecturi.go uses ValidateAuthReqRedirectURI"},
		}, {
			"banned patterns", bannedNameFaults, "idp/idp.go",
			importsOP + "var _ = []any{op.WithCustomTokenEndpoint, op.WithCustomEndpoints, op.ValidateAuthRequestV2, op.AuthorizeCallbackHandler}",
			[]string{
				"idp/idp.go uses WithCustomTokenEndpoint", "idp/idp.go uses WithCustomEndpoints",
				"idp/idp.go uses ValidateAuthRequestV2", "idp/idp.go uses AuthorizeCallbackHandler",
			},
		}, {
			"a banned server", bannedNameFaults, "idp/server.go",
			importsOP + "type server struct { *op.LegacyServer; op.Storage }",
			[]string{"idp/server.go uses LegacyServer", "idp/server.go uses op.Storage"},
		}, {
			"a banned name without the import", bannedNameFaults, "idp/logout.go",
			"package idp; var claims, err = VerifyIDTokenHint(hint)",
			[]string{"idp/logout.go uses VerifyIDTokenHint"},
		}, {
			"under another name", bannedNameFaults, "idp/authorize.go",
			"package idp\nimport library \"github.com/zitadel/oidc/v3/pkg/op\"\nvar _ = library.Authorize",
			[]string{"idp/authorize.go uses op.Authorize"},
		}, {
			"a banned parser", bannedNameFaults, "idp/verify.go",
			"package idp\nimport \"github.com/zitadel/oidc/v3/pkg/oidc\"\nvar _ = oidc.ParseToken",
			[]string{"idp/verify.go uses oidc.ParseToken"},
		}, {
			"by a dot", bannedNameFaults, "idp/keys.go",
			"package idp\nimport . \"github.com/zitadel/oidc/v3/pkg/op\"\nvar _ = NewLegacyServer",
			[]string{
				"idp/keys.go imports github.com/zitadel/oidc by a dot, which hides its names",
				"idp/keys.go uses NewLegacyServer",
			},
		}, {
			"in regression tests", bannedNameFaults, "idp/redirecturi_test.go",
			importsOP + "var _ = op.ValidateAuthReqRedirectURI", nil,
		}, {
			"another library's name", bannedNameFaults, "demo/sample.go",
			"package demo\nimport \"github.com/coreos/go-oidc/v3/oidc\"\nvar _ = oidc.NewProvider", nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := parseSource(t, test.path, test.source)
			if diff := cmp.Diff(test.want, test.rule([]sourceFile{file})); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
