package portal

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"

	"peerage/identity"
	"peerage/store"
)

// passkeysPage lists the person's passkeys, or asks before one is removed.
func (p *Portal) passkeysPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	b := p.bound(w, r)
	if id := r.FormValue("remove"); id != "" {
		return p.askRemovePasskey(w, r, v, id)
	}
	page, err := p.passkeysForm(p.base(r, &v), r, b, v)
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) passkeysForm(base Base, r *http.Request, b identity.Browser, v identity.Visitor) (Page, error) {
	list, err := p.directory.Passkeys(r.Context(), v.User)
	if err != nil {
		return nil, err
	}
	page := &PasskeysPage{Base: base, Offered: p.directory.PasskeysOffered(), Full: len(list) >= identity.MaxPasskeys, Done: r.FormValue("done"),
		Form: PasskeyForm{Action: "/identity/passkeys", Add: true, Primary: true, Naming: true, Name: r.PostForm.Get("name")}}
	for _, k := range list {
		id := identity.PasskeyID(k.ID)
		page.Passkeys = append(page.Passkeys, Passkey{ID: id, Name: k.Name, Since: k.CreatedAt, LastUsed: k.LastUsedAt,
			Removal: template.URL("/identity/passkeys?remove=" + url.QueryEscape(id))}) // #nosec G203 -- our own path
	}
	// A challenge for who may answer it: others are asked for a fresh factor first.
	if p.directory.Fresh(v) {
		page.Form.Options, err = p.directory.BeginAddPasskey(r.Context(), b, v.User)
		if err != nil && !errors.Is(err, identity.ErrNoPasskey) {
			return nil, err
		}
	}
	return page, nil
}

// askRemovePasskey says what will happen. Nothing is removed by a GET.
func (p *Portal) askRemovePasskey(w http.ResponseWriter, r *http.Request, v identity.Visitor, id string) error {
	list, err := p.directory.Passkeys(r.Context(), v.User)
	if err != nil {
		return err
	}
	for _, k := range list {
		if identity.PasskeyID(k.ID) != id {
			continue
		}
		page := &AskPage{Base: p.base(r, &v), Place: "/identity/passkeys", Title: Say("passkeys.remove.title"), Text: Say("passkeys.remove.text.unnamed"),
			Consequences: []Sentence{Say("passkeys.remove.device")}, Action: "/identity/passkeys", Fields: []Hidden{{"id", id}},
			Button: Hidden{"action", "remove"}, Submit: Say("passkeys.remove"), Back: "/identity/passkeys"}
		if k.Name != "" {
			page.Text = Say("passkeys.remove.text", "name", k.Name)
		}
		if len(list) == 1 && !v.User.TOTP {
			page.Consequences = append(page.Consequences, Say("passkeys.remove.last"))
			if p.directory.MustHaveMFA(v.User) {
				page.Consequences = append(page.Consequences, Say("totp.remove.required", "brand", p.render.brand.Name))
			}
		}
		return p.render.Render(w, http.StatusOK, page)
	}
	return see(w, "/identity/passkeys")
}

// passkeys adds a passkey, renames or removes one.
func (p *Portal) passkeys(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	b := p.bound(w, r)
	switch r.PostForm.Get("action") {
	case "rename":
		err := p.directory.RenamePasskey(r.Context(), v.User, r.PostForm.Get("passkey"), r.PostForm.Get("name"))
		if errors.Is(err, store.ErrNotFound) {
			return see(w, "/identity/passkeys")
		}
		if err != nil {
			return err
		}
		return see(w, "/identity/passkeys?done="+DonePasskeyRenamed)
	case "remove":
		err := p.directory.RemovePasskey(r.Context(), v.User, r.PostForm.Get("id"))
		if errors.Is(err, store.ErrNotFound) {
			return see(w, "/identity/passkeys")
		}
		if err != nil {
			return err
		}
		return see(w, "/identity/passkeys?done="+DonePasskeyRemoved)
	}
	secret, err := p.directory.AddPasskey(r.Context(), b, v, r.PostForm.Get("name"), r.PostForm.Get("credential"))
	if errors.Is(err, identity.ErrNoSession) || errors.Is(err, identity.ErrNoPasskey) {
		return see(w, "/identity/passkeys")
	}
	if err != nil {
		return p.again(w, r, &v, err, func(base Base) (Page, error) { return p.passkeysForm(base, r, b, v) })
	}
	p.directory.Cookies.SetSession(w, secret)
	return see(w, "/identity/passkeys?done="+DonePasskeyAdded)
}
