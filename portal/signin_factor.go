package portal

import (
	"errors"
	"net/http"
	"net/url"

	"peerage/identity"
	"peerage/idp"
)

// factor is what a page of the door asks a second factor for: a half-done
// sign-in, else a session that needs its second factor (a client or class that
// wants two).
type factor struct {
	flight *idp.InFlight
	// user has no name when nobody is asked for anything.
	user    identity.User
	visitor *identity.Visitor // nil: a half-done sign-in
	code    bool              // a code of the authenticator app will do
}

func (p *Portal) factorOf(r *http.Request, b identity.Browser) (factor, error) {
	f, err := p.inFlight(r, b)
	if err != nil {
		return factor{}, err
	}
	pending, user, err := p.directory.Pending(r.Context(), b)
	if err == nil && pending.Challenged {
		return factor{flight: f, user: user, code: len(pending.Challenge) > 0}, nil
	}
	if err != nil && !errors.Is(err, identity.ErrNoSignIn) {
		return factor{}, err
	}
	v, err := p.directory.Visitor(r.Context(), b.Session)
	if err == nil && v.User.HasSecondFactor() {
		return factor{flight: f, user: v.User, visitor: &v, code: v.User.TOTP}, nil
	}
	if err != nil && !errors.Is(err, identity.ErrNoSession) {
		return factor{}, err
	}
	return factor{flight: f}, nil
}

// onlyPasskey tells whether nothing else gives what the client demands.
func (f factor) onlyPasskey() bool { return f.flight != nil && f.flight.OnlyPasskey() }

// onward is the request and the return path that pages of the door send back.
func (p *Portal) carried(r *http.Request, f *idp.InFlight) (request, back string) {
	if f != nil {
		return f.ID, ""
	}
	return "", p.returnPath(r.FormValue("return"))
}

// doorPath is another page of the door for the same sign-in.
func (p *Portal) doorPath(path string, r *http.Request, f *idp.InFlight) string {
	request, back := p.carried(r, f)
	if request != "" {
		return path + "?request=" + url.QueryEscape(request)
	}
	return path + "?return=" + url.QueryEscape(back)
}

// restart begins again with the password: the half-done sign-in is gone.
func (p *Portal) restart(w http.ResponseWriter, r *http.Request) error {
	if id := r.FormValue("request"); id != "" {
		return see(w, idp.ResumePath(id))
	}
	return see(w, "/login?return="+url.QueryEscape(p.returnPath(r.FormValue("return"))))
}

// gone: what a form was for is no longer there.
func gone(err error) bool {
	return errors.Is(err, identity.ErrNoSignIn) || errors.Is(err, identity.ErrNoSession)
}
