package identity

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrWrongCredentials: user name or password is wrong, or the person is
	// disabled or locked; nobody is told which.
	ErrWrongCredentials = errors.New("wrong user name or password")
	// ErrDenied is an ErrWrongCredentials of somebody whom a backend locked or
	// disabled: the same words, told apart by the audit trail alone.
	ErrDenied = fmt.Errorf("%w", ErrWrongCredentials)
	// ErrWrongCode: the code is wrong, too old or was used before.
	ErrWrongCode = errors.New("wrong code")
	// ErrNoSignIn: no sign-in is in progress in this browser (any more).
	ErrNoSignIn = errors.New("no sign-in in progress")
	// ErrUnavailable: the backend does not answer; this says nothing about the password.
	ErrUnavailable = errors.New("identity backend unavailable")
	// ErrNoSession: the browser is not signed in.
	ErrNoSession = errors.New("not signed in")
	// ErrNeedsLink: enrolling a second factor needs a one-time link.
	ErrNeedsLink = errors.New("a one-time link is needed")
	// ErrAlreadyEnrolled: an active second factor exists.
	ErrAlreadyEnrolled = errors.New("a second factor is already enrolled")
	// ErrWrongPasskey: the answer of a passkey was not accepted. Nobody is told
	// why: the passkey may be unknown, removed, or its person disabled.
	ErrWrongPasskey = errors.New("the passkey was not accepted")
	// ErrNoPasskey: there is no passkey to ask for, or none can be added.
	ErrNoPasskey = errors.New("no passkey")
	// ErrNotFresh: the person must first show that it is still them, see Fresh.
	ErrNotFresh = errors.New("a fresh factor is needed")
	// ErrNoSecondFactor: the person has none, so nothing can stand in for it.
	ErrNoSecondFactor = errors.New("no second factor")
	// ErrLinkExpired: the one-time link is unknown, used, replaced or too old.
	ErrLinkExpired = errors.New("the link is no longer valid")
	// ErrDisabled: this is not done for a person who is disabled.
	ErrDisabled = errors.New("the person is disabled")
	// ErrNoPassword: the person proves themselves elsewhere and has none here.
	ErrNoPassword = errors.New("the person has no password here")
	// ErrNotGranted: the backend does not let us do this; its operator can.
	ErrNotGranted = errors.New("the identity backend does not allow this")
	// ErrWrongEmail: that is no e-mail address, or there is none.
	ErrWrongEmail = errors.New("not an e-mail address")
)

// ThrottledError: too many wrong attempts; nothing was checked.
type ThrottledError struct{ Wait time.Duration }

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many wrong attempts, wait %s", e.Wait.Round(time.Second))
}
