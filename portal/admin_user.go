package portal

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"peerage/identity"
	"peerage/store"
)

// userPage shows one person, or asks before something that is final.
func (p *Portal) userPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	u, err := p.person(r)
	if err != nil {
		return err
	}
	if ask := askUser(u, r.URL.Query().Get("ask")); ask != nil {
		ask.Base = p.base(r, &v)
		return p.render.Render(w, http.StatusOK, ask)
	}
	page, err := p.userDetails(r, v, u)
	if err != nil {
		return err
	}
	page.Done = r.URL.Query().Get("done")
	return p.render.Render(w, http.StatusOK, page)
}

// person is whom the address names.
func (p *Portal) person(r *http.Request) (identity.User, error) {
	u, err := p.directory.User(r.Context(), r.PathValue("sub"))
	if errors.Is(err, store.ErrNotFound) {
		return u, errNotFound
	}
	return u, err
}

// userEvents is how many events of a person their page shows.
const userEvents = 10

func (p *Portal) userDetails(r *http.Request, v identity.Visitor, u identity.User) (*UserPage, error) {
	ctx := r.Context()
	local, err := p.store.GroupsOf(ctx, u.Sub)
	if err != nil {
		return nil, err
	}
	roll, _, err := p.roll(r)
	if err != nil {
		return nil, err
	}
	page := &UserPage{Base: p.base(r, &v), Version: u.Version, Person: PersonFacts{PersonRow: personRow(u.User), EmailVerified: u.EmailVerified,
		Admin: p.directory.IsAdmin(u), NeedsLink: u.NeedsLink, Groups: u.Groups, Created: u.CreatedAt}}
	if err := p.addNetworks(r, u, page); err != nil {
		return nil, err
	}
	page.Person.Locked = slices.Contains(roll.Locked, u.Username)
	form := userForm{name: u.Name, email: u.Email, verified: u.EmailVerified}
	page.Fields = editFields(form)
	if page.Groups, err = p.groupBoxes(r, local); err != nil {
		return nil, err
	}
	sessions, err := p.store.Sessions(ctx, u.Sub)
	if err != nil {
		return nil, err
	}
	for _, s := range sessions {
		page.Sessions = append(page.Sessions, SessionRow{Browser: s.UserAgent, IP: s.IP, SignedIn: s.AuthTime, Seen: s.LastSeenAt})
	}
	consents, err := p.store.Consents(ctx, u.Sub)
	if err != nil {
		return nil, err
	}
	for _, c := range consents {
		page.Consents = append(page.Consents, ConsentRow{Application: p.applicationName(c.ClientID), Scopes: c.Scopes, Granted: c.GrantedAt})
	}
	events, err := p.store.Events(ctx, store.EventFilter{Sub: u.Sub, Limit: userEvents})
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		page.Events = append(page.Events, EventRow{Time: e.Time, Event: e.Event, Client: e.ClientID, IP: e.IP, Result: e.Result, Detail: e.Detail})
	}
	return page, nil
}

// editFields are the fields of a person who exists.
func editFields(f userForm) []Field { return f.fields() }

// applicationName is what people call a client.
func (p *Portal) applicationName(id string) string {
	if c, ok := p.clients.Client(id); ok {
		return c.DisplayName()
	}
	return id
}

