package idp_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"peerage/identity"
	"peerage/portal/portaltest"
)

const deviceGrantType = "urn:ietf:params:oauth:grant-type:device_code"

// deviceClients are programs that cannot show a browser.
const deviceClients = `{"client_id":"tv","name":"TV app","token_endpoint_auth_method":"none","grant_types":["` + deviceGrantType + `","refresh_token"]},
	{"client_id":"box","name":"Box","client_secret":"box-secret","token_endpoint_auth_method":"client_secret_basic","grant_types":["` + deviceGrantType + `"]},
	{"client_id":"tv-trusted","token_endpoint_auth_method":"none","trusted":true,"grant_types":["` + deviceGrantType + `"]},
	{"client_id":"tv-mfa","token_endpoint_auth_method":"none","require_mfa":true,"grant_types":["` + deviceGrantType + `"]},
	{"client_id":"tv-noc","token_endpoint_auth_method":"none","allowed_groups":["noc"],"grant_types":["` + deviceGrantType + `"]}`

// askDevice begins a device authorization of a public client.
func (w *world) askDevice(client string, pairs ...string) portaltest.Answer {
	w.t.Helper()
	return w.Call(http.MethodPost, "/oauth2/device_authorization", with(url.Values{"client_id": {client}}, pairs...), nil)
}

func (w *world) beginDevice(client, scope string) portaltest.Answer {
	w.t.Helper()
	a := w.askDevice(client, "scope", scope)
	if a.Status != http.StatusOK {
		w.t.Fatalf("the device authorization of %s gives %d %s", client, a.Status, a.Body)
	}
	return a
}

// poll asks once for the tokens of a public client.
func (w *world) poll(client, deviceCode string) portaltest.Answer {
	w.t.Helper()
	return w.Token("", "", url.Values{"grant_type": {deviceGrantType}, "device_code": {deviceCode}, "client_id": {client}})
}

// typeCode types a user code and shows what follows.
func typeCode(b *portaltest.Browser, code string) *portaltest.Page {
	return b.Submit(b.Get("/device"), "user_code", code)
}

// allowDevice is a device that the person of that browser has allowed.
func (w *world) allowDevice(b *portaltest.Browser, client, scope string) (deviceCode string) {
	w.t.Helper()
	device := w.beginDevice(client, scope)
	page := b.Submit(typeCode(b, device.Str("user_code")), "decision", "allow")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "You can go back to your device") {
		w.t.Fatalf("allowing %s gives %d %q", client, page.Status, page.Error)
	}
	return device.Str("device_code")
}

func TestDeviceStory(t *testing.T) {
	w := newWorld(t, deviceClients)
	ada := w.person("ada")
	b := w.signedIn(ada, identity.ACROneFactor)
	device := w.beginDevice("tv", "openid email offline_access openid nonsense")
	code := device.Str("user_code")
	if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(code) {
		t.Errorf("user code %q", code)
	}
	if device.Str("verification_uri") != w.Issuer+"/device" || device.Str("verification_uri_complete") != w.Issuer+"/device?user_code="+code ||
		device.JSON["expires_in"] != 600.0 || device.JSON["interval"] != 5.0 || len(device.Str("device_code")) < 43 || device.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the device gets %s", device.Body)
	}
	wantOAuth(t, "before the answer", w.poll("tv", device.Str("device_code")), http.StatusBadRequest, "authorization_pending")
	// Case, spaces and dashes do not matter.
	page := typeCode(b, " "+strings.ToLower(code[:4])+" – "+code[5:7]+" "+code[7:]+" ")
	for _, shown := range []string{"TV app", code, "ada@example.net", "Your e-mail address", "To keep you signed in", "If someone sent you the code"} {
		if !strings.Contains(page.Body, shown) {
			t.Errorf("the page (%d %q) does not show %q", page.Status, page.Error, shown)
		}
	}
	if strings.Contains(page.Body, "Your groups") {
		t.Error("the page shows what was not asked for")
	}
	done := b.Submit(page, "decision", "allow")
	if done.Status != http.StatusOK || !strings.Contains(done.Body, "You can go back to your device") {
		t.Fatalf("allow gives %d %q", done.Status, done.Error)
	}
	tokens := w.poll("tv", device.Str("device_code"))
	if tokens.Status != http.StatusOK || tokens.Str("scope") != "openid email offline_access" || tokens.Str("id_token") == "" || tokens.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the tokens are %d %s", tokens.Status, tokens.Body)
	}
	if info := w.UserInfo(tokens.Str("access_token")); info.Str("sub") != ada.Sub || info.Str("email") != "ada@example.net" || info.JSON["groups"] != nil {
		t.Errorf("UserInfo: %d %s", info.Status, info.Body)
	}
	if a := w.Token("", "", refreshForm(tokens.Str("refresh_token"), "client_id", "tv")); a.Status != http.StatusOK {
		t.Errorf("the refresh token gives %d %s", a.Status, a.Body)
	}
	consent, err := w.Store.Consent(t.Context(), ada.Sub, "tv")
	if err != nil || !same(consent.Scopes, []string{"openid", "email", "offline_access"}) {
		t.Errorf("consent %v, %v", consent.Scopes, err)
	}
	if got := w.events("oidc_authorize"); !slices.Equal(got, []string{"device"}) {
		t.Errorf("oidc_authorize: %v", got)
	}
	if got := w.events("consent_grant"); !slices.Equal(got, []string{"success"}) {
		t.Errorf("consent_grant: %v", got)
	}
	if got := w.events("oidc_token"); !slices.Equal(got, []string{"success", "success"}) {
		t.Errorf("oidc_token: %v", got)
	}
	w.calm()
}

