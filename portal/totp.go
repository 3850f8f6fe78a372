package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
	"peerage/store"
)

// totpPage shows the second factor, or how to add one.
func (p *Portal) totpPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	if !v.User.TOTP && !p.directory.Fresh(v) {
		return p.askFresh(w, r)
	}
	base := p.base(r, &v)
	page, err := p.totpForm(base, r, v)
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) totpForm(base Base, r *http.Request, v identity.Visitor) (Page, error) {
	if v.User.TOTP {
		page := &TOTPPage{Base: base, Required: p.directory.MustHaveMFA(v.User) && v.User.Passkeys == 0, Done: r.FormValue("done")}
		factor, err := p.store.TOTP(r.Context(), v.User.Sub)
		if err == nil {
			page.Since, page.LastUsed = factor.CreatedAt, factor.LastUsedAt
		} else if !errors.Is(err, store.ErrNotFound) { // kept elsewhere, where nobody notes when
			return nil, err
		}
		if v.User.Passkeys > 0 {
			return page, nil
		}
		proofs, err := p.directory.Proofs(r.Context(), v.User)
		page.AskPassword, page.AskCode = proofs.Password, proofs.Code
		return page, err
	}
	begun, err := p.directory.BeginTOTP(r.Context(), p.browser(r), v.User)
	if err != nil {
		return nil, err
	}
	key, err := NewKey(begun.Secret, begun.URL)
	if err != nil {
		return nil, err
	}
	return &EnrolPage{Base: base, UserName: v.User.Username, Key: key}, nil
}

// totp adds the second factor after one right code, or removes it.
func (p *Portal) totp(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	b := p.browser(r)
	code := r.PostForm.Get("code")
	var secret, done string
	var err error
	switch {
	case v.User.TOTP && r.PostForm.Get("action") == "disable":
		done = "/identity?done=" + DoneSecondFactorRemoved
		secret, err = p.directory.DisableTOTP(r.Context(), b, v, r.PostForm.Get("password"), code)
	case v.User.TOTP && r.PostForm.Get("action") != "":
		return errBadAction
	case v.User.TOTP: // the form that adds one, sent twice
		return see(w, "/identity/totp")
	default:
		done = "/identity/totp?done=" + DoneSecondFactorAdded
		secret, err = p.directory.EnrolVisitor(r.Context(), b, v, code)
	}
	if errors.Is(err, identity.ErrNoSession) || errors.Is(err, identity.ErrAlreadyEnrolled) || errors.Is(err, identity.ErrNoSignIn) {
		return see(w, "/identity/totp")
	}
	if err != nil {
		return p.again(w, r, &v, err, func(base Base) (Page, error) { return p.totpForm(base, r, v) })
	}
	if secret != "" {
		p.directory.Cookies.SetSession(w, secret)
	}
	return see(w, done)
}
