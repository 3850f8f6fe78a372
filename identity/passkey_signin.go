package identity

import (
	"context"
	"log/slog"
)

// SignInPasskey signs in the person whose passkey answers, without a password,
// and returns the secret of the new session. It holds no credential of a
// remote backend. ErrWrongPasskey.
func (d *Directory) SignInPasskey(ctx context.Context, b Browser, response string) (secret string, err error) {
	user, _, err := d.assert(ctx, b, PasskeySignIn, "", response)
	if err == nil {
		secret, err = d.begin(ctx, b, user.User, Login{Sub: user.Sub}, ACRPasskey, []string{"hwk", "user"})
	}
	if err != nil {
		d.metrics.logins.WithLabelValues(resultOf(err)).Inc()
		d.Audit.Event(ctx, Event{Name: "login_failure", User: user.Username, Sub: user.Sub, Result: resultOf(err), Detail: []slog.Attr{slog.String("reason", reason(err))}})
		return "", err
	}
	d.signedIn(ctx, user.User)
	return secret, nil
}

// AnswerPasskey completes a half-done sign-in with a passkey of its person and
// returns the secret of the new session. ErrNoSignIn, ErrWrongPasskey.
func (d *Directory) AnswerPasskey(ctx context.Context, b Browser, response string) (secret string, err error) {
	pending, user, err := d.Pending(ctx, b)
	if err != nil {
		return "", err
	}
	if !pending.Challenged {
		return "", ErrNoSignIn
	}
	_, verified, err := d.assert(ctx, b, PasskeyAnswer, user.Sub, response)
	d.Audit.Event(ctx, codeEvent(user, err))
	if err != nil {
		d.metrics.logins.WithLabelValues(resultOf(err)).Inc()
		return "", err
	}
	return d.complete(ctx, b, pending, user, passkeyClass(verified), "hwk", "user", "mfa")
}

// ConfirmPasskey is Confirm with a passkey.
func (d *Directory) ConfirmPasskey(ctx context.Context, b Browser, v Visitor, response string) (secret string, err error) {
	_, verified, err := d.assert(ctx, b, PasskeyConfirm, v.User.Sub, response)
	d.Audit.Event(ctx, codeEvent(v.User, err))
	if err != nil {
		return "", err
	}
	return d.strengthen(ctx, b, v.Session, passkeyClass(verified), "hwk", "user", "mfa")
}

// passkeyClass is the class of a session that began with another factor and
// was given a passkey: without user verification it is the second of two.
func passkeyClass(verified bool) string {
	if verified {
		return ACRPasskey
	}
	return ACRTwoFactors
}
