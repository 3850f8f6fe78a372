package identity

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"peerage/store"
)

// How long links live (contract section 3).
const (
	// LinkLifetime is that of an administrator's one-time link.
	LinkLifetime       = 24 * time.Hour
	InvitationLifetime = 7 * 24 * time.Hour
	// mailedLinkLifetime is that of links that people ask for by themselves.
	mailedLinkLifetime = 15 * time.Minute
)

// Link is a one-time link. None signs anybody in or removes a factor.
type Link struct {
	Token string
	// URL is the whole address, under the issuer and never under the host
	// that a request named (CVE-2024-47070).
	URL     string
	Expires time.Time
}

// linkPaths are where links of each purpose lead.
var linkPaths = map[string]string{
	store.PurposeFactor: "/recover/", store.PurposePassword: "/recover/",
	store.PurposeInvitation: "/invite/", store.PurposeEmail: "/verify-email/",
}

func (d *Directory) newLink(purpose string, lifetime time.Duration) Link {
	token := NewSecret()
	return Link{Token: token, URL: d.Issuer + linkPaths[purpose] + token, Expires: d.now().Add(lifetime)}
}

// putLink makes a link for a person, with the mail that carries it when kind
// is not "". ErrLinkExpired: the person is disabled or has another address by now.
func (d *Directory) putLink(ctx context.Context, u User, purpose string, lifetime time.Duration, kind MailKind) (Link, error) {
	link := d.newLink(purpose, lifetime)
	var mail *store.Outgoing
	if kind != "" {
		var err error
		if mail, err = d.outgoing(ctx, u.User, Mail{Kind: kind, URL: link.URL, Expires: link.Expires}); err != nil {
			return Link{}, err
		}
	}
	stored, err := d.store.PutLink(ctx, Hash(link.Token), u.Sub, purpose, u.Email, lifetime, mail)
	link.Expires = stored.ExpiresAt
	return link, linkError(err)
}

// linkError is ErrLinkExpired for what the store does not find.
func linkError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrLinkExpired
	}
	return err
}

// Invite makes a person who has no password yet, and the link that lets
// them set one. When mail is configured it is mailed too. The password of n is
// ignored. Errors as of CreateUser.
func (d *Directory) Invite(ctx context.Context, n NewUser) (Link, error) {
	n.Password = ""
	link := d.newLink(store.PurposeInvitation, InvitationLifetime)
	u, err := d.makeUser(ctx, n, func(u store.User, _ Account) error {
		mail, err := d.outgoing(ctx, u, Mail{Kind: MailInvitation, URL: link.URL, Expires: link.Expires})
		if err != nil {
			return err
		}
		stored, err := d.store.Invite(ctx, u, n.Groups, Hash(link.Token), InvitationLifetime, mail)
		link.Expires = stored.ExpiresAt
		return err
	})
	if err != nil {
		return Link{}, err
	}
	d.personEvent(ctx, "user_invite", User{User: u})
	return link, nil
}

// RecoveryLink makes the link that an administrator hands to a person who has
// lost their password: it lets them set another one and nothing else.
// ErrDisabled: disabled people get none. ErrNoPassword: nor do people who prove
// themselves elsewhere. ErrNotGranted: it would be of no use.
func (d *Directory) RecoveryLink(ctx context.Context, u User) (Link, error) {
	b, err := d.backendOf(u)
	if err == nil {
		err = b.Granted(ctx)
	}
	if err != nil {
		return Link{}, err
	}
	if u.Origin == store.OriginPeeringDB {
		return Link{}, ErrNoPassword
	}
	if u.Disabled {
		return Link{}, ErrDisabled
	}
	link, err := d.putLink(ctx, u, store.PurposePassword, LinkLifetime, "")
	d.Audit.Event(ctx, Event{Name: "recovery_link_create", User: u.Username, Sub: u.Sub, Result: resultOf(err), Detail: []slog.Attr{slog.String("by", "administrator")}})
	return link, err
}

// linkUser tells whose link this is without using it; ErrLinkExpired.
func (d *Directory) linkUser(ctx context.Context, token, purpose string) (User, error) {
	link, err := d.store.Link(ctx, Hash(token), purpose)
	if err != nil {
		return User{}, linkError(err)
	}
	u, err := d.User(ctx, link.Sub)
	if err == nil && u.Disabled {
		err = ErrLinkExpired // at their backend
	}
	return u, linkError(err)
}

// PasswordLink tells whose link to a new password this is, or whose invitation,
// without using it; ErrLinkExpired.
func (d *Directory) PasswordLink(ctx context.Context, token string, invitation bool) (User, error) {
	return d.linkUser(ctx, token, passwordPurpose(invitation))
}

func passwordPurpose(invitation bool) string {
	if invitation {
		return store.PurposeInvitation
	}
	return store.PurposePassword
}

// UsePasswordLink uses a link up and sets the password, which ends all
// sessions and refresh families. A password that is not acceptable uses
// nothing up. It signs nobody in, and a second factor is still asked for.
func (d *Directory) UsePasswordLink(ctx context.Context, token string, invitation bool, password string) error {
	purpose := passwordPurpose(invitation)
	u, err := d.linkUser(ctx, token, purpose)
	if err != nil {
		return err
	}
	backend, err := d.backendOf(u)
	if err != nil {
		return err
	}
	if err := CheckPassword(u.Username, password); err != nil {
		return err
	}
	link, err := d.store.TakeLink(ctx, Hash(token), purpose)
	if err != nil {
		return linkError(err)
	}
	ctx = context.WithoutCancel(ctx) // the link is spent: hanging up must not stop what it was for
	if err = backend.SetPassword(ctx, u, password); err != nil {
		err = errors.Join(err, d.store.ReturnLink(ctx, link))
	}
	d.metrics.password.WithLabelValues(resultOf(err)).Inc()
	d.Audit.Event(ctx, Event{Name: "password_reset", User: u.Username, Sub: u.Sub, Result: resultOf(err), Detail: []slog.Attr{slog.String("by", purpose)}})
	if err == nil && !invitation {
		d.notify(ctx, u, MailPasswordChanged)
	}
	return err
}
