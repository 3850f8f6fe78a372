package e2e

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The applications of the pages that are looked at.
var pageClients = []map[string]any{
	{"client_id": "grafana", "name": "Grafana", "description": "Traffic of every port, and alerts", "client_secret": "secret-of-grafana-0123456789abcdef",
		"redirect_uris": []string{"https://grafana.example.net/callback"}, "launch_uri": "https://grafana.example.net/"},
	{"client_id": "netbox", "name": "NetBox", "description": "Ports, addresses and cross connects", "client_secret": "secret-of-netbox-0123456789abcdef",
		"redirect_uris": []string{"https://netbox.example.net/oauth/complete/oidc"}, "launch_uri": "https://netbox.example.net/", "allowed_groups": []string{"noc", "engineering"}},
	{"client_id": "forgejo", "name": "Forgejo", "description": "Configuration and its history", "client_secret": "secret-of-forgejo-0123456789abcdef",
		"redirect_uris": []string{"https://git.example.net/callback"}, "launch_uri": "https://git.example.net/", "trusted": true},
	{"client_id": "glass", "name": "Looking Glass", "application_type": "native", "token_endpoint_auth_method": "none", "redirect_uris": []string{"net.example.glass:/callback", "http://127.0.0.1/callback"}},
}

// newPages is a server with these applications, and a browser with a gallery.
func newPages(t *testing.T, newServer serverMaker, env ...string) (*server, context.Context, *gallery) {
	t.Helper()
	s := newServer(t, env...)
	s.setClients(t, pageClients...)
	s.start(t)
	ctx := newBrowser(t)
	return s, ctx, s.gallery(ctx, t)
}

// askGrafana is an authorization request of Grafana.
func (s *server) askGrafana(more ...string) string {
	return s.askFor("grafana", "https://grafana.example.net/callback", more...)
}

func TestPagesOfSigningIn(t *testing.T) {
	s, ctx, g := newPages(t, newServer)
	s.addUser(t, "ada", "admins")

	visit(ctx, t, s.askGrafana())
	waitTitle(ctx, t, "Sign in")
	g.look(ctx, t, "sign-in")
	fill(ctx, t, "username", "ada")
	fill(ctx, t, "password", "wrong "+password)
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_credentials")
	g.look(ctx, t, "sign-in-wrong")
	fill(ctx, t, "password", password)
	press(ctx, t, "", "")

	waitTitle(ctx, t, "Add a second factor")
	a := readAuthenticator(ctx, t) // a picture shows another key
	g.look(ctx, t, "enrol")
	do(ctx, t, "unfolding the key", chromedp.Click(chromedp.CSS("details.more summary")))
	g.look(ctx, t, "enrol-key")
	fill(ctx, t, "code", a.code(t))
	press(ctx, t, "", "")

	waitTitle(ctx, t, "Allow Grafana")
	g.look(ctx, t, "consent")
	visit(ctx, t, s.askGrafana("scope", "openid profile email groups offline_access"))
	g.look(ctx, t, "consent-offline")
	visit(ctx, t, s.askGrafana("prompt", "select_account"))
	waitTitle(ctx, t, "Which account?")
	g.look(ctx, t, "choose")
	visit(ctx, t, s.askFor("netbox", "https://netbox.example.net/oauth/complete/oidc"))
	waitFault(ctx, t, "no_access")
	g.look(ctx, t, "no-access")

	visit(ctx, t, s.askGrafana("prompt", "consent", "response_mode", "form_post"))
	press(ctx, t, "decision", "deny")
	waitTitle(ctx, t, "One more step")
	g.look(ctx, t, "form-post")

	forget(ctx, t)
	visit(ctx, t, s.askGrafana())
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "Enter your code")
	g.look(ctx, t, "code")
	fill(ctx, t, "code", a.wrong(t))
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_code")
	g.look(ctx, t, "code-wrong")
	fill(ctx, t, "code", a.code(t))
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Allow Grafana")

	visit(ctx, t, s.askFor("glass", "http://127.0.0.1:1/callback")) // where nobody listens
	press(ctx, t, "decision", "allow")
	waitURL(ctx, t, "chrome-error:")
	visit(ctx, t, s.askFor("glass", "net.example.glass:/callback"))
	waitTitle(ctx, t, "Continue as ada?")
	g.look(ctx, t, "continue-as")
	press(ctx, t, "decision", "allow")
	// Last, because Chromium asks which program takes the scheme, on top of
	// the page and of those that follow, and takes no clicks meanwhile.
	waitTitle(ctx, t, "Continue to Looking Glass")
	g.look(ctx, t, "leave")
}

// errorWords are what these pages have to say.
var errorWords = map[string][]string{
	"error-unknown-client": {"This application is not known here", "invalid_client", "noc@example.net"},
	"error-address":        {"This sign‑in can’t go on", "Grafana sent you here", "grafana.example.net", "https://grafana.example.com/callback", "invalid_request", "Back to Grafana"},
	"error-sign-out":       {"This sign‑out can’t go on", "https://evil.example/"},
	"error-link-expired":   {"This link no longer works"},
	"error-not-found":      {"There is no such page"},
}

