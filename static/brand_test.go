package static

import (
	"math"
	"net/http/httptest"
	"strings"
	"testing"
)

// luminance is the relative luminance (WCAG 2.2) of a colour in OKLCH, clipped
// to sRGB as browsers do.
func luminance(l, c, hue float64) float64 {
	a, b := c*math.Cos(hue*math.Pi/180), c*math.Sin(hue*math.Pi/180)
	cube := func(x float64) float64 { return x * x * x }
	lc := cube(l + 0.3963377774*a + 0.2158037573*b)
	mc := cube(l - 0.1055613458*a - 0.0638541728*b)
	sc := cube(l - 0.0894841775*a - 1.2914855480*b)
	clip := func(x float64) float64 { return math.Min(1, math.Max(0, x)) }
	red := clip(4.0767416621*lc - 3.3077115913*mc + 0.2309699292*sc)
	green := clip(-1.2684380046*lc + 2.6097574011*mc - 0.3413193965*sc)
	blue := clip(-0.0041960863*lc - 0.7034186147*mc + 1.7076147010*sc)
	return 0.2126*red + 0.7152*green + 0.0722*blue
}

func contrast(a, b float64) float64 {
	return (math.Max(a, b) + 0.05) / (math.Min(a, b) + 0.05)
}

// The values are those of app.css.
func TestEveryHueKeepsContrast(t *testing.T) {
	for hue := range 360 {
		h := float64(hue)
		light, lightHover := luminance(.45, .095, h), luminance(.39, .085, h)
		dark, darkHover := luminance(.82, .105, h-15), luminance(.88, .085, h-15)
		for name, c := range map[string]float64{
			"link on sheet":         contrast(light, luminance(1, 0, 0)),
			"link on ground":        contrast(light, luminance(.976, .004, 220)),
			"link on sunk":          contrast(light, luminance(.956, .006, 220)),
			"link on wash":          contrast(light, luminance(.955, .022, h-10)),
			"link on warning":       contrast(light, luminance(.96, .045, 85)),
			"button":                contrast(light, luminance(.99, .005, h)),
			"button hover":          contrast(lightHover, luminance(.99, .005, h)),
			"dark link on sheet":    contrast(dark, luminance(.215, .016, 240)),
			"dark link on sunk":     contrast(dark, luminance(.25, .018, 240)),
			"dark link on wash":     contrast(dark, luminance(.28, .040, h)),
			"dark button":           contrast(dark, luminance(.20, .040, h+5)),
			"dark button hover":     contrast(darkHover, luminance(.20, .040, h+5)),
			"dark link hover, wash": contrast(darkHover, luminance(.28, .040, h)),
		} {
			if c < 4.5 {
				t.Errorf("hue %d: %s has contrast %.2f, want 4.5", hue, name, c)
			}
		}
	}
}

func TestHandler(t *testing.T) {
	hue := 400
	for path, want := range map[string]struct {
		status      int
		contentType string
		contains    string
	}{
		Path("app.css"):      {200, "text/css; charset=utf-8", "@layer"},
		Path("favicon.svg"):  {200, "image/svg+xml", "<svg"},
		BrandHref(hue):       {200, "text/css; charset=utf-8", "--hue:40}"},
		"/static/embed.go":   {404, "", ""},
		"/static/../go.mod":  {307, "", ""},
		"/static/nothing.js": {404, "", ""},
	} {
		w := httptest.NewRecorder()
		Handler(&hue).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.contains) {
			t.Errorf("%s: %d %.40q", path, w.Code, w.Body)
		}
		if got := w.Header().Get("Content-Type"); want.contentType != "" && got != want.contentType {
			t.Errorf("%s: content type %q", path, got)
		}
		if cached := strings.Contains(w.Header().Get("Cache-Control"), "max-age=31536000"); cached != (want.status == 200) {
			t.Errorf("%s: cache control %q", path, w.Header().Get("Cache-Control"))
		}
	}
	w := httptest.NewRecorder()
	Handler(nil).ServeHTTP(w, httptest.NewRequest("GET", BrandPath, nil))
	if w.Code != 404 {
		t.Errorf("brand.css without a hue: %d", w.Code)
	}
}

func TestStyleSheetLoadsNothing(t *testing.T) {
	css, err := files.ReadFile("app.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"url(", "@import", "http:", "https:"} {
		if strings.Contains(string(css), s) {
			t.Errorf("app.css contains %q", s)
		}
	}
}
