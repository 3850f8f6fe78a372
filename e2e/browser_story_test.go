package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// signIn fills in the sign-in page with the right password.
func signIn(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	fill(ctx, t, "username", name)
	fill(ctx, t, "password", password)
	press(ctx, t, "", "")
}

// waitFault waits for a page of ours that tells of that fault, "" for none.
func waitFault(ctx context.Context, t *testing.T, code string) {
	t.Helper()
	waitFor(ctx, t, fmt.Sprintf("a page with the fault %q", code),
		fmt.Sprintf(`document.readyState !== "loading" && document.querySelector("main") !== null && (document.querySelector("main").dataset.error || "") === %q`, code))
}

// waitTitle waits for a page of ours whose heading holds words.
func waitTitle(ctx context.Context, t *testing.T, words string) {
	t.Helper()
	waitFor(ctx, t, "the page "+words, fmt.Sprintf(`document.readyState !== "loading" && (document.querySelector("h1")?.innerText || "").includes(%q)`, words))
}

// shows fails when the page lacks one of the texts.
func shows(ctx context.Context, t *testing.T, texts ...string) {
	t.Helper()
	body := bodyText(ctx)
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("%s does not show %q:\n%s", location(ctx), text, body)
		}
	}
}

// claims waits for the application's page and returns what it knows.
func (p *party) waitClaims(ctx context.Context, t *testing.T) map[string]any {
	t.Helper()
	waitURL(ctx, t, p.Self+"/")
	waitSelector(ctx, t, "#claims")
	var claims map[string]any
	if err := json.Unmarshal([]byte(evaluateText(ctx, `document.querySelector("#claims").textContent`)), &claims); err != nil {
		t.Fatalf("the application shows no claims: %v", err)
	}
	return claims
}

// waitError waits for the application's page with an error answer.
func (p *party) waitError(ctx context.Context, t *testing.T, code string) {
	t.Helper()
	waitURL(ctx, t, p.Self+"/")
	waitSelector(ctx, t, "#error")
	if got := evaluateText(ctx, `document.querySelector("#error").textContent`); got != code {
		t.Errorf("the application got the error %q, want %q", got, code)
	}
}

// forget empties the browser's cookies: another person, or another day.
func forget(ctx context.Context, t *testing.T) {
	t.Helper()
	if _, err := chromedp.Call(ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		t.Fatalf("forgetting cookies: %v", err)
	}
}
