package identity

import (
	"context"
	"errors"
	"log/slog"

	"peerage/store"
)

// HasPassword tells whether a person signs in by a password that can be changed
// here. People of an upstream have none of ours.
func (d *Directory) HasPassword(ctx context.Context, u User) (bool, error) {
	b, err := d.backendOf(u)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return b.HasPassword(ctx, u)
}

// ChangePassword gives a signed-in person another password and returns the
// session's new secret. Every other session of theirs ends, and every token
// that was handed out. Errors: those of CheckPassword, which try nothing;
// ErrWrongCredentials; ErrWrongCode; *ThrottledError; ErrUnavailable;
// ErrNotFresh: a passkey is the second factor, and was not given just now;
// ErrNoSession: the password was changed, but this session ended meanwhile.
func (d *Directory) ChangePassword(ctx context.Context, b Browser, v Visitor, current, code, password string) (secret string, err error) {
	backend, err := d.backendOf(v.User)
	if err != nil {
		return "", err
	}
	if v.User.HasSecondFactor() && !v.User.TOTP && !d.Fresh(v) {
		return "", ErrNotFresh // no code can be asked for beside the password
	}
	var changed Changed
	if err = CheckPassword(v.User.Username, password); err == nil {
		err = d.attemptBoth(ctx, v.User, func() error {
			return d.metrics.timed(ctx, backend, "change_password", func(ctx context.Context) (err error) {
				changed, err = backend.ChangePassword(ctx, v.User, PasswordChange{Current: current, Code: code, New: password, Keep: v.Session.ID})
				return err
			})
		})
	}
	d.metrics.password.WithLabelValues(resultOf(err)).Inc()
	event := Event{Name: "password_change", User: v.User.Username, Sub: v.User.Sub, Result: resultOf(err)}
	if err != nil {
		event.Detail = []slog.Attr{slog.String("reason", reason(err))}
	}
	d.Audit.Event(ctx, event)
	if err != nil {
		d.giveBack(ctx, backend, changed.Token)
		return "", err
	}
	// The change is done: nothing below may be lost with the caller.
	ctx = context.WithoutCancel(ctx)
	d.notify(ctx, v.User, MailPasswordChanged)
	for _, s := range changed.Ended {
		d.ended(ctx, s, "session_revoke")
	}
	if changed.Token != nil {
		if err := d.renewToken(ctx, backend, v.Session, changed); err != nil {
			return "", err
		}
	}
	switch {
	case v.User.TOTP:
		return d.strengthen(ctx, b, v.Session, ACRTwoFactors, "otp", "mfa")
	case v.User.HasSecondFactor():
		return d.rotate(ctx, b) // the password is no fresh factor of who has a passkey
	}
	return d.strengthen(ctx, b, v.Session, v.Session.ACR)
}

// rotate moves a session under a new secret, so that whoever knew the old one
// has nothing.
func (d *Directory) rotate(ctx context.Context, b Browser) (secret string, err error) {
	secret = NewSecret()
	err = d.store.RotateSession(ctx, Hash(b.Session), Hash(secret))
	if errors.Is(err, store.ErrNotFound) {
		return "", ErrNoSession
	}
	return secret, err
}

// renewToken puts the backend's new credential into the session that goes on.
func (d *Directory) renewToken(ctx context.Context, backend Backend, s store.Session, c Changed) error {
	err := d.store.ReplaceBackendToken(ctx, s.ID, c.Token, c.Expires)
	if err != nil {
		d.giveBack(ctx, backend, c.Token)
		if errors.Is(err, store.ErrNotFound) {
			err = ErrNoSession
		}
		return err
	}
	d.giveBack(ctx, backend, s.BackendToken)
	return nil
}

// attemptBoth counts one try at a password and a code together. The error of
// check says which of them was wrong; the other is not counted, so that wrong
// passwords do not use up the few codes.
func (d *Directory) attemptBoth(ctx context.Context, u User, check func() error) error {
	password, code := accountThrottle(u.Username), codeThrottle(u.Username)
	throttles := []store.Throttle{password}
	if u.TOTP {
		throttles = append(throttles, code)
	}
	network := CallerFrom(ctx).Network
	if network != "" {
		throttles = append(throttles, addressThrottle(network))
	}
	if err := d.takeAttempt(ctx, "login", throttles...); err != nil {
		return err
	}
	err := check()
	ctx = context.WithoutCancel(ctx)
	wrongPassword, wrongCode := errors.Is(err, ErrWrongCredentials), errors.Is(err, ErrWrongCode)
	for _, t := range throttles {
		if wrongPassword && t.Key != code.Key || wrongCode && t.Key != password.Key {
			continue // a wrong one counts, for the address too
		}
		// Who was right takes the wrong tries before back, but not their address's.
		all := err == nil && (t.Key == password.Key || t.Key == code.Key)
		if err := d.store.ForgiveAttempt(ctx, t.Key, all); err != nil {
			return err
		}
	}
	return err
}
