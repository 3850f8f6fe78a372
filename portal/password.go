package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
)

// changePassword leads password managers to the page
// (https://w3c.github.io/webappsec-change-password-url/).
func (p *Portal) changePassword(w http.ResponseWriter, _ *http.Request) error {
	return see(w, "/identity/password")
}

// passwordPage asks for the current and a new password.
func (p *Portal) passwordPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	page, err := p.passwordForm(p.base(r, &v), r, v, nil)
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

// passwordForm is the form with what is wrong beside its fields, by their names.
func (p *Portal) passwordForm(base Base, r *http.Request, v identity.Visitor, faults map[string]Sentence) (*PasswordPage, error) {
	has, err := p.directory.HasPassword(r.Context(), v.User)
	if err != nil {
		return nil, err
	}
	page := &PasswordPage{Base: base, AskCode: v.User.TOTP}
	if !has {
		page.Elsewhere = Say("password.none")
		if v.User.Origin == "peeringdb" {
			page.Elsewhere = Say("password.peeringdb")
		}
		return page, nil
	}
	page.Fields = append([]Field{{Name: "current_password", Kind: FieldPassword, Label: Say("password.current"), Autocomplete: "current-password",
		Max: mostTyped, Required: true}}, newPasswordFields()...)
	for i := range page.Fields {
		page.Fields[i].Fault = faults[page.Fields[i].Name]
	}
	return page, nil
}

// mostTyped is longer than any password: at its limit a browser would cut what
// is pasted without a word.
const mostTyped = 4 * identity.MaxPassword

// newPasswordFields ask for a new password, twice.
func newPasswordFields() []Field {
	return []Field{
		{Name: "new_password", Kind: FieldPassword, Label: Say("field.new_password"), Hint: Say("field.new_password.hint"), Autocomplete: "new-password", Max: mostTyped, Required: true},
		{Name: "repeat_password", Kind: FieldPassword, Label: Say("field.repeat_password"), Autocomplete: "new-password", Max: mostTyped, Required: true},
	}
}

// password changes it. Nothing is tried while the new one is not acceptable.
func (p *Portal) password(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	has, err := p.directory.HasPassword(r.Context(), v.User)
	if err != nil {
		return err
	}
	if !has {
		base := p.base(r, &v)
		base.Fault = FaultNotAllowed
		return p.passwordAgain(w, r, v, base, http.StatusUnprocessableEntity, nil)
	}
	current, password := r.PostForm.Get("current_password"), r.PostForm.Get("new_password")
	base := p.base(r, &v)
	faults := map[string]Sentence{}
	if checkRepeated(r) != nil {
		base.Fault, faults["repeat_password"] = passwordFault(errRepeat)
	}
	if code, words := passwordFault(identity.CheckPassword(v.User.Username, password)); code != "" {
		base.Fault, faults["new_password"] = code, words
	}
	if base.Fault != "" {
		return p.passwordAgain(w, r, v, base, http.StatusUnprocessableEntity, faults)
	}
	secret, err := p.directory.ChangePassword(r.Context(), p.browser(r), v, current, r.PostForm.Get("code"), password)
	if errors.Is(err, identity.ErrNotFresh) {
		return p.askFresh(w, r) // a passkey cannot be asked for in this form
	}
	if errors.Is(err, identity.ErrNoSession) {
		p.directory.Cookies.ClearSession(w)
		return see(w, "/login") // the password was changed, but this session ended meanwhile
	}
	if errors.Is(err, identity.ErrNoSignIn) {
		err = identity.ErrWrongCode // the factor went meanwhile
	}
	if code, words := passwordFault(err); code != "" {
		base.Fault, faults["new_password"] = code, words // the backend's own rules
		return p.passwordAgain(w, r, v, base, http.StatusUnprocessableEntity, faults)
	}
	if fault, status, ok := formFault(err); ok {
		base.Fault, base.RetryAfter = fault.Fault, fault.RetryAfter
		if fault.RetryAfter > 0 {
			w.Header().Set("Retry-After", seconds(fault.RetryAfter))
		}
		if fault.Fault == FaultWrongCredentials {
			faults["current_password"] = Say("fault.password")
		}
		return p.passwordAgain(w, r, v, base, status, faults)
	}
	if err != nil {
		return err
	}
	p.directory.Cookies.SetSession(w, secret)
	return see(w, "/identity?done="+passwordDone(password))
}

func (p *Portal) passwordAgain(w http.ResponseWriter, r *http.Request, v identity.Visitor, base Base, status int, faults map[string]Sentence) error {
	page, err := p.passwordForm(base, r, v, faults)
	if err != nil {
		return err
	}
	return p.render.Render(w, status, page)
}

// passwordDone says that the password was changed, and how strong it is.
func passwordDone(password string) string {
	switch identity.PasswordStrength(password) {
	case identity.StrengthStrong:
		return DonePasswordStrong
	case identity.StrengthGood:
		return DonePasswordGood
	}
	return DonePasswordFair
}
