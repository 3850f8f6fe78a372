// Package local is the embedded identity backend: argon2id passwords and TOTP
// secrets in peerage's own store.
package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"peerage/identity"
	"peerage/store"
)

// challenge is what a local login waits with: the secret is in the store, so
// there is nothing to carry.
const challenge = "totp"

// Backend implements identity.Backend.
type Backend struct {
	store     *store.Store
	passwords *identity.Passwords
	now       func() time.Time
	origin    string
}

// New makes the backend.
func New(s *store.Store, p *identity.Passwords, now func() time.Time) *Backend {
	return &Backend{s, p, now, identity.OriginLocal}
}

// NewWithoutPasswords makes the backend of people who prove themselves at an
// upstream and may have a second factor here. No password is right for them,
// and none can be set.
func NewWithoutPasswords(s *store.Store, p *identity.Passwords, now func() time.Time, origin string) *Backend {
	return &Backend{s, p, now, origin}
}

// Origin implements identity.Backend.
func (b *Backend) Origin() string { return b.origin }

// hasPasswords tells whether the people of this backend have passwords.
func (b *Backend) hasPasswords() bool { return b.origin == identity.OriginLocal }

// Login implements identity.Backend. A person who does not exist, has no
// password or is disabled costs one comparison like everybody else.
func (b *Backend) Login(ctx context.Context, username, password string) (identity.Login, error) {
	user, hash, err := b.credential(ctx, username)
	if err != nil {
		return identity.Login{}, err
	}
	ok, stale, err := b.passwords.Verify(ctx, password, hash)
	if err != nil {
		return identity.Login{}, err
	}
	if !ok || user.Disabled {
		return identity.Login{}, identity.ErrWrongCredentials
	}
	if stale {
		if err := b.rehash(ctx, user.Sub, hash, password); err != nil {
			return identity.Login{}, err
		}
	}
	login := identity.Login{Sub: user.Sub}
	if user.TOTP {
		login.Challenge = []byte(challenge)
	}
	return login, nil
}

// credential finds a person and their password hash, "" for nobody's. It asks
// the store the same two questions either way: the time must not tell.
func (b *Backend) credential(ctx context.Context, username string) (store.User, string, error) {
	user, err := b.store.UserByName(ctx, username)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.User{}, "", fmt.Errorf("finding a person: %w", err)
	}
	if user.Origin != identity.OriginLocal {
		user = store.User{}
	}
	hash, err := b.store.PasswordHash(ctx, user.Sub)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.User{}, "", fmt.Errorf("reading a password hash: %w", err)
	}
	return user, hash, nil
}

// rehash moves a right password to today's parameters.
func (b *Backend) rehash(ctx context.Context, sub, old, password string) error {
	fresh, err := b.passwords.Hash(password)
	if err != nil {
		return err
	}
	return b.store.ReplacePasswordHash(ctx, sub, old, fresh)
}

// Answer implements identity.Backend.
func (b *Backend) Answer(ctx context.Context, username string, _ []byte, code string) (identity.Login, error) {
	user, err := b.store.UserByName(ctx, username)
	if errors.Is(err, store.ErrNotFound) || err == nil && !user.TOTP {
		return identity.Login{}, identity.ErrNoSignIn // reset meanwhile
	}
	if err != nil {
		return identity.Login{}, fmt.Errorf("finding a person: %w", err)
	}
	if err := b.checkCode(ctx, user.Sub, code); err != nil {
		return identity.Login{}, err
	}
	return identity.Login{Sub: user.Sub}, nil
}

// checkCode compares and claims the time step, so that a code counts once on
// all replicas (CVE-2025-55000).
func (b *Backend) checkCode(ctx context.Context, sub, code string) error {
	factor, err := b.store.TOTP(ctx, sub)
	if errors.Is(err, store.ErrNotFound) {
		return identity.ErrNoSignIn
	}
	if err != nil {
		return err
	}
	step, ok := identity.CheckCode(string(factor.Secret), code, b.now())
	if !ok {
		return identity.ErrWrongCode
	}
	if err := b.store.ClaimStep(ctx, sub, step); err != nil {
		if errors.Is(err, store.ErrStepUsed) {
			err = identity.ErrWrongCode
		}
		return err
	}
	return nil
}

