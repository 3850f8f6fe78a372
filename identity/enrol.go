package identity

import (
	"bytes"
	"context"
	"errors"

	"peerage/store"
)

// Enrolment is a TOTP secret that waits for its first right code.
type Enrolment struct {
	Secret string // base32
	URL    string // otpauth, for the QR code
}

// BeginTOTP gives the enrolment in progress of a person in this browser, or
// begins one. All tabs of a browser show the same secret; another browser gets
// a new one, which ends the first: whoever knows only the password must not
// watch the secret that the person is about to enrol.
// Errors: ErrAlreadyEnrolled; ErrNeedsLink, unless u comes from a sign-in
// (Pending) that used the link up.
func (d *Directory) BeginTOTP(ctx context.Context, b Browser, u User) (Enrolment, error) {
	if u.TOTP {
		return Enrolment{}, ErrAlreadyEnrolled
	}
	if u.NeedsLink {
		// Whoever knows only the password must not see the secret that the
		// person with the link is about to enrol.
		return Enrolment{}, ErrNeedsLink
	}
	secret, err := d.waitingSecret(ctx, b, u)
	if err == nil && secret == "" {
		// Two tabs at once: the second waits for what the first makes, whether the
		// first is still there or not.
		err = d.alone(ctx, u.Sub, func(ctx context.Context) (err error) {
			secret, err = d.pendingSecret(ctx, b, u)
			return err
		})
	}
	if err != nil {
		return Enrolment{}, err
	}
	return Enrolment{secret, totpURL(d.Brand, u.Username, secret)}, nil
}

// waitingSecret is the secret of this browser's enrolment in progress, "" when
// there is none.
func (d *Directory) waitingSecret(ctx context.Context, b Browser, u User) (string, error) {
	pending, err := d.store.PendingTOTP(ctx, u.Sub)
	if errors.Is(err, store.ErrNotFound) || err == nil && !bytes.Equal(pending.BrowserHash, Hash(b.ID)) {
		return "", nil
	}
	return string(pending.Secret), err
}

// pendingSecret is the secret of the enrolment in progress, or of a new one.
func (d *Directory) pendingSecret(ctx context.Context, b Browser, u User) (string, error) {
	if secret, err := d.waitingSecret(ctx, b, u); err != nil || secret != "" {
		return secret, err
	}
	backend, err := d.backendOf(u)
	if err != nil {
		return "", err
	}
	secret, err := backend.NewTOTP(ctx, u)
	if err != nil {
		return "", err
	}
	return secret, d.store.PutPendingTOTP(ctx, u.Sub, []byte(secret), Hash(b.ID), enrolLifetime)
}

// EnrolSignIn completes an enrolment that a half-done sign-in demanded and
// returns the secret of the new session, which has two factors.
func (d *Directory) EnrolSignIn(ctx context.Context, b Browser, code string) (secret string, err error) {
	pending, user, err := d.Pending(ctx, b)
	if err != nil {
		return "", err
	}
	if pending.Challenged {
		return "", ErrNoSignIn
	}
	if user.NeedsLink {
		return "", ErrNeedsLink
	}
	if err := d.activate(ctx, b, user, code); err != nil {
		return "", err
	}
	return d.complete(ctx, b, pending, user, ACRTwoFactors, "otp", "mfa")
}

// EnrolVisitor completes an enrolment from a session, which becomes one of two
// factors under a new secret.
func (d *Directory) EnrolVisitor(ctx context.Context, b Browser, v Visitor, code string) (secret string, err error) {
	if v.User.NeedsLink {
		return "", ErrNeedsLink
	}
	if err := d.activate(ctx, b, v.User, code); err != nil {
		return "", err
	}
	return d.strengthen(ctx, b, v.Session, ACRTwoFactors, "otp", "mfa")
}

func (d *Directory) activate(ctx context.Context, b Browser, u User, code string) error {
	backend, err := d.backendOf(u)
	if err != nil {
		return err
	}
	if u.TOTP {
		return ErrAlreadyEnrolled // a right code must not clear the count of wrong ones
	}
	err = d.alone(ctx, u.Sub, func(ctx context.Context) error { return d.prove(ctx, backend, b, u, code) })
	if errors.Is(err, errNoEnrolment) {
		return ErrWrongCode // too old, or begun elsewhere since: the page shows a new secret
	}
	d.Audit.Event(ctx, Event{Name: "totp_enable", User: u.Username, Sub: u.Sub, Result: resultOf(err)})
	if err == nil {
		d.notify(ctx, u, MailFactorAdded)
	}
	return err
}

// errNoEnrolment: nothing was tried.
var errNoEnrolment = errors.New("no enrolment in progress")

