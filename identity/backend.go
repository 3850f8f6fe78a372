package identity

import (
	"context"
	"time"

	"peerage/store"
)

// Backend checks passwords and second factors of people of one origin. The
// Directory puts throttle, audit and metrics around it, and remembers between
// two requests what a backend wants back.
//
// Two kinds of server fit behind it: one that is ours and checks a code at any
// time (local), and one that is remote, makes TOTP secrets itself, checks a
// code only as the second half of a login and hands out a credential of its
// own for each person (OpenBao).
type Backend interface {
	// Origin names the people it serves, as in store.User.Origin.
	Origin() string
	// Login checks a password. Unknown, wrong, disabled and locked are all
	// ErrWrongCredentials, in the same time.
	Login(ctx context.Context, username, password string) (Login, error)
	// Answer completes a login whose Challenge was not empty. ErrWrongCode:
	// the challenge stays good. ErrNoSignIn: it died, begin with the password
	// again. *ThrottledError: the backend itself wants a pause.
	Answer(ctx context.Context, username string, challenge []byte, code string) (Login, error)
	// ConfirmFields says what Confirm asks of this person.
	ConfirmFields(user User) (password, code bool)
	// Confirm checks anew that this is the person (a fresh factor). The Login
	// has no Challenge; its Token is the caller's to keep or to give back.
	Confirm(ctx context.Context, user User, password, code string) (Login, error)
	// NewTOTP makes a base32 secret for an enrolment that is not active yet.
	NewTOTP(ctx context.Context, user User) (secret string, err error)
	// ActivateTOTP makes the pending secret count, after one right code for
	// the given RFC 6238 time step.
	ActivateTOTP(ctx context.Context, user User, step int64) error
	// RemoveTOTP removes the person's TOTP factor.
	RemoveTOTP(ctx context.Context, user User) error
	// SetPassword sets a password, which CheckPassword accepted, without asking
	// for the old one and signs the person out everywhere.
	SetPassword(ctx context.Context, user User, password string) error
	// HasPassword tells whether the person has a password at the backend.
	HasPassword(ctx context.Context, user User) (bool, error)
	// ChangePassword replaces the password of a person who gives their current
	// one, and a code of now when they have a second factor. All else that the
	// person has open ends: sessions save the one to keep, half-done sign-ins,
	// tokens. ErrWrongCredentials: the current password is wrong, and the code
	// was not spent. ErrWrongCode: the password was right.
	ChangePassword(ctx context.Context, user User, change PasswordChange) (Changed, error)
	// State is what the backend knows of a person now.
	State(ctx context.Context, user User) (State, error)
	// SignOut gives back the person's own credential at the backend.
	SignOut(ctx context.Context, token []byte) error
	// SignOutEverywhere ends every credential that the person's sign-ins at the
	// backend gave, those of other programs too.
	SignOutEverywhere(ctx context.Context, user User) error
	Accounts
}

// Accounts is what administrators do at a backend.
type Accounts interface {
	// Granted is ErrNotGranted where the backend's operator does not let us make,
	// change and delete accounts, nor set passwords.
	Granted(ctx context.Context) error
	// HasAccount tells whether somebody has an account of that name, known here
	// or not.
	HasAccount(ctx context.Context, username string) (bool, error)
	// NewAccount makes what the backend keeps of a new person; the caller makes
	// their row next, and takes the account back where that fails. Without a
	// password in it, nobody knows the account's. store.ErrExists: there is one.
	NewAccount(ctx context.Context, person NewUser) (Account, error)
	// RemoveAccount removes the account of a person who is deleted. One that is
	// gone already is no fault.
	RemoveAccount(ctx context.Context, user User) error
	// SetProfile keeps name and e-mail address where the backend has its own.
	SetProfile(ctx context.Context, user User, name, email string) error
	// SetDisabled keeps a person out at the backend, or lets them in.
	SetDisabled(ctx context.Context, user User, disabled bool) error
	// Unlock ends the pause that the backend itself makes after wrong passwords.
	Unlock(ctx context.Context, user User) error
	// Roll is what a list of people shows that is not in their rows.
	Roll(ctx context.Context) (Roll, error)
	// HasMember tells whether anybody is in one of the backend's own groups.
	HasMember(ctx context.Context, group string) (bool, error)
}

// Account is a new person at a backend.
type Account struct {
	Sub          string
	PasswordHash string // of a password that is kept here; "" for none
}

// Roll is what a backend says of all its people at once.
type Roll struct {
	// TOTP holds the subs of those who have that factor, for people of whom no
	// row here says so.
	TOTP []string
	// Locked holds the user names of those whom the backend keeps out for a
	// while after wrong passwords.
	Locked []string
}

// PasswordChange is what a person gives to have another password.
type PasswordChange struct {
	Current string
	Code    string // "" for people without second factor
	New     string // which CheckPassword accepted
	Keep    string // id of the session that goes on
}

// Changed is what a backend says of a changed password.
type Changed struct {
	// Token is the person's new credential at the backend, for the session that
	// goes on; nil leaves it with the one that it has. Expires is when it ends.
	Token   []byte
	Expires time.Time
	// Ended are the sessions that ended, with their backend's credentials.
	Ended []store.Session
}

// State is what only the backend can say of a person.
type State struct {
	// Groups come on top of the local groups.
	Groups []string
	// TOTP tells whether a code is asked at sign-in.
	TOTP bool
	// Disabled tells that the backend lets the person in no more.
	Disabled bool
}

// Login is what a backend says of a right password (and code).
type Login struct {
	// Sub is the person, who has a row in the store by now: a remote backend
	// makes it at their first sign-in, before it asks for a code.
	Sub string
	// Challenge is not empty while the second factor is outstanding.
	Challenge []byte
	// Token is the person's own credential at the backend, nil when it has none.
	Token []byte
	// Expires is when Token ends; the session ends with it. Zero: never.
	Expires time.Time
	// Stale: nobody can say how long ago the factors were given (an upstream
	// that knew the person already), so that they do not count as fresh.
	Stale bool
}
