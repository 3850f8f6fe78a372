package portal_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

// Ada is asked whether an application may know her. Before she answers, eve
// signs in with the same browser; then the page is answered that still names
// ada and shows what is ada's. That is nobody's answer: eve is asked herself.
func TestConsentShownToSomebodyElse(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + grafana + "," + tv + "]"})
	w.AddUser("ada")
	eve := w.AddUser("eve")
	deviceCode, userCode, _ := w.beginDevice(t, "tv")
	b := w.signedIn(t, "ada", "")
	consent := b.Get(portaltest.Authorize("grafana", callback))
	device := b.Submit(b.Get("/device"), "user_code", userCode)
	if consent.URL.Path != "/consent" || !strings.Contains(consent.Body, "ada@example.net") || !strings.Contains(device.Body, "ada") {
		t.Fatalf("ada is asked at %s and %s", consent.URL, device.URL)
	}
	b.Post("/logout", url.Values{"logout": {"yes"}})
	b.Submit(b.Get("/login"), "username", "eve", "password", portaltest.Password)
	consent = b.Submit(consent, "decision", "allow")
	if consent.Left != "" || consent.URL.Path != "/consent" || !strings.Contains(consent.Body, "eve@example.net") || strings.Contains(consent.Body, "ada@") || strings.Contains(consent.Body, ">ada<") {
		t.Errorf("the answer on ada's page leads to %s, out of the house to %q", consent.URL, consent.Left)
	}
	if device = b.Submit(device, "decision", "allow"); !strings.Contains(device.Body, "eve") || strings.Contains(device.Body, ">ada<") {
		t.Errorf("the answer on ada's page of the device leads to %q", device.Title)
	}
	if a := w.pollDevice("tv", deviceCode); a.Str("error") != "authorization_pending" {
		t.Errorf("the device gets %s", a.Body)
	}
	if consents, err := w.Store.Consents(t.Context(), eve.Sub); err != nil || len(consents) != 0 {
		t.Errorf("eve's consents: %v, %v", consents, err)
	}
	// What she answers on her own pages counts.
	if code(t, b.Submit(consent, "decision", "allow"), callback) == "" {
		t.Error("no code after eve's answer")
	}
	b.Submit(device, "decision", "allow")
	w.Clock.Advance(20 * time.Second)
	if a := w.pollDevice("tv", deviceCode); a.Str("id_token") == "" {
		t.Errorf("after eve's own answer the device gets %s", a.Body)
	}
}
