package portal_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

// signIn signs in without an application, with the code of secret when it is
// not empty, and shows the page behind it.
func signIn(b *portaltest.Browser, name, secret string) *portaltest.Page {
	page := b.Submit(b.Get("/login"), "username", name, "password", portaltest.Password)
	if secret != "" && page.URL.Path == "/login/totp" {
		page = b.Submit(page, "code", b.Site.Code(secret))
		b.Site.Clock.Advance(time.Minute) // the next code is another one
	}
	return page
}

// cookie is what the browser holds for the site under that name, nil for nothing.
func cookie(t *testing.T, b *portaltest.Browser, name string) *http.Cookie {
	t.Helper()
	for _, c := range b.Client.Jar.Cookies(mustParse(t, b.Site.Issuer)) {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func mustParse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatalf("parsing %q: %v", address, err)
	}
	return u
}
