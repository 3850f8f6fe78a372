package portal_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

// from pretends to come from that address, through a trusted proxy.
func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("X-Forwarded-For", address) }
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }

func TestRateLimitOfPages(t *testing.T) {
	w := newWorld(t, portaltest.Options{RateLimit: 0.5, RateBurst: 3, TrustedProxies: loopback(), Clients: "[" + grafana + "]"})
	status := func(address, path string) int {
		t.Helper()
		return w.Call(http.MethodGet, path, nil, from(address)).Status
	}
	paths := []string{"/login", "/oauth2/authorize?client_id=x", "/nowhere"} // one count for all of them
	for _, path := range paths {
		if got := status("203.0.113.1", path); got == http.StatusTooManyRequests {
			t.Fatalf("GET %s: refused within the burst", path)
		}
	}
	for _, path := range append(paths, "/oauth2/logout", "/login/totp") {
		refused := w.Call(http.MethodGet, path, nil, from("203.0.113.1"))
		if refused.Status != http.StatusTooManyRequests || refused.Header.Get("Retry-After") != "2" {
			t.Errorf("GET %s: %d, Retry-After %q", path, refused.Status, refused.Header.Get("Retry-After"))
		}
		for _, want := range []string{`data-error="throttled"`, "Too many attempts", refused.Header.Get("X-Request-Id")} {
			if !strings.Contains(refused.Body, want) {
				t.Errorf("GET %s: the page does not say %q", path, want)
			}
		}
	}
	// A wrong password costs no comparison then.
	if refused := w.Call(http.MethodPost, "/login", url.Values{"username": {"x"}, "password": {"y"}}, from("203.0.113.1")); refused.Status != http.StatusTooManyRequests {
		t.Errorf("POST /login: %d", refused.Status)
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json", "/static/nothing"} {
		for range 5 {
			if got := status("203.0.113.1", path); got == http.StatusTooManyRequests {
				t.Errorf("GET %s is counted", path)
			}
		}
	}
	if got := status("203.0.113.2", "/login"); got != http.StatusOK {
		t.Errorf("the neighbour gets %d", got)
	}
	w.Clock.Advance(2 * time.Second)
	if got := status("203.0.113.1", "/login"); got != http.StatusOK {
		t.Errorf("after the wait: %d", got)
	}
	if got := metric(t, w.Site, "peerage_rate_limited_total", "rule", "address"); got != 6 {
		t.Errorf("%v refusals are counted, want 6", got)
	}
}

// One IPv6 customer has a whole /64.
func TestRateLimitByNetwork(t *testing.T) {
	w := newWorld(t, portaltest.Options{RateLimit: 1, RateBurst: 1, TrustedProxies: loopback()})
	for _, test := range []struct {
		address string
		want    int
	}{
		{"2001:db8::1", 200}, {"2001:db8::2", 429}, {"2001:db8:0:0:ffff::9", 429}, {"2001:db8:0:1::1", 200},
		{"::ffff:203.0.113.1", 200}, {"203.0.113.1", 429}, // one address in two spellings
		{"198.51.100.7, 203.0.113.1", 429}, // what stands left of it is made up
	} {
		if got := w.Call(http.MethodGet, "/login", nil, from(test.address)).Status; got != test.want {
			t.Errorf("%s: %d, want %d", test.address, got, test.want)
		}
	}
}

// A client that has authenticated speaks for all its people.
func TestRateLimitOfTokens(t *testing.T) {
	w := newWorld(t, portaltest.Options{RateLimit: 1, RateBurst: 2, Clients: "[" + grafana + "]"})
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"nothing"}}
	for range 6 {
		if got := w.Token("grafana", "grafana-secret", form); got.Status != http.StatusBadRequest || got.Str("error") != "invalid_grant" {
			t.Fatalf("an authenticated client gets %d %s", got.Status, got.Body)
		}
	}
	var statuses []string
	for range 4 {
		got := w.Token("grafana", "wrong", form)
		statuses = append(statuses, strconv.Itoa(got.Status))
		if got.Status == http.StatusTooManyRequests && (got.Header.Get("Retry-After") != "1" || got.Str("error") == "") {
			t.Errorf("refused with Retry-After %q, %s", got.Header.Get("Retry-After"), got.Body)
		}
	}
	if got := strings.Join(statuses, " "); got != "401 401 429 429" {
		t.Errorf("wrong secrets get %s", got)
	}
	if got := w.Token("grafana", "grafana-secret", form); got.Status != http.StatusBadRequest {
		t.Errorf("an authenticated client is refused for others: %d", got.Status)
	}
}

func TestForwardedFor(t *testing.T) {
	trusted := append(loopback(), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48"))
	w := newWorld(t, portaltest.Options{TrustedProxies: trusted})
	alone := newWorld(t, portaltest.Options{})
	for _, test := range []struct {
		lines []string
		want  string
	}{
		{nil, "127.0.0.1"},
		{[]string{"203.0.113.9"}, "203.0.113.9"},
		{[]string{" 203.0.113.9 "}, "203.0.113.9"},
		{[]string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"}, // the left one is a claim
		{[]string{"203.0.113.9,10.1.2.3"}, "203.0.113.9"},
		{[]string{"203.0.113.9", "10.1.2.3"}, "203.0.113.9"}, // two headers are one list
		{[]string{"10.9.9.9, 203.0.113.9, 10.1.2.3"}, "203.0.113.9"},
		{[]string{"10.1.1.1, 10.1.1.2"}, "10.1.1.1"},
		{[]string{"203.0.113.9, 2001:db8:ffff::1"}, "203.0.113.9"},
		{[]string{"2001:db8::1"}, "2001:db8::1"},
		{[]string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{[]string{"fe80::1%eth0"}, "fe80::1"},
		{[]string{"garbage"}, "127.0.0.1"},
		{[]string{"203.0.113.9, garbage, 10.1.2.3"}, "10.1.2.3"}, // as far as it can be read
		{[]string{"unknown, 10.1.2.3"}, "10.1.2.3"},
		{[]string{"203.0.113.9:4711"}, "127.0.0.1"},
		{[]string{","}, "127.0.0.1"},
		{[]string{"203.0.113.9,"}, "127.0.0.1"},
		{[]string{"<script>, 10.1.2.3"}, "10.1.2.3"},
		{[]string{strings.Repeat("10.1.1.1,", 5000) + "10.1.1.2"}, "10.1.1.1"},
	} {
		for site, want := range map[*world]string{w: test.want, alone: "127.0.0.1"} {
			site.Call(http.MethodGet, "/login", nil, func(r *http.Request) { r.Header["X-Forwarded-For"] = test.lines })
			lines := site.Log.Lines("request")
			if got := lines[len(lines)-1]["ip"]; got != want {
				t.Errorf("%.80q: the caller is %v, want %s", test.lines, got, want)
			}
		}
	}
	// Whoever forgot to name their proxy is told, once.
	for site, want := range map[*world]int{w: 0, alone: 1} {
		if got := strings.Count(site.Log.String(), "PEERAGE_TRUSTED_PROXIES"); got != want {
			t.Errorf("%d warnings, want %d", got, want)
		}
	}
}
