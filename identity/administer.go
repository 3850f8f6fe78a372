package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"peerage/store"
)

// ErrAdminGroup: the group of the administrators cannot be deleted.
var ErrAdminGroup = errors.New("the group of the administrators stays")

// MaxName is how many characters a person's name has at most.
const MaxName = 128

// CheckName tells whether a person may be called so; no name at all is fine.
func CheckName(name string) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > MaxName || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("the name must have at most %d characters, and none that is not shown", MaxName)
	}
	return nil
}

// Edit is what an administrator changes of a person.
type Edit struct {
	// Version is the one that the administrator has seen; 0 changes whatever
	// there is.
	Version       int64
	Name          string
	Email         string
	EmailVerified bool
	// Groups are the local groups from now on.
	Groups []string
}

// EditUser changes a person; changed is false when they are like that already.
// Errors: those of CheckName and CheckEmail; store.ErrConflict when somebody else
// changed the person since Version; store.ErrNotFound for a group that does not
// exist; store.ErrLastAdministrator. All or nothing is changed.
func (d *Directory) EditUser(ctx context.Context, u User, e Edit) (changed bool, err error) {
	if err := errors.Join(CheckName(e.Name), CheckEmail(e.Email)); err != nil {
		return false, err
	}
	change, err := d.store.EditUser(ctx, store.UserEdit{Sub: u.Sub, Version: e.Version, Name: e.Name, Email: e.Email,
		EmailVerified: e.EmailVerified, Groups: e.Groups})
	if err != nil {
		return false, err
	}
	if len(change.Fields) > 0 {
		d.personEvent(ctx, "user_update", u, slog.String("fields", strings.Join(change.Fields, " ")))
	}
	if slices.Contains(change.Fields, "email") {
		d.notify(ctx, User{User: change.Before}, MailEmailChanged) // to the address of before
	}
	for _, g := range change.Joined {
		d.personEvent(ctx, "group_member_add", u, slog.String("group", g))
	}
	for _, g := range change.Parted {
		d.personEvent(ctx, "group_member_remove", u, slog.String("group", g))
	}
	return !change.Empty(), nil
}

// SetDisabled disables a person (all their sessions and tokens end) or enables
// them. store.ErrLastAdministrator: nobody else could administer.
func (d *Directory) SetDisabled(ctx context.Context, u User, disabled bool) error {
	ended, err := d.store.SetDisabled(ctx, u.Sub, disabled)
	if err != nil {
		return err
	}
	d.giveBackAll(ctx, u, ended)
	name := "user_enable"
	if disabled {
		name = "user_disable"
	}
	d.personEvent(ctx, name, u)
	return nil
}

// DeleteUser removes a person with everything that hangs on them; the audit
// trail stays. store.ErrLastAdministrator: nobody else could administer.
func (d *Directory) DeleteUser(ctx context.Context, u User) error {
	ended, err := d.store.DeleteUser(ctx, u.Sub)
	if err != nil {
		return err
	}
	d.giveBackAll(ctx, u, ended)
	d.personEvent(ctx, "user_delete", u)
	return nil
}

// SignOutEverywhere ends a person's sessions, refresh tokens and access tokens;
// applications are told, and credentials of a backend given back. With consents
// it also forgets what the person agreed to share.
func (d *Directory) SignOutEverywhere(ctx context.Context, u User, consents bool) error {
	ended, err := d.store.SignOutEverywhere(ctx, u.Sub, consents)
	if err != nil {
		return err
	}
	d.giveBackAll(ctx, u, ended)
	d.personEvent(ctx, "session_revoke", u, slog.String("sessions", "all"))
	if consents {
		d.personEvent(ctx, "consent_revoke", u, slog.String("consents", "all"))
	}
	return nil
}

// Unlock forgets the wrong passwords and codes of a person, so that they need
// not wait. Counts of addresses stay.
func (d *Directory) Unlock(ctx context.Context, u User) error {
	for _, key := range []string{accountThrottle(u.Username).Key, codeThrottle(u.Username).Key, userCodeThrottles(u.Username, "")[0].Key} {
		if err := d.store.ForgiveAttempt(ctx, key, true); err != nil {
			return err
		}
	}
	d.personEvent(ctx, "user_unlock", u)
	return nil
}

// CreateGroup makes an empty local group. store.ErrExists: there is one of
// that name; else an error of CheckGroupName.
func (d *Directory) CreateGroup(ctx context.Context, name string) error {
	if err := CheckGroupName(name); err != nil {
		return err
	}
	if err := d.store.CreateGroup(ctx, name); err != nil {
		return err
	}
	d.personEvent(ctx, "group_create", User{}, slog.String("group", name))
	return nil
}

// DeleteGroup removes a local group; its members lose it. Errors: ErrAdminGroup,
// store.ErrNotFound.
func (d *Directory) DeleteGroup(ctx context.Context, name string) error {
	if name == d.AdminGroup {
		return ErrAdminGroup
	}
	if err := d.store.DeleteGroup(ctx, name); err != nil {
		return err
	}
	d.personEvent(ctx, "group_delete", User{}, slog.String("group", name))
	return nil
}

// ChangeMembers puts people into a local group or takes them out, all or none.
// Errors: store.ErrNotFound, store.ErrLastAdministrator.
func (d *Directory) ChangeMembers(ctx context.Context, group string, people []User, add bool) error {
	subs := make([]string, 0, len(people))
	for _, u := range people {
		subs = append(subs, u.Sub)
	}
	if err := d.store.ChangeMembers(ctx, group, subs, add); err != nil {
		return err
	}
	event := "group_member_remove"
	if add {
		event = "group_member_add"
	}
	for _, u := range people {
		d.personEvent(ctx, event, u, slog.String("group", group))
	}
	return nil
}

func (d *Directory) personEvent(ctx context.Context, name string, u User, detail ...slog.Attr) {
	d.Audit.Event(ctx, Event{Name: name, User: u.Username, Sub: u.Sub, Result: resultSuccess, Detail: detail})
}

// giveBackAll gives the backend's credentials of ended sessions back.
func (d *Directory) giveBackAll(ctx context.Context, u User, ended []store.Session) {
	b, ok := d.backends[u.Origin]
	if !ok {
		return
	}
	for _, s := range ended {
		d.giveBack(context.WithoutCancel(ctx), b, s.BackendToken)
	}
}
