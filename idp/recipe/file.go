package recipe

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"
)

//go:embed recipes/*.txt
var files embed.FS

// all are the recipes that are built in, compiled when one is first wanted; a
// test looks at each, so a broken one does not get as far as a release.
var all = sync.OnceValue(func() []Recipe { return mustRead(files) })

func mustRead(fsys fs.FS) []Recipe {
	recipes, err := read(fsys)
	if err != nil {
		panic(err)
	}
	return recipes
}

func read(fsys fs.FS) ([]Recipe, error) {
	names, err := fs.Glob(fsys, "recipes/*.txt")
	if err != nil {
		return nil, err
	}
	var recipes []Recipe
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		r, err := parse(strings.TrimSuffix(path.Base(name), ".txt"), string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		recipes = append(recipes, r)
	}
	slices.SortFunc(recipes, func(a, b Recipe) int { return strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)) })
	return recipes, nil
}

// head is the section "recipe" of a file.
type head struct {
	Title   string            `json:"title"`
	Aliases map[string]string `json:"aliases"`
	About   string            `json:"about"`
	URL     Input             `json:"url"`
	Inputs  []Input           `json:"inputs"`
}

var sectionLine = regexp.MustCompile(`(?m)^-- (recipe|client|note|step (.+)) --\n`)

// parse reads a recipe: sections that begin with a line "-- KIND --". "recipe"
// is JSON and says what is asked for; "client" is a template of the client's
// JSON; each "step TITLE" is a template to be pasted, and each "note" a
// paragraph.
func parse(name, text string) (Recipe, error) {
	r := Recipe{Name: name}
	marks := sectionLine.FindAllStringSubmatchIndex(text, -1)
	if len(marks) == 0 || marks[0][0] != 0 {
		return r, fmt.Errorf("it does not begin with a section")
	}
	for i, mark := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		kind, body := text[mark[2]:mark[3]], text[mark[1]:end]
		if kind == "recipe" {
			if err := r.readHead(body); err != nil {
				return r, err
			}
			continue
		}
		t, err := template.New(name + ": " + kind).Option("missingkey=error").Funcs(functions).Parse(body)
		if err != nil {
			return r, err
		}
		switch kind {
		case "client":
			r.client = t
		case "note":
			r.notes = append(r.notes, t)
		default:
			r.steps = append(r.steps, step{title: text[mark[4]:mark[5]], text: t})
		}
	}
	if r.Title == "" || r.client == nil || len(r.steps) == 0 {
		return r, fmt.Errorf("it has no title, no client or no step")
	}
	return r, nil
}

func (r *Recipe) readHead(body string) error {
	var h head
	decoder := json.NewDecoder(bytes.NewReader([]byte(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&h); err != nil {
		return fmt.Errorf("reading what it asks for: %w", err)
	}
	h.URL.Name = FieldURL
	r.Title, r.About, r.URL, r.Inputs, r.aliases = h.Title, h.About, h.URL, h.Inputs, h.Aliases
	return nil
}
