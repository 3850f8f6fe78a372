package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"peerage/portal/portaltest"
)

// returnPaths are what ?return= may be given, and where it may lead.
var returnPaths = []struct{ given, want string }{
	{"/identity", "/identity"},
	{"/identity/totp", "/identity/totp"},
	{"/identity?done=second_factor_added", "/identity?done=second_factor_added"},
	{"/login/enrol?request=0b8f", "/login/enrol?request=0b8f"},
	{"/identity#part", "/identity"},
	{"/identity?to=//evil.example", "/identity?to=//evil.example"},
	{"", "/"}, {"/", "/"}, {"/nowhere", "/"}, {"identity", "/"}, {"./identity", "/"}, {"/identity/", "/"},
	{"/consent", "/consent"},
	{"/oauth2/authorize?client_id=x", "/"}, // not a page of ours
	{"/static/app.css", "/"},               // nor this
	{"//evil.example", "/"},                // another host
	{"//evil.example/identity", "/"},
	{"///evil.example/identity", "/"}, // browsers read it as the same
	{`/\evil.example`, "/"},
	{`\/evil.example`, "/"},
	{`/identity\..\..\evil.example`, "/"},
	{"/%2fevil.example", "/"},
	{"/%2fevil.example/../identity", "/"}, // a page of ours to the mux only
	{"/%2f%2fevil.example/../identity", "/"},
	{"/%2fidentity", "/"}, // the host "identity"
	{"/%2flogin", "/"},
	{"/%5cevil.example/../identity", "/"},
	{"/%5cidentity", "/"},
	{"/.//evil.example", "/"},
	{"/.//identity", "/"},
	{"/login/../..//evil", "/"},
	{"/login/../identity", "/"}, // would be ours, but no page writes it
	{"/login/%2e%2e/identity", "/"},
	{"https:evil.example", "/"},
	{"https://evil.example/identity", "/"},
	{"javascript:alert(1)", "/"},
	{"//user:pw@evil.example/identity", "/"}, // userinfo
	{"/@evil.example", "/"},
	{"/\tevil", "/"}, {"/\n/evil.example", "/"}, // browsers drop these
	{"/identity\r\nSet-Cookie: a=b", "/"}, // a header of its own
	{"/identity\x00", "/"}, {"/identity\x7f", "/"},
	{" /identity", "/"}, {"/identity%zz", "/"},
	{"/recover/x/../../..//evil.example", "/"},
	{"/recover/%2f%2fevil.example", "/"},
	{"/identity?" + strings.Repeat("a", 64<<10), "/"},
	{strings.Repeat("/", 64<<10) + "evil.example", "/"},
	{"/metrics", "/metrics"}, {"/logout?done=yes", "/logout?done=yes"},
}

func TestReturnPath(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{})
	for _, test := range returnPaths {
		if got := site.Portal.ReturnPath(test.given); got != test.want {
			t.Errorf("returnPath(%.60q) = %q, want %q", test.given, got, test.want)
		}
	}
}

// The same through the whole site: after a sign-in with a hostile ?return=.
func TestReturnAfterSignIn(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{})
	site.AddUser("bob")
	b := site.Browser()
	if page := signIn(b, "bob", ""); page.URL.Path != "/" {
		t.Fatalf("a sign-in leads to %s", page.URL)
	}
	for _, test := range returnPaths {
		// Who is signed in is sent on at once.
		page := b.Once(http.MethodGet, "/login?return="+url.QueryEscape(test.given), nil, nil)
		if got := page.Header.Get("Location"); len(test.given) < 1000 && (page.Status != http.StatusSeeOther || got != test.want) {
			t.Errorf("/login?return=%.60q leads to %d %q, want %q", test.given, page.Status, got, test.want)
		}
	}
}

// FuzzReturnPath: following what comes out never leaves the site.
func FuzzReturnPath(f *testing.F) {
	site := portaltest.New(f, portaltest.Options{})
	for _, test := range returnPaths {
		f.Add(test.given)
	}
	here, err := url.Parse(site.Issuer + "/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, given string) {
		got := site.Portal.ReturnPath(given)
		if problem := leaves(here, got); problem != "" {
			t.Errorf("returnPath(%q) = %q: %s", given, got, problem)
		}
		if again := site.Portal.ReturnPath(got); again != got {
			t.Errorf("returnPath(%q) = %q, and of that %q", given, got, again)
		}
	})
}

// leaves says how a Location would lead a browser out of the site, "" when it
// does not. Browsers read a backslash as a slash and drop tabs and newlines
// (WHATWG URL section 4.4).
func leaves(here *url.URL, location string) string {
	if strings.ContainsFunc(location, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "control characters"
	}
	asBrowser := strings.ReplaceAll(location, "\\", "/")
	if path, _, _ := strings.Cut(asBrowser, "?"); strings.HasPrefix(path, "//") || !strings.HasPrefix(path, "/") {
		return "does not begin with one slash"
	}
	u, err := here.Parse(asBrowser)
	if err != nil {
		return err.Error()
	}
	if u.Host != here.Host || u.Scheme != here.Scheme || u.User != nil {
		return "leads to " + u.String()
	}
	return ""
}
