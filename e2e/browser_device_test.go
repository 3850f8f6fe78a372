package e2e

import (
	"context"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// A command-line program signs in by the device flow of golang.org/x/oauth2
// while a person answers in a browser.
func TestPagesOfDevices(t *testing.T) { eachBackend(t, connectsADevice) }

func connectsADevice(t *testing.T, newServer serverMaker) {
	s := newServer(t)
	s.setClients(t, map[string]any{"client_id": "ixctl", "name": "ixctl", "token_endpoint_auth_method": "none",
		"grant_types": []string{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"}})
	s.start(t)
	ctx := newBrowser(t)
	g := s.gallery(ctx, t)
	ada := enrolled(ctx, t, s, "ada", "admins")

	config := oauth2.Config{ClientID: "ixctl", Scopes: []string{"openid", "profile", "email", "groups", "offline_access"},
		Endpoint: oauth2.Endpoint{DeviceAuthURL: s.Issuer + "/oauth2/device_authorization", TokenURL: s.Issuer + "/oauth2/token"}}
	for _, answer := range []struct{ decision, picture string }{{"deny", "device-denied"}, {"allow", "device-allowed"}} {
		device, err := config.DeviceAuth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		visit(ctx, t, s.Issuer+"/device")
		if answer.decision == "deny" {
			signIn(ctx, t, "ada")
			waitTitle(ctx, t, "Enter your code")
			fill(ctx, t, "code", ada.code(t))
			press(ctx, t, "", "")
			waitTitle(ctx, t, "Connect a device")
			g.look(ctx, t, "device")
			fill(ctx, t, "user_code", "bcdf ghjk")
			press(ctx, t, "", "")
			waitFault(ctx, t, "wrong_code")
			g.look(ctx, t, "device-wrong")
		}
		visit(ctx, t, device.VerificationURIComplete)
		waitTitle(ctx, t, "Connect a device")
		press(ctx, t, "", "") // the code of the link stands in the field
		waitTitle(ctx, t, "Sign in to ixctl on a device?")
		shows(ctx, t, device.UserCode, "ada@example.net", "If someone sent you the code")
		if answer.decision == "allow" {
			g.look(ctx, t, "device-consent")
		}
		press(ctx, t, "decision", answer.decision)
		waitTitle(ctx, t, "You can go back to your device")
		g.look(ctx, t, answer.picture)

		polling, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		token, err := config.DeviceAccessToken(polling, device)
		cancel()
		if answer.decision == "deny" {
			if err == nil {
				t.Error("a denied device gets a token")
			}
			continue
		}
		if err != nil || token.RefreshToken == "" || token.Extra("id_token") == nil {
			t.Fatalf("an allowed device gets %v", err)
		}
	}
}
