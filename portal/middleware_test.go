package portal_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"peerage/portal/portaltest"
)

// raw sends a request line that no client library would.
func raw(t *testing.T, site *portaltest.Site, target, host string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(site.Address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, host); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("GET %q: %v", target, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("GET %q: reading: %v", target, err)
	}
	return response, string(body)
}

func TestTrailingSlash(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{})
	host := strings.TrimPrefix(site.Address, "http://")
	for target, want := range map[string]string{
		"/login/":                            "/login",
		"/login/?return=%2Fidentity&x=a+b":   "/login?return=%2Fidentity&x=a+b",
		"/identity/totp///":                  "/identity/totp",
		"/oauth2/authorize/?client_id=x":     "/oauth2/authorize?client_id=x",
		"/.well-known/openid-configuration/": "/.well-known/openid-configuration",
		"/recover/a%2Fb/":                    "/recover/a%2Fb",
		"/nowhere/":                          "/nowhere",
		`/\evil.example/`:                    "/%5Cevil.example",
		"/%5cevil/":                          "/%5cevil",
	} {
		response, _ := raw(t, site, target, host)
		if got := response.Header.Get("Location"); response.StatusCode != http.StatusPermanentRedirect || got != want {
			t.Errorf("GET %s: %d %q, want 308 %q", target, response.StatusCode, got, want)
		}
	}
}

// Whatever stands in the request line, no redirect leaves the site.
func TestRedirectsOfPathsStayHere(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{})
	host := strings.TrimPrefix(site.Address, "http://")
	here := mustParse(t, site.Issuer)
	for _, target := range []string{
		"//evil.example/", "//evil.example", "///evil.example/", "////", "///", "//", `/\evil.example/`, `/\/evil.example/`, `\\evil.example/`, "/%5cevil/", "/%2fevil.example/",
		"/%2f%2fevil.example//", "/.//evil.example/", "/..//evil.example/", "/login/..//evil.example/", "/login/../..//evil.example/?x=/", "/x/%2e%2e//evil.example/",
		"/static/..//evil.example/", "/static//evil.example/", "/oauth2/..//evil.example/", "/.well-known//evil.example/", "//user:pw@evil.example/", "/@evil.example/",
		"/%09/evil.example/", "/%0d%0aLocation:%20https:%2f%2fevil.example/", "//evil.example/%2e%2e/", "//" + host + "@evil.example/", "/login//", "/login/?return=//evil.example/",
	} {
		for next, steps := target, 0; ; steps++ {
			if steps == 10 {
				t.Errorf("GET %s: redirects in a circle", target)
				break
			}
			response, _ := raw(t, site, next, host)
			location := response.Header.Get("Location")
			if location == "" {
				break
			}
			if problem := leaves(here, location); problem != "" {
				t.Errorf("GET %s: at %s the redirect to %q %s", target, next, location, problem)
				break
			}
			next = location
		}
	}
}

func TestHostNames(t *testing.T) {
	plain := portaltest.New(t, portaltest.Options{})
	secure := portaltest.New(t, portaltest.Options{Issuer: httpsIssuer})
	for _, test := range []struct {
		site         *portaltest.Site
		target, host string
		want         int
	}{
		{plain, "/login", "127.0.0.1", 200},
		{plain, "/login", "127.0.0.1:99", 200}, // a port forwarded elsewhere
		{plain, "/login", "LocalHost:8080", 200},
		{plain, "/login", "[::1]:8080", 200},
		{plain, "/login", "evil.example", 421},
		{plain, "/.well-known/openid-configuration", "evil.example", 421},
		{plain, "/static/app.css", "evil.example", 421},
		{plain, "/login/", "evil.example", 421}, // no redirect either
		{plain, "/login", "127.0.0.1.evil.example", 421},
		{plain, "/login", "127.0.0.1@evil.example", 400}, // net/http's answer
		{plain, "/login", "id.example.net", 421},
		{plain, "http://evil.example/login", "127.0.0.1", 421},
		{secure, "/login", "id.example.net", 200},
		{secure, "/login", "ID.example.net:443", 200},
		{secure, "/login", "localhost", 200}, // the health check
		{secure, "/login", "evil.id.example.net", 421},
		{secure, "/login", "example.net", 421},
	} {
		response, body := raw(t, test.site, test.target, test.host)
		if response.StatusCode != test.want {
			t.Errorf("GET %s of %q: %d, want %d", test.target, test.host, response.StatusCode, test.want)
		}
		if strings.Contains(body, "evil") || strings.Contains(response.Header.Get("Location"), "evil") {
			t.Errorf("GET %s of %q repeats the name", test.target, test.host)
		}
	}
}

// What proxies and attackers say of host and scheme changes nothing, not even
// from a trusted proxy: the issuer alone counts.
func TestForwardedHostChangesNothing(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "]", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	poison := func(r *http.Request) {
		for name, value := range map[string]string{"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "444", "X-Forwarded-Prefix": "/evil",
			"Forwarded": "host=evil.example;proto=https", "X-Original-URL": "/evil", "X-Rewrite-URL": "/evil", "X-Host": "evil.example", "X-HTTP-Method-Override": "DELETE"} {
			r.Header.Set(name, value)
		}
	}
	for _, path := range []string{"/", "/login", "/login/", "/logout", "/.well-known/openid-configuration", "/.well-known/jwks.json", "/oauth2/authorize?client_id=evil", "/nowhere"} {
		clean, poisoned := w.Call(http.MethodGet, path, nil, nil), w.Call(http.MethodGet, path, nil, poison)
		if clean.Status != poisoned.Status || clean.Header.Get("Location") != poisoned.Header.Get("Location") || withoutNumber(clean.Body, clean.Header) != withoutNumber(poisoned.Body, poisoned.Header) {
			t.Errorf("GET %s: %d %q, but with forwarding headers %d %q", path, clean.Status, clean.Header.Get("Location"), poisoned.Status, poisoned.Header.Get("Location"))
		}
		if line := poisoned.Header.Get("Set-Cookie"); strings.Contains(line, "Secure") || strings.Contains(strings.ToLower(line), "domain") {
			t.Errorf("GET %s sets %q", path, line)
		}
	}
}

