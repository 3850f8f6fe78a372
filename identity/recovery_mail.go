package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"peerage/store"
)

// recovery is somebody's request for a new password, as it lies in the outbox.
type recovery struct {
	Email     string `json:"email"`
	IP        string `json:"ip"`
	RequestID string `json:"request_id"`
}

// maxRecovered bounds how many people of one address get a mail for one request.
const maxRecovered = 5

// mailThrottles bound the mails with links that anybody may ask for, by who
// asks and by who gets them: nobody is to be flooded from here.
func mailThrottles(network, email string) []store.Throttle {
	list := []store.Throttle{{Key: "mail_to:" + strings.ToLower(email), Free: 5, Hard: true, Window: time.Hour}}
	if network != "" {
		list = append(list, store.Throttle{Key: "mail_address:" + network, Free: 20, Hard: true, Window: time.Hour})
	}
	return list
}

func mailPersonThrottle(sub string) store.Throttle {
	return store.Throttle{Key: "mail_person:" + sub, Free: 5, Hard: true, Window: time.Hour}
}

// RequestRecovery notes that somebody who cannot sign in asks for a mail to
// that address. Whether anybody has it is looked up later, in the background:
// the answer and its time must not tell. Errors: ErrWrongEmail,
// *ThrottledError, errors.ErrUnsupported when mail is not configured.
func (d *Directory) RequestRecovery(ctx context.Context, email string) error {
	if d.mailer == nil {
		return errors.ErrUnsupported
	}
	email = strings.TrimSpace(email)
	if email == "" || CheckEmail(email) != nil {
		return ErrWrongEmail
	}
	caller := CallerFrom(ctx)
	if err := d.takeAttempt(ctx, "mail", mailThrottles(caller.Network, email)...); err != nil {
		return err
	}
	content, err := json.Marshal(recovery{email, caller.IP, caller.RequestID})
	if err != nil {
		return fmt.Errorf("keeping a request: %w", err)
	}
	return d.store.PutOutgoing(ctx, store.Outgoing{Kind: outgoingRecovery, Content: content})
}

// recoverBy mails a link to everybody who has the address of a request. The
// mail goes to the address that we have and not to the one that was typed:
// they may look alike and not be the same.
func (d *Directory) recoverBy(ctx context.Context, o store.Outgoing) error {
	var r recovery
	if err := json.Unmarshal(o.Content, &r); err != nil {
		return errors.Join(ErrMailRefused, err)
	}
	ctx = WithCaller(ctx, Caller{IP: r.IP, RequestID: r.RequestID})
	people, err := d.store.UsersByEmail(ctx, r.Email, maxRecovered)
	if err != nil {
		return err
	}
	for _, p := range people {
		if err := d.recoverOne(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (d *Directory) recoverOne(ctx context.Context, p store.User) error {
	u, err := d.withGroups(ctx, p, nil)
	if err != nil {
		return err
	}
	if has, err := d.hasPassword(ctx, u); err != nil || !has || u.Disabled || !u.EmailVerified {
		return err
	}
	var throttled *ThrottledError
	if err := d.takeAttempt(ctx, "mail", mailPersonThrottle(u.Sub)); errors.As(err, &throttled) {
		return nil
	} else if err != nil {
		return err
	}
	_, err = d.putLink(ctx, u, store.PurposePassword, mailedLinkLifetime, MailRecovery)
	if errors.Is(err, ErrLinkExpired) {
		return nil // disabled or moved to another address just now
	}
	d.Audit.Event(ctx, Event{Name: "recovery_link_create", User: u.Username, Sub: u.Sub, Result: resultOf(err), Detail: []slog.Attr{slog.String("by", "mail")}})
	return err
}

// hasPassword tells whether a person has a password that we could change.
func (d *Directory) hasPassword(ctx context.Context, u User) (bool, error) {
	b, err := d.backendOf(u)
	if err != nil {
		return false, nil
	}
	if u.Origin == store.OriginPeeringDB {
		return false, nil // a link to a password would be a way in beside PeeringDB
	}
	if err := b.Granted(ctx); errors.Is(err, ErrNotGranted) {
		return false, nil
	} else if err != nil || u.Origin != OriginLocal {
		return err == nil, err
	}
	_, err = d.store.PasswordHash(ctx, u.Sub)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// RequestVerification mails a person the link that proves their address.
// Errors: ErrWrongEmail when they have none, *ThrottledError,
// errors.ErrUnsupported when mail is not configured.
func (d *Directory) RequestVerification(ctx context.Context, u User) error {
	switch {
	case d.mailer == nil:
		return errors.ErrUnsupported
	case u.EmailVerified:
		return nil
	case u.Email == "":
		return ErrWrongEmail
	}
	throttles := append(mailThrottles(CallerFrom(ctx).Network, u.Email), mailPersonThrottle(u.Sub))
	if err := d.takeAttempt(ctx, "mail", throttles...); err != nil {
		return err
	}
	_, err := d.putLink(ctx, u, store.PurposeEmail, mailedLinkLifetime, MailVerification)
	return err
}

// EmailLink tells whose address this link proves, without using it;
// ErrLinkExpired.
func (d *Directory) EmailLink(ctx context.Context, token string) (User, error) {
	return d.linkUser(ctx, token, store.PurposeEmail)
}

// VerifyEmail uses a link up: whoever opened it reads the mail of that address.
func (d *Directory) VerifyEmail(ctx context.Context, token string) (User, error) {
	link, err := d.store.VerifyEmail(ctx, Hash(token))
	if err != nil {
		return User{}, linkError(err)
	}
	u, err := d.User(ctx, link.Sub)
	if err != nil {
		return User{}, err
	}
	d.Audit.Event(ctx, Event{Name: "email_verify", User: u.Username, Sub: u.Sub, Result: resultSuccess})
	return u, nil
}