// A code is answered once: neither again nor by somebody else.
func TestDeviceIsAnsweredOnce(t *testing.T) {
	w := newWorld(t, deviceClients)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	other := w.signedIn(w.person("eve"), identity.ACROneFactor)
	device := w.beginDevice("tv", "openid")
	page := typeCode(other, device.Str("user_code"))
	if done := b.Submit(typeCode(b, device.Str("user_code")), "decision", "deny"); !strings.Contains(done.Body, "was refused") {
		t.Fatalf("deny gives %d %q", done.Status, done.Error)
	}
	if late := other.Submit(page, "decision", "allow"); late.Status != http.StatusUnprocessableEntity || late.Error != "wrong_code" {
		t.Errorf("an answer after the answer gives %d %q", late.Status, late.Error)
	}
	wantOAuth(t, "denied", w.poll("tv", device.Str("device_code")), http.StatusBadRequest, "access_denied")
	wantOAuth(t, "denied, at once again", w.poll("tv", device.Str("device_code")), http.StatusBadRequest, "access_denied")
	if got := w.events("oidc_authorize"); !slices.Equal(got, []string{"denied"}) {
		t.Errorf("oidc_authorize: %v", got)
	}
	if len(w.events("consent_grant")) > 0 {
		t.Error("a denial is recorded as consent")
	}
}

func TestDevicePolling(t *testing.T) {
	w := newWorld(t, deviceClients)
	code := w.beginDevice("tv", "openid").Str("device_code")
	for i, poll := range []struct {
		after time.Duration
		want  string
	}{{0, "authorization_pending"}, {time.Second, "slow_down"}, {9 * time.Second, "authorization_pending"}, {5 * time.Second, "slow_down"},
		{15 * time.Second, "authorization_pending"}, {10 * time.Minute, "expired_token"}, {0, "expired_token"}} {
		w.Clock.Advance(poll.after)
		if a := w.poll("tv", code); a.Status != http.StatusBadRequest || a.Str("error") != poll.want {
			t.Errorf("poll %d: %d %s, want %s", i, a.Status, a.Body, poll.want)
		}
	}
	// Polls before the answer are one every few seconds: no events of them.
	if got := w.events("oidc_token"); !slices.Equal(got, []string{"expired_token", "expired_token"}) {
		t.Errorf("oidc_token: %v", got)
	}
	// A code that expires under the person's eyes counts no more.
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	late := w.beginDevice("tv", "openid")
	page := typeCode(b, late.Str("user_code"))
	w.Clock.Advance(10 * time.Minute)
	if got := b.Submit(page, "decision", "allow"); got.Error != "wrong_code" {
		t.Errorf("an expired code gives %d %q", got.Status, got.Error)
	}
}

