package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
	"peerage/idp"
)

// passkeyAsk is what /login/passkey asks a passkey for.
type passkeyAsk struct {
	factor
	use identity.PasskeyUse
}

// passkeyAskOf: a half-done sign-in or a session that needs its second factor
// wants one of its person's passkeys. Anybody else signs in with it, and so
// does who chose that (?first=yes), whatever is half done in this browser.
func (p *Portal) passkeyAskOf(r *http.Request, b identity.Browser) (passkeyAsk, error) {
	f, err := p.factorOf(r, b)
	if err != nil {
		return passkeyAsk{}, err
	}
	ask := passkeyAsk{factor: factor{flight: f.flight}, use: identity.PasskeySignIn}
	if r.FormValue("first") != "" || f.user.Passkeys == 0 {
		return ask, nil
	}
	switch {
	case f.visitor == nil:
		return passkeyAsk{f, identity.PasskeyAnswer}, nil
	case f.flight == nil || f.flight.Step == idp.Passkey || f.flight.Step == idp.Factor:
		return passkeyAsk{f, identity.PasskeyConfirm}, nil
	}
	return ask, nil
}

func (p *Portal) passkeyPage(w http.ResponseWriter, r *http.Request) error {
	b := p.bound(w, r)
	ask, err := p.passkeyAskOf(r, b)
	if err != nil {
		return err
	}
	page, err := p.passkeyForm(p.base(r, nil), r, b, ask)
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) passkeyForm(base Base, r *http.Request, b identity.Browser, ask passkeyAsk) (Page, error) {
	page := &PasskeyPage{Base: base, Asker: asker(ask.flight), UserName: ask.user.Username, Offered: p.directory.PasskeysOffered()}
	page.Request, page.Return = p.carried(r, ask.flight)
	page.Form = PasskeyForm{Action: "/login/passkey", Return: page.Return, First: ask.use == identity.PasskeySignIn, Primary: true}
	if page.Request != "" {
		page.Form.Action = p.doorPath("/login/passkey", r, ask.flight)
	}
	var user *identity.User
	if ask.use != identity.PasskeySignIn {
		user = &ask.user
		if !ask.onlyPasskey() {
			proofs, err := p.directory.Proofs(r.Context(), ask.user)
			if err != nil {
				return nil, err
			}
			page.Code, page.Recovery = ask.code, proofs.Recovery
		}
	}
	options, err := p.directory.BeginPasskey(r.Context(), b, ask.use, user, ask.onlyPasskey())
	if err != nil && !errors.Is(err, identity.ErrNoPasskey) {
		return nil, err
	}
	page.Form.Options = options
	return page, nil
}

func (p *Portal) passkey(w http.ResponseWriter, r *http.Request) error {
	b := p.bound(w, r)
	ask, err := p.passkeyAskOf(r, b)
	if err != nil {
		return err
	}
	response := r.PostForm.Get("credential")
	var secret string
	switch ask.use {
	case identity.PasskeyAnswer:
		secret, err = p.directory.AnswerPasskey(r.Context(), b, response)
	case identity.PasskeyConfirm:
		secret, err = p.directory.ConfirmPasskey(r.Context(), b, *ask.visitor, response)
	default:
		secret, err = p.directory.SignInPasskey(r.Context(), b, response)
		if err == nil {
			err = p.directory.ForgetSignIn(r.Context(), b)
		}
	}
	if gone(err) {
		return p.restart(w, r)
	}
	if err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) {
			if ask.use == identity.PasskeySignIn && base.Fault == FaultWrongCode {
				base.Fault = FaultWrongCredentials
			}
			return p.passkeyForm(base, r, b, ask)
		})
	}
	return p.signedIn(w, r, b, secret)
}
