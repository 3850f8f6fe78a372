package idp_test

import (
	"net/http"
	"strings"
	"testing"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// A challenge that was sent must be answered, one that was not cannot be
// (CVE-2023-48228, CVE-2024-23647): every challenge with every verifier, for
// each kind of client.
func TestPKCEDowngrade(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	verifiers := map[string]string{
		"right": portaltest.Verifier, "wrong": strings.Repeat("w", 43), "absent": "", "short": "v", "long": strings.Repeat("v", 129),
		"the challenge itself": portaltest.Challenge(), "not unreserved": portaltest.Verifier + "/",
	}
	for _, client := range []string{"web", "spa", "plain"} {
		for _, challenged := range []bool{true, false} {
			for name, verifier := range verifiers {
				what := client + ", verifier " + name
				var pairs []string
				if !challenged {
					what += ", no challenge"
					pairs = []string{"code_challenge", "", "code_challenge_method", ""}
				}
				if !challenged && client != "plain" {
					w.wantFault(what, b.Get(authorize(client, pairs...)), client, "invalid_request")
					continue
				}
				answer := w.as(client, grantForm(client, w.code(b, client, pairs...), "code_verifier", verifier))
				if challenged && name == "right" || !challenged && name == "absent" {
					if answer.Status != http.StatusOK || answer.Str("access_token") == "" {
						t.Errorf("%s: %d %s", what, answer.Status, answer.Body)
					}
					continue
				}
				wantOAuth(t, what, answer, http.StatusBadRequest, "invalid_grant")
			}
		}
	}
}

// "plain" lets whoever reads the request redeem the code.
func TestPKCEPlainRefused(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	for _, client := range []string{"web", "spa", "plain"} {
		for _, c := range []struct{ what, method, challenge string }{
			{"plain", "plain", portaltest.Challenge()},
			{"no method", "", portaltest.Challenge()},
			{"unknown method", "S512", portaltest.Challenge()},
			{"lower case", "s256", portaltest.Challenge()},
			{"method without challenge", "S256", ""},
			{"short challenge", "S256", portaltest.Challenge()[:42]},
			{"long challenge", "S256", portaltest.Challenge() + "A"},
			{"not base64url", "S256", strings.Repeat("+", 43)},
			{"loose last bits", "S256", strings.Repeat("A", 42) + "B"},
		} {
			w.wantFault(client+": "+c.what, b.Get(authorize(client, "code_challenge", c.challenge, "code_challenge_method", c.method)), client, "invalid_request")
		}
	}
}

// A wrong verifier spends the code: who sent it may have stolen it.
func TestWrongProofBurnsTheCode(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	for what, pairs := range map[string][]string{
		"verifier": {"code_verifier", strings.Repeat("w", 43)},
		"address":  {"redirect_uri", "https://web.example.net/other"},
	} {
		code := w.code(b, "web")
		wantOAuth(t, "wrong "+what, w.as("web", grantForm("web", code, pairs...)), http.StatusBadRequest, "invalid_grant")
		wantOAuth(t, "right after wrong "+what, w.as("web", grantForm("web", code)), http.StatusBadRequest, "invalid_grant")
	}
}
