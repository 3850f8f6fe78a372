package portal

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
)

// Sentence is a sentence of the catalogue with what fills its placeholders, so
// that a handler can decide what a page says and the template how.
type Sentence struct {
	Key  string
	Args []any
}

// Say makes a Sentence; args are pairs of placeholder and value. The zero
// Sentence says nothing.
func Say(key string, args ...any) Sentence { return Sentence{key, args} }

// FieldKind is what kind of control a Field is.
type FieldKind string

// The kinds of controls. All but these are text inputs of that type.
const (
	FieldText     FieldKind = ""
	FieldEmail    FieldKind = "email"
	FieldSearch   FieldKind = "search"
	FieldDate     FieldKind = "date"
	FieldArea     FieldKind = "textarea"
	FieldSelect   FieldKind = "select"
	FieldCheckbox FieldKind = "checkbox"
	FieldFile     FieldKind = "file"
	FieldPassword FieldKind = "password" // never comes back with a value
)

// Field is one control of a form with its label, its hint and the fault beside
// it; the template part "field" shows it.
type Field struct {
	Name string
	// ID is the id in the page, Name when empty: set it where two forms of one
	// page have a field of the same name.
	ID    string
	Kind  FieldKind
	Label Sentence
	Hint  Sentence
	// Fault is what is wrong with Value; the zero Sentence when nothing is.
	Fault Sentence
	// Value comes back as it was typed. A checkbox sends it when it is On;
	// FieldFile ignores it.
	Value   string
	On      bool
	Options []Option // of FieldSelect
	// Autocomplete is the HTML attribute; "" for off.
	Autocomplete string
	// Max is the longest value in characters, 0 for 256 (text areas: 65536).
	Max int
	// Rows is the height of a text area, 0 for 4.
	Rows int
	// Mono sets the value in the type of machines: addresses, ids, lists.
	Mono     bool
	Required bool
	ReadOnly bool
}

// Option is one choice of a FieldSelect.
type Option struct {
	Value string
	Label Sentence // the zero Sentence shows Value itself
}

// DOM is the field's id in the page.
func (f Field) DOM() string { return cmp.Or(f.ID, f.Name) }

// Faulty tells whether something is wrong with the field.
func (f Field) Faulty() bool { return f.Fault.Key != "" }

// Described are the ids of what a screen reader says after the label.
func (f Field) Described() string {
	var ids string
	if f.Faulty() {
		ids = f.DOM() + "-fault"
	}
	if f.Hint.Key != "" {
		if ids != "" {
			ids += " "
		}
		ids += f.DOM() + "-hint"
	}
	return ids
}

// InputType is the type of an input element.
func (f Field) InputType() string { return cmp.Or(string(f.Kind), "text") }

// MaxLength is the HTML attribute.
func (f Field) MaxLength() int {
	if f.Max == 0 && f.Kind == FieldArea {
		return 1 << 16
	}
	return cmp.Or(f.Max, 256)
}

// Height is the number of rows of a text area.
func (f Field) Height() int { return cmp.Or(f.Rows, 4) }

// Completes is the HTML attribute autocomplete.
func (f Field) Completes() string { return cmp.Or(f.Autocomplete, "off") }

// faulty are the fields that something is wrong with, for the summary above a
// form (part "field-faults").
func faulty(fields ...Field) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f Field) bool { return !f.Faulty() })
}

// Pager leads through a list; the template part "pager" shows it.
type Pager struct {
	Prev, Next string   // addresses, "" where there is nothing more
	Status     Sentence // what part of the list this is; the zero Sentence says nothing
}

// newPager is the pager of page number page (from 1) of the list at path with
// that query; more tells whether there is a next page.
func newPager(path string, query url.Values, page int, more bool) Pager {
	at := func(n int) string {
		q := url.Values{}
		for key, values := range query {
			if len(values) > 0 && values[0] != "" && key != "page" {
				q[key] = values
			}
		}
		if n > 1 {
			q.Set("page", strconv.Itoa(n))
		}
		if len(q) == 0 {
			return path
		}
		return path + "?" + q.Encode()
	}
	var p Pager
	if page > 1 {
		p.Prev = at(page - 1)
	}
	if more {
		p.Next = at(page + 1)
	}
	return p
}

// maxPage bounds how far into a list a query may jump: offsets cost time.
const maxPage = 100_000

// pageNumber reads ?page=; what is no such number is the first page.
func pageNumber(query url.Values) int {
	n, err := strconv.Atoi(query.Get("page"))
	if err != nil || n < 1 || n > maxPage {
		return 1
	}
	return n
}
