package static

import "fmt"

// BrandPath is where the style sheet of an operator's accent is served.
const BrandPath = Prefix + "brand.css"

// BrandCSS returns the style sheet that turns the accent of every page to hue
// (0 to 360 degrees in OKLCH). It changes the hue alone: lightness and chroma
// stay those of app.css, and with them the contrast.
func BrandCSS(hue int) []byte {
	return fmt.Appendf(nil, ":root{--hue:%d}\n", wrapHue(hue))
}

// BrandHref returns the address of BrandCSS for hue. The query makes browsers
// fetch it anew when the operator changes the setting.
func BrandHref(hue int) string {
	return fmt.Sprintf("%s?hue=%d", BrandPath, wrapHue(hue))
}

// wrapHue brings any number of degrees into 0 to 359.
func wrapHue(hue int) int { return ((hue % 360) + 360) % 360 }
