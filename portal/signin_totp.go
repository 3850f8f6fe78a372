package portal

import "net/http"

// codePage asks for a code of the authenticator app. Who has none is asked for
// their passkey.
func (p *Portal) codePage(w http.ResponseWriter, r *http.Request) error {
	f, err := p.factorOf(r, p.browser(r))
	if err != nil {
		return err
	}
	if f.user.Username == "" {
		return p.restart(w, r)
	}
	if !f.code {
		return see(w, p.doorPath("/login/passkey", r, f.flight))
	}
	page, err := p.codeForm(p.base(r, nil), r, f)
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) codeForm(base Base, r *http.Request, f factor) (Page, error) {
	proofs, err := p.directory.Proofs(r.Context(), f.user)
	if err != nil {
		return nil, err
	}
	page := &CodePage{Base: base, Asker: asker(f.flight), UserName: f.user.Username, Passkey: proofs.Passkey, Recovery: proofs.Recovery}
	page.Request, page.Return = p.carried(r, f.flight)
	return page, nil
}

func (p *Portal) code(w http.ResponseWriter, r *http.Request) error {
	b := p.browser(r)
	f, err := p.factorOf(r, b)
	if err != nil {
		return err
	}
	if f.user.Username == "" || !f.code {
		return p.restart(w, r)
	}
	var secret string
	if f.visitor == nil {
		secret, err = p.directory.Answer(r.Context(), b, r.PostForm.Get("code"))
	} else {
		secret, err = p.directory.Confirm(r.Context(), b, *f.visitor, "", r.PostForm.Get("code"))
	}
	if gone(err) {
		return p.restart(w, r)
	}
	if err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) { return p.codeForm(base, r, f) })
	}
	return p.signedIn(w, r, b, secret)
}