// changeUser does what an administrator asked for.
func (p *Portal) changeUser(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	u, err := p.person(r)
	if err != nil {
		return err
	}
	ctx, back := r.Context(), pathUsers+"/"+u.Sub
	done := ""
	switch r.PostForm.Get("action") {
	case "save":
		return p.saveUser(w, r, v, u)
	case "reset-mfa":
		return p.resetMFA(w, r, v, u)
	case "recovery-link":
		return p.recoveryLink(w, r, v, u)
	case "disable":
		done, err = "user_disabled", p.directory.SetDisabled(ctx, u, true)
	case "enable":
		done, err = "user_enabled", p.directory.SetDisabled(ctx, u, false)
	case "unlock":
		done, err = "user_unlocked", p.directory.Unlock(ctx, u)
	case "sign-out":
		done, err = "user_signed_out", p.directory.SignOutEverywhere(ctx, u, r.PostForm.Get("consents") == "yes")
	case "affiliation-add", "affiliation-remove":
		return p.changeNetworks(w, r, v, u)
	case "delete":
		back, done, err = pathUsers, "user_deleted", p.directory.DeleteUser(ctx, u)
	default:
		return errBadAction
	}
	if errors.Is(err, store.ErrLastAdministrator) {
		return p.refuseUser(w, r, v, u, FaultLastAdministrator, Sentence{})
	}
	if errors.Is(err, identity.ErrNotGranted) {
		return p.refuseUser(w, r, v, u, FaultForm, Say("user.fault.not_granted"))
	}
	if errors.Is(err, store.ErrNotFound) {
		return errNotFound // deleted meanwhile
	}
	if err != nil {
		return err
	}
	return see(w, back+"?done="+done)
}

// refuseUser shows a person's page with why nothing was done.
func (p *Portal) refuseUser(w http.ResponseWriter, r *http.Request, v identity.Visitor, u identity.User, fault string, why Sentence) error {
	page, err := p.userDetails(r, v, u)
	if err != nil {
		return err
	}
	page.Fault, page.Refused = fault, why
	return p.render.Render(w, http.StatusUnprocessableEntity, page)
}

// saveUser changes name, address and groups, all or nothing.
func (p *Portal) saveUser(w http.ResponseWriter, r *http.Request, v identity.Visitor, u identity.User) error {
	f := readUserForm(r)
	if err := p.keepUnsent(r, u, &f); err != nil {
		return err
	}
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if !f.has["version"] {
		version, err = 0, nil
	}
	f.check()
	known, knownErr := p.knownGroups(r, f.groups)
	switch {
	case knownErr != nil:
		return knownErr
	case err != nil || version < 0:
		return p.userAgain(w, r, v, f, http.StatusConflict, FaultConflict)
	case !known:
		// Somebody deleted a group while the form stood open.
		return p.userAgain(w, r, v, f, http.StatusConflict, FaultConflict)
	case len(f.faults) > 0:
		return p.userAgain(w, r, v, f, http.StatusUnprocessableEntity, FaultForm)
	}
	_, err = p.directory.EditUser(r.Context(), u, identity.Edit{Version: version, Name: f.name, Email: f.email, EmailVerified: f.verified, Groups: f.groups})
	switch {
	case errors.Is(err, identity.ErrNotGranted):
		f.faults["name"] = Say("user.fault.not_granted")
		return p.userAgain(w, r, v, f, http.StatusUnprocessableEntity, FaultForm)
	case errors.Is(err, store.ErrConflict):
		return p.userAgain(w, r, v, f, http.StatusConflict, FaultConflict)
	case errors.Is(err, store.ErrLastAdministrator):
		return p.userAgain(w, r, v, f, http.StatusUnprocessableEntity, FaultLastAdministrator)
	case errors.Is(err, store.ErrNotFound):
		return p.userAgain(w, r, v, f, http.StatusConflict, FaultConflict)
	case err != nil:
		return err
	}
	return see(w, pathUsers+"/"+u.Sub+"?done=user_saved")
}

// keepUnsent fills what the form did not send with what there is. An address
// that changes is not verified unless the form says so.
func (p *Portal) keepUnsent(r *http.Request, u identity.User, f *userForm) error {
	if !f.has["name"] {
		f.name = u.Name
	}
	if !f.has["email"] {
		f.email = u.Email
	}
	if !f.has["email"] && !f.has["email_verified"] {
		f.verified = u.EmailVerified
	}
	if !f.has["groups"] {
		var err error
		f.groups, err = p.store.GroupsOf(r.Context(), u.Sub)
		return err
	}
	return nil
}

