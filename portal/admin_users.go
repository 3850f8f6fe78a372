package portal

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"peerage/identity"
	"peerage/store"
)

// usersPerPage is how many people one page of a list shows.
const usersPerPage = 50

// pathUsers is the list of people, and the beginning of each person's page.
const pathUsers = "/admin/users"

// States of the list of people beside those of the store.
const (
	stateAdmins = "administrators"
	stateOrigin = "origin-" // followed by the origin
)

// users lists the people that were asked for.
func (p *Portal) users(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	query := r.URL.Query()
	page := pageNumber(query)
	filter := store.UserFilter{Text: query.Get("q"), Limit: usersPerPage + 1, Offset: (page - 1) * usersPerPage}
	state := query.Get("state")
	switch {
	case state == stateAdmins:
		filter.Group = p.directory.AdminGroup
	case strings.HasPrefix(state, stateOrigin):
		filter.Origin = strings.TrimPrefix(state, stateOrigin)
	default:
		filter.State = store.UserState(state)
	}
	if !slices.ContainsFunc(userStates, func(o Option) bool { return o.Value == state }) {
		state, filter.Origin, filter.State = "", "", ""
	}
	roll, away, err := p.roll(r)
	if err != nil {
		return err
	}
	filter.Factors = roll.TOTP
	found, err := p.store.FindUsers(r.Context(), filter)
	if err != nil {
		return err
	}
	total, err := p.store.CountUsers(r.Context())
	if err != nil {
		return err
	}
	shown := &UsersPage{Base: p.base(r, &v), Total: total, Away: away, Done: query.Get("done"),
		Search: Field{Name: "q", Kind: FieldSearch, Label: Say("users.search"), Value: filter.Text},
		State:  Field{Name: "state", Kind: FieldSelect, Label: Say("users.state"), Value: state, Options: userStates},
		Pager:  newPager(pathUsers, url.Values{"q": {filter.Text}, "state": {state}}, page, len(found) > usersPerPage)}
	shown.Pager.Status = Say("users.total", "n", total)
	for _, u := range found[:min(len(found), usersPerPage)] {
		row := personRow(u)
		row.SecondFactor = row.SecondFactor || slices.Contains(roll.TOTP, u.Sub)
		row.Locked = slices.Contains(roll.Locked, u.Username)
		shown.People = append(shown.People, row)
	}
	p.directory.Audit.Event(r.Context(), identity.Event{Name: "admin_user_list", User: v.User.Username, Sub: v.User.Sub, Result: "success"})
	return p.render.Render(w, http.StatusOK, shown)
}

// roll is what the backends say of everybody. While one is away, the list goes
// on without, and says so.
func (p *Portal) roll(r *http.Request) (roll identity.Roll, away bool, err error) {
	roll, err = p.directory.Roll(r.Context())
	if errors.Is(err, identity.ErrUnavailable) {
		p.log.WarnContext(r.Context(), "a list goes on without what a backend knows", "error", err)
		return roll, true, nil
	}
	return roll, false, err
}

var userStates = []Option{
	{Value: "", Label: Say("users.state.any")},
	{Value: string(store.UsersActive), Label: Say("users.state.active")},
	{Value: string(store.UsersDisabled), Label: Say("users.state.disabled")},
	{Value: string(store.UsersWithoutFactor), Label: Say("users.state.no_factor")},
	{Value: stateAdmins, Label: Say("users.state.admins")},
	{Value: stateOrigin + identity.OriginLocal, Label: Say("users.state.local")},
	{Value: stateOrigin + originOpenBao, Label: Say("users.state.openbao")},
	{Value: stateOrigin + originPeeringDB, Label: Say("users.state.peeringdb")},
}

// Origins of people that this package names beside the local one.
const (
	originOpenBao   = "openbao"
	originPeeringDB = "peeringdb"
)

func personRow(u store.User) PersonRow {
	return PersonRow{Sub: u.Sub, UserName: u.Username, Name: u.Name, Email: u.Email, Origin: originName(u.Origin),
		Disabled: u.Disabled, SecondFactor: u.HasSecondFactor(), LastSignIn: u.LastLoginAt}
}

func originName(origin string) Sentence {
	switch origin {
	case originOpenBao:
		return Say("origin.openbao")
	case originPeeringDB:
		return Say("origin.peeringdb")
	}
	return Say("origin.local")
}

// newUserPage is the form for a new person.
func (p *Portal) newUserPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	return p.newUserForm(w, r, v, http.StatusOK, userForm{})
}

func (p *Portal) newUserForm(w http.ResponseWriter, r *http.Request, v identity.Visitor, status int, f userForm) error {
	groups, err := p.groupBoxes(r, f.groups)
	if err != nil {
		return err
	}
	page := &NewUserPage{Base: p.base(r, &v), Groups: groups, Fields: append([]Field{f.usernameField()}, f.fields()...)}
	if status != http.StatusOK {
		page.Fault = FaultForm
	}
	return p.render.Render(w, status, page)
}

// newUser makes a person.
func (p *Portal) newUser(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	f := readUserForm(r)
	f.checkNew()
	known, err := p.knownGroups(r, f.groups)
	if err != nil {
		return err
	}
	if !known {
		f.faults["name"] = Say("user.fault.groups")
	}
	if len(f.faults) > 0 {
		return p.newUserForm(w, r, v, http.StatusUnprocessableEntity, f)
	}
	// Nobody types a password for somebody else: who is new gets a link.
	link, err := p.directory.Invite(r.Context(), identity.NewUser{Username: f.username, Name: f.name, Email: f.email, EmailVerified: f.verified, Groups: f.groups})
	if errors.Is(err, identity.ErrNotGranted) {
		f.faults["username"] = Say("user.fault.not_granted")
		return p.newUserForm(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if errors.Is(err, store.ErrExists) {
		f.faults["username"] = Say("user.fault.taken", "user", identity.NormalizeUsername(f.username))
		return p.newUserForm(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	u, err := p.directory.UserByName(r.Context(), f.username)
	if err != nil {
		return err
	}
	r.SetPathValue("sub", u.Sub)
	page, err := p.userDetails(r, v, u)
	if err != nil {
		return err
	}
	page.Done, page.Link = "user_created", &OneTimeLink{URL: link.URL, Expires: link.Expires, For: Say("link.invitation")}
	return p.render.Render(w, http.StatusOK, page)
}

// knownGroups tells whether all these local groups exist.
func (p *Portal) knownGroups(r *http.Request, names []string) (bool, error) {
	for _, name := range names {
		_, err := p.store.Group(r.Context(), name)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// groupBoxes are checkboxes of all local groups, those of chosen ticked.
func (p *Portal) groupBoxes(r *http.Request, chosen []string) ([]Field, error) {
	groups, err := p.store.Groups(r.Context())
	if err != nil {
		return nil, err
	}
	fields := make([]Field, 0, len(groups))
	for i, g := range groups {
		fields = append(fields, Field{Name: "groups", ID: domID("group", i), Kind: FieldCheckbox, Label: Say("groups.one", "group", g.Name), Value: g.Name, On: slices.Contains(chosen, g.Name)})
	}
	return fields, nil
}
