package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
)

// confirmPage asks for a fresh factor before something that matters.
func (p *Portal) confirmPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	back := p.returnPath(r.FormValue("return"))
	if p.directory.Fresh(v) {
		return see(w, back)
	}
	return p.render.Render(w, http.StatusOK, p.confirmForm(p.base(r, nil), v, back))
}

func (p *Portal) confirmForm(base Base, v identity.Visitor, back string) *ConfirmPage {
	password, code := p.directory.ConfirmFields(v.User)
	return &ConfirmPage{Base: base, UserName: v.User.Username, Return: back, AskPassword: password, AskCode: code}
}

func (p *Portal) confirm(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	b := p.browser(r)
	back := p.returnPath(r.FormValue("return"))
	secret, err := p.directory.Confirm(r.Context(), b, v, r.PostForm.Get("password"), r.PostForm.Get("code"))
	if errors.Is(err, identity.ErrNoSession) {
		return see(w, "/login")
	}
	if err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) { return p.confirmForm(base, v, back), nil })
	}
	p.directory.Cookies.SetSession(w, secret)
	return see(w, back)
}
