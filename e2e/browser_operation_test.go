package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// An administrator replaces a signing key, withdraws it, and finds what was
// done, and by whom, among the events.
func TestBrowserOperates(t *testing.T) {
	s := newServer(t)
	s.setClients(t, pageClients[0])
	s.start(t)
	ctx := newBrowser(t)
	g := newGallery(ctx, t)
	ada := enrolled(ctx, t, s, "ada", "admins")
	visit(ctx, t, s.Issuer+"/login?return=/admin")
	fill(ctx, t, "username", "=ada@example.net") // what a spreadsheet would compute
	fill(ctx, t, "password", password)
	press(ctx, t, "", "")
	waitFault(ctx, t, "wrong_credentials")
	signIn(ctx, t, "ada")
	fill(ctx, t, "code", ada.code(t))
	press(ctx, t, "", "")
	waitTitle(ctx, t, "Administration")

	click(ctx, t, `.places a[href="/admin/keys"]`)
	waitTitle(ctx, t, "Signing keys")
	shows(ctx, t, "RS256", "ES256", "EdDSA", "Signs", "Last used")
	signs := evaluateText(ctx, `document.querySelector("tr:has(.badge.good) code").textContent`)
	do(ctx, t, "steadying the page", chromedp.Evaluate[chromedp.Void](steadyKeys))
	g.look(ctx, t, "admin-keys")
	click(ctx, t, `a[href="/admin/keys?alg=RS256&ask=rotate"]`)
	waitTitle(ctx, t, "Replace the key for RS256?")
	shows(ctx, t, "These applications get RS256 tokens: Grafana", "NetBox for up to a day")
	do(ctx, t, "steadying the page", chromedp.Evaluate[chromedp.Void](steadyKeys))
	g.look(ctx, t, "admin-key-rotate")
	do(ctx, t, "pressing the checkbox", chromedp.Click(chromedp.CSS("input[name=now]")))
	press(ctx, t, "action", "rotate")
	waitTitle(ctx, t, "Signing keys")
	shows(ctx, t, "The next key signs now.", "Retired")
	if now := evaluateText(ctx, `document.querySelector("tr:has(.badge.good) code").textContent`); now == signs {
		t.Errorf("%s signs still", now)
	}
	click(ctx, t, `tr:has(.badge.warn) a.danger`)
	waitTitle(ctx, t, "Retire a key for RS256?")
	do(ctx, t, "steadying the page", chromedp.Evaluate[chromedp.Void](steadyKeys))
	g.look(ctx, t, "admin-key-retire")
	do(ctx, t, "pressing the checkbox", chromedp.Click(chromedp.CSS("input[name=now]"))) // not leaked: then nothing is left to do
	press(ctx, t, "action", "retire")
	waitTitle(ctx, t, "Signing keys")
	shows(ctx, t, "Nothing was changed.", "If it leaked, say so.")
	do(ctx, t, "steadying the page", chromedp.Evaluate[chromedp.Void](steadyKeys))
	g.look(ctx, t, "admin-keys-refused", "light")
	click(ctx, t, `tr:has(.badge.warn) a.danger`)
	waitTitle(ctx, t, "Retire a key for RS256?")
	press(ctx, t, "action", "retire")
	waitTitle(ctx, t, "Signing keys")
	shows(ctx, t, "The key is retired.", "Withdrawn")

	click(ctx, t, `.places a[href="/admin/events"]`)
	waitTitle(ctx, t, "Events")
	shows(ctx, t, "key_rotate", "login_failure", "=ada@example.net", "127.0.0.1")
	do(ctx, t, "steadying the page", chromedp.Evaluate[chromedp.Void](steadyEvents))
	g.look(ctx, t, "admin-events")
	fill(ctx, t, "ip", "here")
	press(ctx, t, "", "")
	waitFault(ctx, t, "invalid_request")
	shows(ctx, t, "This is not an IP address.")
	g.look(ctx, t, "admin-events-wrong")
	visit(ctx, t, s.Issuer+"/admin/events?event=key_rotate")
	shows(ctx, t, "key_rotate", "ada")
	if body := bodyText(ctx); strings.Contains(body, "=ada@example.net") {
		t.Error("the filter shows other events")
	}
	visit(ctx, t, s.Issuer+"/admin/events?user=nobody")
	shows(ctx, t, "No event fits.")
	g.look(ctx, t, "admin-events-none", "light")

	visit(ctx, t, s.Issuer+"/admin/events?event=login_failure")
	if file := evaluateText(ctx, `document.querySelector("#download a").getAttribute("href")`); file != "/admin/events?event=login_failure&format=csv" {
		t.Errorf("the file is %s", file)
	}
}

// steadyKeys replaces what differs from run to run on the pages of the keys.
const steadyKeys = `document.querySelectorAll("main code").forEach((e, i) => { if (e.textContent.length > 20) e.textContent = "kid-of-this-picture-0123456789abcdef-number" + i })
	document.querySelectorAll("main li").forEach(e => { e.textContent = e.textContent.replace(/\d{4}-\d\d-\d\d \d\d:\d\d UTC/, "2026-03-20 09:12 UTC") })
	document.querySelectorAll("main time").forEach(e => { e.textContent = "just now" }); 0`

// steadyEvents does so for the events.
const steadyEvents = `document.querySelectorAll("td time").forEach(e => { e.textContent = "just now" })
	document.querySelectorAll("td .note").forEach(e => { e.textContent = e.textContent.replace(/\b[A-Z2-7]{13}\b/g, "6QNM7KAW7YNW4").replace(/\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC/, "2026-03-20 09:12:00 UTC").replace(/kid \S+/, "kid of-this-picture") }); 0`
