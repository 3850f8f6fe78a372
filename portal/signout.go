package portal

import (
	"errors"
	"html/template"
	"net/http"

	"peerage/identity"
	"peerage/idp"
)

// signOutPage asks before signing out, for an application that could not
// prove whom it speaks of, or says that it is done.
func (p *Portal) signOutPage(w http.ResponseWriter, r *http.Request) error {
	back, fault := p.provider.ParseLogout(r.Form)
	if fault != nil {
		return p.badSignOut(w, r, fault)
	}
	visitor, err := p.directory.Visitor(r.Context(), p.directory.Cookies.Session(r))
	if errors.Is(err, identity.ErrNoSession) {
		if back.URI != "" {
			return see(w, back.Target()) // nobody to sign out; the address is registered
		}
		return p.render.Render(w, http.StatusOK, &SignedOutPage{Base: p.base(r, nil)})
	}
	if err != nil {
		return err
	}
	page := &SignOutPage{Base: p.base(r, nil), UserName: visitor.User.Username}
	if back.Client != nil {
		page.Asker = NewAsker(back.Client.DisplayName(), back.Client.LogoURI, back.URI)
	}
	for name, values := range back.Query() {
		page.Fields = append(page.Fields, Hidden{Name: name, Value: values[0]})
	}
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) badSignOut(w http.ResponseWriter, r *http.Request, fault *idp.Fault) error {
	base := p.base(r, nil)
	base.Fault = fault.Code
	return p.render.Render(w, http.StatusBadRequest, &ErrorPage{Base: base, Reason: ReasonSignOut, Description: fault.Description})
}

// signOut ends the session. What leaves for the application behind this form
// is a page, not a redirect.
func (p *Portal) signOut(w http.ResponseWriter, r *http.Request) error {
	back, fault := p.provider.ParseLogout(r.PostForm)
	if fault != nil {
		return p.badSignOut(w, r, fault)
	}
	if r.PostForm.Get("logout") != "yes" {
		return see(w, "/logout?"+back.Query().Encode())
	}
	if err := p.directory.SignOut(r.Context(), p.directory.Cookies.Session(r)); err != nil {
		return err
	}
	p.directory.Cookies.ClearSession(w)
	if back.URI == "" {
		return see(w, "/logout?done=yes")
	}
	return p.render.Render(w, http.StatusOK, &LeavePage{Base: p.base(r, nil), Target: template.URL(back.Target()),
		Asker: NewAsker(back.Client.DisplayName(), back.Client.LogoURI, back.URI)})
}
