package portal_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

// metric adds up the samples of a family whose labels have these values:
// counters and gauges by their value, histograms by their count.
func metric(t *testing.T, site *portaltest.Site, name string, pairs ...string) (sum float64) {
	t.Helper()
	families, err := site.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	samples:
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(pairs); i += 2 {
				if labels[pairs[i]] != pairs[i+1] {
					continue samples
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		return sum
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// What a sign-in with everything around it leaves in the metrics.
func TestMetricsOfASignIn(t *testing.T) {
	w := newFlows(t)
	ada := w.AddUser("ada")
	secret := w.AddTOTP(ada)
	b := w.Browser()
	page := b.Submit(b.Get(portaltest.Authorize("grafana", callback, "scope", "openid offline_access")), "username", "ada", "password", "wrong wrong wrong")
	page = b.Submit(page, "username", "ada", "password", portaltest.Password)
	page = b.Submit(b.Submit(page, "code", "000000"), "code", w.Code(secret))
	first := code(t, b.Submit(page, "decision", "allow"), callback)
	tokens := w.Redeem("grafana", "grafana-secret", first, callback)
	w.Refresh("grafana", "grafana-secret", tokens.Str("refresh_token"))
	w.UserInfo(tokens.Str("access_token"))
	w.UserInfo("nothing")
	w.Redeem("grafana", "grafana-secret", "nothing", callback)
	w.Redeem("stranger-1", "x", "nothing", callback)
	b.Get(portaltest.Authorize("stranger-2", callback))
	b.Get(portaltest.Authorize("grafana", "https://evil.example/"))
	if err := w.Directory.SetPassword(t.Context(), ada, "another long password"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name  string
		pairs []string
		value float64
	}{
		{"peerage_login_total", []string{"result", "success"}, 1},
		{"peerage_login_total", []string{"result", "failure"}, 2},
		{"peerage_oidc_authorize_total", []string{"client", "grafana", "result", "success"}, 1},
		{"peerage_oidc_authorize_total", []string{"client", "grafana", "result", "failure"}, 1},
		{"peerage_oidc_authorize_total", []string{"client", "unknown", "result", "failure"}, 1},
		{"peerage_oidc_token_total", []string{"client", "grafana", "result", "success"}, 2},
		{"peerage_oidc_token_total", []string{"client", "grafana", "result", "failure"}, 1},
		{"peerage_oidc_token_total", []string{"client", "unknown", "result", "failure"}, 1},
		{"peerage_oidc_userinfo_total", []string{"result", "success"}, 1},
		{"peerage_oidc_userinfo_total", []string{"result", "failure"}, 1},
		{"peerage_consent_total", []string{"action", "grant"}, 1},
		{"peerage_password_change_total", []string{"result", "success"}, 1},
		{"peerage_sessions", nil, 0}, // the new password has ended it
		{"peerage_request_duration_seconds", []string{"endpoint", "/login"}, 3},
		{"peerage_request_duration_seconds", []string{"endpoint", "/oauth2/token"}, 4},
		{"peerage_backend_request_duration_seconds", []string{"backend", "local", "operation", "login"}, 2},
	} {
		if got := metric(t, w.Site, want.name, want.pairs...); got != want.value {
			t.Errorf("%s%v is %v, want %v", want.name, want.pairs, got, want.value)
		}
	}
	if metric(t, w.Site, "peerage_signing_key_age_seconds", "state", "active") < 0 {
		t.Error("the signing key's age is negative")
	}
}

// Labels come from lists of ours: what strangers send makes no new series.
func TestMetricLabelsAreBounded(t *testing.T) {
	w := newFlows(t)
	b := w.Browser()
	for range 3 {
		made := strings.ToLower(newName())
		b.Get(portaltest.Authorize(made, callback))
		b.Get("/" + made)
		b.Get("/recover/" + made)
		b.Get("/oauth2/" + made)
		b.Once(strings.ToUpper(made), "/login", nil, nil)
		w.Token(made, "x", url.Values{"grant_type": {made}})
		w.UserInfo(made)
		b.Post("/login", url.Values{"username": {made}, "password": {made}})
		w.Call(http.MethodGet, "/login", nil, func(r *http.Request) { r.Host = made })
	}
	allowed := map[string][]string{
		"client": {"grafana", "wiki", "vault", "unknown"}, "result": {"success", "failure", "throttled", "unavailable"},
		"action": {"grant", "deny", "revoke"}, "backend": {"local"}, "rule": {"address", "login", "code"}, "state": {"next", "active", "retired"},
	}
	source := regexp.MustCompile(`^(none|/|/[a-z0-9_./{}$-]+)$`)
	families, err := w.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	endpoints := map[string]bool{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if values, ok := allowed[l.GetName()]; ok && !slices.Contains(values, l.GetValue()) {
					t.Errorf("%s{%s=%q}", family.GetName(), l.GetName(), l.GetValue())
				}
				if l.GetName() == "endpoint" {
					endpoints[l.GetValue()] = true
					if !source.MatchString(l.GetValue()) {
						t.Errorf("endpoint %q", l.GetValue())
					}
				}
			}
		}
	}
	// The routes asked for above, whatever the names in them.
	for _, want := range []string{"/", "/login", "/recover/{token}", "/oauth2/authorize", "/oauth2/token", "/oauth2/userinfo", "none"} {
		if !endpoints[want] {
			t.Errorf("no endpoint %q in %v", want, endpoints)
		}
		delete(endpoints, want)
	}
	if len(endpoints) != 0 {
		t.Errorf("more endpoints: %v", endpoints)
	}
}

// newName is a name that nobody has heard before.
func newName() string {
	return "x" + strings.ReplaceAll(time.Now().Format("150405.000000000"), ".", "")
}
