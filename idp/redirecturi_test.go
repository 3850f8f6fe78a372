package idp

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

var loopbackURIs = []string{"http://127.0.0.1/cb", "http://localhost:8000/cb", "http://[::1]/cb?x=1", "http://localhost", "com.example.app:/cb"}

func TestMatchRedirectURI(t *testing.T) {
	web := []string{"https://app.example.net/cb", "https://app.example.net/cb?tenant=1", "https://pve.example.net:8006", "http://127.0.0.1/cb"}
	for _, c := range []struct {
		registered []string
		native     bool
		given      string
		want       bool
	}{
		{web, false, "https://app.example.net/cb", true},
		{web, false, "https://app.example.net/cb?tenant=1", true},
		{web, false, "https://pve.example.net:8006", true},
		{web, false, "https://pve.example.net:8006/", false},
		{web, false, "https://app.example.net/cb/", false},
		{web, false, "https://app.example.net/CB", false},
		{web, false, "https://APP.example.net/cb", false},
		{web, false, "HTTPS://app.example.net/cb", false},
		{web, false, "https://app.example.net:443/cb", false},
		{web, false, "https://app.example.net/cb?tenant=2", false},
		{web, false, "https://app.example.net/cb?tenant=1&x=2", false},
		{web, false, "https://app.example.net/cb#", false},
		{web, false, "https://app.example.net/cb#f", false},
		{web, false, "https://app.example.net/cb/../evil", false},
		{web, false, "https://app.example.net/x/..;/cb", false},
		{web, false, "https://app.example.net/%63b", false},
		{web, false, "https://app.example.net%2Fcb", false},
		{web, false, "https://app.example.net/cb%2f..", false},
		{web, false, "https://app.example.net/cb\t", false},
		{web, false, " https://app.example.net/cb", false},
		{web, false, "https://app.example.net@evil.example/cb", false},
		{web, false, "https://app.example.net.evil.example/cb", false},
		{web, false, "https://app.example.net\\@evil.example/cb", false},
		{web, false, "//app.example.net/cb", false},
		{web, false, "/cb", false},
		{web, false, "", false},
		{web, false, "http://127.0.0.1:9/cb", false}, // any port is for native clients
		{nil, false, "https://app.example.net/cb", false},
		{nil, true, "http://127.0.0.1:9/cb", false},

		{loopbackURIs, true, "http://127.0.0.1:51234/cb", true},
		{loopbackURIs, true, "http://localhost:1/cb", true},
		{loopbackURIs, true, "http://localhost/cb", true},
		{loopbackURIs, true, "http://[::1]:9/cb?x=1", true},
		{loopbackURIs, true, "http://localhost:9", true},
		{loopbackURIs, true, "com.example.app:/cb", true},
		{loopbackURIs, true, "com.example.app:/other", false},
		{loopbackURIs, true, "http://localhost:9/", false},
		{loopbackURIs, true, "http://127.0.0.2:9/cb", false},
		{loopbackURIs, true, "http://[::1]:9/cb", false},
		{loopbackURIs, true, "https://127.0.0.1:9/cb", false},
		{loopbackURIs, true, "http://127.0.0.1:9/cb?x=1", false},
		{loopbackURIs, true, "http://127.0.0.1:9/cb?", false},
		{loopbackURIs, true, "http://127.0.0.1:9/%63b", false},
		{loopbackURIs, true, "http://127.0.0.1:9//cb", false},
		{loopbackURIs, true, "http://LOCALHOST:9/cb", false},
		{loopbackURIs, true, "http://localhost.:9/cb", false},
		{loopbackURIs, true, "http://localhost.evil.example:9/cb", false},
		{loopbackURIs, true, "http://user@localhost:9/cb", false},
		{loopbackURIs, true, "http://127.0.0.1:80@evil.example/cb", false},
		{loopbackURIs, true, "http://127.0.0.1%2Fcb%23@evil.example/steal", false},
		{loopbackURIs, true, "http://localhost%23@evil.example/", false},
		{loopbackURIs, true, "http://127.0.0.1%00:9/cb", false},
		{loopbackURIs, true, "http://127.0.0.1:9\\@evil.example/cb", false},
		{loopbackURIs, true, "http://2130706433:9/cb", false},
		{loopbackURIs, true, "http://127.0.0.1:port/cb", false},
	} {
		if got := matchRedirectURI(c.registered, c.native, c.given); got != c.want {
			t.Errorf("native %v: %q matches: %v, want %v", c.native, c.given, got, c.want)
		}
	}
}

