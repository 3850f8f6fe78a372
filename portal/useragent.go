package portal

import "strings"

// Browsers and systems by what they write into User-Agent. Most claim to be
// others too, so the order matters: the first that fits is the one.
var (
	browserMarks = []struct{ mark, name string }{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"},
		{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"HeadlessChrome/", "Chromium"}, {"Chrome/", "Chrome"},
		{"Version/", "Safari"},
	}
	systemMarks = []struct{ mark, name string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Macintosh", "macOS"},
		{"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"}, {"Linux", "Linux"},
	}
)

// browserWords says what a browser calls itself, which it may do falsely. Another
// program is named by its own first word.
func browserWords(userAgent string) Sentence {
	browser, system := "", ""
	// All browsers begin with this; a program that does not is not one.
	if strings.HasPrefix(userAgent, "Mozilla/5.0 ") {
		for _, b := range browserMarks {
			if strings.Contains(userAgent, b.mark) && (b.name != "Safari" || strings.Contains(userAgent, "Safari/")) {
				browser = b.name
				break
			}
		}
		for _, s := range systemMarks {
			if strings.Contains(userAgent, s.mark) {
				system = s.name
				break
			}
		}
	} else {
		browser, _, _ = strings.Cut(userAgent, "/")
		browser, _, _ = strings.Cut(browser, " ")
	}
	switch {
	case browser != "" && system != "":
		return Say("browser.on", "browser", browser, "system", system)
	case browser != "":
		return Say("browser.alone", "browser", browser)
	case system != "":
		return Say("browser.system", "system", system)
	}
	return Say("browser.unknown")
}
