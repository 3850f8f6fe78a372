package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"rsc.io/qr"

	"peerage/store/storetest"
)

// gallery looks at every page as people with several sights and screens do:
// axe-core finds no fault in either colour scheme and on a narrow phone, and
// nothing has to be scrolled sideways. With PEERAGE_TEST_SCREENSHOTS=1 it also
// draws the pages into docs/screenshots.
type gallery struct {
	axe   string
	dir   string // "" draws nothing
	blind bool   // looks at nothing
}

// sights are the ways in which a page is looked at.
var sights = []struct {
	name, scheme  string
	width, height int64
}{{"light", "light", 1120, 800}, {"dark", "dark", 1120, 800}, {"phone", "light", 320, 640}}

func newGallery(ctx context.Context, t *testing.T) *gallery {
	t.Helper()
	path := filepath.Join(root, ".cache/npm/node_modules/axe-core/axe.min.js")
	needs(t, "axe-core", path)
	axe, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A page looks the same whatever its store: in the second run it has only
	// to come.
	g := &gallery{axe: string(axe), blind: engine(t).Name != storetest.Engines()[0].Name}
	if os.Getenv("PEERAGE_TEST_SCREENSHOTS") == "1" {
		g.dir = filepath.Join(root, "docs", "screenshots")
		if err := os.MkdirAll(g.dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The only window of a machine without a screen is never in front.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	return g
}

// gallery is one for a story that is told over several backends: the pages look
// the same over each.
func (s *server) gallery(ctx context.Context, t *testing.T) *gallery {
	t.Helper()
	g := newGallery(ctx, t)
	g.blind = g.blind || s.bao != nil
	return g
}

// look looks at the page that the tab shows, without loading it again: many
// are the answer to a form. only are the sights that matter, all when absent.
func (g *gallery) look(ctx context.Context, t *testing.T, name string, only ...string) {
	t.Helper()
	if g.blind {
		return
	}
	do(ctx, t, "giving "+name+" to axe", chromedp.Evaluate[chromedp.Void](g.axe))
	if g.dir != "" {
		do(ctx, t, "steadying "+name, chromedp.Evaluate[chromedp.Void](steady(t)))
	}
	for _, s := range sights {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		g.sight(ctx, t, s.scheme, s.width, s.height)
		if evaluateText(ctx, `String(document.documentElement.scrollWidth > document.documentElement.clientWidth)`) != "false" {
			t.Errorf("%s is wider than %d pixels", name, s.width)
		}
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](axeRun, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("asking axe about %s: %v", name, err)
		}
		for _, fault := range found {
			t.Errorf("%s (%s): %s", name, s.name, fault)
		}
		if g.dir == "" {
			continue
		}
		picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatalf("drawing %s: %v", name, err)
		}
		writePicture(t, filepath.Join(g.dir, name+"-"+s.name+".png"), picture)
	}
	// Clicks outside of the real window are lost, so back to its size.
	do(ctx, t, "sizing the window back", chromedp.ResetViewport())
}

func (g *gallery) sight(ctx context.Context, t *testing.T, scheme string, width, height int64) {
	t.Helper()
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
		t.Fatalf("choosing the %s scheme: %v", scheme, err)
	}
	do(ctx, t, "sizing the window", chromedp.EmulateViewport(width, height))
	// Colours change within 0.12 s; axe must not see them on their way.
	waitFor(ctx, t, "colours to settle", `document.getAnimations().length === 0`)
}

const axeRun = `axe.run({preload: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
	.then(r => r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join(" | ")))`

// steady replaces what differs from run to run, so that a picture changes only
// when its page does.
func steady(t *testing.T) string {
	t.Helper()
	key := strings.Repeat("EXAMPLE7", 4)
	code, err := qr.Encode("otpauth://totp/Example%20IX:ada?algorithm=SHA1&digits=6&issuer=Example%20IX&period=30&secret="+key, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+4, y+4)
			}
		}
	}
	return fmt.Sprintf(`document.documentElement.style.caretColor = "transparent"
		document.querySelectorAll("main code").forEach(c => {
			if (/^[A-Z2-7]{13}$/.test(c.textContent)) c.textContent = "K7Q2M5RNDXA4C"
			if (/^[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}$/.test(c.textContent)) c.textContent = "x4k2-9mfd-07qt"
			if (/^[A-Z]{4}-[A-Z]{4}$/.test(c.textContent)) c.textContent = "BCDF-GHJK"
			if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(c.textContent)) c.textContent = "0198c2b1-5a3e-7c41-9d0f-6e2b8a4f1c77"
			if (c.matches("details .block")) c.textContent = %q
		})
		document.querySelectorAll("main time").forEach(e => e.textContent = "just now")
		document.querySelectorAll(".qr path").forEach(p => p.setAttribute("d", %q)); 0`, strings.TrimSpace(strings.Repeat("EXAM PLE7 ", 4)), path.String())
}

// TestGalleryFindsFaults: a look at a bad page is not a pass.
func TestGalleryFindsFaults(t *testing.T) {
	once(t)
	ctx := newBrowser(t)
	g := newGallery(ctx, t)
	do(ctx, t, "opening a bad page", chromedp.Navigate("about:blank"))
	frame, err := chromedp.Call(ctx, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	const bad = `<!doctype html><title>Bad</title><main><h1 style="color:#ddd">Pale</h1><input></main>`
	if _, err := chromedp.Call(ctx, page.SetDocumentContent, page.SetDocumentContentParams{FrameID: frame.FrameTree.Frame.ID, HTML: bad}); err != nil {
		t.Fatal(err)
	}
	do(ctx, t, "giving the page to axe", chromedp.Evaluate[chromedp.Void](g.axe))
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](axeRun, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{"color-contrast: ", "html-has-lang: ", "label: "} {
		if !strings.Contains("\n"+strings.Join(found, "\n"), "\n"+rule) {
			t.Errorf("axe does not find %s in %q", rule, found)
		}
	}
}