// userAgain shows a person's page with what was typed and why it was not saved.
// Its version is the one of now: whoever saves again has seen what there is.
func (p *Portal) userAgain(w http.ResponseWriter, r *http.Request, v identity.Visitor, f userForm, status int, fault string) error {
	u, err := p.person(r)
	if err != nil {
		return err
	}
	page, err := p.userDetails(r, v, u)
	if err != nil {
		return err
	}
	page.Fault, page.Fields = fault, editFields(f)
	for i := range page.Groups {
		page.Groups[i].On = slices.Contains(f.groups, page.Groups[i].Value)
	}
	return p.render.Render(w, status, page)
}

// resetMFA removes the second factors and shows, this once, the link to hand
// over.
func (p *Portal) resetMFA(w http.ResponseWriter, r *http.Request, v identity.Visitor, u identity.User) error {
	link, err := p.directory.ResetMFA(r.Context(), u)
	if err != nil {
		return err
	}
	return p.showLink(w, r, v, OneTimeLink{URL: link.URL, Expires: link.Expires, For: Say("link.factor")})
}

// recoveryLink shows, this once, the link that lets a person set another
// password.
func (p *Portal) recoveryLink(w http.ResponseWriter, r *http.Request, v identity.Visitor, u identity.User) error {
	link, err := p.directory.RecoveryLink(r.Context(), u)
	if errors.Is(err, identity.ErrNoPassword) {
		return p.refuseUser(w, r, v, u, FaultForm, Say("user.fault.no_password"))
	}
	if errors.Is(err, identity.ErrDisabled) {
		return p.refuseUser(w, r, v, u, FaultForm, Say("user.fault.disabled"))
	}
	if errors.Is(err, identity.ErrNotGranted) {
		return p.refuseUser(w, r, v, u, FaultForm, Say("user.fault.not_granted"))
	}
	if err != nil {
		return err
	}
	return p.showLink(w, r, v, OneTimeLink{URL: link.URL, Expires: link.Expires, For: Say("link.password")})
}

func (p *Portal) showLink(w http.ResponseWriter, r *http.Request, v identity.Visitor, link OneTimeLink) error {
	u, err := p.person(r)
	if err != nil {
		return err
	}
	page, err := p.userDetails(r, v, u)
	if err != nil {
		return err
	}
	page.Link = &link
	return p.render.Render(w, http.StatusOK, page)
}

// askUser is the page that asks before an action on a person; nil for none.
func askUser(u identity.User, action string) *AskPage {
	path := pathUsers + "/" + url.PathEscape(u.Sub)
	page := &AskPage{Place: pathUsers, Action: path, Back: path, Button: Hidden{"action", action}}
	switch action {
	case "sign-out":
		page.Title, page.Submit = Say("ask.sign_out", "user", u.Username), Say("user.sign_out.submit")
		page.Text = Say("ask.sign_out.text")
		page.Consequences = []Sentence{Say("ask.sign_out.sessions"), Say("ask.sign_out.tokens"), Say("ask.sign_out.again")}
		page.Choices = []Field{{Name: "consents", Kind: FieldCheckbox, Label: Say("ask.sign_out.consents"), Hint: Say("ask.sign_out.consents.hint")}}
	case "reset-mfa":
		page.Title, page.Submit = Say("ask.reset", "user", u.Username), Say("user.reset.submit")
		page.Text = Say("ask.reset.text")
		page.Consequences = []Sentence{Say("ask.reset.factors"), Say("ask.sign_out.sessions"), Say("ask.reset.link")}
	case "disable":
		page.Title, page.Submit = Say("ask.disable", "user", u.Username), Say("user.disable.submit")
		page.Text = Say("ask.disable.text")
		page.Consequences = []Sentence{Say("ask.sign_out.sessions"), Say("ask.sign_out.tokens"), Say("ask.disable.links")}
	case "delete":
		page.Title, page.Submit = Say("ask.delete", "user", u.Username), Say("user.delete.submit")
		page.Text = Say("ask.delete.text")
		page.Consequences = []Sentence{Say("ask.sign_out.sessions"), Say("ask.sign_out.tokens"), Say("ask.delete.data"), Say("ask.delete.trail")}
	default:
		return nil
	}
	return page
}