func TestLongRedirectURIDoesNotMatchItself(t *testing.T) {
	long := "https://app.example.net/" + strings.Repeat("a", maxAddress)
	if matchRedirectURI([]string{long}, false, long) {
		t.Error("an address over the limit matches")
	}
}

// What matches is the very text that was registered, or, for native clients, a
// loopback address in which only the port differs; and a browser that is sent
// there arrives at the registered host.
func FuzzMatchRedirectURI(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1%2Fcb%23@evil.example/steal", "http://localhost%23@evil.example/", "http://127.0.0.1:51234/cb", "http://[::1]:9/cb?x=1",
		"https://app.example.net/cb", "http://localhost:8000/cb?code=1", "http://127.0.0.1:/cb", "http://[::1%25lo]:9/cb?x=1", "com.example.app:/cb", "http://127.0.0.1:9/cb#@evil.example/"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	registered := append([]string{"https://app.example.net/cb"}, loopbackURIs...)
	f.Fuzz(func(t *testing.T, given string, native bool) {
		if !matchRedirectURI(registered, native, given) || slices.Contains(registered, given) {
			return
		}
		if !native {
			t.Fatalf("%q matches for a web client", given)
		}
		u, err := url.Parse(given)
		if err != nil {
			t.Fatalf("%q matches and cannot be parsed: %v", given, err)
		}
		if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
			u.Host = strings.TrimSuffix(u.Host, ":"+port)
		}
		same := slices.ContainsFunc(registered, func(text string) bool {
			r, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = strings.TrimSuffix(r.Host, ":8000")
			return r.String() == u.String() && loopback(r)
		})
		if !same {
			t.Fatalf("%q matches none of %v but for its port", given, registered)
		}
		location, err := url.Parse(withQuery(given, []Field{{"code", "c"}, {"state", "@evil.example/#"}}))
		if err != nil || location.Hostname() != u.Hostname() || location.User != nil || location.Query().Get("code") != "c" {
			t.Fatalf("the answer at %q goes to %v (%v)", given, location, err)
		}
	})
}

func TestCheckRegisteredURI(t *testing.T) {
	for _, c := range []struct {
		address     string
		web, native bool
	}{
		{"https://app.example.net/cb", true, true},
		{"https://app.example.net", true, true},
		{"https://app.example.net/cb?logout=backchannel", true, true},
		{"http://127.0.0.1:8000/cb", true, true},
		{"http://[::1]/cb", true, true},
		{"http://localhost/cb", true, true},
		{"com.example.app:/cb", false, true},
		{"http://app.example.net/cb", false, false},
		{"http://127.0.0.1.example.net/cb", false, false},
		{"http://10.0.0.1/cb", false, false},
		{"javascript:alert(1)", false, false},
		{"JavaScript:alert(1)", false, false},
		{"data:text/html,x", false, false},
		{"vbscript:x", false, false},
		{"file:///etc/passwd", false, false},
		{"blob:https://app.example.net/1", false, false},
		{"about:blank", false, false},
		{"view-source:https://app.example.net/", false, false},
		{"https://*.example.net/cb", false, false},
		{"https://user@app.example.net/cb", false, false},
		{"https://user:pass@app.example.net/cb", false, false},
		{"https://app.example.net/cb#f", false, false},
		{"https://app.example.net/c b", false, false},
		{"https://app.example.net/\u00e4", false, false},
		{"https://app.example.net\\cb", false, false},
		{"https://app.example.net/\"", false, false},
		{"https://app.example.net/<x>", false, false},
		{"https:///cb", false, false},
		{"https:app.example.net", false, false},
		{"/cb", false, false},
		{"app.example.net/cb", false, false},
		{"", false, false},
		{"https://app.example.net/" + strings.Repeat("a", maxAddress), false, false},
	} {
		if got := checkRegisteredURI(c.address, false) == nil; got != c.web {
			t.Errorf("web: %.80q is accepted: %v", c.address, got)
		}
		if got := checkRegisteredURI(c.address, true) == nil; got != c.native {
			t.Errorf("native: %.80q is accepted: %v", c.address, got)
		}
	}
}
