package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"peerage/store"
)

// Browser is the pair of cookie secrets of one browser.
type Browser struct {
	// ID binds half-done sign-ins and authorizations to the browser.
	ID string
	// Session is "" when nobody is signed in.
	Session string
}

// signInLifetime is how long a second factor may be outstanding: OpenBao
// forgets its own challenge after five minutes.
const signInLifetime = 5 * time.Minute

// enrolLifetime is how long an enrolment may take.
const enrolLifetime = 10 * time.Minute

// SignIn checks a password. It returns the secret of a new session, or "" when
// a second factor (or its enrolment) is outstanding: see Pending.
// Errors: ErrWrongCredentials, *ThrottledError, ErrUnavailable.
func (d *Directory) SignIn(ctx context.Context, b Browser, username, password string) (secret string, err error) {
	name := NormalizeUsername(username)
	login, backend, known, err := d.login(ctx, name, password)
	if err != nil {
		d.metrics.logins.WithLabelValues(resultOf(err)).Inc()
		// The person of that name finds it among their own activity.
		d.Audit.Event(ctx, Event{Name: "login_failure", User: name, Sub: known.Sub, Result: resultOf(err), Detail: []slog.Attr{slog.String("reason", reason(err))}})
		return "", err
	}
	person, err := d.User(ctx, login.Sub)
	if err != nil {
		d.giveBack(ctx, backend, login.Token)
		return "", fmt.Errorf("finding the person who signed in: %w", err)
	}
	user := person.User
	challenged := len(login.Challenge) > 0 || person.Passkeys > 0
	if !challenged && !user.NeedsLink && !d.MustHaveMFA(person) {
		if secret, err = d.begin(ctx, b, user, login, ACROneFactor, []string{"pwd"}); err != nil {
			return "", err
		}
		d.signedIn(ctx, user)
		return secret, nil
	}
	d.Audit.Event(ctx, challengeEvent(user, challenged))
	return "", d.putSignIn(ctx, b, user, login, false)
}

