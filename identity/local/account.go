package local

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"peerage/identity"
	"peerage/store"
)

// Local people are rows of the store, which the Directory writes: there is
// little that is kept beside them.

// Granted implements identity.Accounts.
func (b *Backend) Granted(context.Context) error { return nil }

// HasAccount implements identity.Accounts.
func (b *Backend) HasAccount(ctx context.Context, username string) (bool, error) {
	_, err := b.store.UserByName(ctx, username)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// NewAccount implements identity.Accounts.
func (b *Backend) NewAccount(ctx context.Context, n identity.NewUser) (a identity.Account, err error) {
	taken, err := b.HasAccount(ctx, n.Username)
	if err == nil && taken {
		err = store.ErrExists
	}
	if err != nil {
		return a, err
	}
	a.Sub = uuid.NewString()
	if n.Password != "" {
		a.PasswordHash, err = b.passwords.Hash(n.Password)
	}
	return a, err
}

// RemoveAccount implements identity.Accounts.
func (b *Backend) RemoveAccount(context.Context, identity.User) error { return nil }

// SetProfile implements identity.Accounts.
func (b *Backend) SetProfile(context.Context, identity.User, string, string) error { return nil }

// SetDisabled implements identity.Accounts.
func (b *Backend) SetDisabled(context.Context, identity.User, bool) error { return nil }

// Unlock implements identity.Accounts.
func (b *Backend) Unlock(context.Context, identity.User) error { return nil }

// Roll implements identity.Accounts.
func (b *Backend) Roll(context.Context) (identity.Roll, error) { return identity.Roll{}, nil }

// HasMember implements identity.Accounts.
func (b *Backend) HasMember(ctx context.Context, group string) (bool, error) {
	return b.store.HasMember(ctx, group)
}

// SignOutEverywhere implements identity.Backend.
func (b *Backend) SignOutEverywhere(context.Context, identity.User) error { return nil }