// withoutNumber takes the request's number out of a page.
func withoutNumber(body string, h http.Header) string {
	return strings.ReplaceAll(body, h.Get("X-Request-Id"), "NUMBER")
}

func TestBadForms(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	bob := w.AddUser("bob")
	credentials := url.Values{"username": {"bob"}, "password": {portaltest.Password}}
	typed := func(contentType string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Content-Type")
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
		}
	}
	body := func(text string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength, r.GetBody = io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
		}
	}
	unknownLength := func(r *http.Request) {
		body(credentials.Encode() + "&x=" + strings.Repeat("x", 64<<10))(r)
		r.ContentLength = -1
	}
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"as it should be, with a charset": {typed("application/x-www-form-urlencoded; charset=utf-8"), "303 /"},
		"over 64 KiB":                     {body(credentials.Encode() + "&x=" + strings.Repeat("x", 64<<10)), "413 invalid_request"},
		"over 64 KiB, in chunks":          {unknownLength, "413 invalid_request"},
		"JSON":                            {typed("application/json"), "415 invalid_request"},
		"plain text":                      {typed("text/plain"), "415 invalid_request"},
		"multipart":                       {typed("multipart/form-data; boundary=x"), "415 invalid_request"},
		"no type":                         {typed(""), "415 invalid_request"},
		"broken type":                     {typed("application/"), "415 invalid_request"},
		"broken escapes":                  {body("username=%zz&password=x"), "400 invalid_request"},
		"semicolons":                      {body("username=bob;password=x"), "400 invalid_request"},
		"empty":                           {body(""), "422 wrong_credentials"},
		"nothing at all":                  {func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0; typed("")(r) }, "422 wrong_credentials"},
		"zero bytes":                      {body("username=bob%00&password=" + url.QueryEscape(portaltest.Password)), "422 wrong_credentials"},
		"not UTF-8":                       {body("username=%ff%fe&password=%ff"), "422 wrong_credentials"},
	} {
		page := w.Browser().Once(http.MethodPost, "/login", credentials, test.change)
		if got := outcome(page); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	if sessions, err := w.Store.Sessions(t.Context(), bob.Sub); err != nil || len(sessions) != 1 {
		t.Errorf("%d sessions, %v; only the sound form may make one", len(sessions), err)
	}
	// What stands in the address is no form: it would end in logs.
	for _, inBody := range []url.Values{{}, {"username": {"bob"}}, {"password": {portaltest.Password}}} {
		page := w.Browser().Once(http.MethodPost, "/login?"+credentials.Encode(), inBody, nil)
		if got := outcome(page); got != "422 wrong_credentials" {
			t.Errorf("credentials in the address, %v in the body: %s", inBody, got)
		}
	}
}

func TestNotFound(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	if page := b.Get("/admin"); outcome(page) != "403 not_allowed" || !strings.Contains(page.Body, `<a class="button" href="/">`) {
		t.Errorf("GET /admin: %s, no way on", outcome(page))
	}
	for _, path := range []string{"/nowhere", "/identity/nothing", "/login/totp/x", "/administration", "/recover/a/b", "/%3Cscript%3Ealert(1)%3C%2Fscript%3E"} {
		page := b.Get(path)
		if outcome(page) != "404 not_found" || strings.Contains(page.Body, "alert(1)") || !strings.Contains(page.Body, page.Header.Get("X-Request-Id")) {
			t.Errorf("GET %s: %s", path, outcome(page))
		}
		if !strings.Contains(page.Body, `<a class="button" href="/">`) {
			t.Errorf("GET %s: no way on", path)
		}
	}
}

// A page of ours that is called in another way says in which it can be.
func TestWrongMethod(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	for _, test := range []struct{ method, path, allow string }{
		{http.MethodPut, "/login", "GET, HEAD, POST"}, {http.MethodDelete, "/login", "GET, HEAD, POST"}, {http.MethodPatch, "/identity/totp", "GET, HEAD, POST"},
		{"BREW", "/login", "GET, HEAD, POST"}, {http.MethodPost, "/admin/events", "GET, HEAD"},
		{http.MethodDelete, "/recover/token", "GET, HEAD, POST"},
	} {
		page := w.Browser().Once(test.method, test.path, nil, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
		if outcome(page) != "405 invalid_request" || page.Header.Get("Allow") != test.allow || !strings.Contains(page.Body, page.Header.Get("X-Request-Id")) {
			t.Errorf("%s %s: %s, Allow %q", test.method, test.path, outcome(page), page.Header.Get("Allow"))
		}
	}
	// What is not there is not there, whatever the method; nor is what a
	// stranger may not know of.
	for _, path := range []string{"/nowhere", "/metrics"} {
		if page := w.Browser().Once(http.MethodDelete, path, nil, nil); page.Status != http.StatusNotFound || page.Header.Get("Allow") != "" {
			t.Errorf("DELETE %s: %s, Allow %q", path, outcome(page), page.Header.Get("Allow"))
		}
	}
}
