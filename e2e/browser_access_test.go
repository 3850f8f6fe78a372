package e2e

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Every page of the path works where no script may run.
func TestBrowserWithoutJavaScript(t *testing.T) {
	s := newServer(t)
	wiki := newParty(t, s, "wiki", "Wiki", "127.0.0.1:0")
	s.setClients(t, wiki.registration(nil))
	s.start(t)
	s.addUser(t, "ada", "admins")
	ctx := newBrowser(t)
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	visit(ctx, t, `data:text/html,<title>off</title><script>document.title="on"</script>`)
	if title := evaluateText(ctx, `document.title`); title != "off" {
		t.Fatalf("scripts are %q", title)
	}
	visit(ctx, t, wiki.Self+"/start")
	signIn(ctx, t, "ada")
	waitTitle(ctx, t, "Add a second factor")
	a := readAuthenticator(ctx, t)
	do(ctx, t, "unfolding the key", chromedp.Click(chromedp.CSS("details.more summary")))
	waitFor(ctx, t, "the key to be seen", `document.querySelector("code.block").checkVisibility()`)
	fill(ctx, t, "code", a.code(t))
	press(ctx, t, "", "")
	press(ctx, t, "decision", "allow")
	if claims := wiki.waitClaims(ctx, t); claims["preferred_username"] != "ada" {
		t.Errorf("the application knows %v", claims)
	}
	visit(ctx, t, wiki.Self+"/start?prompt=login")
	signIn(ctx, t, "ada")
	fill(ctx, t, "code", a.code(t))
	press(ctx, t, "", "")
	wiki.waitClaims(ctx, t)
	visit(ctx, t, wiki.Self+"/start?prompt=consent")
	press(ctx, t, "decision", "deny")
	wiki.waitError(ctx, t, "access_denied")
	visit(ctx, t, s.Issuer+"/")
	click(ctx, t, "header .bar > .who button")
	waitTitle(ctx, t, "You are signed out")
}

// Signing in takes a keyboard alone, and it is always seen where one is.
func TestBrowserWithAKeyboard(t *testing.T) {
	s := newServer(t)
	wiki := newParty(t, s, "wiki", "Wiki", "127.0.0.1:0")
	s.setClients(t, wiki.registration(nil))
	s.start(t)
	s.addUser(t, "bob")
	ctx := newBrowser(t)
	// The only window of a machine without a screen is never in front.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	visit(ctx, t, wiki.Self+"/start")
	waitTitle(ctx, t, "Sign in")
	wantFocus(ctx, t, "#username") // it is here without a key
	keys(ctx, t, "bob"+kb.Tab)
	wantFocus(ctx, t, "#password")
	keys(ctx, t, password+kb.Tab)
	wantFocus(ctx, t, "main form button")
	keys(ctx, t, kb.Tab)
	wantFocus(ctx, t, "main a.button") // with a passkey instead
	keys(ctx, t, kb.Tab)
	wantFocus(ctx, t, "details.more > summary")
	keys(ctx, t, kb.Enter)
	waitFor(ctx, t, "the help to unfold", `document.querySelector("details.more").open`)
	keysAndPage(ctx, t, "[name=password]", kb.Enter)

	waitTitle(ctx, t, "Allow Wiki")
	keys(ctx, t, kb.Tab) // past the brand
	for range 10 {
		if evaluateText(ctx, `document.activeElement.value || ""`) == "allow" {
			break
		}
		keys(ctx, t, kb.Tab)
	}
	wantFocus(ctx, t, "button[value=allow]")
	keys(ctx, t, kb.Tab)
	wantFocus(ctx, t, "button[value=deny]")
	keysAndPage(ctx, t, "button[value=allow]", kb.Enter)
	wiki.waitClaims(ctx, t)

	// The first stop in the house leads past the header.
	visit(ctx, t, s.Issuer+"/identity")
	waitTitle(ctx, t, "Profile")
	keys(ctx, t, kb.Tab)
	wantFocus(ctx, t, "a.skip")
	keys(ctx, t, kb.Enter)
	waitFor(ctx, t, "the focus in the content", `document.activeElement.id === "main"`)
}

// keys types into whatever has the focus.
func keys(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	do(ctx, t, "typing", chromedp.KeyEvent(text))
}

// keysAndPage types into an element and waits for another page.
func keysAndPage(ctx context.Context, t *testing.T, selector, text string) {
	t.Helper()
	do(ctx, t, "typing into "+selector, chromedp.Evaluate[chromedp.Void](`window.before = true`), chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent(text))
	waitFor(ctx, t, "another page", `!window.before && document.readyState !== "loading"`)
}

// wantFocus checks that an element has the focus and that it looks different
// for it.
func wantFocus(ctx context.Context, t *testing.T, selector string) {
	t.Helper()
	waitFor(ctx, t, "the focus on "+selector, `document.activeElement.matches(`+"`"+selector+"`"+`)`)
	const look = `(() => {
		const e = document.activeElement, look = () => { const s = getComputedStyle(e); return [s.outlineStyle, s.outlineWidth, s.outlineColor, s.boxShadow].join(" ") }
		const focused = look(); e.blur(); const plain = look(); e.focus()
		return focused === plain ? "same: " + plain : focused.startsWith("none") && focused.endsWith("none") ? "nothing" : "seen"
	})()`
	if got := evaluateText(ctx, look); got != "seen" {
		t.Errorf("the focus on %s at %s: %s", selector, location(ctx), got)
	}
}
