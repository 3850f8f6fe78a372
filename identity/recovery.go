package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"

	"peerage/store"
)

const (
	// RecoveryCodes is how many recovery codes a person gets at a time.
	RecoveryCodes = 10
	// recoveryLength is in characters of five bits each. Sixty bits, ten wrong
	// tries in 15 minutes: nobody guesses one.
	recoveryLength = 12
	// recoveryAlphabet has no letters that pass for digits or for each other
	// (Crockford's base 32).
	recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

// newRecoveryCode makes 60 random bits, normalised.
func newRecoveryCode() string {
	var b [recoveryLength]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = recoveryAlphabet[b[i]%32] // 32 divides 256: no bias
	}
	return string(b[:])
}

// ShowRecoveryCode writes a code as xxxx-xxxx-xxxx.
func ShowRecoveryCode(code string) string {
	return code[:4] + "-" + code[4:8] + "-" + code[8:]
}

var misread = strings.NewReplacer(" ", "", "-", "", "\u2010", "", "\u2011", "", "\u2013", "", "\u00a0", "", "\t", "", "o", "0", "i", "1", "l", "1")

// NormalizeRecoveryCode brings a code, as typed, into the form that is hashed:
// case, spaces, dashes and letters read for digits do not matter. ok is false
// for what cannot be a recovery code.
func NormalizeRecoveryCode(typed string) (code string, ok bool) {
	if len(typed) > 64 {
		return "", false
	}
	code = misread.Replace(strings.ToLower(strings.TrimSpace(typed)))
	return code, len(code) == recoveryLength && strings.Trim(code, recoveryAlphabet) == ""
}

// CreateRecoveryCodes makes ten new recovery codes, as they are to be shown,
// once; those from before no longer work. ErrNoSecondFactor: there is nothing
// yet that they could stand in for.
func (d *Directory) CreateRecoveryCodes(ctx context.Context, v Visitor) ([]string, error) {
	if !v.User.HasSecondFactor() {
		return nil, ErrNoSecondFactor
	}
	codes, shown := make([]string, RecoveryCodes), make([]string, RecoveryCodes)
	for i := range codes {
		codes[i] = newRecoveryCode()
		shown[i] = ShowRecoveryCode(codes[i])
	}
	err := d.store.PutRecoveryCodes(ctx, v.User.Sub, codes)
	d.Audit.Event(ctx, Event{Name: "recovery_codes_create", User: v.User.Username, Sub: v.User.Sub, Result: resultOf(err)})
	if err != nil {
		return nil, err
	}
	d.notify(ctx, v.User, MailRecoveryCodesMade)
	return shown, nil
}

// RecoveryState tells how many recovery codes a person has left.
func (d *Directory) RecoveryState(ctx context.Context, u User) (store.RecoveryState, error) {
	return d.store.RecoveryState(ctx, u.Sub)
}

// AnswerRecovery completes a half-done sign-in with a recovery code and
// returns the secret of the new session. What a remote backend hands out for a
// code of its own is missing in it. Errors: as Answer.
func (d *Directory) AnswerRecovery(ctx context.Context, b Browser, code string) (secret string, err error) {
	pending, user, err := d.Pending(ctx, b)
	if err != nil {
		return "", err
	}
	if !pending.Challenged {
		return "", ErrNoSignIn
	}
	if err := d.useRecoveryCode(ctx, user, code); err != nil {
		d.metrics.logins.WithLabelValues(resultOf(err)).Inc()
		return "", err
	}
	return d.complete(ctx, b, pending, user, ACRTwoFactors, "otp", "mfa")
}

// complete ends a half-done sign-in whose second factor was given here and
// not at the backend.
func (d *Directory) complete(ctx context.Context, b Browser, pending PendingSignIn, user User, acr string, amr ...string) (secret string, err error) {
	login, err := d.takeSignIn(ctx, b, user.Sub)
	if err != nil {
		return "", err
	}
	if secret, err = d.begin(ctx, b, user.User, login, acr, pending.with(amr...)); err != nil {
		return "", err
	}
	d.signedIn(ctx, user.User)
	return secret, nil
}

// ConfirmRecovery is Confirm with a recovery code.
func (d *Directory) ConfirmRecovery(ctx context.Context, b Browser, v Visitor, code string) (secret string, err error) {
	if !v.User.HasSecondFactor() {
		return "", ErrWrongCode
	}
	if err := d.useRecoveryCode(ctx, v.User, code); err != nil {
		return "", err
	}
	return d.strengthen(ctx, b, v.Session, ACRTwoFactors, "otp", "mfa")
}

// useRecoveryCode uses a code up. It is counted with the codes of the
// authenticator app: whoever guesses has ten tries for both.
func (d *Directory) useRecoveryCode(ctx context.Context, u User, typed string) error {
	var left int64
	err := d.attempt(ctx, codeThrottle(u.Username), "code", func() error {
		code, ok := NormalizeRecoveryCode(typed)
		if !ok {
			return ErrWrongCode
		}
		var err error
		if left, err = d.store.TakeRecoveryCode(ctx, u.Sub, code); errors.Is(err, store.ErrNotFound) {
			err = ErrWrongCode
		}
		return err
	})
	d.Audit.Event(ctx, codeEvent(u, err))
	if err == nil {
		d.Audit.Event(ctx, Event{Name: "recovery_code_use", User: u.Username, Sub: u.Sub, Result: resultSuccess, Detail: []slog.Attr{slog.Int64("left", left)}})
		d.notify(ctx, u, MailRecoveryCodeUsed)
	}
	return err
}
