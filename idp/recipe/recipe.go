// Package recipe registers well-known applications: from an application's
// address it makes the client with the right redirect addresses, scopes and
// placement of claims, and the configuration to paste on the other side. The
// recipes are data: one file each in recipes/.
package recipe

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"peerage/identity"
	"peerage/idp"
	"peerage/store"
)

// Names of the fields of an Order that every recipe has.
const (
	FieldURL = "url"
	FieldID  = "client_id"
)

// Recipe is how one application is registered and configured.
type Recipe struct {
	// Name finds it; what it was asked for by, if that was an alias.
	Name  string
	Title string
	About string
	// URL is the address of the application, Inputs what else it asks for.
	URL    Input
	Inputs []Input

	aliases map[string]string // further names and their titles
	client  *template.Template
	steps   []step
	notes   []*template.Template
}

// Input is one thing that a recipe asks for.
type Input struct {
	Name     string `json:"name"`
	Kind     Kind   `json:"kind"`
	Label    string `json:"label"`
	Hint     string `json:"hint"`
	Example  string `json:"example"`
	Default  string `json:"default"`
	Optional bool   `json:"optional"`
}

type step struct {
	title string
	text  *template.Template
}

// Order is what somebody answered to a recipe.
type Order struct {
	// Issuer is ours.
	Issuer string
	// URL is the address of the application.
	URL string
	// ID is the client_id; the recipe's name when empty.
	ID string
	// Values are the answers to Inputs, by name; what is missing has its default.
	Values map[string]string
}

// Made is a client and what to do on the other side.
type Made struct {
	Client store.Client
	// Secret is in clear; "" for a public client. Steps hold it too, so both
	// are shown once and never kept.
	Secret string
	Steps  []Step
	Notes  []string
}

// Step is something to do on the other side.
type Step struct {
	Title string `json:"title"`
	// Text is to be pasted.
	Text string `json:"text"`
}

// All are the recipes by title, with those aliases that are applications of
// their own.
func All() []Recipe {
	list := slices.Clone(all())
	for _, r := range all() {
		for alias, title := range r.aliases {
			if title != r.Title {
				other := r
				other.Name, other.Title = alias, title
				list = append(list, other)
			}
		}
	}
	slices.SortFunc(list, func(a, b Recipe) int { return strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)) })
	return list
}

// Find finds a recipe by its name or one of its aliases.
func Find(name string) (Recipe, bool) {
	for _, r := range all() {
		if r.Name == name {
			return r, true
		}
		if title, ok := r.aliases[name]; ok {
			r.Name, r.Title = name, title
			return r, true
		}
	}
	return Recipe{}, false
}

// Names are the names of all recipes, without aliases.
func Names() []string {
	var names []string
	for _, r := range all() {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return names
}

// Make makes the client and the configuration. The error joins one
// *idp.FieldError for each answer that is wrong; nothing is stored.
func (r Recipe) Make(o Order) (Made, error) {
	return r.make(o, chance{secret: identity.NewSecret, ulid: newULID})
}

// chance is what a recipe needs of randomness.
type chance struct{ secret, ulid func() string }

func (r Recipe) make(o Order, c chance) (Made, error) {
	d, err := r.answers(o, c)
	if err != nil {
		return Made{}, err
	}
	made, err := r.register(d)
	if err != nil {
		return Made{}, err
	}
	if made.Client.TokenEndpointAuthMethod != "none" {
		made.Secret = c.secret()
		made.Client.ClientSecretHash = idp.HashClientSecret(made.Secret)
		d.Secret = made.Secret
	}
	if err := idp.CheckClient(made.Client); err != nil {
		return Made{}, err
	}
	for _, s := range r.steps {
		text, err := d.fill(s.text)
		if err != nil {
			return Made{}, err
		}
		made.Steps = append(made.Steps, Step{Title: s.title, Text: text})
	}
	for _, n := range r.notes {
		text, err := d.fill(n)
		if err != nil {
			return Made{}, err
		}
		made.Notes = append(made.Notes, text)
	}
	return made, nil
}

// register is the client of the recipe, without its secret.
func (r Recipe) register(d *dish) (Made, error) {
	text, err := d.fill(r.client)
	if err != nil {
		return Made{}, err
	}
	var client store.Client
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&client); err != nil {
		return Made{}, fmt.Errorf("recipe %s: reading its client: %w", r.Name, err)
	}
	client.ClientID, client.Name = d.ID, r.Title
	return Made{Client: client}, nil
}

// answers checks an order and fills in what it leaves out.
func (r Recipe) answers(o Order, c chance) (*dish, error) {
	var faults []error
	check := func(in Input, value string) string {
		value, err := in.check(value)
		if err != nil {
			faults = append(faults, &idp.FieldError{Field: in.Name, Problem: err.Error()})
		}
		return value
	}
	d := &dish{Name: r.Name, ID: cmp.Or(o.ID, r.Name), values: map[string]string{}, chance: c}
	if err := idp.CheckClientID(d.ID); err != nil {
		faults = append(faults, err)
	}
	var err error
	if d.Issuer, err = siteAddress(o.Issuer); err != nil {
		faults = append(faults, fmt.Errorf("the issuer %w", err))
	}
	d.URL = check(r.URL, o.URL)
	for _, in := range r.Inputs {
		value := cmp.Or(strings.TrimSpace(o.Values[in.Name]), in.Default)
		if value == "" && in.Kind == KindULID {
			value = c.ulid()
		}
		d.values[in.Name] = check(in, value)
	}
	for name := range o.Values {
		if !slices.ContainsFunc(r.Inputs, func(in Input) bool { return in.Name == name }) {
			faults = append(faults, &idp.FieldError{Field: name, Problem: fmt.Sprintf("%q is nothing that the recipe %s asks for", name, r.Name)})
		}
	}
	return d, errors.Join(faults...)
}

// newULID is a ULID of now: 48 bits of milliseconds and 80 random ones, in
// Crockford's base32.
func newULID() string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var bits [16]byte
	rand.Read(bits[6:]) // never fails
	for i, ms := 5, time.Now().UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		bits[i] = byte(ms)
	}
	text := make([]byte, 26)
	for i := range text {
		var five int
		for bit := i*5 - 2; bit < i*5+3; bit++ { // 130 bits: two zeros before the 128
			five <<= 1
			if bit >= 0 {
				five |= int(bits[bit/8]>>(7-bit%8)) & 1
			}
		}
		text[i] = alphabet[five]
	}
	return string(text)
}
