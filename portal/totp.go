package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
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
		factor, err := p.store.TOTP(r.Context(), v.User.Sub)
		if err != nil {
			return nil, err
		}
		return &TOTPPage{Base: base, Since: factor.CreatedAt, LastUsed: factor.LastUsedAt, Required: p.directory.MustHaveMFA(v.User) && v.User.Passkeys == 0, AskCode: v.User.Passkeys == 0, Done: r.FormValue("done")}, nil
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
		secret, err = p.directory.DisableTOTP(r.Context(), b, v, code)
	case v.User.TOTP:
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
