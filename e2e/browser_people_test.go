package e2e

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"
)

// An administrator adds a person, who comes in by the link; gives them another
// second factor by a link when they have lost theirs; signs them out
// everywhere; and keeps them out for a while.
func TestBrowserAdministersPeople(t *testing.T) { eachBackend(t, administersPeople) }

func administersPeople(t *testing.T, newServer serverMaker) {
	s := newServer(t)
	s.start(t)
	ctx := newBrowser(t)
	g := s.gallery(ctx, t)
	ada := enrolled(ctx, t, s, "ada", "admins")
	administer := func(path string) {
		forget(ctx, t)
		visit(ctx, t, s.Issuer+"/login?return="+path)
		signIn(ctx, t, "ada")
		fill(ctx, t, "code", ada.code(t))
		press(ctx, t, "", "")
		waitFault(ctx, t, "")
	}

	administer("/admin")
	waitTitle(ctx, t, "Administration")
	g.look(ctx, t, "admin")
	click(ctx, t, `.places a[href="/admin/users"]`)
	waitTitle(ctx, t, "People")
	click(ctx, t, `a[href="/admin/users/new"]`)
	waitTitle(ctx, t, "Add a person")
	fill(ctx, t, "username", "eve example")
	fill(ctx, t, "name", "Eve Example")
	fill(ctx, t, "email", "eve@example.net")
	press(ctx, t, "", "")
	waitFault(ctx, t, "invalid_request")
	shows(ctx, t, "One thing is not right yet.", "Use 1 to 64 of")
	g.look(ctx, t, "admin-user-new-wrong")
	fill(ctx, t, "username", "eve")
	press(ctx, t, "", "")
	shows(ctx, t, "The person was added.", "With it they choose a password")
	invitation := evaluateText(ctx, `document.querySelector("#link").textContent`)
	page := evaluateText(ctx, `document.querySelector("main form input[name=version]").form.getAttribute("action")`)

	// Eve chooses a password, adds a second factor and loses it.
	forget(ctx, t)
	visit(ctx, t, invitation)
	fill(ctx, t, "new_password", password)
	fill(ctx, t, "repeat_password", password)
	press(ctx, t, "", "")
	waitFault(ctx, t, "")
	eve := second(ctx, t, s, "eve")

	administer(page)
	waitTitle(ctx, t, "eve")
	do(ctx, t, "steadying the page", chromedp.Evaluate[chromedp.Void](steadyPerson))
	g.look(ctx, t, "admin-user")
	click(ctx, t, `a[href$="?ask=reset-mfa"]`)
	waitTitle(ctx, t, "Reset the second factor of eve?")
	g.look(ctx, t, "admin-user-reset")
	press(ctx, t, "action", "reset-mfa")
	shows(ctx, t, "A one-time link for eve", "is not shown again", "Waits for a link")
	link := evaluateText(ctx, `document.querySelector("#link").textContent`)
	do(ctx, t, "steadying the page", chromedp.Evaluate[chromedp.Void](steadyPerson))
	g.look(ctx, t, "admin-user-link")

	forget(ctx, t)
	visit(ctx, t, link)
	fill(ctx, t, "password", password)
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Add a second factor")
	again := readAuthenticator(ctx, t)
	if again.secret == eve.secret {
		t.Error("the lost key is given out again")
	}
	fill(ctx, t, "code", again.code(t))
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Good to see you, Eve Example")
	// Another browser, in which eve stays signed in.
	elsewhere := newBrowser(t)
	visit(elsewhere, t, s.Issuer+"/")
	signIn(elsewhere, t, "eve")
	fill(elsewhere, t, "code", again.code(t))
	press(elsewhere, t, "", "")
	waitTitle(elsewhere, t, "Good to see you, Eve Example")

	administer(page)
	click(ctx, t, `a[href$="?ask=sign-out"]`)
	waitTitle(ctx, t, "Sign eve out everywhere?")
	g.look(ctx, t, "admin-user-sign-out")
	press(ctx, t, "action", "sign-out")
	shows(ctx, t, "The person is signed out everywhere.", "Not signed in anywhere.")
	visit(elsewhere, t, s.Issuer+"/identity")
	waitTitle(elsewhere, t, "Sign in")

	click(ctx, t, `a[href$="?ask=disable"]`)
	waitTitle(ctx, t, "Disable eve?")
	press(ctx, t, "action", "disable")
	shows(ctx, t, "The person is disabled")
	signIn(elsewhere, t, "eve")
	waitFault(elsewhere, t, "wrong_credentials")
	press(ctx, t, "action", "enable")
	shows(ctx, t, "The person is enabled again.")
	fill(elsewhere, t, "password", password)
	press(elsewhere, t, "", "")
	waitTitle(elsewhere, t, "Enter your code")

	visit(ctx, t, s.Issuer+"/admin/users")
	shows(ctx, t, "Eve Example", "eve@example.net")
	g.look(ctx, t, "admin-users")
	fill(ctx, t, "q", "exa")
	press(ctx, t, "", "")
	shows(ctx, t, "Eve Example", "Ada Example")
	visit(ctx, t, s.Issuer+"/admin/users/import")
	waitTitle(ctx, t, "Import people")
	g.look(ctx, t, "admin-import")

	if s.bao != nil {
		return // its groups are its own
	}
	visit(ctx, t, s.Issuer+"/admin/groups")
	waitTitle(ctx, t, "Groups")
	g.look(ctx, t, "admin-groups")
	click(ctx, t, `a[href="/admin/groups?group=admins"]`)
	waitTitle(ctx, t, "admins")
	g.look(ctx, t, "admin-group")
	press(ctx, t, "action", "remove")
	waitFault(ctx, t, "last_administrator")
	shows(ctx, t, "The last administrator stays")
	g.look(ctx, t, "admin-group-last", "light")
}

// second adds a second factor to a person who has a password.
func second(ctx context.Context, t *testing.T, s *server, name string) *authenticator {
	t.Helper()
	forget(ctx, t)
	visit(ctx, t, s.Issuer+"/login?return=/identity/totp")
	signIn(ctx, t, name)
	a := readAuthenticator(ctx, t)
	fill(ctx, t, "code", a.code(t))
	press(ctx, t, "", "")
	waitFault(ctx, t, "")
	return a
}

// steadyPerson replaces what differs from run to run on a person's page, and
// gives the link a shape that works nowhere.
const steadyPerson = `document.querySelectorAll("#link").forEach(e => { e.textContent = "https://id.example.net/recover/shown-once" })
	document.querySelectorAll("td time, dd time").forEach(e => { e.textContent = "just now" })
	document.querySelectorAll(".notice time").forEach(e => { e.textContent = "2026-03-20 09:12 UTC" })
	document.querySelectorAll("th bdi").forEach(e => { if (e.textContent.startsWith("Mozilla")) e.textContent = "Mozilla/5.0 (X11; Linux x86_64)" }); 0`
