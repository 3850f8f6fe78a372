package idp_test

import (
	"net/http"
	"strings"
	"testing"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// wantForm checks the page of response_mode=form_post: one form to the
// client, hidden fields, one button, nothing that runs, no form-action.
func (w *world) wantForm(what string, page *portaltest.Page, client, name string) {
	w.t.Helper()
	if page.Left != "" || page.Status != http.StatusOK || len(page.Forms) != 1 || page.Header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("%s: %d with %d forms, leaves for %q", what, page.Status, len(page.Forms), page.Left)
		return
	}
	form := page.Forms[0]
	if form.Action != testClients[client].callback || form.Method != http.MethodPost {
		w.t.Errorf("%s: the form goes to %s %s", what, form.Method, form.Action)
	}
	if form.Fields.Get(name) == "" || form.Fields.Get("state") != `s"><script>alert(1)</script>` || form.Fields.Get("iss") != w.Issuer {
		w.t.Errorf("%s: fields %v", what, form.Fields)
	}
	if name == "error" && form.Fields.Get("code") != "" || name == "code" && form.Fields.Get("error") != "" {
		w.t.Errorf("%s: code and error: %v", what, form.Fields)
	}
	csp := page.Header.Get("Content-Security-Policy")
	if strings.Contains(csp, "form-action") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
		w.t.Errorf("%s: Content-Security-Policy %q", what, csp)
	}
	if strings.Count(page.Body, "<button") != 1 || strings.Contains(page.Body, "<script") || strings.Contains(page.Body, "onload") {
		w.t.Errorf("%s: the page has %d buttons or a script", what, strings.Count(page.Body, "<button"))
	}
	for field := range form.Fields {
		if strings.Count(page.Body, `type="hidden" name="`+field+`"`) != 1 {
			w.t.Errorf("%s: %s is not one hidden field", what, field)
		}
	}
}

func TestFormPost(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	mode := func(pairs ...string) []string {
		return append([]string{"response_mode", "form_post", "state", `s"><script>alert(1)</script>`}, pairs...)
	}
	page := b.Get(authorize("trusted", mode()...))
	w.wantForm("without a page", page, "trusted", "code")
	if a := w.as("trusted", grantForm("trusted", page.Forms[0].Fields.Get("code"))); a.Status != http.StatusOK {
		t.Errorf("its code gives %d %s", a.Status, a.Body)
	}
	w.wantForm("behind consent", w.allow(b, "web", mode()...), "web", "code")
	w.wantForm("refused", b.Submit(b.Get(authorize("web", mode("prompt", "consent")...)), "decision", "deny"), "web", "error")
	w.wantForm("login_required", w.Browser().Get(authorize("trusted", mode("prompt", "none")...)), "trusted", "error")
	w.wantForm("bad request", b.Get(authorize("trusted", mode("response_type", "token")...)), "trusted", "error")
	w.wantForm("no PKCE", b.Get(authorize("trusted", mode("code_challenge", "", "code_challenge_method", "")...)), "trusted", "error")
	// The rest of the site keeps its form-action.
	if csp := b.Get(authorize("trusted", mode("prompt", "login")...)).Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self'") {
		t.Errorf("the sign-in page has %q", csp)
	}
}

// The way on is a page when a form of ours came before it (Chromium holds
// form-action against redirects), and a redirect when nothing was shown; in
// each the parameters are appended to the very text that was registered.
func TestHowAnswersLeave(t *testing.T) {
	w := newWorld(t,
		`{"client_id":"bare","client_secret":"bare-secret","redirect_uris":["https://pve.example.net:8006","https://pve.example.net:8006?a=b","https://pve.example.net/x?"],"trusted":true}`)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	page := w.allow(b, "web")
	if page.Status != http.StatusOK || page.Header.Get("Location") != "" || page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("behind a form: %d", page.Status)
	}
	if page = b.Get(authorize("web")); page.Status != http.StatusSeeOther || page.Header.Get("Cache-Control") != "no-store" || page.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("without a form: %d %v", page.Status, page.Header)
	}
	for address, prefix := range map[string]string{
		"https://pve.example.net:8006":     "https://pve.example.net:8006?code=",
		"https://pve.example.net:8006?a=b": "https://pve.example.net:8006?a=b&code=",
		"https://pve.example.net/x?":       "https://pve.example.net/x?code=",
	} {
		page = b.Get(portaltest.Authorize("bare", address))
		if !strings.HasPrefix(page.Left, prefix) {
			t.Errorf("%s is answered at %s", address, page.Left)
		}
		if a := w.Redeem("bare", "bare-secret", page.Query(t).Get("code"), address); a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", address, a.Status, a.Body)
		}
	}
	// state is opaque: it comes back as it was sent, or the request is refused.
	for _, state := range []string{"a b+c%20&d=e", "ä€😀", `"'<>`, strings.Repeat("x", 8<<10)} {
		if got := b.Get(authorize("trusted", "state", state)).Query(t); got.Get("state") != state || got.Get("code") == "" {
			t.Errorf("state %.20q comes back as %.20q with %v", state, got.Get("state"), got.Get("error"))
		}
	}
	for _, state := range []string{"\x00", "a\nb", "\x7f", "\xff\xfe", strings.Repeat("x", 8<<10+1)} {
		if got := b.Get(authorize("trusted", "state", state)).Query(t); got.Get("error") != "invalid_request" || got.Has("state") {
			t.Errorf("state %.20q comes back as %.20q with %q", state, got.Get("state"), got.Get("error"))
		}
	}
}
