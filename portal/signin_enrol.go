package portal

import (
	"errors"
	"net/http"
	"net/url"

	"peerage/identity"
	"peerage/idp"
)

// enrolment is somebody who must enrol a second factor before going on: in a
// half-done sign-in, or in a session when an application demands two factors.
type enrolment struct {
	flight  *idp.InFlight
	user    identity.User
	visitor *identity.Visitor // nil: half-done sign-in
	allowed bool              // false: a one-time link is needed first
}

// errNothingToEnrol: nobody is asked to enrol here.
var errNothingToEnrol = errors.New("nothing to enrol")

func (p *Portal) enrolmentOf(r *http.Request, b identity.Browser) (enrolment, error) {
	f, err := p.inFlight(r, b)
	if err != nil {
		return enrolment{}, err
	}
	pending, user, err := p.directory.Pending(r.Context(), b)
	if err == nil && !pending.Challenged {
		return enrolment{flight: f, user: user, allowed: !user.NeedsLink || pending.MayEnrol}, nil
	}
	if err != nil && !errors.Is(err, identity.ErrNoSignIn) {
		return enrolment{}, err
	}
	step, visitor, err := p.provider.House(r.Context(), b)
	if err != nil {
		return enrolment{}, err
	}
	if f != nil {
		step, visitor = f.Step, f.Visitor
	} else if visitor != nil && step == idp.Done && !visitor.User.HasSecondFactor() && p.forDevice(r) {
		step = idp.Enrol // the device's application demands it, not the house
	}
	if visitor == nil || step != idp.Enrol && step != idp.NeedsLink {
		return enrolment{}, errNothingToEnrol
	}
	return enrolment{flight: f, user: visitor.User, visitor: visitor, allowed: step == idp.Enrol}, nil
}

func (p *Portal) enrolPage(w http.ResponseWriter, r *http.Request) error {
	e, err := p.enrolmentOf(r, p.browser(r))
	if errors.Is(err, errNothingToEnrol) {
		return p.restart(w, r)
	}
	if err != nil {
		return err
	}
	if !e.allowed {
		return p.needsLink(w, r, e)
	}
	if e.visitor != nil && !p.directory.Fresh(*e.visitor) {
		return p.askFresh(w, r)
	}
	page, err := p.enrolForm(p.base(r, nil), r, e)
	if errors.Is(err, identity.ErrAlreadyEnrolled) {
		return p.restart(w, r)
	}
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) needsLink(w http.ResponseWriter, r *http.Request, e enrolment) error {
	base := p.base(r, nil)
	base.Fault = FaultNotAllowed
	return p.render.Render(w, http.StatusForbidden, &NeedsLinkPage{Base: base, Asker: asker(e.flight), UserName: e.user.Username})
}

func (p *Portal) enrolForm(base Base, r *http.Request, e enrolment) (Page, error) {
	begun, err := p.directory.BeginTOTP(r.Context(), p.browser(r), e.user)
	if err != nil {
		return nil, err
	}
	key, err := NewKey(begun.Secret, begun.URL)
	if err != nil {
		return nil, err
	}
	page := &EnrolPage{Base: base, Demanded: true, UserName: e.user.Username, Key: key, Passkeys: p.directory.PasskeysOffered()}
	if e.flight != nil {
		page.Asker, page.Request = asker(e.flight), e.flight.ID
	} else {
		page.Return = p.returnPath(r.FormValue("return"))
	}
	return page, nil
}

func (p *Portal) enrol(w http.ResponseWriter, r *http.Request) error {
	b := p.browser(r)
	e, err := p.enrolmentOf(r, b)
	if errors.Is(err, errNothingToEnrol) {
		return p.restart(w, r)
	}
	if err != nil {
		return err
	}
	if !e.allowed {
		return p.needsLink(w, r, e)
	}
	var secret string
	if e.visitor == nil {
		secret, err = p.directory.EnrolSignIn(r.Context(), b, r.PostForm.Get("code"))
	} else if !p.directory.Fresh(*e.visitor) {
		return see(w, "/login/confirm?return="+url.QueryEscape(p.returnPath(r.URL.RequestURI())))
	} else {
		secret, err = p.directory.EnrolVisitor(r.Context(), b, *e.visitor, r.PostForm.Get("code"))
	}
	if errors.Is(err, identity.ErrNoSignIn) || errors.Is(err, identity.ErrNoSession) || errors.Is(err, identity.ErrAlreadyEnrolled) {
		return p.restart(w, r)
	}
	if err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) { return p.enrolForm(base, r, e) })
	}
	return p.signedIn(w, r, b, secret)
}
