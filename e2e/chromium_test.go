package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// pageDeadline bounds every wait for a page: generous, because a busy machine
// is slow, and never reached when all is well.
const pageDeadline = 20 * time.Second

// newBrowser starts a Chromium with a fresh profile and one tab, and ends it
// with the test. The context is that tab.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	needs(t, "Chromium", "/usr/bin/chromium")
	opts := append(chromedp.DefaultExecAllocatorOptions[:], // headless, no first run, no background networking, no sync
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Chromium shows %s:\n%s", location(ctx), bodyText(ctx))
		}
	})
	return ctx
}

// visit opens an address, as typed by a person. A page that is about to leave
// by its meta refresh may take precedence; then the person types again.
func visit(ctx context.Context, t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, pageDeadline)
	defer cancel()
	for {
		err := chromedp.Do(ctx, chromedp.Navigate(address))
		if err == nil {
			return
		}
		if ctx.Err() != nil || !strings.Contains(err.Error(), "net::ERR_ABORTED") {
			t.Fatalf("opening %s: %v", address, err)
		}
	}
}

// fill types into the form field of that name.
func fill(ctx context.Context, t *testing.T, name, value string) {
	t.Helper()
	field := chromedp.CSS(fmt.Sprintf("input[name=%q]", name))
	do(ctx, t, "filling "+name, chromedp.Clear(field), chromedp.SendKeys(field, value))
}

// press clicks the button name=value ("", "" for the form's button without a
// name) and waits until another document has come in.
func press(ctx context.Context, t *testing.T, name, value string) {
	t.Helper()
	button := "main form button:not([name])"
	if name != "" {
		button = fmt.Sprintf("button[name=%q][value=%q]", name, value)
	}
	click(ctx, t, button)
}

// click clicks what the CSS selector finds and waits until another document
// has come in.
func click(ctx context.Context, t *testing.T, selector string) {
	t.Helper()
	do(ctx, t, "pressing "+selector,
		chromedp.Evaluate[chromedp.Void](`window.before = true`), chromedp.Click(chromedp.CSS(selector)))
	waitFor(ctx, t, "another page after "+selector, `!window.before && document.readyState !== "loading"`)
}

// waitSelector waits until the CSS selector finds something.
func waitSelector(ctx context.Context, t *testing.T, selector string) {
	t.Helper()
	waitFor(ctx, t, selector, fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
}

// waitURL waits until the tab's address begins with prefix and returns it.
func waitURL(ctx context.Context, t *testing.T, prefix string) string {
	t.Helper()
	waitFor(ctx, t, "the address "+prefix, fmt.Sprintf(`location.href.startsWith(%q) && document.readyState !== "loading"`, prefix))
	return location(ctx)
}

// waitFor waits until a JavaScript expression is true. It asks again and
// again, over changes of the document, in which a question gets lost.
func waitFor(ctx context.Context, t *testing.T, what, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, pageDeadline)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s at %s: %v", what, location(context.WithoutCancel(ctx)), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// location is the tab's address.
func location(ctx context.Context) string {
	return evaluateText(ctx, `location.href`)
}

// bodyText is the text of the page as a person sees it.
func bodyText(ctx context.Context) string {
	return evaluateText(ctx, `document.body ? document.body.innerText : ""`)
}

// evaluateText is the text that a JavaScript expression gives, or what is
// wrong; for messages too, so it fails no test.
func evaluateText(ctx context.Context, expression string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	return strings.TrimSpace(text)
}

func do(ctx context.Context, t *testing.T, what string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, pageDeadline)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
