package e2e

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Chromium holds form-action against every redirect behind a form, those of
// the application included. The way out of a flow is hence a page of its own,
// and an application may send the browser on to a third origin.
func TestBrowserFollowsAnApplicationToAThirdOrigin(t *testing.T) {
	s := newServer(t)
	wiki := newParty(t, s, "wiki", "Wiki", "127.0.0.1:0")
	wiki.onward = landing(t)
	s.setClients(t, wiki.registration(nil))
	s.start(t)
	s.addUser(t, "bob")
	ctx := newBrowser(t)
	for _, mode := range []string{"query", "form_post"} {
		for _, c := range []struct{ decision, code string }{{"deny", "access_denied"}, {"allow", ""}} {
			forget(ctx, t)
			visit(ctx, t, wiki.Self+"/start?prompt=consent&response_mode="+mode)
			signIn(ctx, t, "bob")
			waitTitle(ctx, t, "Allow Wiki")
			press(ctx, t, "decision", c.decision)
			wantMethod := http.MethodGet
			if mode == "form_post" {
				wantMethod = http.MethodPost
				handOver(ctx, t, "Wiki", c.code)
			}
			waitURL(ctx, t, wiki.onward)
			waitSelector(ctx, t, "#landed")
			wiki.mu.Lock()
			if wiki.answer.Get("error") != c.code || (wiki.answer.Get("code") == "") != (c.code != "") || wiki.method != wantMethod {
				t.Errorf("%s, %s: the application got %s by %s", mode, c.decision, wiki.answer.Encode(), wiki.method)
			}
			if c.code == "" && wiki.claims["preferred_username"] != "bob" {
				t.Errorf("%s: the application knows %v", mode, wiki.claims)
			}
			wiki.mu.Unlock()
		}
	}
}

// handOver presses the one button of the page that carries an answer as a form.
func handOver(ctx context.Context, t *testing.T, name, code string) {
	t.Helper()
	waitTitle(ctx, t, "One more step")
	if code != "" {
		shows(ctx, t, "gets the answer "+code)
	}
	if n := evaluateText(ctx, `String(document.querySelectorAll("main button, main a").length)`); n != "1" {
		t.Errorf("the page has %s buttons and links", n)
	}
	shows(ctx, t, "Continue to "+name)
	press(ctx, t, "", "")
}

// A client on the loopback address of IPv6: the content security policy has no
// source expression for [::1], so nothing may depend on one.
func TestBrowserReachesAClientOnIPv6(t *testing.T) {
	if listener, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("this machine has no ::1: %v", err)
	} else {
		listener.Close()
	}
	s := newServer(t)
	cli := newParty(t, s, "cli", "Command line", "[::1]:0")
	s.setClients(t, cli.registration(map[string]any{"application_type": "native", "redirect_uris": []string{"http://[::1]/callback"}}))
	s.start(t)
	s.addUser(t, "bob")
	ctx := newBrowser(t)
	for _, mode := range []string{"query", "form_post"} {
		forget(ctx, t)
		visit(ctx, t, cli.Self+"/start?prompt=consent&response_mode="+mode)
		shows(ctx, t, "an application on this device")
		signIn(ctx, t, "bob")
		press(ctx, t, "decision", "deny")
		if mode == "form_post" {
			handOver(ctx, t, "Command line", "access_denied")
		}
		cli.waitError(ctx, t, "access_denied")
		visit(ctx, t, cli.Self+"/start?prompt=consent&response_mode="+mode)
		press(ctx, t, "decision", "allow")
		if mode == "form_post" {
			handOver(ctx, t, "Command line", "")
		}
		if claims := cli.waitClaims(ctx, t); claims["preferred_username"] != "bob" {
			t.Errorf("%s: the application knows %v", mode, claims)
		}
	}
}

// A program on the device with a scheme of its own, which templates would
// turn into nonsense: the page that leads there keeps the address as it is
// registered, in its link and in its refresh.
func TestBrowserLeavesForAPrivateScheme(t *testing.T) {
	const address = "net.example.app:/callback"
	s := newServer(t)
	s.setClients(t, map[string]any{"client_id": "app", "name": "Pocket App", "application_type": "native", "token_endpoint_auth_method": "none", "redirect_uris": []string{address}})
	s.start(t)
	s.addUser(t, "bob")
	ctx := newBrowser(t)
	visit(ctx, t, s.askFor("app", address))
	shows(ctx, t, "You will continue to Pocket App", "an application on this device")
	signIn(ctx, t, "bob")
	press(ctx, t, "decision", "allow")
	// No program of this machine takes the scheme, so the page stays.
	waitTitle(ctx, t, "Continue to Pocket App")
	link := evaluateText(ctx, `document.querySelector("main a.button").getAttribute("href")`)
	refresh := evaluateText(ctx, `document.querySelector("meta[http-equiv=refresh]").content`)
	if refresh != "0;url="+link {
		t.Errorf("the link is %q, the refresh %q", link, refresh)
	}
	wantAnswer(t, s, link, address, "code")

	// Now that consent stands, a public native client gets "Continue as NAME?".
	// In another browser: the first may be asking which program takes the
	// scheme, and takes no clicks meanwhile.
	ctx = newBrowser(t)
	visit(ctx, t, s.Issuer+"/login")
	signIn(ctx, t, "bob")
	waitTitle(ctx, t, "Good to see you")
	visit(ctx, t, s.askFor("app", address))
	waitTitle(ctx, t, "Continue as bob?")
	press(ctx, t, "decision", "deny")
	waitTitle(ctx, t, "Continue to Pocket App")
	wantAnswer(t, s, evaluateText(ctx, `document.querySelector("main a.button").getAttribute("href")`), address, "error")
}

// wantAnswer checks an authorization response at that address.
func wantAnswer(t *testing.T, s *server, target, address, parameter string) {
	t.Helper()
	query, ok := strings.CutPrefix(target, address+"?")
	if !ok {
		t.Fatalf("the page leads to %q", target)
	}
	answer, err := url.ParseQuery(query)
	if err != nil || answer.Get(parameter) == "" || answer.Get("iss") != s.Issuer || answer.Get("state") != "state-of-the-request" {
		t.Errorf("the answer is %q (%v)", query, err)
	}
}
