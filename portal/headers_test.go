package portal_test

import (
	"net/http"
	"strings"
	"testing"

	"peerage/portal/portaltest"
)

const (
	wantScriptPolicy   = wantPolicy + "; script-src 'self'"
	wantPolicy         = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
	wantFormPostPolicy = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
)

// passkeyPages are those with a script.
var passkeyPages = map[string]bool{"/login/passkey": true, "/login/confirm": true, "/identity/passkeys": true}

// checkHeaders holds for every answer of the public listener but the one to a
// foreign host name.
func checkHeaders(t *testing.T, site *portaltest.Site, r *http.Response) {
	t.Helper()
	at := r.Request.Method + " " + r.Request.URL.Path
	if len(r.Header.Get("X-Request-Id")) != 13 {
		t.Errorf("%s: request id %q", at, r.Header.Get("X-Request-Id"))
	}
	if r.StatusCode == http.StatusMisdirectedRequest {
		return
	}
	https := ""
	if strings.HasPrefix(site.Issuer, "https:") {
		https = "max-age=31536000"
	}
	for name, want := range map[string]string{
		"Content-Security-Policy":    wantPolicy,
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Strict-Transport-Security":  https,
	} {
		got := strings.Join(r.Header.Values(name), "\n")
		formPost := name == "Content-Security-Policy" && got == wantFormPostPolicy && strings.HasPrefix(r.Request.URL.Path, "/oauth2/authorize")
		// A page alone that has the script lets it load.
		scripted := name == "Content-Security-Policy" && got == wantScriptPolicy && passkeyPages[r.Request.URL.Path]
		if got != want && !formPost && !scripted {
			t.Errorf("%s (%d): %s is %q, want %q", at, r.StatusCode, name, got, want)
		}
	}
	// The mux's own redirects to a cleaned path are not worth keeping either, but hold nothing.
	page := strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") && r.StatusCode != http.StatusTemporaryRedirect
	if (page || r.StatusCode == http.StatusSeeOther) && r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s (%d): Cache-Control is %q", at, r.StatusCode, r.Header.Get("Cache-Control"))
	}
	if r.Header.Get("Access-Control-Allow-Origin") != "" && !strings.HasPrefix(r.Request.URL.Path, "/.well-known/") && !strings.HasPrefix(r.Request.URL.Path, "/oauth2/") {
		t.Errorf("%s: other sites may read it", at)
	}
}
