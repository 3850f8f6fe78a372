package e2e

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"
)

const newPassword = "seven lighthouses in the fog"

// clickWords clicks the link of main that says these words.
func clickWords(ctx context.Context, t *testing.T, words string) {
	t.Helper()
	do(ctx, t, "marking the link "+words, chromedp.Evaluate[chromedp.Void](
		`[...document.querySelectorAll("main a")].find(a => a.innerText === "`+words+`").id = "wanted"`))
	click(ctx, t, "#wanted")
}

// changePassword fills in the form of /identity/password.
func changePassword(ctx context.Context, t *testing.T, current, fresh, repeat string) {
	t.Helper()
	fill(ctx, t, "current_password", current)
	fill(ctx, t, "new_password", fresh)
	fill(ctx, t, "repeat_password", repeat)
	press(ctx, t, "", "")
}

func TestPagesOfTheAccount(t *testing.T) { eachBackend(t, looksAfterTheAccount) }

func looksAfterTheAccount(t *testing.T, newServer serverMaker) {
	s, ctx, g := newPages(t, newServer)
	s.addGroups(t, "noc")
	s.addUser(t, "ada", "noc")
	visit(ctx, t, s.Issuer+"/login?return=/identity/consents")
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "Applications")
	g.look(ctx, t, "consents-empty")
	visit(ctx, t, s.Issuer+"/identity/sessions")
	g.look(ctx, t, "sessions-alone")

	// Another browser, an application that was allowed, and a wrong password.
	forget(ctx, t)
	visit(ctx, t, s.askGrafana("scope", "openid profile email groups offline_access"))
	fill(ctx, t, "username", "ada")
	fill(ctx, t, "password", "wrong "+password)
	press(ctx, t, "", "")
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "Allow Grafana")
	// Its address is nowhere, so the browser stays where the answer leaves from.
	do(ctx, t, "allowing Grafana", chromedp.Click(chromedp.CSS(`button[name="decision"][value="allow"]`)))
	waitURL(ctx, t, "chrome-error:")

	visit(ctx, t, s.Issuer+"/identity/consents")
	waitTitle(ctx, t, "Applications")
	shows(ctx, t, "Grafana", "Your e-mail address", "To keep you signed in", "Allowed just now")
	g.look(ctx, t, "consents")
	visit(ctx, t, s.Issuer+"/identity/sessions")
	shows(ctx, t, "Chromium on Linux", "this browser", "127.0.0.1")
	g.look(ctx, t, "sessions")
	press(ctx, t, "session", "others")
	shows(ctx, t, "You are signed out everywhere else.")
	g.look(ctx, t, "sessions-ended")
	visit(ctx, t, s.Issuer+"/identity/activity")
	shows(ctx, t, "You signed in", "Someone tried to sign in as you with a wrong password", "You allowed an application to know who you are", "Grafana")
	g.look(ctx, t, "activity")
	visit(ctx, t, s.Issuer+"/identity/consents")
	press(ctx, t, "client_id", "grafana")
	shows(ctx, t, "Taken back.")
	g.look(ctx, t, "consents-revoked")

	visit(ctx, t, s.Issuer+"/.well-known/change-password")
	waitTitle(ctx, t, "Password")
	g.look(ctx, t, "password")
	changePassword(ctx, t, password, "Password1234", "Password123")
	waitFault(ctx, t, "password_breached")
	g.look(ctx, t, "password-breached")
	changePassword(ctx, t, "wrong "+password, newPassword, newPassword)
	waitFault(ctx, t, "wrong_credentials")
	g.look(ctx, t, "password-wrong")
	changePassword(ctx, t, password, newPassword, newPassword)
	waitTitle(ctx, t, "Profile")
	g.look(ctx, t, "password-changed")
}

// A person who has never seen the pages comes from home to another password in
// two clicks, and the one from before opens
// nothing any more.
func TestBrowserChangesPassword(t *testing.T) { eachBackend(t, changesPassword) }

func changesPassword(t *testing.T, newServer serverMaker) {
	s := newServer(t)
	s.start(t)
	ctx := newBrowser(t)
	ada := enrolled(ctx, t, s, "ada")
	visit(ctx, t, s.Issuer+"/")
	signIn(ctx, t, "ada")
	fill(ctx, t, "code", ada.code(t))
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Good to see you")

	click(ctx, t, `header .bar a[href="/identity"]`)
	clickWords(ctx, t, "Change my password")
	waitTitle(ctx, t, "Password")
	for field, want := range map[string]string{"current_password": "current-password", "new_password": "new-password", "repeat_password": "new-password", "code": "one-time-code"} {
		if got := evaluateText(ctx, `document.querySelector("[name=`+field+`]").autocomplete`); got != want {
			t.Errorf("autocomplete of %s is %q, want %q", field, got, want)
		}
	}
	fill(ctx, t, "code", ada.wrong(t))
	changePassword(ctx, t, password, newPassword, newPassword)
	waitFault(ctx, t, "wrong_code")
	for _, field := range []string{"current_password", "new_password", "repeat_password", "code"} {
		if got := evaluateText(ctx, `document.querySelector("[name=`+field+`]").value`); got != "" {
			t.Errorf("%s comes back as %q", field, got)
		}
	}
	fill(ctx, t, "code", ada.code(t))
	changePassword(ctx, t, password, newPassword, newPassword)
	waitTitle(ctx, t, "Profile")
	shows(ctx, t, "Your password is changed.", "It is a strong one.")

	forget(ctx, t)
	visit(ctx, t, s.Issuer+"/login")
	signIn(ctx, t, "ada")
	waitFault(ctx, t, "wrong_credentials")
	fill(ctx, t, "password", newPassword)
	press(ctx, t, "", "")
	fill(ctx, t, "code", ada.code(t))
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Good to see you")
}