// A device code gives tokens once; whoever brings it again may have stolen it,
// so what it gave dies.
func TestDeviceCodeReuse(t *testing.T) {
	w := newWorld(t, deviceClients)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	code := w.allowDevice(b, "tv", "openid offline_access")
	// Another client neither gets nor spends it.
	wantOAuth(t, "another client's", w.poll("tv-mfa", code), http.StatusBadRequest, "invalid_grant")
	wantOAuth(t, "another client's, with a secret", w.Token("box", "box-secret", url.Values{"grant_type": {deviceGrantType}, "device_code": {code}}), http.StatusBadRequest, "invalid_grant")
	tokens := w.poll("tv", code)
	if tokens.Status != http.StatusOK {
		t.Fatalf("%d %s", tokens.Status, tokens.Body)
	}
	wantOAuth(t, "again", w.poll("tv", code), http.StatusBadRequest, "invalid_grant")
	if info := w.UserInfo(tokens.Str("access_token")); info.Status != http.StatusUnauthorized {
		t.Errorf("after the replay UserInfo gives %d", info.Status)
	}
	wantOAuth(t, "refresh after the replay", w.Token("", "", refreshForm(tokens.Str("refresh_token"), "client_id", "tv")), http.StatusBadRequest, "invalid_grant")
	if got := w.events("code_replay"); len(got) != 1 {
		t.Errorf("code_replay: %v", got)
	}
	for _, unknown := range []string{"unknown", strings.Repeat("x", 43), code + "x"} {
		wantOAuth(t, "unknown", w.poll("tv", unknown), http.StatusBadRequest, "invalid_grant")
	}
	wantOAuth(t, "no code", w.poll("tv", ""), http.StatusBadRequest, "invalid_request")
	// The user code is no device code.
	device := w.beginDevice("tv", "openid")
	wantOAuth(t, "the user code", w.poll("tv", device.Str("user_code")), http.StatusBadRequest, "invalid_grant")
}

func TestDeviceParallelPolls(t *testing.T) {
	w := newWorld(t, deviceClients)
	code := w.allowDevice(w.signedIn(w.person("ada"), identity.ACROneFactor), "tv", "openid")
	answers := make([]portaltest.Answer, 64)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = w.poll("tv", code) })
	}
	all.Wait()
	got := map[string]int{}
	for _, a := range answers {
		got[a.Str("error")]++
	}
	if got[""] != 1 || got["invalid_grant"] != 63 {
		t.Errorf("64 parallel polls give %v", got)
	}
	w.calm()
}

// Clients authenticate as they are registered, and only those registered for
// the grant get codes.
func TestDeviceClientAuthentication(t *testing.T) {
	w := newWorld(t, deviceClients)
	ask := func(id, secret string, form url.Values) portaltest.Answer {
		return w.Call(http.MethodPost, "/oauth2/device_authorization", form, func(r *http.Request) { r.SetBasicAuth(id, secret) })
	}
	form := url.Values{"scope": {"openid"}}
	wantOAuth(t, "id alone of a confidential client", w.askDevice("box", "scope", "openid"), http.StatusUnauthorized, "invalid_client")
	wantOAuth(t, "wrong secret", ask("box", "wrong-secret", form), http.StatusUnauthorized, "invalid_client")
	wantOAuth(t, "secret in the body, registered for Basic", w.askDevice("box", "scope", "openid", "client_secret", "box-secret"), http.StatusUnauthorized, "invalid_client")
	wantOAuth(t, "unknown client", w.askDevice("nobody", "scope", "openid"), http.StatusUnauthorized, "invalid_client")
	wantOAuth(t, "no client", w.askDevice("", "scope", "openid"), http.StatusUnauthorized, "invalid_client")
	wantOAuth(t, "not registered for the grant", ask("web", "web-secret", form), http.StatusBadRequest, "unauthorized_client")
	wantOAuth(t, "polling without the grant", w.as("web", url.Values{"grant_type": {deviceGrantType}, "device_code": {"x"}}), http.StatusBadRequest, "unauthorized_client")
	wantOAuth(t, "no scope", w.askDevice("tv"), http.StatusBadRequest, "invalid_scope")
	wantOAuth(t, "unknown scopes", w.askDevice("tv", "scope", "a b c"), http.StatusBadRequest, "invalid_scope")
	wantOAuth(t, "huge scope", w.askDevice("tv", "scope", strings.Repeat("a ", 2000)), http.StatusBadRequest, "invalid_request")
	wantOAuth(t, "GET", w.Call(http.MethodGet, "/oauth2/device_authorization?client_id=tv&scope=openid", nil, nil), http.StatusMethodNotAllowed, "invalid_request")
	wantOAuth(t, "in the address", w.Call(http.MethodPost, "/oauth2/device_authorization?client_id=tv", form, nil), http.StatusBadRequest, "invalid_request")
	device := ask("box", "box-secret", url.Values{"scope": {"openid offline_access"}})
	if device.Status != http.StatusOK {
		t.Fatalf("the right secret gives %d %s", device.Status, device.Body)
	}
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	b.Submit(typeCode(b, device.Str("user_code")), "decision", "allow")
	wantOAuth(t, "polling without the secret", w.poll("box", device.Str("device_code")), http.StatusUnauthorized, "invalid_client")
	tokens := w.Token("box", "box-secret", url.Values{"grant_type": {deviceGrantType}, "device_code": {device.Str("device_code")}})
	if tokens.Status != http.StatusOK || tokens.Str("refresh_token") != "" || tokens.Str("scope") != "openid" {
		t.Errorf("the tokens of a client without the refresh grant are %d %s", tokens.Status, tokens.Body)
	}
}

