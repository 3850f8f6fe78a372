package recipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"text/template"
)

// dish is what the templates of a recipe see: the answers, checked. Each
// value that is written goes through the quoting of the language around it.
type dish struct {
	Name   string
	Issuer string
	URL    string
	ID     string
	Secret string

	values map[string]string
	chance chance
}

// functions are those of every template; those of one dish take the place of
// the ones that need it.
var functions = template.FuncMap{
	"json": quote, "quote": quote, "sh": shellWord, "ini": iniValue, "apache": apacheWord, "query": queryEscape, "pattern": regexp.QuoteMeta, "host": hostOf,
	"under": func(...string) string { return "" }, "origin": func(...string) string { return "" }, "path": func() string { return "" },
	"value": func(string) (string, error) { return "", nil }, "random": func() string { return "" },
}

func (d *dish) fill(t *template.Template) (string, error) {
	t, err := t.Clone()
	if err != nil {
		return "", fmt.Errorf("preparing %s: %w", t.Name(), err)
	}
	t.Funcs(template.FuncMap{"under": d.under, "origin": d.origin, "path": d.path, "value": d.value, "random": d.chance.secret})
	var out bytes.Buffer
	if err := t.Execute(&out, d); err != nil {
		return "", fmt.Errorf("filling in the recipe: %w", err)
	}
	return strings.Trim(out.String(), "\n"), nil
}

// under is an address below the application's own.
func (d *dish) under(parts ...string) string { return d.URL + strings.Join(parts, "") }

// origin is an address on the application's host, without its path.
func (d *dish) origin(parts ...string) string {
	return strings.TrimSuffix(d.URL, strings.TrimSuffix(d.path(), "/")) + strings.Join(parts, "")
}

// path is the path of the application's address, at least a slash.
func (d *dish) path() string {
	u, err := url.Parse(d.URL)
	if err != nil || u.Path == "" {
		return "/"
	}
	return u.Path
}

func (d *dish) value(name string) (string, error) {
	value, ok := d.values[name]
	if !ok {
		return "", fmt.Errorf("the recipe does not ask for %q", name)
	}
	return value, nil
}

// quote writes a string as JSON does, which YAML, TOML and Python read alike.
func quote(parts ...string) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(strings.Join(parts, ""))
	return strings.TrimSpace(out.String()), err
}

// shellPlain are words that no shell reads anything into.
var shellPlain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// shellWord writes one word of a POSIX shell's command.
func shellWord(parts ...string) string {
	word := strings.Join(parts, "")
	if shellPlain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// configPlain has no quotes, no backslash, no comment sign, no line end and
// none of the signs that begin an expansion.
var configPlain = regexp.MustCompile(`^[][A-Za-z0-9_./:@?&=+,~^\\ -]*$`)

// iniValue is a value of an INI file, which has no quoting that all its
// readers agree on: what would need one is refused.
func iniValue(parts ...string) (string, error) {
	value := strings.Join(parts, "")
	if !configPlain.MatchString(value) || strings.Contains(value, `\`) || strings.TrimSpace(value) != value {
		return "", fmt.Errorf("%q cannot be written into an INI file", value)
	}
	return value, nil
}

// apacheWord is one argument of a directive of Apache. A dollar would begin a
// variable and a quote end the argument; neither can be in a checked answer.
func apacheWord(parts ...string) (string, error) {
	value := strings.Join(parts, "")
	if !configPlain.MatchString(value) {
		return "", fmt.Errorf("%q cannot be written into Apache's configuration", value)
	}
	return `"` + value + `"`, nil
}

func queryEscape(parts ...string) string { return url.QueryEscape(strings.Join(parts, "")) }

func hostOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("reading an address: %w", err)
	}
	return u.Host, nil
}
