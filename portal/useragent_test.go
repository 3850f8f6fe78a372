package portal

import (
	"strings"
	"testing"

	"peerage/templates"
)

func TestBrowserWords(t *testing.T) {
	all, err := readCatalogues(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	for userAgent, want := range map[string]string{
		firefoxOnLinux: "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36":                         "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0 Mobile/15E148 Safari/604.1":  "Chrome on iPhone",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36":     "Samsung Internet on Android",
		"Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0":                                                                    "Firefox on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36":                          "Chrome on ChromeOS",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/138.0.0.0 Safari/537.36":                           "Chromium on Linux",
		"Mozilla/5.0 (X11; OpenBSD amd64) Something/1.0":                                                                                          "A browser on OpenBSD",
		"Mozilla/5.0 (Unknown) Gecko/1 Firefox/1": "Firefox",
		"Mozilla/5.0 (Unknown) Thing/1 Version/9": "An unknown browser",
		"curl/8.5.0":                         "curl",
		"Go-http-client/2.0":                 "Go-http-client",
		"program without version on Windows": "program",
		"":                                   "An unknown browser",
		"Mozilla/5.0 ":                       "An unknown browser",
		"<script>alert(1)</script>\u202e/1":  "<script>alert(1)<",
		strings.Repeat("w", 500) + " Firefox/1.0": strings.Repeat("w", 80) + "…",
	} {
		s := browserWords(userAgent)
		got, err := all["en"].text(s.Key, s.Args...)
		if err != nil || got != want {
			t.Errorf("%.60q: %q, %v; want %q", userAgent, got, err, want)
		}
	}
}
