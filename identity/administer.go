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
	if utf8.RuneCountInString(name) > MaxName || CheckShown(name) != nil {
		return fmt.Errorf("the name must have at most %d characters, and none that is not shown", MaxName)
	}
	return nil
}

// CheckShown tells whether a name holds only what can be seen. What turns text
// around or hides in it would show another name than the one that is there;
// the joiners (U+200C, U+200D) are part of how some languages are written.
func CheckShown(name string) error {
	hidden := func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != '\u200c' && r != '\u200d'
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, hidden) {
		return errors.New("it has characters that are not shown")
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
	e.EmailVerified = e.EmailVerified && e.Email != ""
	undo, err := d.putProfile(ctx, u, e)
	if err != nil {
		return false, err
	}
	change, err := d.store.EditUser(ctx, store.UserEdit{Sub: u.Sub, Version: e.Version, Name: e.Name, Email: e.Email,
		EmailVerified: e.EmailVerified, Groups: e.Groups})
	if err != nil {
		return false, errors.Join(err, undo())
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

// putProfile keeps a changed name or address where the person's backend has its
// own. undo puts back what was there.
func (d *Directory) putProfile(ctx context.Context, u User, e Edit) (undo func() error, err error) {
	nothing := func() error { return nil }
	if e.Name == u.Name && e.Email == u.Email {
		return nothing, nil
	}
	b, ok := d.backends[u.Origin]
	if !ok {
		return nothing, nil
	}
	if e.Version != 0 && e.Version != u.Version {
		return nil, store.ErrConflict
	}
	if err := b.SetProfile(ctx, u, e.Name, e.Email); err != nil {
		return nil, err
	}
	return func() error { return b.SetProfile(context.WithoutCancel(ctx), u, u.Name, u.Email) }, nil
}

// keepAdministrator is store.ErrLastAdministrator when nobody but u could
// administer. The store keeps the last one of its own group; this is for those
// whose group, or account, is at a backend.
func (d *Directory) keepAdministrator(ctx context.Context, u User) error {
	if !d.IsAdmin(u) || u.Disabled || u.Origin == OriginLocal && d.primary.Origin() == OriginLocal {
		return nil
	}
	const page = 200
	for offset := 0; ; offset += page {
		people, err := d.store.FindUsers(ctx, store.UserFilter{State: store.UsersActive, Limit: page, Offset: offset})
		if err != nil {
			return err
		}
		for _, row := range people {
			if row.Sub == u.Sub {
				continue
			}
			other, err := d.withGroups(ctx, row, nil)
			if err != nil {
				return err
			}
			if d.IsAdmin(other) && !other.Disabled {
				return nil
			}
		}
		if len(people) < page {
			return store.ErrLastAdministrator
		}
	}
}

// SetDisabled disables a person (all their sessions and tokens end) or enables
// them. store.ErrLastAdministrator: nobody else could administer; ErrNotGranted:
// their backend does not let us.
func (d *Directory) SetDisabled(ctx context.Context, u User, disabled bool) error {
	if disabled {
		if err := d.keepAdministrator(ctx, u); err != nil {
			return err
		}
	}
	if b, ok := d.backends[u.Origin]; ok {
		if err := b.SetDisabled(ctx, u, disabled); err != nil {
			return err
		}
	}
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
// trail stays. Errors as of SetDisabled.
func (d *Directory) DeleteUser(ctx context.Context, u User) error {
	if err := d.keepAdministrator(ctx, u); err != nil {
		return err
	}
	if b, ok := d.backends[u.Origin]; ok {
		if err := b.RemoveAccount(ctx, u); err != nil {
			return err
		}
	}
	token, err := d.store.PeeringDBToken(ctx, u.Sub)
	if err != nil {
		d.log.WarnContext(ctx, "reading the PeeringDB token of a person who is deleted", "sub", u.Sub, "error", err)
	}
	ended, err := d.store.DeleteUser(ctx, u.Sub)
	if err != nil {
		return err
	}
	d.giveBackAll(ctx, u, ended)
	d.personEvent(ctx, "user_delete", u)
	d.revokePeeringDB(context.WithoutCancel(ctx), token)
	return nil
}

// SignOutEverywhere ends a person's sessions, refresh tokens and access tokens;
// applications are told, and credentials of a backend given back. With consents
// it also forgets what the person agreed to share.
func (d *Directory) SignOutEverywhere(ctx context.Context, u User, consents bool) error {
	if _, err := d.store.SignOutEverywhere(ctx, u.Sub, consents); err != nil {
		return err
	}
	d.endAtBackend(ctx, u)
	d.personEvent(ctx, "session_revoke", u, slog.String("sessions", "all"))
	if consents {
		d.personEvent(ctx, "consent_revoke", u, slog.String("consents", "all"))
	}
	return nil
}

// endAtBackend ends all credentials that a person's sign-ins gave at their
// backend. Where that fails they end by themselves: here the person is out.
func (d *Directory) endAtBackend(ctx context.Context, u User) {
	b, ok := d.backends[u.Origin]
	if !ok {
		return
	}
	if err := b.SignOutEverywhere(context.WithoutCancel(ctx), u); err != nil {
		d.log.ErrorContext(ctx, "ending a person's credentials at their backend; they live until they end by themselves", "sub", u.Sub, "error", err)
	}
}

// Unlock forgets the wrong passwords and codes of a person, so that they need
// not wait, also at their backend. Counts of addresses stay.
func (d *Directory) Unlock(ctx context.Context, u User) error {
	if b, ok := d.backends[u.Origin]; ok {
		if err := b.Unlock(ctx, u); err != nil {
			return err
		}
	}
	for _, key := range []string{accountThrottle(u.Username).Key, codeThrottle(u.Username).Key, userCodeThrottles(u.Username, "")[0].Key} {
		if err := d.store.ForgiveAttempt(ctx, key, true); err != nil {
			return err
		}
	}
	d.personEvent(ctx, "user_unlock", u)
	return nil
}

// Roll is what lists of people show that is not in their rows, of all backends.
// ErrUnavailable: a backend does not answer; what the others say comes with it.
func (d *Directory) Roll(ctx context.Context) (all Roll, err error) {
	for _, b := range d.backends {
		roll, fault := b.Roll(ctx)
		all.TOTP, all.Locked = append(all.TOTP, roll.TOTP...), append(all.Locked, roll.Locked...)
		err = errors.Join(err, fault)
	}
	return all, err
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

// ChangeMembers puts people into a local group or takes them out, all or none,
// and returns those who were not so already.
// Errors: store.ErrNotFound, store.ErrLastAdministrator.
func (d *Directory) ChangeMembers(ctx context.Context, group string, people []User, add bool) (changed []User, err error) {
	subs := make([]string, 0, len(people))
	for _, u := range people {
		subs = append(subs, u.Sub)
		if slices.Contains(u.Memberships, Membership{group, OriginLocal}) != add {
			changed = append(changed, u)
		}
	}
	if err := d.store.ChangeMembers(ctx, group, subs, add); err != nil {
		return nil, err
	}
	event := "group_member_remove"
	if add {
		event = "group_member_add"
	}
	for _, u := range changed {
		d.personEvent(ctx, event, u, slog.String("group", group))
	}
	return changed, nil
}

func (d *Directory) personEvent(ctx context.Context, name string, u User, detail ...slog.Attr) {
	d.Audit.Event(ctx, Event{Name: name, User: u.Username, Sub: u.Sub, Result: resultSuccess, Detail: detail})
}

// giveBackAll gives the backend's credentials of ended sessions back.
func (d *Directory) giveBackAll(ctx context.Context, u User, ended []store.Session) {
	for _, s := range ended {
		d.giveBackTo(ctx, u.Origin, s.BackendToken)
	}
}
