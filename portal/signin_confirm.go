package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
	"peerage/store"
)

// confirmPage asks for a fresh factor before something that matters.
func (p *Portal) confirmPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	back := p.returnPath(r.FormValue("return"))
	if p.directory.Fresh(v) && !p.renews(v, back) {
		return see(w, back)
	}
	page, err := p.confirmForm(p.base(r, nil), r, p.bound(w, r), v, back)
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) confirmForm(base Base, r *http.Request, b identity.Browser, v identity.Visitor, back string) (Page, error) {
	if p.renews(v, back) {
		return &ConfirmPage{Base: base, UserName: v.User.Username, Return: back, AskPassword: true, AskCode: v.User.TOTP, Renew: true}, nil
	}
	proofs, err := p.directory.Proofs(r.Context(), v.User)
	if err != nil {
		return nil, err
	}
	page := &ConfirmPage{Base: base, UserName: v.User.Username, Return: back, AskPassword: proofs.Password, AskCode: proofs.Code, AskRecovery: proofs.Recovery, PeeringDB: proofs.PeeringDB,
		Form: PasskeyForm{Action: "/login/confirm", Return: back, Primary: !proofs.Code}}
	if proofs.Passkey {
		page.Form.Options, err = p.directory.BeginPasskey(r.Context(), b, identity.PasskeyConfirm, &v.User, false)
		if err != nil && !errors.Is(err, identity.ErrNoPasskey) {
			return nil, err
		}
	}
	return page, nil
}

func (p *Portal) confirm(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	b := p.bound(w, r)
	back := p.returnPath(r.FormValue("return"))
	if r.PostForm.Get("peeringdb") == "yes" && p.directory.MayConfirmByPeeringDB(v.User) {
		flow := store.PeeringDBFlow{Purpose: store.FlowConfirm, Sub: v.User.Sub, SessionID: v.Session.ID, Back: back}
		return p.leaveForPeeringDB(w, r, b, &v, flow, true)
	}
	response := r.PostForm.Get("credential")
	var secret string
	var err error
	switch {
	case p.renews(v, back):
		secret, err = p.directory.Renew(r.Context(), b, v, r.PostForm.Get("password"), r.PostForm.Get("code"))
	case response != "":
		secret, err = p.directory.ConfirmPasskey(r.Context(), b, v, response)
	default:
		secret, err = p.directory.Confirm(r.Context(), b, v, r.PostForm.Get("password"), r.PostForm.Get("code"))
	}
	if errors.Is(err, identity.ErrNoSession) {
		return see(w, "/login")
	}
	if err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) {
			page, err := p.confirmForm(base, r, b, v, back)
			if shown, ok := page.(*ConfirmPage); ok {
				shown.Refused = response != ""
			}
			return page, err
		})
	}
	p.directory.Cookies.SetSession(w, secret)
	return see(w, back)
}