// ConfirmFields implements identity.Backend: a code from those who have one,
// else the password.
func (b *Backend) ConfirmFields(u identity.User) (password, code bool) {
	return !u.TOTP && b.hasPasswords(), u.TOTP
}

// Confirm implements identity.Backend.
func (b *Backend) Confirm(ctx context.Context, u identity.User, password, code string) (identity.Login, error) {
	if u.TOTP {
		return identity.Login{Sub: u.Sub}, b.checkCode(ctx, u.Sub, code)
	}
	login, err := b.Login(ctx, u.Username, password)
	if err == nil && len(login.Challenge) > 0 {
		err = identity.ErrWrongCode // enrolled meanwhile, elsewhere
	}
	return identity.Login{Sub: login.Sub}, err
}

// NewTOTP implements identity.Backend.
func (b *Backend) NewTOTP(context.Context, identity.User) (string, error) {
	return identity.NewTOTPSecret(), nil
}

// ActivateTOTP implements identity.Backend.
func (b *Backend) ActivateTOTP(ctx context.Context, u identity.User, step int64) error {
	err := b.store.ActivateTOTP(ctx, u.Sub, step)
	switch {
	case errors.Is(err, store.ErrExists):
		return identity.ErrAlreadyEnrolled
	case errors.Is(err, store.ErrNotFound):
		return identity.ErrWrongCode
	}
	return err
}

// RemoveTOTP implements identity.Backend.
func (b *Backend) RemoveTOTP(ctx context.Context, u identity.User) error {
	return b.store.RemoveTOTP(ctx, u.Sub)
}

// SetPassword implements identity.Backend.
func (b *Backend) SetPassword(ctx context.Context, u identity.User, password string) error {
	if !b.hasPasswords() {
		return fmt.Errorf("a password for people of %s: %w", b.origin, errors.ErrUnsupported)
	}
	hash, err := b.passwords.Hash(password)
	if err != nil {
		return err
	}
	return b.store.SetPassword(ctx, u.Sub, hash, "")
}

// HasPassword implements identity.Backend.
func (b *Backend) HasPassword(ctx context.Context, u identity.User) (bool, error) {
	_, err := b.store.PasswordHash(ctx, u.Sub)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ChangePassword implements identity.Backend. The password is compared first:
// a code is worth too much to be spent on a wrong one.
func (b *Backend) ChangePassword(ctx context.Context, u identity.User, c identity.PasswordChange) (identity.Changed, error) {
	user, old, err := b.credential(ctx, u.Username)
	if err != nil {
		return identity.Changed{}, err
	}
	ok, _, err := b.passwords.Verify(ctx, c.Current, old)
	if err != nil {
		return identity.Changed{}, err
	}
	if !ok || user.Disabled || user.Sub != u.Sub {
		return identity.Changed{}, identity.ErrWrongCredentials
	}
	if user.TOTP {
		if err := b.checkCode(ctx, user.Sub, c.Code); err != nil {
			return identity.Changed{}, err
		}
	}
	hash, err := b.passwords.Hash(c.New)
	if err != nil {
		return identity.Changed{}, err
	}
	ended, err := b.store.ChangePassword(ctx, user.Sub, old, hash, c.Keep)
	if errors.Is(err, store.ErrNotFound) {
		err = identity.ErrWrongCredentials // changed meanwhile, elsewhere
	}
	return identity.Changed{Ended: ended}, err
}

// State implements identity.Backend. Local groups are the store's, which the
// Directory reads for everybody.
func (b *Backend) State(_ context.Context, u identity.User) (identity.State, error) {
	return identity.State{TOTP: u.TOTP, Disabled: u.Disabled}, nil
}

// SignOut implements identity.Backend: there is no credential to give back.
func (b *Backend) SignOut(context.Context, []byte) error { return nil }
