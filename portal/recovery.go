package portal

import (
	"errors"
	"net/http"

	"peerage/identity"
)

// recoveryPage asks for the address of somebody who cannot sign in, or says
// whom to ask when no mail is configured.
func (p *Portal) recoveryPage(w http.ResponseWriter, r *http.Request) error {
	page := p.recoveryForm(p.base(r, nil), "")
	page.Sent = r.FormValue("done") == "sent"
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) recoveryForm(base Base, email string) *RecoveryPage {
	return &RecoveryPage{Base: base, Mail: p.directory.MailsPeople(), Email: Field{Name: "email", Kind: FieldEmail, Label: Say("recovery.email"),
		Value: email, Autocomplete: "email", Required: true, Max: 254}}
}

// recovery notes who asks. The answer is the same whoever has the address, and
// so is its time: the work is done afterwards, in the background.
func (p *Portal) recovery(w http.ResponseWriter, r *http.Request) error {
	email := r.PostForm.Get("email")
	err := p.directory.RequestRecovery(r.Context(), email)
	switch {
	case err == nil:
		return see(w, "/recover?done=sent")
	case errors.Is(err, errors.ErrUnsupported):
		return see(w, "/recover")
	case errors.Is(err, identity.ErrWrongEmail):
		page := p.recoveryForm(p.base(r, nil), email)
		page.Fault, page.Email.Fault = FaultWrongEmail, Say("recovery.email.wrong")
		return p.render.Render(w, http.StatusUnprocessableEntity, page)
	}
	return p.again(w, r, nil, err, func(base Base) (Page, error) { return p.recoveryForm(base, email), nil })
}

// invitationPage shows what an invitation is for. It changes nothing: mail
// scanners follow links.
func (p *Portal) invitationPage(w http.ResponseWriter, r *http.Request) error {
	return p.newPasswordPage(w, r, true)
}

// invitation uses an invitation up: it sets the person's first password.
func (p *Portal) invitation(w http.ResponseWriter, r *http.Request) error {
	return p.newPassword(w, r, true)
}

func (p *Portal) newPasswordPage(w http.ResponseWriter, r *http.Request, invitation bool) error {
	user, err := p.directory.PasswordLink(r.Context(), r.PathValue("token"), invitation)
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, newPasswordForm(p.base(r, nil), r, user, invitation, nil))
}

// newPassword sets the password. It signs nobody in: whoever has two factors
// is asked for the second one as always.
func (p *Portal) newPassword(w http.ResponseWriter, r *http.Request, invitation bool) error {
	token, password := r.PathValue("token"), r.PostForm.Get("new_password")
	user, err := p.directory.PasswordLink(r.Context(), token, invitation)
	if err != nil {
		return err
	}
	if err = checkRepeated(r); err == nil {
		err = p.directory.UsePasswordLink(r.Context(), token, invitation, password)
	}
	if fault, _ := passwordFault(err); fault != "" {
		base := p.base(r, nil)
		base.Fault = fault
		return p.render.Render(w, http.StatusUnprocessableEntity, newPasswordForm(base, r, user, invitation, err))
	}
	if err != nil {
		return p.again(w, r, nil, err, func(base Base) (Page, error) { return newPasswordForm(base, r, user, invitation, nil), nil })
	}
	// Whoever was signed in here before is not the one who goes on.
	if err := p.directory.SignOut(r.Context(), p.browser(r).Session); err != nil {
		return err
	}
	p.directory.Cookies.ClearSession(w)
	if invitation {
		return see(w, "/login?done="+DonePasswordChosen)
	}
	return see(w, "/login?done="+DonePasswordSet)
}

// errRepeat: the password was typed differently the second time.
var errRepeat = errors.New("the two passwords differ")

func checkRepeated(r *http.Request) error {
	if r.PostForm.Get("new_password") != r.PostForm.Get("repeat_password") {
		return errRepeat
	}
	return nil
}

func newPasswordForm(base Base, r *http.Request, u identity.User, invitation bool, err error) *NewPasswordPage {
	page := &NewPasswordPage{Base: base, Action: r.URL.Path, Invitation: invitation, UserName: u.Username, Fields: newPasswordFields()}
	fault, words := passwordFault(err)
	switch fault {
	case "":
	case FaultPasswordRepeat:
		page.Fields[1].Fault = words
	default:
		page.Fields[0].Fault = words
	}
	return page
}

// passwordFault says what is wrong with a new password; "" for every error
// that is not about it.
func passwordFault(err error) (string, Sentence) {
	switch {
	case errors.Is(err, identity.ErrPasswordTooShort):
		return FaultPasswordShort, Say("fault.password_too_short")
	case errors.Is(err, identity.ErrPasswordTooLong):
		return FaultPasswordLong, Say("fault.password_too_long")
	case errors.Is(err, identity.ErrPasswordOverBytes):
		return FaultPasswordLong, Say("fault.password_over_bytes")
	case errors.Is(err, identity.ErrNotGranted):
		return FaultNotAllowed, Say("fault.password_not_granted")
	case errors.Is(err, identity.ErrPasswordHasName):
		return FaultPasswordName, Say("fault.password_has_name")
	case errors.Is(err, identity.ErrPasswordBreached):
		return FaultPasswordBreached, Say("fault.password_breached")
	case errors.Is(err, errRepeat):
		return FaultPasswordRepeat, Say("fault.password_repeat")
	}
	return "", Sentence{}
}

// verifyEmailPage shows what the link in a mail is for. It changes nothing.
func (p *Portal) verifyEmailPage(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	user, err := p.directory.EmailLink(r.Context(), token)
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, &VerifyEmailPage{Base: p.base(r, nil), Token: token, UserName: user.Username, Email: user.Email})
}

// verifyEmail uses the link up. Nobody need be signed in: who can read the
// mail is who the address belongs to.
func (p *Portal) verifyEmail(w http.ResponseWriter, r *http.Request) error {
	user, err := p.directory.VerifyEmail(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, &VerifyEmailPage{Base: p.base(r, nil), UserName: user.Username, Email: user.Email, Done: true})
}

// askVerification mails a person the link that proves their address.
func (p *Portal) askVerification(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	if r.PostForm.Get("action") != "verify-email" || v.User.EmailVerified {
		return see(w, "/identity")
	}
	err := p.directory.RequestVerification(r.Context(), v.User)
	switch {
	case err == nil:
		return see(w, "/identity?done="+DoneVerificationSent)
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, identity.ErrWrongEmail), errors.Is(err, identity.ErrLinkExpired):
		return see(w, "/identity")
	}
	return p.again(w, r, &v, err, func(base Base) (Page, error) { return p.profilePage(base, r, v) })
}
