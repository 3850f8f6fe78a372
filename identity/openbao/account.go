package openbao

import (
	"context"
	"errors"
	"slices"

	"peerage/identity"
	"peerage/store"
)

// Granted implements identity.Accounts: bootstrap --people grants it.
func (b *Backend) Granted(ctx context.Context) error {
	granted, err := b.granted.get(ctx)
	if err == nil && !granted {
		granted, err = b.granted.again(ctx) // perhaps since just now
	}
	if err == nil && !granted {
		err = identity.ErrNotGranted
	}
	return err
}

// askGranted asks what the service credential may do to people.
func (b *Backend) askGranted(ctx context.Context) (bool, error) {
	accessor, err := b.accessor.get(ctx)
	if err != nil {
		return false, err
	}
	token, err := b.token()
	if err != nil {
		return false, err
	}
	lacks, err := b.client.missing(ctx, token, capabilities(peopleRules(b.Mount, accessor, "")))
	if errors.Is(err, ErrForbidden) {
		b.doubt()
		err = &Error{Operation: "capabilities", Status: 403, Kind: identity.ErrUnavailable, Reason: "the service credential is refused"}
	}
	return len(lacks) == 0, err
}

// HasAccount implements identity.Accounts, by the list that the service
// credential may always read.
func (b *Backend) HasAccount(ctx context.Context, username string) (bool, error) {
	var list struct {
		Keys []string `json:"keys"`
	}
	got, err := b.service(ctx, request{operation: "list_accounts", method: "LIST", path: at("auth/{mount}/users", b.Mount)})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = got.decode(&list)
	}
	return slices.Contains(list.Keys, username), err
}

// NewAccount implements identity.Accounts. Where an entity of that name, or
// one that the account would sign in as, is left over from somebody, it is
// refused: a new person must not come into the groups of an old one.
func (b *Backend) NewAccount(ctx context.Context, n identity.NewUser) (identity.Account, error) {
	if err := b.Granted(ctx); err != nil {
		return identity.Account{}, err
	}
	password := n.Password
	if password == "" {
		password = identity.NewSecret()
	}
	if len(password) > maxPassword {
		return identity.Account{}, identity.ErrPasswordOverBytes
	}
	if err := b.nameFree(ctx, n.Username); err != nil {
		return identity.Account{}, err
	}
	id, err := b.newEntity(ctx, n)
	if err != nil {
		return identity.Account{}, err
	}
	// Last, so that nobody signs in before they are who they shall be.
	if _, err = b.service(ctx, request{operation: "make_account", method: "POST", path: at("auth/{mount}/users/{}", b.Mount, n.Username),
		body: map[string]any{"password": password, "token_policies": []string{policyUser}}}); err != nil {
		return identity.Account{}, errors.Join(err, b.removeEntity(context.WithoutCancel(ctx), id))
	}
	return identity.Account{Sub: id}, nil
}

// nameFree tells whether nothing in OpenBao has a name; store.ErrExists.
func (b *Backend) nameFree(ctx context.Context, username string) error {
	taken, err := b.HasAccount(ctx, username)
	if err == nil && taken {
		err = store.ErrExists
	}
	if err != nil {
		return err
	}
	_, err = b.service(ctx, request{operation: "read_entity", method: "GET", path: at("identity/entity/name/{}", username)})
	if errors.Is(err, ErrNotFound) {
		_, err = b.entityOf(ctx, username)
	}
	if errors.Is(err, ErrNotFound) {
		// An alias of the mount of tokens would move to the new person, without
		// a word, and with it the API tokens of whoever has it.
		var tokens string
		if tokens, err = b.tokens.get(ctx); err == nil {
			_, err = b.entityAt(ctx, username, tokens)
		}
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		err = store.ErrExists
	}
	return err
}

