package portal

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"

	"peerage/identity"
	"peerage/static"
	"peerage/templates"
)

// Brand is what an operator puts on the pages.
type Brand struct {
	Name    string // "" for "peerage"
	Logo    string // a data: picture or a path below /static; "" for our mark
	Hue     *int   // accent hue in degrees, 0 to 360; nil for our own
	Support string // whom to ask: a mail address or a URL; "" for nobody
}

// Renderer turns pages into HTML. It is safe for concurrent use.
type Renderer struct {
	brand     Brand
	now       func() time.Time
	words     map[string]*catalogue
	templates map[string]*pageFiles // by language
	offers    Offers
}

// Offer says which pages there are beyond those of every installation, before
// the first one is shown.
func (r *Renderer) Offer(o Offers) { r.offers = o }

// NewRenderer reads the catalogue of every language. It fails when one of them,
// the frames or the brand is broken.
func NewRenderer(brand Brand, now func() time.Time) (*Renderer, error) {
	if brand.Name == "" {
		brand.Name = "peerage"
	}
	if identity.CheckShown(brand.Name) != nil {
		return nil, errors.New("brand: the name has characters that are not shown")
	}
	if brand.Logo != "" && picture(brand.Logo) == "" {
		return nil, errors.New("brand: the logo is neither a data: picture nor a path below /static")
	}
	if brand.Hue != nil && (*brand.Hue < 0 || *brand.Hue > 360) {
		return nil, fmt.Errorf("brand: the hue %d is not between 0 and 360", *brand.Hue)
	}
	if _, err := contact(brand.Support); err != nil {
		return nil, fmt.Errorf("brand: %w", err)
	}
	words, err := readCatalogues(templates.FS)
	if err != nil {
		return nil, err
	}
	r := &Renderer{brand: brand, now: now, words: words, templates: map[string]*pageFiles{}}
	for lang, c := range words {
		if r.templates[lang], err = newPageFiles(templates.FS, r.functions(c)); err != nil {
			return nil, fmt.Errorf("compile pages: %w", err)
		}
	}
	return r, nil
}

// view is what a frame gets; the page's own templates get Page alone.
type view struct {
	*Base
	Page  Page
	Lang  string
	Place place
	// Script is the one script of the page, "" for none.
	Script string
}

// Render writes page with status. Nothing is written when it fails, so that the
// caller can still answer with an error.
func (r *Renderer) Render(w http.ResponseWriter, status int, page Page) error {
	body, err := r.html(page)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	if page.frame().script != "" {
		h.Set("Content-Security-Policy", cspWithScript)
	}
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}

// text is a sentence outside of any page, in the default language.
func (r *Renderer) text(key string, args ...any) (string, error) {
	return r.words[defaultLanguage].text(key, args...)
}

func (r *Renderer) html(page Page) ([]byte, error) {
	f, base := page.frame(), page.base()
	lang := base.Lang
	if r.templates[lang] == nil {
		lang = defaultLanguage
	}
	t, err := r.templates[lang].page(f.file)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", f.file, err)
	}
	if base.Fault == "" {
		switch page := page.(type) {
		case *ErrorPage:
			base.Fault = FaultInternal
		case *NoAccessPage:
			base.Fault = FaultNoAccess
		case *ClientPage:
			if len(page.Faults) > 0 || page.Refused.Key != "" {
				base.Fault = FaultForm
			}
		case *RecipePage:
			if len(page.Faults) > 0 {
				base.Fault = FaultForm
			}
		}
	}
	name := "door"
	if f.house {
		if base.Visitor == nil {
			return nil, fmt.Errorf("render %s: nobody is signed in", f.file)
		}
		name = "house"
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, name, view{Base: base, Page: page, Lang: lang, Place: f.place, Script: f.script}); err != nil {
		return nil, fmt.Errorf("render %s: %w", f.file, err)
	}
	return out.Bytes(), nil
}

// Static serves what the pages refer to, below /static/.
func (r *Renderer) Static() http.Handler { return static.Handler(r.brand.Hue) }

// functions are what templates may call, in the language of c.
func (r *Renderer) functions(c *catalogue) template.FuncMap {
	return template.FuncMap{
		"t":       c.html,
		"text":    c.text,
		"count":   c.count,
		"say":     c.say,
		"sayText": c.sayText,
		"wait":    c.wait,
		"figure":  c.figure,
		"when":    func(t time.Time) (template.HTML, error) { return c.when(t, r.now()) },
		"moment":  shownMoment,
		"instant": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"brand":   func() Brand { return r.brand },
		"offers":  func() Offers { return r.offers },
		"whom": func() (template.HTML, error) {
			if r.brand.Support == "" {
				return c.html("whom.unknown", "brand", r.brand.Name)
			}
			return contact(r.brand.Support)
		},
		"contact":   func() (template.HTML, error) { return contact(r.brand.Support) },
		"isMail":    isMail,
		"asset":     static.Path,
		"brandHref": func() string { return static.BrandHref(*r.brand.Hue) },
		"picture":   picture,
		"clip":      clip,
		"clipLong":  clipLong,
		"strong":    strong,
		"code":      code,
		"faultKey":  c.faultKey,
		"errorKey":  func(p *ErrorPage) string { return p.words(c) },
	}
}

// strong and code set a value of somebody else's in bold and in the type of
// machines, to stand inside a sentence.
func strong(v any) template.HTML {
	return template.HTML("<strong><bdi>" + template.HTMLEscapeString(clip(v)) + "</bdi></strong>") // #nosec G203 -- escaped
}

func code(v any) template.HTML {
	return template.HTML("<code><bdi>" + template.HTMLEscapeString(clipLong(v)) + "</bdi></code>") // #nosec G203 -- escaped
}

// contact is the link to whom people can ask: s is a mail address or a URL.
func contact(s string) (template.HTML, error) {
	if s == "" {
		return "", nil
	}
	href, shown := s, s
	if isMail(s) {
		href = (&url.URL{Scheme: "mailto", Opaque: url.PathEscape(s)}).String()
		href = strings.ReplaceAll(href, "%40", "@")
	} else if u, err := url.Parse(s); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", fmt.Errorf("the support contact %q is neither a mail address nor a URL", s)
	} else {
		shown = strings.TrimSuffix(u.Host+u.Path, "/")
	}
	return template.HTML(fmt.Sprintf(`<a href="%s">%s</a>`, // #nosec G203 -- both parts are escaped
		template.HTMLEscapeString(href), template.HTMLEscapeString(shown))), nil
}

func isMail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// dataPicture is an embedded picture. An SVG inside an img element runs no
// scripts and loads nothing.
var dataPicture = regexp.MustCompile(`^data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/]+=*$`)

// picture returns the address of a logo when the content security policy lets a
// browser load it, else "".
func picture(logo string) template.URL {
	if dataPicture.MatchString(logo) || strings.HasPrefix(logo, static.Prefix) && !strings.ContainsAny(logo, "\\\"'<> ") {
		return template.URL(logo) // #nosec G203 -- one of two harmless shapes
	}
	return ""
}
