package portal

import "net/http"

// recoveryCodePage asks for a recovery code instead of the second factor.
func (p *Portal) recoveryCodePage(w http.ResponseWriter, r *http.Request) error {
	f, err := p.factorOf(r, p.browser(r))
	if err != nil {
		return err
	}
	if f.user.Username == "" {
		return p.restart(w, r)
	}
	return p.render.Render(w, http.StatusOK, p.recoveryCodeForm(p.base(r, nil), r, f))
}

func (p *Portal) recoveryCodeForm(base Base, r *http.Request, f factor) *RecoveryCodePage {
	page := &RecoveryCodePage{Base: base, Asker: asker(f.flight), UserName: f.user.Username, Passkey: f.user.Passkeys > 0, Code: f.code}
	page.Request, page.Return = p.carried(r, f.flight)
	return page
}

func (p *Portal) recoveryCode(w http.ResponseWriter, r *http.Request) error {
	b := p.browser(r)
	f, err := p.factorOf(r, b)
	if err != nil {
		return err
	}
	if f.user.Username == "" {
		return p.restart(w, r)
	}
	var secret string
	if f.visitor == nil {
		secret, err = p.directory.AnswerRecovery(r.Context(), b, r.PostForm.Get("code"))
	} else {
		secret, err = p.directory.ConfirmRecovery(r.Context(), b, *f.visitor, r.PostForm.Get("code"))
	}
	if gone(err) {
		return p.restart(w, r)
	}
	if err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) { return p.recoveryCodeForm(base, r, f), nil })
	}
	return p.signedIn(w, r, b, secret)
}
