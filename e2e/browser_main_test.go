package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The main story: a person opens an application, signs in with password and
// code, allows it to know them, and is known.
func TestBrowserSignsInToAnApplication(t *testing.T) { eachBackend(t, signsInToAnApplication) }

func signsInToAnApplication(t *testing.T, newServer serverMaker) {
	s := newServer(t)
	wiki := newParty(t, s, "wiki", "Wiki of the exchange", "127.0.0.1:0")
	s.setClients(t, wiki.registration(nil), elsewhere)
	s.start(t)
	ctx := newBrowser(t)
	ada := enrolled(ctx, t, s, "ada", "admins")
	recorded := record(ctx, t)

	visit(ctx, t, s.askFor("grafana", "https://grafana.example.net/callback"))
	shows(ctx, t, "You will continue to Grafana", "grafana.example.net")
	visit(ctx, t, wiki.Self+"/start")
	waitTitle(ctx, t, "Sign in")
	shows(ctx, t, "You will continue to Wiki of the exchange", "an application on this device")
	fill(ctx, t, "username", "ada")
	fill(ctx, t, "password", "wrong "+password)
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_credentials")
	shows(ctx, t, "User name or password is wrong.", "Check both and try again.")
	for question, want := range map[string]string{
		`document.querySelector("#username").value`:                                                               "ada",
		`document.querySelector("#password").value`:                                                               "",
		`document.getElementById(document.querySelector("#password").getAttribute("aria-describedby")).innerText`: "Check both and try again.",
		`document.activeElement.id`:                                                                               "password",
		`document.title`:                                                                                          "Error: Sign in · Example IX",
		`document.querySelector("#credentials-fault").previousElementSibling.id`:                                  "password",
		`document.querySelector("form").action.replace(/request=.*/, "")`:                                         s.Issuer + "/login?",
	} {
		if got := evaluateText(ctx, question); got != want {
			t.Errorf("%s is %q, want %q", question, got, want)
		}
	}
	fill(ctx, t, "password", password)
	press(ctx, t, "", "")

	waitTitle(ctx, t, "Enter your code")
	shows(ctx, t, "Signing in as ada", "Wiki of the exchange")
	fill(ctx, t, "code", ada.wrong(t))
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_code")
	shows(ctx, t, "This code is wrong or was used already.")
	fill(ctx, t, "code", ada.code(t))
	press(ctx, t, "", "")

	waitTitle(ctx, t, "Allow Wiki of the exchange to know who you are?")
	shows(ctx, t, "Ada Example", "ada@example.net, verified", "admins")
	press(ctx, t, "decision", "allow")
	claims := wiki.waitClaims(ctx, t)
	if claims["preferred_username"] != "ada" || claims["email"] != "ada@example.net" || claims["acr"] != "2" || claims["sub"] == "" {
		t.Errorf("the application knows %v", claims)
	}

	// The second time there is nothing to ask: no page of ours at all.
	before := location(ctx)
	click(ctx, t, "#start")
	if again := wiki.waitClaims(ctx, t); again["sub"] != claims["sub"] {
		t.Errorf("the second sign-in is of %v", again["sub"])
	}
	entries, err := chromedp.Run(ctx, chromedp.NavigationEntries())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries.Entries[max(0, len(entries.Entries)-2):] {
		if !strings.HasPrefix(e.URL, wiki.Self) {
			t.Errorf("the second sign-in from %s showed %s", before, e.URL)
		}
	}

	// Asked for consent again, and denied.
	visit(ctx, t, wiki.Self+"/start?prompt=consent")
	waitTitle(ctx, t, "Allow Wiki of the exchange")
	press(ctx, t, "decision", "deny")
	wiki.waitError(ctx, t, "access_denied")

	// The application signs out: no question, it proves whom it speaks of.
	visit(ctx, t, wiki.Self+"/start")
	wiki.waitClaims(ctx, t)
	click(ctx, t, "#sign-out")
	waitURL(ctx, t, wiki.Self+"/")
	visit(ctx, t, wiki.Self+"/start?prompt=none")
	wiki.waitError(ctx, t, "login_required")

	// A person signs out by the header of the portal.
	visit(ctx, t, s.Issuer+"/")
	signIn(ctx, t, "ada")
	fill(ctx, t, "code", ada.code(t))
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Good to see you, Ada Example")
	click(ctx, t, `header .bar > .who button[name=logout]`)
	waitTitle(ctx, t, "You are signed out")
	visit(ctx, t, s.Issuer+"/identity")
	waitTitle(ctx, t, "Sign in")

	recorded.holdsNone(t, s, map[string]string{"password": password, "TOTP secret": ada.secret, "client's secret": wiki.Secret, "server's secret": strings.Repeat("k", 40)})
}

// Without a proof (an id_token_hint) the person is asked before they are signed out.
func TestBrowserConfirmsSignOut(t *testing.T) {
	s := newServer(t)
	wiki := newParty(t, s, "wiki", "Wiki", "127.0.0.1:0")
	s.setClients(t, wiki.registration(map[string]any{"trusted": true}))
	s.start(t)
	s.addUser(t, "bob")
	ctx := newBrowser(t)
	visit(ctx, t, wiki.Self+"/start")
	signIn(ctx, t, "bob")
	if claims := wiki.waitClaims(ctx, t); claims["acr"] != "1" {
		t.Errorf("bob came with acr %v", claims["acr"])
	}
	visit(ctx, t, wiki.Self+"/sign-out?hint=none")
	waitTitle(ctx, t, "Sign out?")
	shows(ctx, t, "Wiki asks to sign you out.", "signed in as bob")
	click(ctx, t, "a.button")
	waitTitle(ctx, t, "Good to see you") // still signed in
	visit(ctx, t, wiki.Self+"/sign-out?hint=none")
	press(ctx, t, "logout", "yes")
	waitURL(ctx, t, wiki.Self+"/")
	visit(ctx, t, wiki.Self+"/start?prompt=none")
	wiki.waitError(ctx, t, "login_required")
	if wiki.method != http.MethodGet {
		t.Errorf("the answer came by %s", wiki.method)
	}
}
