package portal_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peerage/portal/portaltest"
)

// metricLabels are the families of the contract that there are, with their
// labels; Go's and the process's own come from their library.
var metricLabels = map[string]string{
	"peerage_login_total":                      "result",
	"peerage_oidc_authorize_total":             "client result",
	"peerage_oidc_token_total":                 "client result",
	"peerage_oidc_userinfo_total":              "result",
	"peerage_consent_total":                    "action",
	"peerage_password_change_total":            "result",
	"peerage_request_duration_seconds":         "endpoint",
	"peerage_sessions":                         "",
	"peerage_signing_key_age_seconds":          "kid state",
	"peerage_signing_key_last_use_seconds":     "kid",
	"peerage_backend_request_duration_seconds": "backend operation result",
	"peerage_backchannel_logout_total":         "client result",
	"peerage_rate_limited_total":               "rule",
	"peerage_store_tx_duration_seconds":        "operation",
}

// laterMetrics are those of parts that are not built.
var laterMetrics = []string{"peerage_peeringdb_refresh_total", "peerage_backend_credential_ttl_seconds",
	"netbox_refresh_duration_seconds", "netbox_refresh_success_total", "netbox_refresh_failure_total", "netbox_cache_age_seconds", "netbox_cache_items"}

// Every family shows up with its labels and no other, after a day's work, and
// results are four words.
func TestMetricFamilies(t *testing.T) {
	s := newScene(t)
	s.UserInfo(s.tokens().Str("access_token"))
	b := s.signedIn(t, "bob", "")
	page := b.Get(portaltest.Authorize("trusted", "https://trusted.example.net/cb"))
	s.Redeem("trusted", "wiki-secret", page.Query(t).Get("code"), "https://trusted.example.net/cb")
	b.Submit(b.Get("/logout"), "logout", "yes")
	if err := s.Provider.DeliverLogouts(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 12 { // until the throttle refuses
		b.Post("/login", url.Values{"username": {"bob"}, "password": {"wrong"}})
	}
	if err := s.Directory.SetPassword(t.Context(), s.person(t, "bob"), "another long password"); err != nil {
		t.Fatal(err)
	}
	families, err := s.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
			found[family.GetName()] = strings.Join(labels, " ")
		}
		if slices.Contains(laterMetrics, family.GetName()) {
			t.Errorf("%s is there now: give it its labels above", family.GetName())
		}
	}
	if diff := cmp.Diff(metricLabels, found); diff != "" {
		t.Errorf("families with their labels (- wanted, + found):\n%s", diff)
	}
	for _, result := range []string{"success", "failure", "throttled"} {
		if metric(t, s.Site, "peerage_login_total", "result", result) == 0 {
			t.Errorf("no sign-in ended with %s", result)
		}
	}
}
