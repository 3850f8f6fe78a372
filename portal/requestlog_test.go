package portal_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"peerage/portal/portaltest"
)

// One line a request, with the route's pattern and never its path.
func TestRequestLog(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	const token = "one-time-secret-0123456789"
	for _, test := range []struct {
		method, address, route string
		status                 float64
	}{
		{"GET", "/login?return=/identity&username=marker", "/login", 200},
		{"POST", "/login?x=marker", "/login", 422},
		{"GET", "/recover/" + token, "/recover/{token}", 410},
		{"HEAD", "/recover/" + token, "/recover/{token}", 410},
		{"POST", "/recover/" + token, "/recover/{token}", 410},
		{"GET", "/recover/" + token + "/", "none", 308},
		{"GET", "/recover//" + token, "/", 307}, // cleaned by the mux
		{"GET", "/recover/x/" + token, "/", 404},
		{"GET", "/" + token, "/", 404},
		{"GET", "/static/" + token, "/static/", 404},
		{"GET", "/oauth2/" + token, "none", 404},
		{"GET", "/oauth2/authorize?code=" + token, "/oauth2/authorize", 400},
		{"GET", "/.well-known/openid-configuration", "/.well-known/openid-configuration", 200},
	} {
		before := len(w.Log.Lines("request"))
		page := w.Browser().Once(test.method, test.address, url.Values{"password": {token}, "username": {"x"}}, nil)
		lines := w.Log.Lines("request")[before:]
		if len(lines) != 1 {
			t.Errorf("%s %s writes %d lines", test.method, test.address, len(lines))
			continue
		}
		line := lines[0]
		if line["method"] != test.method || line["route"] != test.route || line["status"] != test.status || line["ip"] != "127.0.0.1" || line["duration"] == nil {
			t.Errorf("%s %s: %v", test.method, test.address, line)
		}
		if id := page.Header.Get("X-Request-Id"); line["request_id"] != id || page.Error != "" && page.Error != "wrong_credentials" && !strings.Contains(page.Body, id) {
			t.Errorf("%s %s: number %q in the header, %q in the line, or none on the page", test.method, test.address, id, line["request_id"])
		}
	}
	for _, secret := range []string{token, "marker"} {
		if strings.Contains(w.Log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	// What programs fetch all the time is told to those who look for it.
	w.Browser().Get("/.well-known/jwks.json")
	w.Browser().Get("/oauth2/userinfo")
	all := w.Log.Lines("request")
	if keys, userInfo := all[len(all)-2], all[len(all)-1]; keys["level"] != "DEBUG" || userInfo["level"] != "INFO" {
		t.Errorf("levels %v of %v, %v of %v", keys["level"], keys["route"], userInfo["level"], userInfo["route"])
	}
	response, _ := raw(t, w.Site, "/login", "evil.example")
	lines := w.Log.Lines("request")
	if line := lines[len(lines)-1]; line["status"] != 421.0 || line["route"] != "none" || line["request_id"] != response.Header.Get("X-Request-Id") {
		t.Errorf("a wrong host name: %v", line)
	}
}

// A panic becomes a page with the request's number; the connection lives on.
func TestPanicBecomesAPage(t *testing.T) {
	quiet := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom: secret-of-the-panic") })
	begun := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		panic("too late")
	})
	everywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	w := newWorld(t, portaltest.Options{Metrics: quiet, MetricsNetworks: everywhere})
	b := w.Browser()
	page := b.Get("/metrics")
	id := page.Header.Get("X-Request-Id")
	if outcome(page) != "500 internal" || !strings.Contains(page.Body, id) || strings.Contains(page.Body, "boom") {
		t.Fatalf("a panic gives %s:\n%s", outcome(page), page.Body)
	}
	lines := w.Log.Lines("panic")
	if len(lines) != 1 || lines[0]["request_id"] != id || !strings.Contains(lines[0]["stack"].(string), "requestlog_test.go") {
		t.Errorf("the log says %v", lines)
	}
	lines = w.Log.Lines("request")
	if line := lines[len(lines)-1]; line["status"] != 500.0 || line["route"] != "/metrics" {
		t.Errorf("the request's line is %v", line)
	}
	if page := b.Get("/login"); page.Status != http.StatusOK {
		t.Errorf("the next request gives %d", page.Status)
	}
	// When the answer has begun, nothing more can be said.
	late := newWorld(t, portaltest.Options{Metrics: begun, MetricsNetworks: everywhere})
	if page := late.Browser().Get("/metrics"); page.Status != http.StatusAccepted || page.Body != "" {
		t.Errorf("a late panic gives %d %q", page.Status, page.Body)
	}
	if len(late.Log.Lines("panic")) != 1 {
		t.Error("a late panic is not logged")
	}
}

// Metrics on the public listener are for trusted networks; for others there is
// no such page.
func TestPublicMetrics(t *testing.T) {
	shown := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("metrics")) })
	w := newWorld(t, portaltest.Options{Metrics: shown, TrustedProxies: loopback(), MetricsNetworks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for address, want := range map[string]int{"192.0.2.7": 200, "192.0.3.7": 404, "192.0.2.7, 203.0.113.1": 404, "garbage": 404} {
		answer := w.Call(http.MethodGet, "/metrics", nil, from(address))
		if answer.Status != want || strings.Contains(answer.Body, "metrics") != (want == 200) {
			t.Errorf("%s: %d", address, answer.Status)
		}
	}
}

// A forwarding header that says 127.0.0.1 opens the metrics to nobody: neither
// from a stranger, nor in front of what a trusted proxy has added.
func TestForwardedLoopbackDoesNotOpenMetrics(t *testing.T) {
	shown := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("metrics")) })
	inside := netip.MustParsePrefix("10.0.0.0/8")
	stranger := newWorld(t, portaltest.Options{Metrics: shown, MetricsNetworks: []netip.Prefix{inside}})
	behind := newWorld(t, portaltest.Options{Metrics: shown, TrustedProxies: loopback(), MetricsNetworks: append(loopback(), inside)})
	for _, claim := range []string{"127.0.0.1", "10.0.0.1", "::1", "10.0.0.1, 127.0.0.1"} {
		for _, header := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip"} {
			answer := stranger.Call(http.MethodGet, "/metrics", nil, func(r *http.Request) { r.Header.Set(header, claim) })
			if answer.Status != http.StatusNotFound {
				t.Errorf("%s: %s from a stranger gives %d", header, claim, answer.Status)
			}
		}
		answer := behind.Call(http.MethodGet, "/metrics", nil, from(claim+", 203.0.113.9"))
		if answer.Status != http.StatusNotFound {
			t.Errorf("%s through a proxy, which saw 203.0.113.9, gives %d", claim, answer.Status)
		}
	}
	// Whoever the operator trusts gets them, by GET alone.
	if answer := behind.Call(http.MethodGet, "/metrics", nil, from("10.1.2.3")); answer.Status != http.StatusOK {
		t.Errorf("a trusted network gets %d", answer.Status)
	}
}