// CVE-2024-38371: whoever allowed a device and was disabled before it asked
// gets nothing, and what else changed since is asked again too.
func TestDeviceAsksAgain(t *testing.T) {
	w := newWorld(t, deviceClients)
	ctx := t.Context()
	for what, c := range map[string]struct {
		client string
		change func(identity.User) error
	}{
		"disabled":        {"tv", func(u identity.User) error { return w.Directory.SetDisabled(ctx, u, true) }},
		"deleted":         {"tv", func(u identity.User) error { _, err := w.Store.DeleteUser(ctx, u.Sub); return err }},
		"consent revoked": {"tv", func(u identity.User) error { return w.Store.RevokeConsent(ctx, u.Sub, "tv") }},
		"signed out":      {"tv", func(u identity.User) error { _, err := w.Store.SignOutEverywhere(ctx, u.Sub, false); return err }},
		"left the group":  {"tv-noc", func(u identity.User) error { return w.Store.ChangeMembers(ctx, "noc", []string{u.Sub}, false) }},
		"became admin":    {"tv", func(u identity.User) error { return w.Store.ChangeMembers(ctx, "admins", []string{u.Sub}, true) }},
	} {
		u := w.person(strings.ReplaceAll(what, " ", "-"), "noc")
		code := w.allowDevice(w.signedIn(u, identity.ACROneFactor), c.client, "openid offline_access")
		if err := c.change(u); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		wantOAuth(t, what, w.poll(c.client, code), http.StatusBadRequest, "invalid_grant")
	}
	// Who is disabled cannot answer either.
	u := w.person("gone")
	b := w.signedIn(u, identity.ACROneFactor)
	device := w.beginDevice("tv", "openid")
	page := typeCode(b, device.Str("user_code"))
	if err := w.Directory.SetDisabled(ctx, u, true); err != nil {
		t.Fatal(err)
	}
	if got := b.Submit(page, "decision", "allow"); got.URL.Path != "/login" {
		t.Errorf("a disabled person's answer leads to %s", got.URL)
	}
	wantOAuth(t, "nobody answered", w.poll("tv", device.Str("device_code")), http.StatusBadRequest, "authorization_pending")
}

// patient lets a person answer after the device's first poll, and time pass as
// long as the device waited.
type patient struct {
	*portaltest.Site
	polls  int
	answer func()
}

// RoundTrip implements http.RoundTripper.
func (p *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := p.Site.RoundTrip(r)
	if err == nil && r.URL.Path == "/oauth2/token" {
		if p.polls++; p.polls == 1 && response.StatusCode == http.StatusBadRequest {
			p.Clock.Advance(5 * time.Second)
			p.answer()
		}
	}
	return response, err
}

// The device flow of golang.org/x/oauth2, as command-line programs have it.
func TestDeviceWithOAuth2Library(t *testing.T) {
	w := newWorld(t, deviceClients)
	ada := w.person("ada")
	b := w.signedIn(ada, identity.ACROneFactor)
	for decision, refused := range map[string]string{"allow": "", "deny": "access_denied"} {
		config := oauth2.Config{ClientID: "tv", Scopes: []string{"openid", "offline_access"},
			Endpoint: oauth2.Endpoint{DeviceAuthURL: w.Issuer + "/oauth2/device_authorization", TokenURL: w.Issuer + "/oauth2/token"}}
		transport := &patient{Site: w.Site}
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: transport})
		device, err := config.DeviceAuth(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if device.Interval != 5 || !strings.HasSuffix(device.VerificationURIComplete, device.UserCode) {
			t.Errorf("the library reads %+v", device)
		}
		transport.answer = func() {
			page := b.Get(device.VerificationURIComplete)
			b.Submit(b.Submit(page, "user_code", device.UserCode), "decision", decision)
		}
		device.Interval = 1 // the site's clock does the waiting
		token, err := config.DeviceAccessToken(ctx, device)
		if refused != "" {
			if err == nil || !strings.Contains(err.Error(), refused) {
				t.Errorf("%s gives %v", decision, err)
			}
			continue
		}
		if err != nil || token.AccessToken == "" || token.RefreshToken == "" || token.Extra("id_token") == nil {
			t.Fatalf("%s gives %+v, %v", decision, token, err)
		}
		if info := w.UserInfo(token.AccessToken); info.Str("sub") != ada.Sub {
			t.Errorf("UserInfo: %d %s", info.Status, info.Body)
		}
	}
	w.calm()
}
