package portal_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	tv          = `{"client_id":"tv","name":"TV","token_endpoint_auth_method":"none","grant_types":["` + deviceGrant + `"]}`
	strictTV    = `{"client_id":"strict-tv","name":"Strict TV","token_endpoint_auth_method":"none","require_mfa":true,"grant_types":["` + deviceGrant + `"]}`
)

// beginDevice is a device that waits; the user code is what it shows.
func (w *world) beginDevice(t *testing.T, client string) (deviceCode, userCode, link string) {
	t.Helper()
	a := w.Call(http.MethodPost, "/oauth2/device_authorization", url.Values{"client_id": {client}, "scope": {"openid"}}, nil)
	if a.Status != http.StatusOK {
		t.Fatalf("the device authorization gives %d %s", a.Status, a.Body)
	}
	return a.Str("device_code"), a.Str("user_code"), a.Str("verification_uri_complete")
}

func (w *world) pollDevice(client, deviceCode string) portaltest.Answer {
	return w.Token("", "", url.Values{"grant_type": {deviceGrant}, "device_code": {deviceCode}, "client_id": {client}})
}

// Somebody who is not signed in follows the device's link, signs in with both
// factors, and is back at the code, which still waits for a click.
func TestDeviceSignsInFirst(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + tv + "]"})
	secret := w.AddTOTP(w.AddUser("bob"))
	w.skipEvents()
	deviceCode, userCode, link := w.beginDevice(t, "tv")
	b := w.Browser()
	page := b.Get(link)
	if page.URL.Path != "/login" {
		t.Fatalf("the link leads to %s", page.URL)
	}
	page = b.Submit(page, "username", "bob", "password", portaltest.Password)
	page = b.Submit(page, "code", w.Code(secret))
	if page.URL.RequestURI() != "/device?user_code="+userCode || page.Status != http.StatusOK {
		t.Fatalf("signing in leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}
	w.happened(t, "mfa_challenge success bob", "mfa_success success bob", "login_success success bob")
	page = b.Submit(page, "user_code", userCode)
	page = b.Submit(page, "decision", "allow")
	if page.Status != http.StatusOK || page.Title != "You can go back to your device · Example IX" {
		t.Fatalf("allow gives %d %q", page.Status, page.Title)
	}
	w.happened(t, "consent_grant success bob tv", "oidc_authorize device bob tv")
	if a := w.pollDevice("tv", deviceCode); a.Status != http.StatusOK {
		t.Fatalf("the device gets %d %s", a.Status, a.Body)
	}
	w.happened(t, "oidc_token success bob tv")
	_, userCode, _ = w.beginDevice(t, "tv")
	b.Submit(b.Submit(b.Get("/device"), "user_code", userCode), "decision", "deny")
	w.happened(t, "oidc_authorize denied bob tv")
	for result, want := range map[string]float64{"success": 1, "failure": 1} {
		if got := metric(t, w.Site, "peerage_oidc_authorize_total", "result", result); got != want {
			t.Errorf("%v authorizations with %s are counted", got, result)
		}
	}
	for action, want := range map[string]float64{"grant": 1, "deny": 1} {
		if got := metric(t, w.Site, "peerage_consent_total", "action", action); got != want {
			t.Errorf("%v consents with %s are counted", got, action)
		}
	}
	for range 11 {
		page = b.Submit(b.Get("/device"), "user_code", "BCDF-GHJK")
	}
	if got := metric(t, w.Site, "peerage_rate_limited_total", "rule", "user_code"); page.Error != "throttled" || got != 1 {
		t.Errorf("the eleventh guess gives %q, %v are counted", page.Error, got)
	}
}

// An enrolment that a device's application demands takes a fresh password, as
// every enrolment does, and leads back to the device.
func TestDeviceEnrolmentAsksForFreshPassword(t *testing.T) {
	w := newWorld(t, portaltest.Options{Clients: "[" + strictTV + "]"})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	w.Clock.Advance(11 * time.Minute)
	deviceCode, userCode, _ := w.beginDevice(t, "strict-tv")
	page := b.Submit(b.Get("/device"), "user_code", userCode)
	if page.URL.Path != "/login/confirm" {
		t.Fatalf("a stale password leads to %s", page.URL)
	}
	page = b.Submit(page, "password", portaltest.Password)
	if page.URL.Path != "/login/enrol" {
		t.Fatalf("a fresh password leads to %s", page.URL)
	}
	page = b.Submit(page, "code", w.Code(w.enrolmentSecret(t, page)))
	if page.URL.RequestURI() != "/device?user_code="+userCode {
		t.Fatalf("the enrolment leads to %s", page.URL)
	}
	b.Submit(b.Submit(page, "user_code", userCode), "decision", "allow")
	if a := w.pollDevice("strict-tv", deviceCode); a.Status != http.StatusOK {
		t.Fatalf("the device gets %d %s", a.Status, a.Body)
	}
	// Nobody enrols by an address alone where nothing demands it.
	carol := w.AddUser("carol")
	c := w.signedIn(t, "carol", "")
	if page := c.Get("/login/enrol?return=/identity"); page.URL.Path == "/login/enrol" {
		t.Errorf("an enrolment for nothing is shown to %s", carol.Username)
	}
}