// login asks the backend that has the person, and tells who has that name. A
// name that nobody has goes to the first backend, whose answer costs the same.
// The Login's Token is the caller's to keep or to give back to that backend.
func (d *Directory) login(ctx context.Context, name, password string) (login Login, backend Backend, known store.User, err error) {
	if name == "" || password == "" || len(name) > 256 || strings.ContainsFunc(name, unicode.IsControl) {
		return Login{}, nil, store.User{}, ErrWrongCredentials // nobody can be called that
	}
	backend = d.primary
	known, err = d.store.UserByName(ctx, name)
	if err == nil {
		if b, ok := d.backends[known.Origin]; ok {
			backend = b
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return Login{}, nil, store.User{}, err
	}
	err = d.attempt(ctx, accountThrottle(name), "login", func() error {
		return d.metrics.timed(ctx, backend, "login", func(ctx context.Context) (err error) {
			if d.beside(known) {
				login, err = d.loginBeside(ctx, backend, name, password)
			} else {
				login, err = backend.Login(ctx, name, password)
			}
			return err
		})
	})
	if err != nil {
		d.giveBack(ctx, backend, login.Token)
	}
	return login, backend, known, err
}

// loginBeside checks the password of a local person beside another backend. A
// wrong one costs and answers what any other name's does, also while that
// backend is away: else the names of those who come in then could be found out.
// The backend is asked for a name that nobody has; the password stays here.
func (d *Directory) loginBeside(ctx context.Context, local Backend, name, password string) (Login, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := make(chan error, 1)
	go func() {
		decoy := sha256.Sum256([]byte("in the place of " + name))
		_, err := d.primary.Login(ctx, "decoy-"+hex.EncodeToString(decoy[:16]), NewSecret())
		asked <- err
	}()
	login, err := local.Login(ctx, name, password)
	if !errors.Is(err, ErrWrongCredentials) {
		return login, err
	}
	if elsewhere := <-asked; elsewhere != nil {
		err = elsewhere
	}
	return Login{}, err
}

func (d *Directory) signedIn(ctx context.Context, u store.User) {
	d.metrics.logins.WithLabelValues(resultSuccess).Inc()
	e := Event{Name: "login_success", User: u.Username, Sub: u.Sub, Result: resultSuccess}
	if d.beside(u) {
		e.Detail = []slog.Attr{slog.String("origin", u.Origin)}
	}
	d.Audit.Event(ctx, e)
}

// Answer completes a half-done sign-in with a code and returns the secret of
// the new session. Errors: ErrWrongCode, ErrNoSignIn, *ThrottledError, ErrUnavailable.
func (d *Directory) Answer(ctx context.Context, b Browser, code string) (secret string, err error) {
	pending, user, err := d.Pending(ctx, b)
	if err != nil {
		return "", err
	}
	if len(pending.Challenge) == 0 {
		return "", ErrNoSignIn
	}
	backend, err := d.backendOf(user)
	if err != nil {
		return "", err
	}
	var login Login
	err = d.attempt(ctx, codeThrottle(user.Username), "code", func() error {
		return d.metrics.timed(ctx, backend, "answer", func(ctx context.Context) (err error) {
			login, err = backend.Answer(ctx, user.Username, pending.Challenge, code)
			return err
		})
	})
	if err == nil && login.Sub != user.Sub {
		err = ErrNoSignIn // the name went to another person at the backend meanwhile
	}
	d.Audit.Event(ctx, codeEvent(user, err))
	if err != nil {
		d.giveBack(ctx, backend, login.Token)
		d.metrics.logins.WithLabelValues(resultOf(err)).Inc()
		if errors.Is(err, ErrNoSignIn) {
			// Gone here too: else the browser is asked for a code again and again.
			return "", errors.Join(ErrNoSignIn, d.ForgetSignIn(ctx, b))
		}
		return "", err
	}
	before, err := d.takeSignIn(ctx, b, user.Sub)
	d.giveBack(ctx, backend, before.Token) // of the password alone, given anew meanwhile
	if err != nil {
		d.giveBack(ctx, backend, login.Token)
		return "", err
	}
	if secret, err = d.begin(ctx, b, user.User, login, ACRTwoFactors, pending.with("otp", "mfa")); err != nil {
		return "", err
	}
	d.signedIn(ctx, user.User)
	return secret, nil
}

// Confirm checks anew that a signed-in person is there (a fresh factor) and
// returns the session's new secret. code may be a recovery code; for a passkey
// see ConfirmPasskey.
func (d *Directory) Confirm(ctx context.Context, b Browser, v Visitor, password, code string) (secret string, err error) {
	if _, ok := NormalizeRecoveryCode(code); ok && v.User.HasSecondFactor() || v.User.HasSecondFactor() && !v.User.TOTP {
		return d.ConfirmRecovery(ctx, b, v, code) // the password alone is not enough for who has a passkey
	}
	return d.Renew(ctx, b, v, password, code)
}

// Renew asks the backend alone whether a signed-in person is there, and returns
// the session's new secret. The session gets the person's own credential at the
// backend, when it has none. Where the second factor is a passkey, what the
// backend checks is no fresh factor, see Fresh.
func (d *Directory) Renew(ctx context.Context, b Browser, v Visitor, password, code string) (secret string, err error) {
	backend, err := d.backendOf(v.User)
	if err != nil {
		return "", err
	}
	throttle, rule := accountThrottle(v.User.Username), "login"
	if v.User.TOTP {
		throttle, rule = codeThrottle(v.User.Username), "code"
	}
	var login Login
	err = d.attempt(ctx, throttle, rule, func() error {
		return d.metrics.timed(ctx, backend, "confirm", func(ctx context.Context) (err error) {
			login, err = backend.Confirm(ctx, v.User, password, code)
			return err
		})
	})
	if v.User.TOTP {
		d.Audit.Event(ctx, codeEvent(v.User, err))
	} else if err != nil {
		d.Audit.Event(ctx, Event{Name: "login_failure", User: v.User.Username, Sub: v.User.Sub, Result: resultOf(err), Detail: []slog.Attr{slog.String("reason", "confirm")}})
	}
	if err == nil {
		err = d.takeToken(ctx, backend, v.Session, login)
	} else {
		d.giveBack(ctx, backend, login.Token)
	}
	switch {
	case err != nil:
		return "", err
	case v.User.TOTP:
		return d.strengthen(ctx, b, v.Session, ACRTwoFactors, "otp", "mfa")
	case v.User.HasSecondFactor():
		return d.rotate(ctx, b)
	}
	return d.strengthen(ctx, b, v.Session, v.Session.ACR)
}

// takeToken puts the backend's credential of a confirmation into a session
// that has none. One that is there stays: what hangs on it would end with it.
func (d *Directory) takeToken(ctx context.Context, backend Backend, s store.Session, l Login) error {
	if len(l.Token) == 0 {
		return nil
	}
	if len(s.BackendToken) > 0 {
		d.giveBack(ctx, backend, l.Token)
		return nil
	}
	return d.renewToken(ctx, backend, s, Changed{Token: l.Token, Expires: l.Expires})
}

// ForgetToken takes the backend's credential, which has ended, out of a session.
func (d *Directory) ForgetToken(ctx context.Context, v Visitor) error {
	err := d.store.ReplaceBackendToken(ctx, v.Session.ID, nil, time.Time{})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Proofs are what may show that a signed-in person is still there.
type Proofs struct {
	// Password and Code are asked for together where both are set.
	Password, Code bool
	// Recovery: a recovery code will do, in the field of the code.
	Recovery bool
	// Passkey: a passkey will do instead.
	Passkey bool
	// PeeringDB: the person signs in there once more.
	PeeringDB bool
}

// Proofs says what Confirm and ConfirmPasskey ask of a person.
func (d *Directory) Proofs(ctx context.Context, u User) (Proofs, error) {
	p := Proofs{PeeringDB: d.MayConfirmByPeeringDB(u)}
	if b, err := d.backendOf(u); err == nil && (u.TOTP || !u.HasSecondFactor()) {
		p.Password, p.Code = b.ConfirmFields(u)
	}
	if !u.HasSecondFactor() {
		return p, nil
	}
	p.Passkey = u.Passkeys > 0 && d.PasskeysOffered()
	state, err := d.RecoveryState(ctx, u)
	p.Recovery = state.Left > 0
	return p, err
}

// challengeEvent tells that the password was right and a second factor, or
// its enrolment, is asked for.
func challengeEvent(u store.User, enrolled bool) Event {
	e := Event{Name: "mfa_challenge", User: u.Username, Sub: u.Sub, Result: resultSuccess}
	switch {
	case enrolled:
	case u.NeedsLink:
		e.Detail = []slog.Attr{slog.String("next", "one_time_link")}
	default:
		e.Detail = []slog.Attr{slog.String("next", "enrolment")}
	}
	return e
}

func codeEvent(u User, err error) Event {
	e := Event{Name: "mfa_success", User: u.Username, Sub: u.Sub, Result: resultSuccess}
	if err != nil {
		e.Name, e.Result, e.Detail = "mfa_failure", resultOf(err), []slog.Attr{slog.String("reason", reason(err))}
	}
	return e
}

// reason is one word for the log; it never reaches the person.
func reason(err error) string {
	var throttled *ThrottledError
	var refused *passkeyError
	switch {
	case errors.As(err, &throttled):
		return "throttled"
	case errors.As(err, &refused):
		return refused.reason
	case errors.Is(err, ErrDenied):
		return "locked_or_denied"
	case errors.Is(err, ErrWrongCredentials):
		return "wrong_credentials"
	case errors.Is(err, ErrWrongCode):
		return "wrong_code"
	case errors.Is(err, ErrNoSignIn):
		return "no_signin"
	case errors.Is(err, ErrUnavailable):
		return "backend_unavailable"
	}
	return "internal"
}