func TestPagesOfFaults(t *testing.T) {
	s, ctx, g := newPages(t, newServer)
	enrolled(ctx, t, s, "ada", "admins")
	for name, address := range map[string]string{
		"error-unknown-client": s.askFor("wiki", "https://wiki.example.net/callback"),
		"error-address":        s.askFor("grafana", "https://grafana.example.com/callback"),
		"error-not-found":      s.Issuer + "/networks/nowhere",
		"error-link-expired":   s.Issuer + "/recover/" + strings.Repeat("x", 43),
		"error-sign-out":       s.Issuer + "/oauth2/logout?client_id=grafana&post_logout_redirect_uri=https://evil.example/",
	} {
		visit(ctx, t, address)
		waitFor(ctx, t, "an error page for "+name, `(document.querySelector("main")?.dataset.error || "") !== ""`)
		g.look(ctx, t, name)
		for _, words := range errorWords[name] {
			shows(ctx, t, words)
		}
	}

	var link struct{ URL string }
	s.runJSON(t, &link, "user", "reset-mfa", "ada", "--json")
	visit(ctx, t, s.askGrafana())
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "You need a one-time link")
	g.look(ctx, t, "needs-link")
	forget(ctx, t)
	visit(ctx, t, link.URL)
	waitTitle(ctx, t, "Get back into your account")
	g.look(ctx, t, "recover")
	fill(ctx, t, "password", "wrong "+password)
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_credentials")
	g.look(ctx, t, "recover-wrong")

	visit(ctx, t, s.askGrafana("prompt", "login", "login_hint", "mallory"))
	for range 10 {
		if strings.Contains(bodyText(ctx), "Too many attempts") {
			break
		}
		fill(ctx, t, "password", "wrong "+password)
		press(ctx, t, "", "")
	}
	waitFault(ctx, t, "throttled")
	g.look(ctx, t, "throttled")

	// A sign-in that was finished in another tab.
	s.addUser(t, "bob")
	forget(ctx, t)
	visit(ctx, t, s.askFor("glass", "net.example.glass:/callback"))
	u, err := url.Parse(location(ctx))
	if err != nil || u.Query().Get("request") == "" {
		t.Fatalf("the sign-in is at %s", location(ctx))
	}
	signIn(ctx, t, "bob")
	press(ctx, t, "decision", "deny")
	visit(ctx, t, u.String())
	waitFor(ctx, t, "an error page", `(document.querySelector("main")?.dataset.error || "") !== ""`)
	shows(ctx, t, "This sign‑in took too long")
	g.look(ctx, t, "error-expired")
}

// A visitor whom the rate limit stops gets a page too, in words and with its
// style, for what a page is made of does not count.
func TestPageOfTooManyRequests(t *testing.T) {
	s, ctx, g := newPages(t, newServer, "PEERAGE_RATE_LIMIT=0.01", "PEERAGE_RATE_BURST=3")
	for range 5 {
		visit(ctx, t, s.Issuer+"/login")
		if evaluateText(ctx, `document.querySelector("main").dataset.error || ""`) != "" {
			break
		}
	}
	waitFault(ctx, t, "throttled")
	waitFor(ctx, t, "the style sheet", `[...document.styleSheets].some(s => s.cssRules.length > 0)`)
	g.look(ctx, t, "error-too-many")
}

func TestPagesOfTheHouse(t *testing.T) {
	s, ctx, g := newPages(t, newServer, "PEERAGE_FRESH_FACTOR=3s")
	s.run(t, "", "group", "create", "noc")
	s.addUser(t, "ada", "noc")
	visit(ctx, t, s.Issuer+"/login")
	g.look(ctx, t, "sign-in-portal")
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "Good to see you")
	g.look(ctx, t, "home")
	do(ctx, t, "narrowing the window", chromedp.EmulateViewport(320, 640), chromedp.Click(chromedp.CSS("details.menu > summary")))
	waitFor(ctx, t, "the menu", `document.querySelector("details.menu .places a").checkVisibility()`)
	g.look(ctx, t, "home-menu", "phone")
	visit(ctx, t, s.Issuer+"/identity")
	waitTitle(ctx, t, "Profile")
	g.look(ctx, t, "profile")

	waitStale(ctx, t, s)
	visit(ctx, t, s.Issuer+"/identity/totp")
	waitTitle(ctx, t, "Is it still you?")
	g.look(ctx, t, "confirm")
	var a *authenticator
	for deadline := time.Now().Add(time.Minute); ; {
		visit(ctx, t, s.Issuer+"/login/confirm?return=/identity/totp")
		if strings.Contains(location(ctx), "/login/confirm") {
			fill(ctx, t, "password", password)
			press(ctx, t, "", "")
		}
		if strings.HasPrefix(location(ctx), s.Issuer+"/identity/totp") {
			if a == nil { // looking takes longer than three seconds, so once more afterwards
				a = readAuthenticator(ctx, t) // a picture shows another key
				g.look(ctx, t, "totp-add")
				continue
			}
			fill(ctx, t, "code", a.code(t))
			press(ctx, t, "", "")
			if strings.Contains(location(ctx), "done=") {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("no second factor could be added")
		}
	}
	waitTitle(ctx, t, "Second factor")
	g.look(ctx, t, "totp")
	waitStale(ctx, t, s)
	waitTitle(ctx, t, "Is it still you?")
	fill(ctx, t, "code", a.wrong(t))
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_code")
	g.look(ctx, t, "confirm-wrong")
	visit(ctx, t, s.Issuer+"/logout")
	waitTitle(ctx, t, "Sign out?")
	g.look(ctx, t, "sign-out")
	press(ctx, t, "logout", "yes")
	waitTitle(ctx, t, "You are signed out")
	g.look(ctx, t, "signed-out")
}
