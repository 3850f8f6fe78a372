package store

import (
	"errors"
	"slices"
)

var (
	// ErrNotFound: there is no such row, or it is expired, or it belongs to
	// another browser or client; callers cannot tell which.
	ErrNotFound = errors.New("not found")
	// ErrExists: a unique name is taken.
	ErrExists = errors.New("already exists")
	// ErrConflict: somebody else changed the row meanwhile.
	ErrConflict = errors.New("changed by someone else meanwhile")
	// ErrReplayed: a code was redeemed before; its family is revoked now.
	ErrReplayed = errors.New("code was already redeemed")
	// ErrReused: a spent refresh token came back outside its grace; its
	// family is revoked now (RFC 9700 section 4.14.2).
	ErrReused = errors.New("refresh token was already spent")
	// ErrPending: nobody has answered for the device yet (RFC 8628 section 3.5).
	ErrPending = errors.New("not answered yet")
	// ErrSlowDown is ErrPending for a device that asked too soon; its interval
	// is longer now.
	ErrSlowDown = errors.New("not answered yet, and asked too soon")
	// ErrDenied: the person refused.
	ErrDenied = errors.New("denied")
	// ErrExpired: it is too old.
	ErrExpired = errors.New("expired")
	// ErrRevoked: the family of a token, or its person, is no longer alive.
	ErrRevoked = errors.New("revoked")
	// ErrStepUsed: the TOTP time step was claimed before.
	ErrStepUsed = errors.New("code was already used")
	// ErrSignCount: a passkey's signature counter did not go up.
	ErrSignCount = errors.New("signature counter did not go up")
	// ErrNoSecretKey: a sealed column is needed and PEERAGE_SECRET_KEY is not set.
	ErrNoSecretKey = errors.New("PEERAGE_SECRET_KEY is not set")
	// ErrWrongSecretKey: a sealed column was sealed under a key we do not have.
	ErrWrongSecretKey = errors.New("PEERAGE_SECRET_KEY does not open what the database holds; if it was changed, set PEERAGE_SECRET_KEY_OLD to the one before")
	// ErrLastAdministrator: nobody would be left to administer.
	ErrLastAdministrator = errors.New("the last administrator stays")
	// ErrNoDatabase: there is no database at that path.
	ErrNoDatabase = errors.New("no database there")
	// ErrInUse: another process has the database open.
	ErrInUse = errors.New("a running server has the database open")
	// ErrNotSQLite: the operation is about a database that is one file.
	ErrNotSQLite = errors.New("the database is PostgreSQL")
	// ErrSchemaNewer: a newer peerage has migrated this database.
	ErrSchemaNewer = errors.New("the database was made by a newer peerage")
	// ErrSchemaOlder: the database must be migrated first.
	ErrSchemaOlder = errors.New("the database must be migrated first: run peerage migrate")
)

// answers are the errors by which an operation answers, as opposed to those
// that tell of a fault.
var answers = []error{ErrNotFound, ErrExists, ErrConflict, ErrReplayed, ErrReused, ErrPending, ErrSlowDown, ErrDenied, ErrExpired, ErrRevoked, ErrStepUsed}

func isAnswer(err error) bool {
	return slices.ContainsFunc(answers, func(answer error) bool { return errors.Is(err, answer) })
}