// prove compares the code of an enrolment, and makes the factor count.
func (d *Directory) prove(ctx context.Context, backend Backend, b Browser, u User, code string) error {
	pending, err := d.store.PendingTOTP(ctx, u.Sub)
	if errors.Is(err, store.ErrNotFound) || err == nil && !bytes.Equal(pending.BrowserHash, Hash(b.ID)) {
		return errNoEnrolment
	}
	if err != nil {
		return err
	}
	var step int64
	err = d.attempt(ctx, codeThrottle(u.Username), "code", func() error {
		var ok bool
		if step, ok = CheckCode(string(pending.Secret), code, d.now()); !ok {
			return ErrWrongCode
		}
		return nil
	})
	if err != nil {
		return err
	}
	return backend.ActivateTOTP(ctx, u, step)
}

// DisableTOTP removes a person's TOTP factor after one more right code, with
// the password where Proofs asks for both. Who has a passkey too, and may have
// lost the phone, needs none: the caller has checked that a factor is fresh.
// With the last second factor the recovery codes go too.
func (d *Directory) DisableTOTP(ctx context.Context, b Browser, v Visitor, password, code string) (secret string, err error) {
	backend, err := d.backendOf(v.User)
	if err != nil {
		return "", err
	}
	if code != "" || v.User.Passkeys == 0 {
		if secret, err = d.Confirm(ctx, b, v, password, code); err != nil {
			return "", err
		}
	}
	// The codes first: were the factor gone first and the process then killed,
	// they would come to life again with the next factor.
	if err = d.store.RemoveOrphanedRecoveryCodes(ctx, v.User.Sub); err == nil {
		err = d.alone(ctx, v.User.Sub, func(ctx context.Context) error { return backend.RemoveTOTP(ctx, v.User) })
	}
	d.Audit.Event(ctx, Event{Name: "totp_disable", User: v.User.Username, Sub: v.User.Sub, Result: resultOf(err)})
	if err == nil {
		d.notify(ctx, v.User, MailFactorRemoved)
	}
	return secret, err
}

// ResetMFA removes a person's second factors and recovery codes and signs them
// out everywhere.
// Enrolling again needs the link that it returns.
func (d *Directory) ResetMFA(ctx context.Context, u User) (Link, error) {
	backend, err := d.backendOf(u)
	if err != nil {
		return Link{}, err
	}
	// The link is demanded first: were the factor gone first and the process
	// then killed, the password alone would enrol a new one.
	link := d.newLink(store.PurposeFactor, LinkLifetime)
	stored, err := d.store.ResetFactors(ctx, u.Sub, Hash(link.Token), LinkLifetime)
	if err == nil {
		err = d.alone(ctx, u.Sub, func(ctx context.Context) error { return backend.RemoveTOTP(ctx, u) })
		d.endAtBackend(ctx, u)
	}
	d.Audit.Event(ctx, Event{Name: "admin_totp_reset", User: u.Username, Sub: u.Sub, Result: resultOf(err)})
	if err != nil {
		return Link{}, err
	}
	d.notify(ctx, u, MailFactorReset)
	link.Expires = stored.ExpiresAt
	return link, nil
}

// FactorLink tells whose link this is without using it; ErrLinkExpired.
func (d *Directory) FactorLink(ctx context.Context, token string) (User, error) {
	return d.linkUser(ctx, token, store.PurposeFactor)
}

// UseFactorLink uses a link up after a right password. It signs nobody in: it
// only lets this browser go on to enrol a second factor.
func (d *Directory) UseFactorLink(ctx context.Context, b Browser, token, password string) error {
	user, err := d.FactorLink(ctx, token)
	if err != nil {
		return err
	}
	if user.Origin == store.OriginPeeringDB {
		// There is no password to ask for: they sign in at PeeringDB next, and may
		// enrol then.
		return linkError(d.store.UseFactorLink(ctx, Hash(token)))
	}
	login, backend, _, err := d.login(ctx, user.Username, password)
	if err != nil {
		d.Audit.Event(ctx, Event{Name: "login_failure", User: user.Username, Sub: user.Sub, Result: resultOf(err)})
		return err
	}
	if len(login.Challenge) > 0 || user.Passkeys > 0 {
		err = ErrLinkExpired // a factor exists again: the link has no purpose
	} else if _, err = d.store.TakeLink(ctx, Hash(token), store.PurposeFactor); err != nil {
		err = linkError(err)
	}
	if err != nil {
		d.giveBack(ctx, backend, login.Token)
		return err
	}
	return d.putSignIn(ctx, b, user.User, login, true)
}
