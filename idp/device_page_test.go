package idp_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// RFC 8628 section 5.1: guesses are bounded by person and by address, and
// typing a right code in between does not begin the count anew.
func TestUserCodeBruteForce(t *testing.T) {
	w := newWorld(t, deviceClients)
	eve, other := w.signedIn(w.person("eve"), identity.ACROneFactor), w.signedIn(w.person("mallory"), identity.ACROneFactor)
	own, victims := w.beginDevice("tv", "openid"), w.beginDevice("tv", "openid")
	for i := range 10 {
		guess := []string{"BCDF-GHJK", "", "nonsense", "0000-0000", strings.Repeat("B", 100), "BCDFGHJ", "BCDFGHJKL", "ÄÖÜ", "\u202e", "<script>"}[i]
		b := eve
		if i%2 == 1 {
			b = other // the same address
		}
		if page := typeCode(b, guess); page.Status != http.StatusUnprocessableEntity || page.Error != "wrong_code" || strings.Contains(page.Body, "<script>") {
			t.Errorf("guess %q gives %d %q", guess, page.Status, page.Error)
		}
		if i == 8 {
			if page := typeCode(eve, own.Str("user_code")); page.Status != http.StatusOK || page.Error != "" {
				t.Errorf("a right code gives %d %q", page.Status, page.Error)
			}
		}
	}
	for _, b := range []*portaltest.Browser{eve, other} {
		page := typeCode(b, victims.Str("user_code"))
		if page.Status != http.StatusTooManyRequests || page.Error != "throttled" || page.Header.Get("Retry-After") == "" || strings.Contains(page.Body, "TV app") {
			t.Errorf("a right code after ten guesses gives %d %q", page.Status, page.Error)
		}
		page = b.Post("/device", url.Values{"user_code": {victims.Str("user_code")}, "decision": {"allow"}})
		if page.Status != http.StatusTooManyRequests {
			t.Errorf("an answer after ten guesses gives %d %q", page.Status, page.Error)
		}
	}
	wantOAuth(t, "the victim's device", w.poll("tv", victims.Str("device_code")), http.StatusBadRequest, "authorization_pending")
	w.Clock.Advance(15 * time.Minute)
	if page := typeCode(eve, w.beginDevice("tv", "openid").Str("user_code")); page.Status != http.StatusOK {
		t.Errorf("a quarter of an hour later: %d %q", page.Status, page.Error)
	}
}

// A link with a code fills the field and does no more (RFC 8628 section 5.4);
// forms of other sites are refused.
func TestDeviceNeedsAClick(t *testing.T) {
	w := newWorld(t, deviceClients)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	device := w.beginDevice("tv-trusted", "openid") // also of a trusted application
	code := device.Str("user_code")
	page := b.Get("/device?user_code=" + strings.ToLower(code) + "&decision=allow")
	if page.Status != http.StatusOK || strings.Contains(page.Body, "tv-trusted") || len(page.Forms) != 1 || page.Forms[0].Fields.Get("user_code") != code {
		t.Errorf("the link shows %d %q %v", page.Status, page.Error, page.Forms)
	}
	if page := b.Get("/device?user_code=CALL-0800-EVIL"); strings.Contains(page.Body, "EVIL") {
		t.Error("what is no code comes back from the address")
	}
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
		got := b.Once(http.MethodPost, "/device", url.Values{"user_code": {code}, "decision": {"allow"}}, func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set(name, value)
		})
		if got.Status != http.StatusForbidden {
			t.Errorf("%s: %s gives %d %q", name, value, got.Status, got.Error)
		}
	}
	for _, decision := range []string{"", "yes", "ALLOW", "continue"} {
		if got := b.Post("/device", url.Values{"user_code": {code}, "decision": {decision}}); got.Status != http.StatusOK || !strings.Contains(got.Body, "If someone sent you the code") {
			t.Errorf("decision=%q gives %d %q", decision, got.Status, got.Error)
		}
	}
	if got := b.Post("/device?decision=allow&user_code="+code, url.Values{}); got.Error != "wrong_code" {
		t.Errorf("parameters in the address count: %d %q", got.Status, got.Error)
	}
	if got := w.Browser().Post("/device", url.Values{"user_code": {code}, "decision": {"allow"}}); got.URL.Path != "/login" {
		t.Errorf("nobody's answer leads to %s", got.URL)
	}
	wantOAuth(t, "nobody has clicked", w.poll("tv-trusted", device.Str("device_code")), http.StatusBadRequest, "authorization_pending")
	w.Clock.Advance(5 * time.Second)
	if done := b.Submit(b.Submit(page, "user_code", code), "decision", "allow"); !strings.Contains(done.Body, "You can go back") {
		t.Errorf("allow gives %d %q", done.Status, done.Error)
	}
	if a := w.poll("tv-trusted", device.Str("device_code")); a.Status != http.StatusOK {
		t.Errorf("the tokens are %d %s", a.Status, a.Body)
	}
}

