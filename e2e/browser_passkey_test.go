package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// newAuthenticator gives the tab's browser a device that holds passkeys; its
// owner is always there, with the right fingerprint while verified.
func newAuthenticator(ctx context.Context, t *testing.T, transport webauthn.AuthenticatorTransport, verifies bool) webauthn.AuthenticatorID {
	t.Helper()
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatalf("enabling passkeys: %v", err)
	}
	made, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: transport, HasResidentKey: true, HasUserVerification: verifies,
		AutomaticPresenceSimulation: true, IsUserVerified: verifies}})
	if err != nil {
		t.Fatalf("adding an authenticator: %v", err)
	}
	return made.AuthenticatorID
}

func switchScripts(ctx context.Context, t *testing.T, on bool) {
	t.Helper()
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		t.Fatalf("switching scripts: %v", err)
	}
}

func removeAuthenticator(ctx context.Context, t *testing.T, id webauthn.AuthenticatorID) {
	t.Helper()
	if _, err := chromedp.Call(ctx, webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: id}); err != nil {
		t.Fatalf("removing the authenticator: %v", err)
	}
}

// A person adds a passkey, signs in with it alone and after the password,
// shows with it that it is still them, and removes it.
func TestBrowserPasskey(t *testing.T) { eachBackend(t, usesAPasskey) }

func usesAPasskey(t *testing.T, newServer serverMaker) {
	s := newServer(t, "PEERAGE_FRESH_FACTOR=3s") // long enough for one form on a busy machine
	wiki := newParty(t, s, "wiki", "Wiki", "127.0.0.1:0")
	s.setClients(t, wiki.registration(map[string]any{"trusted": true}))
	s.start(t)
	s.addUser(t, "ada")
	ctx := newBrowser(t)
	g := s.gallery(ctx, t)
	device := newAuthenticator(ctx, t, webauthn.AuthenticatorTransportInternal, true)

	visit(ctx, t, s.Issuer+"/login?return=/identity/passkeys")
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "Passkeys")
	for !strings.Contains(location(ctx), "done=passkey_added") {
		if strings.Contains(location(ctx), "/login/confirm") { // again, when three seconds were not enough
			fill(ctx, t, "password", password)
			press(ctx, t, "", "")
			continue
		}
		if evaluateText(ctx, `String(document.querySelector("form[data-passkey]") !== null)`) != "true" {
			click(ctx, t, "main a.button.primary")
			continue
		}
		fill(ctx, t, "name", "Work laptop")
		press(ctx, t, "", "")
	}
	shows(ctx, t, "Your passkey is added.", "Work laptop", "Never used")
	g.look(ctx, t, "passkeys")

	// Without a password, from an application.
	forget(ctx, t)
	visit(ctx, t, wiki.Self+"/start")
	waitTitle(ctx, t, "Sign in")
	click(ctx, t, `main a[href^="/login/passkey"]`)
	waitTitle(ctx, t, "Sign in with a passkey")
	shows(ctx, t, "Wiki")
	g.look(ctx, t, "passkey")
	press(ctx, t, "", "")
	if claims := wiki.waitClaims(ctx, t); claims["acr"] != "phr" || claims["preferred_username"] != "ada" {
		t.Errorf("the application knows %v", claims)
	}

	// After the password.
	forget(ctx, t)
	visit(ctx, t, s.Issuer+"/login")
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "Use your passkey")
	g.look(ctx, t, "passkey-second")
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Good to see you")

	// A device without the passkey: the page says so and nothing is sent.
	waitStale(ctx, t, s)
	removeAuthenticator(ctx, t, device)
	other := newAuthenticator(ctx, t, webauthn.AuthenticatorTransportInternal, true)
	visit(ctx, t, s.Issuer+"/login/confirm?return=/identity/passkeys")
	waitTitle(ctx, t, "Is it still you?")
	g.look(ctx, t, "confirm-passkey")
	do(ctx, t, "pressing the button", chromedp.Click(chromedp.CSS("form[data-passkey] button")))
	waitFor(ctx, t, "the fault", `document.querySelector('[data-passkey-fault="cancelled"]').checkVisibility()`)
	shows(ctx, t, "No passkey was used.")
	g.look(ctx, t, "confirm-passkey-cancelled")
	if !strings.Contains(location(ctx), "/login/confirm") {
		t.Errorf("the page went to %s", location(ctx))
	}
	removeAuthenticator(ctx, t, other)
}

// Where scripts are off the pages say what passkeys need, and the other ways
// stay open.
func TestBrowserWithoutScriptsSaysWhatPasskeysNeed(t *testing.T) {
	s := newServer(t)
	s.start(t)
	ctx := newBrowser(t)
	g := newGallery(ctx, t)
	switchScripts(ctx, t, false)
	visit(ctx, t, s.Issuer+"/login/passkey")
	switchScripts(ctx, t, true) // for the questions of this test; the page has been loaded
	waitTitle(ctx, t, "Sign in with a passkey")
	shows(ctx, t, "Passkeys need JavaScript", "Sign in with a password")
	if evaluateText(ctx, `String(document.querySelector("form[data-passkey] button").checkVisibility())`) != "false" {
		t.Error("a button that does nothing is shown")
	}
	g.look(ctx, t, "passkey-without-script")
}

// Recovery codes are made, read from the page, downloaded, and used instead of
// the code.
func TestBrowserRecoveryCodes(t *testing.T) { eachBackend(t, usesARecoveryCode) }

func usesARecoveryCode(t *testing.T, newServer serverMaker) {
	s := newServer(t)
	s.start(t)
	ctx := newBrowser(t)
	g := s.gallery(ctx, t)
	a := enrolled(ctx, t, s, "ada")
	visit(ctx, t, s.Issuer+"/login?return=/identity/recovery-codes")
	signIn(ctx, t, "ada")
	fill(ctx, t, "code", a.code(t))
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Recovery codes")
	shows(ctx, t, "You have no recovery code.")
	g.look(ctx, t, "recovery-codes-none")
	press(ctx, t, "", "")
	shows(ctx, t, "Your ten new codes")
	codes := strings.Fields(evaluateText(ctx, `[...document.querySelectorAll(".codes code")].map(c => c.textContent).join(" ")`))
	if len(codes) != 10 {
		t.Fatalf("the page shows %q", codes)
	}
	g.look(ctx, t, "recovery-codes-new")
	click(ctx, t, `main a[href="/identity/recovery-codes"].button`)
	shows(ctx, t, "Codes left", "10")
	g.look(ctx, t, "recovery-codes")

	forget(ctx, t)
	visit(ctx, t, s.Issuer+"/login")
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "Enter your code")
	click(ctx, t, `main a[href^="/login/recovery"]`)
	waitTitle(ctx, t, "Enter a recovery code")
	g.look(ctx, t, "recovery")
	fill(ctx, t, "code", "0000 0000 0000")
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_code")
	g.look(ctx, t, "recovery-wrong")
	fill(ctx, t, "code", strings.ToUpper(strings.ReplaceAll(codes[0], "-", " ")))
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Good to see you")
}
