package idp_test

import (
	"net/http"
	"strings"
	"testing"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// The library decodes redirect_uri a second time, checks the result and
// answers at what it did not check: an encoded # and an @ moved the host.
func TestRedirectURIEncodedHashAtDoesNotLeakCode(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	w.code(b, "kube") // consented: nothing else would stop the code
	for _, address := range []string{
		"http://127.0.0.1%2Fcb%23@evil.example/steal",
		"http://localhost%23@evil.example/",
		"http://localhost%23@evil.example/cb",
		"http://localhost:8000%2Fcb%23@evil.example/",
		"http://127.0.0.1:80@evil.example/cb",
		"http://localhost\\@evil.example/cb",
		"http://localhost:8000/cb#@evil.example/",
		"http://evil.example/cb",
		"https://evil.example/?http://localhost:8000/cb",
		"javascript:alert(1)",
		"com.example.kube:/other",
	} {
		page := b.Get(portaltest.Authorize("kube", address))
		if page.Left != "" || page.Status != http.StatusBadRequest || page.Error != "invalid_request" || page.Header.Get("Location") != "" {
			t.Errorf("%s: %d %q, leaves for %q", address, page.Status, page.Error, page.Left)
		}
		if strings.Contains(page.Body, `href="`+address) || strings.Contains(page.Body, "code=") {
			t.Errorf("%s: the page leads there or holds a code", address)
		}
		// An error must not go there either.
		if page = b.Get(portaltest.Authorize("kube", address, "prompt", "none", "response_type", "token")); page.Left != "" {
			t.Errorf("%s: an error leaves for %q", address, page.Left)
		}
	}
	// Any port of the loopback address is the client's.
	page := b.Submit(b.Get(portaltest.Authorize("kube", "http://127.0.0.1:51234/cb")), "decision", "allow")
	if !strings.HasPrefix(page.Left, "http://127.0.0.1:51234/cb?code=") {
		t.Errorf("another port: %d, leaves for %q", page.Status, page.Left)
	}
	page = b.Submit(b.Get(portaltest.Authorize("kube", "com.example.kube:/cb")), "decision", "allow")
	if !strings.HasPrefix(page.Left, "com.example.kube:/cb?code=") {
		t.Errorf("private-use scheme: %d, leaves for %q", page.Status, page.Left)
	}
}

// Whose address is not known gets no answer: the fault is a page.
func TestFaultsThatMustNotBeRedirected(t *testing.T) {
	w := newWorld(t, `{"client_id":"off","name":"Switched Off","client_secret":"off-secret","redirect_uris":["https://off.example.net/cb"],"disabled":true}`)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	for _, c := range []struct{ what, path, code string }{
		{"unknown client", portaltest.Authorize("nobody", "https://web.example.net/cb"), "invalid_client"},
		{"disabled client", portaltest.Authorize("off", "https://off.example.net/cb"), "invalid_client"},
		{"no client", portaltest.Authorize("", "https://web.example.net/cb"), "invalid_request"},
		{"client twice", authorize("web") + "&client_id=web", "invalid_request"},
		{"no address", authorize("web", "redirect_uri", ""), "invalid_request"},
		{"address twice", authorize("web") + "&redirect_uri=https://web.example.net/cb", "invalid_request"},
		{"another client's address", portaltest.Authorize("web", "https://other.example.net/cb"), "invalid_request"},
		{"with a slash", portaltest.Authorize("web", "https://web.example.net/cb/"), "invalid_request"},
		{"markup", portaltest.Authorize("web", "https://web.example.net/<script>alert(1)</script>"), "invalid_request"},
		{"a query that cannot be read", authorize("web") + "&x=%zz", "invalid_request"},
	} {
		page := b.Get(c.path)
		if page.Left != "" || page.Status != http.StatusBadRequest || page.Error != c.code {
			t.Errorf("%s: %d %q, leaves for %q", c.what, page.Status, page.Error, page.Left)
		}
		if !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") || page.Header.Get("X-Request-Id") == "" || !strings.Contains(page.Body, page.Header.Get("X-Request-Id")) {
			t.Errorf("%s: no page that names its request", c.what)
		}
		if strings.Contains(page.Body, "<script") {
			t.Errorf("%s: the page holds a script", c.what)
		}
	}
	w.calm()
}