// An application that is not for this person gets nothing through a device.
func TestDeviceOfClosedApplication(t *testing.T) {
	w := newWorld(t, deviceClients)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	device := w.beginDevice("tv-noc", "openid")
	for _, decision := range []string{"", "allow", "deny"} {
		page := b.Post("/device", url.Values{"user_code": {device.Str("user_code")}, "decision": {decision}})
		if page.Status != http.StatusForbidden || page.Error != "no_access" {
			t.Errorf("decision=%q gives %d %q", decision, page.Status, page.Error)
		}
	}
	wantOAuth(t, "still open for others", w.poll("tv-noc", device.Str("device_code")), http.StatusBadRequest, "authorization_pending")
	if got := w.events("app_access_denied"); len(got) != 3 {
		t.Errorf("app_access_denied: %v", got)
	}
	noc := w.signedIn(w.person("bob", "noc"), identity.ACROneFactor)
	noc.Submit(typeCode(noc, device.Str("user_code")), "decision", "allow")
	if a := w.poll("tv-noc", device.Str("device_code")); a.Status != http.StatusOK {
		t.Errorf("a member's device gets %d %s", a.Status, a.Body)
	}
}

// A client that demands two factors gets them also through a device: who has a
// second one gives it, who has none enrols one, and both come back.
func TestDeviceDemandsSecondFactor(t *testing.T) {
	w := newWorld(t, deviceClients)
	has := w.AddUser("has")
	secret := w.AddTOTP(has)
	for name, b := range map[string]*portaltest.Browser{"has": w.signedIn(has, identity.ACROneFactor), "none": w.signedIn(w.AddUser("none"), identity.ACROneFactor)} {
		device := w.beginDevice("tv-mfa", "openid")
		code := device.Str("user_code")
		skip := b.Post("/device", url.Values{"user_code": {code}, "decision": {"allow"}})
		page := typeCode(b, code)
		if name == "has" {
			if page.URL.Path != "/login/totp" || skip.URL.Path != "/login/totp" {
				t.Fatalf("%s: %s, %s", name, page.URL, skip.URL)
			}
			page = b.Submit(page, "code", w.Code(secret))
		} else {
			if page.URL.Path != "/login/enrol" || skip.URL.Path != "/login/enrol" {
				t.Fatalf("%s: %s, %s", name, page.URL, skip.URL)
			}
			shown := regexp.MustCompile(`<code class="block">([A-Z2-7 ]+)</code>`).FindStringSubmatch(page.Body)
			if shown == nil {
				t.Fatalf("no secret is shown:\n%s", page.Body)
			}
			page = b.Submit(page, "code", w.Code(strings.ReplaceAll(shown[1], " ", "")))
		}
		if page.URL.RequestURI() != "/device?user_code="+code || page.Forms[0].Fields.Get("user_code") != code {
			t.Fatalf("%s comes back to %s (%q)", name, page.URL, page.Error)
		}
		wantOAuth(t, name+" has only a factor more", w.poll("tv-mfa", device.Str("device_code")), http.StatusBadRequest, "authorization_pending")
		b.Submit(b.Submit(page, "user_code", code), "decision", "allow")
		if a := w.poll("tv-mfa", device.Str("device_code")); a.Status != http.StatusOK {
			t.Errorf("%s gets %d %s", name, a.Status, a.Body)
		}
	}
	w.calm()
}
