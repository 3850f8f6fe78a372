package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
	"peerage/idp"
)

// inFlight finds the authorization that a page belongs to: nil when the person
// came by themselves.
func (p *Portal) inFlight(r *http.Request, b identity.Browser) (*idp.InFlight, error) {
	id := r.FormValue("request")
	if id == "" {
		return nil, nil
	}
	f, err := p.provider.InFlight(r.Context(), b, id)
	if errors.Is(err, idp.ErrNoRequest) {
		return nil, expiredError{id}
	}
	return f, err
}

// signInPage shows what /login is for: the password, the choice of an account
// (prompt=select_account) or "Continue as NAME?".
func (p *Portal) signInPage(w http.ResponseWriter, r *http.Request) error {
	b := p.bound(w, r)
	f, err := p.inFlight(r, b)
	if err != nil {
		return err
	}
	if f == nil {
		return p.signInAlone(w, r, b)
	}
	base := p.base(r, nil)
	switch f.Step {
	case idp.Choose:
		return p.render.Render(w, http.StatusOK, &ChoosePage{Base: base, Asker: asker(f), UserName: f.Visitor.User.Username, Name: f.Visitor.User.Name, Request: f.ID})
	case idp.Confirm:
		return p.render.Render(w, http.StatusOK, &ConfirmAccountPage{Base: base, Asker: asker(f), UserName: f.Visitor.User.Username, Request: f.ID})
	case idp.SignIn, idp.Factor, idp.Passkey, idp.Enrol, idp.NeedsLink:
		// All but the first: "sign in as someone else" on their pages.
		return p.render.Render(w, http.StatusOK, p.signInForm(base, f, f.Request.LoginHint, ""))
	}
	return see(w, idp.ResumePath(f.ID))
}

func (p *Portal) signInAlone(w http.ResponseWriter, r *http.Request, b identity.Browser) error {
	step, _, err := p.provider.House(r.Context(), b)
	if err != nil {
		return err
	}
	back := p.returnPath(r.FormValue("return"))
	if step == idp.Done {
		return see(w, back)
	}
	page := p.signInForm(p.base(r, nil), nil, "", back)
	page.Done = r.FormValue("done")
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) signInForm(base Base, f *idp.InFlight, username, back string) *SignInPage {
	page := &SignInPage{Base: base, UserName: username, Return: back, Passkeys: p.directory.PasskeysOffered(), PeeringDB: p.directory.PeeringDBOffered()}
	if f != nil {
		page.Asker, page.Request, page.Again = asker(f), f.ID, f.Visitor != nil
	}
	return page
}

// signIn takes the password, or the answer of the other two pages of /login.
func (p *Portal) signIn(w http.ResponseWriter, r *http.Request) error {
	b := p.bound(w, r)
	f, err := p.inFlight(r, b)
	if err != nil {
		return err
	}
	if decision := r.PostForm.Get("decision"); decision != "" && f != nil {
		p.provider.Decide(w, r, f, idp.Decision(decision))
		return nil
	}
	username := r.PostForm.Get("username")
	secret, err := p.directory.SignIn(r.Context(), b, username, r.PostForm.Get("password"))
	if err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) {
			return p.signInForm(base, f, username, p.returnPath(r.FormValue("return"))), nil
		})
	}
	if secret != "" {
		if err := p.directory.ForgetSignIn(r.Context(), b); err != nil {
			return err
		}
	}
	return p.signedIn(w, r, b, secret)
}

// signedIn gives the browser its new session, if there is one already, and
// goes on.
func (p *Portal) signedIn(w http.ResponseWriter, r *http.Request, b identity.Browser, secret string) error {
	return p.signedInTo(w, r, b, secret, r.FormValue("request"), p.returnPath(r.FormValue("return")))
}

// signedInTo is signedIn for a page that knows where to go without the form.
func (p *Portal) signedInTo(w http.ResponseWriter, r *http.Request, b identity.Browser, secret, request, back string) error {
	if secret != "" {
		p.directory.Cookies.SetSession(w, secret)
		b.Session = secret
	} else if request == "" && b.Session != "" {
		// Signing in as someone else without an application: the half-done
		// sign-in counts now, not the session from before.
		if err := p.directory.SignOut(r.Context(), b.Session); err != nil {
			return err
		}
		p.directory.Cookies.ClearSession(w)
		b.Session = ""
	}
	return p.onward(w, r, b, request, back)
}
