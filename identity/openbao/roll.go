package openbao

import (
	"context"
	"errors"
	"slices"
	"strings"

	"peerage/identity"
	"peerage/store"
)

// Roll implements identity.Accounts: two requests for everybody.
func (b *Backend) Roll(ctx context.Context) (identity.Roll, error) {
	var roll identity.Roll
	all, err := enforcements(b.service(ctx, listEnforcements))
	if err != nil {
		return roll, err
	}
	for _, e := range all {
		if id, ours := strings.CutPrefix(e.Name, enforcementPrefix); ours && e.asks(id) {
			roll.TOTP = append(roll.TOTP, id)
		}
	}
	roll.Locked, err = b.locked(ctx)
	return roll, err
}

// locked lists who is locked out of the accounts' mount.
func (b *Backend) locked(ctx context.Context) ([]string, error) {
	accessor, err := b.accessor.get(ctx)
	if err != nil {
		return nil, err
	}
	var list struct {
		Namespaces []struct {
			Mounts []struct {
				Accessor string   `json:"mount_accessor"`
				Names    []string `json:"alias_identifiers"`
			} `json:"mount_accessors"`
		} `json:"by_namespace"`
	}
	got, err := b.service(ctx, request{operation: "list_locked", method: "GET", path: at("sys/locked-users")})
	if err == nil {
		err = got.decode(&list)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	var names []string
	for _, namespace := range list.Namespaces {
		for _, mount := range namespace.Mounts {
			if mount.Accessor == accessor {
				names = append(names, mount.Names...)
			}
		}
	}
	return names, nil
}

// HasMember implements identity.Accounts.
func (b *Backend) HasMember(ctx context.Context, group string) (bool, error) {
	groups, err := b.groups.get(ctx)
	if err != nil {
		return false, err
	}
	for _, g := range groups {
		if g.Name == group && g.Members > 0 {
			return true, nil
		}
	}
	return false, nil
}

// TakeIn makes the row of somebody who has an account and has never signed in
// here; store.ErrNotFound: nobody has, or OpenBao has no entity of them yet.
func (b *Backend) TakeIn(ctx context.Context, username string) error {
	e, err := b.entityOf(ctx, username)
	if errors.Is(err, ErrNotFound) {
		return store.ErrNotFound
	}
	if err == nil {
		err = b.row(ctx, username, e)
	}
	return err
}

// TakeEverybodyIn makes the rows of all who have an account and have never
// signed in here, so that administrators find them. A name that somebody else
// has is left out; the audit trail tells of it when they sign in.
func (b *Backend) TakeEverybodyIn(ctx context.Context) error {
	accessor, err := b.accessor.get(ctx)
	if err != nil {
		return err
	}
	var list struct {
		Info map[string]struct {
			Aliases []alias `json:"aliases"`
		} `json:"key_info"`
	}
	got, err := b.service(ctx, request{operation: "list_entities", method: "LIST", path: at("identity/entity/id")})
	if err == nil {
		err = got.decode(&list)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for id, info := range list.Info {
		at := slices.IndexFunc(info.Aliases, func(a alias) bool { return a.Accessor == accessor })
		if at < 0 {
			continue
		}
		if err := b.takeIn(ctx, id, identity.NormalizeUsername(info.Aliases[at].Name)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Backend) takeIn(ctx context.Context, id, username string) error {
	if identity.CheckUsername(username) != nil {
		return nil
	}
	_, err := b.store.User(ctx, id)
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if _, err := b.store.UserByName(ctx, username); err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	e, err := b.entityByID(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil // gone meanwhile
	}
	if err == nil {
		err = b.store.CreateUser(ctx, b.profile(username, e), "", nil)
	}
	if errors.Is(err, store.ErrExists) {
		return nil // they signed in meanwhile
	}
	return err
}
