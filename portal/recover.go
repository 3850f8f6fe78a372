package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
	"peerage/store"
)

// recoverPage shows what a one-time link is for. It changes nothing: mail
// scanners follow links.
func (p *Portal) recoverPage(w http.ResponseWriter, r *http.Request) error {
	user, err := p.directory.FactorLink(r.Context(), r.PathValue("token"))
	if errors.Is(err, identity.ErrLinkExpired) {
		return p.newPasswordPage(w, r, false)
	}
	if err != nil {
		return err
	}
	p.bound(w, r)
	return p.render.Render(w, http.StatusOK, &RecoverPage{Base: p.base(r, nil), Token: r.PathValue("token"), UserName: user.Username, PeeringDB: user.Origin == store.OriginPeeringDB})
}

// recover uses the link up: one for a new password sets it, one for a lost
// second factor asks for the password. It signs nobody in: it only
// lets this browser go on to enrol a second factor.
func (p *Portal) recover(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	user, err := p.directory.FactorLink(r.Context(), token)
	if errors.Is(err, identity.ErrLinkExpired) {
		return p.newPassword(w, r, false)
	}
	if err != nil {
		return err
	}
	b := p.bound(w, r)
	if err := p.directory.UseFactorLink(r.Context(), b, token, r.PostForm.Get("password")); err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) {
			return &RecoverPage{Base: base, Token: token, UserName: user.Username, PeeringDB: user.Origin == store.OriginPeeringDB}, nil
		})
	}
	// Whoever was signed in here before is not the one who goes on.
	if err := p.directory.SignOut(r.Context(), b.Session); err != nil {
		return err
	}
	p.directory.Cookies.ClearSession(w)
	return see(w, "/login/enrol")
}
