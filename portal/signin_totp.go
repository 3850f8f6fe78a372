package portal

import (
	"errors"
	"net/http"
	"net/url"

	"peerage/identity"
	"peerage/idp"
)

// factorOf finds whose code is asked for: of a half-done sign-in, else of a
// session that needs its second factor (a client or class that wants two).
func (p *Portal) factorOf(r *http.Request, b identity.Browser) (f *idp.InFlight, username string, visitor *identity.Visitor, err error) {
	if f, err = p.inFlight(r, b); err != nil {
		return nil, "", nil, err
	}
	pending, _, err := p.directory.Pending(r.Context(), b)
	if err == nil && pending.Challenged {
		return f, pending.Username, nil, nil
	}
	if err != nil && !errors.Is(err, identity.ErrNoSignIn) {
		return nil, "", nil, err
	}
	v, err := p.directory.Visitor(r.Context(), b.Session)
	if err == nil && v.User.TOTP {
		return f, v.User.Username, &v, nil
	}
	if err != nil && !errors.Is(err, identity.ErrNoSession) {
		return nil, "", nil, err
	}
	return f, "", nil, nil
}

func (p *Portal) codePage(w http.ResponseWriter, r *http.Request) error {
	f, username, _, err := p.factorOf(r, p.browser(r))
	if err != nil {
		return err
	}
	if username == "" {
		return p.restart(w, r)
	}
	return p.render.Render(w, http.StatusOK, p.codeForm(p.base(r, nil), r, f, username))
}

func (p *Portal) codeForm(base Base, r *http.Request, f *idp.InFlight, username string) *CodePage {
	page := &CodePage{Base: base, Asker: asker(f), UserName: username}
	if f != nil {
		page.Request = f.ID
	} else {
		page.Return = p.returnPath(r.FormValue("return"))
	}
	return page
}

func (p *Portal) code(w http.ResponseWriter, r *http.Request) error {
	b := p.browser(r)
	f, username, visitor, err := p.factorOf(r, b)
	if err != nil {
		return err
	}
	if username == "" {
		return p.restart(w, r)
	}
	var secret string
	if visitor == nil {
		secret, err = p.directory.Answer(r.Context(), b, r.PostForm.Get("code"))
	} else {
		secret, err = p.directory.Confirm(r.Context(), b, *visitor, "", r.PostForm.Get("code"))
	}
	if errors.Is(err, identity.ErrNoSignIn) || errors.Is(err, identity.ErrNoSession) {
		return p.restart(w, r)
	}
	if err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) { return p.codeForm(base, r, f, username), nil })
	}
	return p.signedIn(w, r, b, secret)
}

// restart begins again with the password: the half-done sign-in is gone.
func (p *Portal) restart(w http.ResponseWriter, r *http.Request) error {
	if id := r.FormValue("request"); id != "" {
		return see(w, idp.ResumePath(id))
	}
	return see(w, "/login?return="+url.QueryEscape(p.returnPath(r.FormValue("return"))))
}
