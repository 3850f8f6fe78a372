package portal

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"peerage/identity"
)

// userForm is what an administrator typed about a person.
type userForm struct {
	username, name, email string
	verified              bool
	groups                []string
	// has tells which fields came at all: what did not come stays as it is.
	has    map[string]bool
	faults map[string]Sentence
}

// readUserForm reads the form. Groups come as several values or as one value
// with a line or a semicolon between them; a checkbox that is not ticked does
// not come, so its form sends an empty value before it.
func readUserForm(r *http.Request) userForm {
	f := userForm{username: strings.TrimSpace(r.PostForm.Get("username")), name: strings.TrimSpace(r.PostForm.Get("name")),
		email: strings.TrimSpace(r.PostForm.Get("email")), has: map[string]bool{}, faults: map[string]Sentence{}}
	for name := range r.PostForm {
		f.has[name] = true
	}
	f.verified = slices.ContainsFunc(r.PostForm["email_verified"], func(v string) bool { return v == "yes" || v == "true" || v == "on" })
	for _, value := range r.PostForm["groups"] {
		for _, g := range strings.FieldsFunc(value, func(c rune) bool { return c == '\n' || c == '\r' || c == ';' }) {
			if g = strings.TrimSpace(g); g != "" && !slices.Contains(f.groups, g) {
				f.groups = append(f.groups, g)
			}
		}
	}
	return f
}

// check finds the faults that need no look into the store.
func (f *userForm) check() {
	if identity.CheckName(f.name) != nil {
		f.faults["name"] = Say("user.fault.name", "n", identity.MaxName)
	}
	if identity.CheckEmail(f.email) != nil {
		f.faults["email"] = Say("user.fault.email")
	}
}

// checkNew is check for somebody who is to be made.
func (f *userForm) checkNew() {
	f.check()
	if identity.CheckUsername(identity.NormalizeUsername(f.username)) != nil {
		f.faults["username"] = Say("user.fault.username")
	}
}

func (f userForm) usernameField() Field {
	return Field{Name: "username", Label: Say("users.username"), Hint: Say("user.username.hint"), Value: f.username, Fault: f.faults["username"], Required: true, Max: 64}
}

func (f userForm) fields() []Field {
	return []Field{
		{Name: "name", Label: Say("users.name"), Hint: Say("user.name.hint"), Value: f.name, Fault: f.faults["name"], Max: identity.MaxName},
		{Name: "email", Kind: FieldEmail, Label: Say("users.email"), Value: f.email, Fault: f.faults["email"], Max: 254},
		{Name: "email_verified", Kind: FieldCheckbox, Label: Say("user.verified"), Hint: Say("user.verified.hint"), Value: "yes", On: f.verified},
	}
}

// domID is the id of the n-th element of its kind in a page.
func domID(kind string, n int) string { return kind + "-" + strconv.Itoa(n) }