// newEntity makes a person's entity with the aliases that their account and
// their API tokens sign in by.
func (b *Backend) newEntity(ctx context.Context, n identity.NewUser) (id string, err error) {
	mounts := make([]string, 0, 2)
	accessor, err := b.accessor.get(ctx)
	if err == nil {
		mounts = append(mounts, accessor)
		accessor, err = b.tokens.get(ctx)
	}
	if err != nil {
		return "", err
	}
	mounts = append(mounts, accessor)
	metadata := map[string]string{}
	b.putProfile(metadata, n.Name, n.Email)
	got, err := b.service(ctx, request{operation: "make_entity", method: "POST", path: at("identity/entity/name/{}", n.Username), body: map[string]any{"metadata": metadata}})
	if err != nil {
		return "", err
	}
	var made entity
	if err := got.decode(&made); err != nil || made.ID == "" {
		return "", errors.Join(store.ErrExists, err) // made by another at the same time
	}
	for _, mount := range mounts {
		if _, err := b.service(ctx, request{operation: "make_alias", method: "POST", path: at("identity/entity-alias"),
			body: map[string]string{"name": n.Username, "mount_accessor": mount, "canonical_id": made.ID}}); err != nil {
			return "", errors.Join(err, b.removeEntity(context.WithoutCancel(ctx), made.ID))
		}
	}
	return made.ID, nil
}

func (b *Backend) removeEntity(ctx context.Context, id string) error {
	_, err := b.service(ctx, request{operation: "remove_entity", method: "DELETE", path: at("identity/entity/id/{}", id)})
	return err
}

// RemoveAccount implements identity.Accounts. The account goes first: killed
// after it, nobody signs in, and the second time does the rest.
func (b *Backend) RemoveAccount(ctx context.Context, u identity.User) error {
	if err := b.Granted(ctx); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	defer b.suspect(u.Sub)
	if _, err := b.service(ctx, request{operation: "remove_account", method: "DELETE", path: at("auth/{mount}/users/{}", b.Mount, u.Username)}); err != nil {
		return err
	}
	if err := b.SignOutEverywhere(ctx, u); err != nil {
		return err
	}
	if _, err := b.service(ctx, request{operation: "release_totp", method: "DELETE", path: enforcement(u.Sub)}); err != nil {
		return err
	}
	return b.removeEntity(ctx, u.Sub)
}

// SetDisabled implements identity.Accounts: by the entity, whose tokens are
// refused from then on. They end too, for they would be good again with it.
func (b *Backend) SetDisabled(ctx context.Context, u identity.User, disabled bool) error {
	if err := b.Granted(ctx); err != nil {
		return err
	}
	_, err := b.service(ctx, request{operation: "disable_entity", method: "POST", path: at("identity/entity/id/{}", u.Sub), body: map[string]bool{"disabled": disabled}})
	b.suspect(u.Sub)
	if err == nil && disabled {
		if ended := b.revokeTokens(context.WithoutCancel(ctx), u.Username); ended != nil {
			b.log.WarnContext(ctx, "ending the tokens of a disabled person at OpenBao", "sub", u.Sub, "error", ended)
		}
	}
	return err
}

// Unlock implements identity.Accounts.
func (b *Backend) Unlock(ctx context.Context, u identity.User) error {
	if err := b.store.ForgiveAttempt(ctx, lockout(u.Username).Key, true); err != nil {
		return err
	}
	accessor, err := b.accessor.get(ctx)
	if err != nil {
		return err
	}
	return b.unlock(ctx, accessor, u.Username)
}

func (b *Backend) unlock(ctx context.Context, accessor, username string) error {
	_, err := b.service(ctx, request{operation: "unlock", method: "POST", path: at("sys/locked-users/{}/unlock/{}", accessor, username)})
	return err
}

// SignOutEverywhere implements identity.Backend. API tokens, which outlive
// sessions, end too: whoever had the account may have made one.
func (b *Backend) SignOutEverywhere(ctx context.Context, u identity.User) error {
	return errors.Join(b.revokeTokens(ctx, u.Username), b.endAPITokens(ctx, u.Sub))
}
