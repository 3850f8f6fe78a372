package portal

import (
	"bufio"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// defaultLanguage is what pages speak when nobody asked for a language that
// there is a catalogue for.
const defaultLanguage = "en"

// A catalogue holds everything that pages say in one language: whole sentences
// by key, with {placeholders}.
type catalogue struct {
	tag       language.Tag
	sentences map[string]string
}

var (
	placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)
	markup      = regexp.MustCompile(`</?(?:strong|em|code)>`)
	entity      = regexp.MustCompile(`&(?:amp|lt|gt|nbsp);`)
)

// readCatalogues reads words/*.txt of fsys; the key is the language's tag.
func readCatalogues(fsys fs.FS) (map[string]*catalogue, error) {
	names, err := fs.Glob(fsys, "words/*.txt")
	if err != nil {
		return nil, fmt.Errorf("list catalogues: %w", err)
	}
	all := make(map[string]*catalogue, len(names))
	for _, name := range names {
		lang := strings.TrimSuffix(path.Base(name), ".txt")
		c, err := readCatalogue(fsys, name, lang)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all[lang] = c
	}
	if all[defaultLanguage] == nil {
		return nil, fmt.Errorf("no catalogue for %q", defaultLanguage)
	}
	return all, nil
}

func readCatalogue(fsys fs.FS, name, lang string) (*catalogue, error) {
	tag, err := language.Parse(lang)
	if err != nil {
		return nil, fmt.Errorf("language of the file: %w", err)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := &catalogue{tag: tag, sentences: map[string]string{}}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, words, ok := strings.Cut(line, " = ")
		if !ok {
			return nil, fmt.Errorf("line %d: no \" = \"", n)
		}
		if _, twice := c.sentences[key]; twice {
			return nil, fmt.Errorf("line %d: %s stands here twice", n, key)
		}
		if rest := entity.ReplaceAllString(markup.ReplaceAllString(words, ""), ""); strings.ContainsAny(rest, "<>&") {
			return nil, fmt.Errorf("line %d: %s holds markup that is not allowed", n, key)
		}
		c.sentences[key] = words
	}
	return c, lines.Err()
}

// html returns the sentence of key as HTML. Arguments come in pairs of
// placeholder and value; a value that is no template.HTML is escaped, cut to a
// readable length and isolated from the direction of the text around it, so
// that a name full of right-to-left marks cannot rearrange our own words.
func (c *catalogue) html(key string, args ...any) (template.HTML, error) {
	s, err := c.fill(key, args, func(v any) string {
		if h, ok := v.(template.HTML); ok {
			return string(h)
		}
		switch n := v.(type) {
		case int:
			return fmt.Sprint(n)
		case int64:
			return c.figure(n)
		}
		return "<bdi>" + template.HTMLEscapeString(clip(v)) + "</bdi>"
	})
	return template.HTML(s), err // #nosec G203 -- our own words around escaped values
}

// text returns the sentence of key without markup, for titles and attributes,
// where html/template escapes it.
func (c *catalogue) text(key string, args ...any) (string, error) {
	plain := *c
	plain.sentences = map[string]string{key: html.UnescapeString(markup.ReplaceAllString(c.sentences[key], ""))}
	if _, ok := c.sentences[key]; !ok {
		return "", fmt.Errorf("no words for %q in %v", key, c.tag)
	}
	return plain.fill(key, args, clip)
}

// count returns the form of key that n takes in this language.
func (c *catalogue) count(key string, n int, args ...any) (template.HTML, error) {
	return c.html(key+"."+c.form(n), append(args, "n", n)...)
}

// say is html of a Sentence, sayText its text; the zero Sentence says nothing.

func (c *catalogue) say(s Sentence) (template.HTML, error) {
	if s.Key == "" {
		return "", nil
	}
	return c.html(s.Key, s.Args...)
}

func (c *catalogue) sayText(s Sentence) (string, error) {
	if s.Key == "" {
		return "", nil
	}
	return c.text(s.Key, s.Args...)
}

// figure writes a number as people of this language do: 1,204.
func (c *catalogue) figure(n int64) string { return message.NewPrinter(c.tag).Sprint(n) }

// form returns the suffix of the plural form of n: "one", "other", …
func (c *catalogue) form(n int) string {
	switch plural.Cardinal.MatchPlural(c.tag, n, 0, 0, 0, 0) {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	}
	return "other"
}

// fill puts args into the sentence of key. A placeholder without a value is a
// fault; a value that the sentence does not use is not, since the one form of a
// plural may do without its number.
func (c *catalogue) fill(key string, args []any, show func(any) string) (string, error) {
	words, ok := c.sentences[key]
	if !ok {
		return "", fmt.Errorf("no words for %q in %v", key, c.tag)
	}
	if len(args)%2 != 0 {
		return "", fmt.Errorf("words of %q: odd number of arguments", key)
	}
	values := make(map[string]any, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		name, ok := args[i].(string)
		if !ok {
			return "", fmt.Errorf("words of %q: argument %d is no name", key, i)
		}
		values[name] = args[i+1]
	}
	var missing string
	filled := placeholder.ReplaceAllStringFunc(words, func(p string) string {
		v, ok := values[p[1:len(p)-1]]
		if !ok {
			missing = p
			return ""
		}
		return show(v)
	})
	if missing != "" {
		return "", fmt.Errorf("words of %q: no value for %s", key, missing)
	}
	return filled, nil
}

// maxShown is how many characters of a value that others chose a page shows:
// enough for every honest name, too few to push the buttons out of sight.
const maxShown = 80

// maxLong is the same for descriptions, and for addresses, which have to be
// compared to the end.
const maxLong = 400

// clip makes a value fit to be shown: control characters and the marks that
// turn the direction of text are dropped (they could make a title or a name
// read as another one), and what is too long is cut.
func clip(v any) string { return clipTo(v, maxShown) }

// clipLong is clip for what may be longer.
func clipLong(v any) string { return clipTo(v, maxLong) }

func clipTo(v any, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range fmt.Sprint(v) {
		switch {
		case unicode.IsControl(r), r == utf8.RuneError, isDirectionMark(r):
			continue
		case n == most:
			b.WriteRune('…')
			return b.String()
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// isDirectionMark says whether r embeds, overrides, isolates or marks a
// direction of writing (Unicode Standard Annex 9, section 2).
func isDirectionMark(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x061c
}
