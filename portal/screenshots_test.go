package portal

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"peerage/static"
)

const testPolicy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// TestScreenshots draws every page in Chromium into the directory named by
// PEERAGE_SCREENSHOTS, in both colour schemes and on a narrow phone, and has
// axe-core look at it where that is installed. It is a tool for who draws
// pages, hence off by default.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("PEERAGE_SCREENSHOTS")
	if dir == "" {
		t.Skip("PEERAGE_SCREENSHOTS is not set")
	}
	axe, err := os.ReadFile("../.cache/npm/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Logf("axe-core is not installed: %v", err)
	}
	pages := samplePages(t, hostile["plain"])
	for _, name := range []string{"consent", "home", "profile", "error-redirect"} {
		pages[name+"-long"] = samplePages(t, hostile["long"])[name]
	}
	r := newTestRenderer(t, Brand{Name: "Example IX", Support: "noc@example.net"})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Security-Policy", testPolicy)
		if strings.HasPrefix(req.URL.Path, static.Prefix) {
			r.Static().ServeHTTP(w, req)
			return
		}
		p, ok := pages[req.URL.Path[1:]]
		if !ok {
			http.NotFound(w, req)
			return
		}
		if l, ok := p.(*LeavePage); ok {
			l.Target = "about:blank#" // stay here to be drawn
		}
		if err := r.Render(w, http.StatusOK, p); err != nil {
			t.Errorf("%s: %v", req.URL.Path, err)
		}
	}))
	defer srv.Close()

	names := make([]string, 0, len(pages))
	for name := range pages {
		if name != "leave" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	ctx := startChromium(t)
	for _, s := range []struct {
		name, scheme  string
		width, height int64
	}{{"light", "light", 900, 800}, {"dark", "dark", 900, 800}, {"phone", "light", 320, 640}} {
		for _, name := range names {
			if only := os.Getenv("PEERAGE_SCREENSHOTS_ONLY"); only != "" && !strings.Contains(name, only) {
				continue
			}
			drawPage(ctx, t, srv.URL+"/"+name, filepath.Join(dir, name+"-"+s.name+".png"), s.scheme, s.width, s.height, string(axe))
		}
	}
}

func startChromium(t *testing.T) context.Context {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// drawPage writes a picture of the page at url and reports what axe finds in it
// and whether it is wider than the window.
func drawPage(ctx context.Context, t *testing.T, url, file, scheme string, width, height int64, axe string) {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
	}
	_, err := chromedp.Call(ctx, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: axe != ""})
	fail(err)
	_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	fail(err)
	fail(chromedp.Do(ctx, chromedp.EmulateViewport(width, height), chromedp.Navigate(url)))
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > document.documentElement.clientWidth`))
	fail(err)
	if wide {
		t.Errorf("%s is wider than %d pixels", url, width)
	}
	if os.Getenv("PEERAGE_SCREENSHOTS_OPEN") != "" {
		fail(chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach(d => d.open = true)`)))
	}
	if axe != "" {
		fail(chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](axe)))
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](axeRun, chromedp.EvalAwaitPromise))
		fail(err)
		for _, v := range found {
			t.Errorf("%s (%s): %s", url, scheme, v)
		}
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	fail(err)
	fail(os.WriteFile(file, picture, 0o644))
}

const axeRun = `axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
	.then(r => r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join(" | ")))`
