package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"peerage/identity"
	"peerage/store"
)

type userEditCommand struct {
	Username      string   `arg:"" name:"name" help:"User name, which stays."`
	Name          *string  `help:"Name as people know it; \"\" takes it away."`
	Email         *string  `help:"E-mail address; \"\" takes it away. Another address is not verified unless --email-verified says so."`
	EmailVerified *bool    `negatable:"" help:"The address is known to be theirs, or (--no-email-verified) not."`
	Group         []string `sep:"none" placeholder:"GROUP" help:"The groups to be in, instead of those of now; may be given several times."`
	NoGroups      bool     `help:"Be in no local group."`
	JSON          bool     `name:"json" help:"Print the person as one JSON object."`
}

// Run changes a person.
func (c userEditCommand) Run(ctx context.Context, p *program) error {
	if c.Name == nil && c.Email == nil && c.EmailVerified == nil && c.Group == nil && !c.NoGroups {
		return usagef("say what to change: --name, --email, --email-verified, --group or --no-groups")
	}
	if c.NoGroups && c.Group != nil {
		return usagef("--group and --no-groups contradict each other")
	}
	return p.withUser(ctx, c.Username, func(in *installation, u identity.User) error {
		if err := in.mustHaveGroups(ctx, c.Group); err != nil {
			return err
		}
		edit, err := c.edit(ctx, in, u)
		if err != nil {
			return err
		}
		changed, err := in.directory.EditUser(ctx, u, edit)
		if errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("%s was changed by someone else at the same moment; nothing was changed here, try again", u.Username)
		}
		if err != nil {
			return in.refused("changing "+u.Username, err)
		}
		return c.tell(ctx, p, in, u, changed)
	})
}

// edit is the person of now with what the flags name.
func (c userEditCommand) edit(ctx context.Context, in *installation, u identity.User) (identity.Edit, error) {
	groups, err := in.store.GroupsOf(ctx, u.Sub)
	if err != nil {
		return identity.Edit{}, fmt.Errorf("reading the groups of %s: %w", u.Username, err)
	}
	e := identity.Edit{Version: u.Version, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified, Groups: groups}
	if c.Name != nil {
		e.Name = *c.Name
	}
	if c.Email != nil && *c.Email != u.Email {
		e.Email, e.EmailVerified = *c.Email, false
	}
	if c.EmailVerified != nil {
		e.EmailVerified = *c.EmailVerified
	}
	if c.Group != nil || c.NoGroups {
		e.Groups = slices.Compact(slices.Sorted(slices.Values(c.Group)))
	}
	return e, nil
}

func (c userEditCommand) tell(ctx context.Context, p *program, in *installation, u identity.User, changed bool) error {
	if c.JSON {
		u, err := in.directory.User(ctx, u.Sub)
		if err != nil {
			return fmt.Errorf("reading the person: %w", err)
		}
		return printJSON(p.stdout, newUserJSON(u))
	}
	if !changed {
		fmt.Fprintf(p.stdout, "%s is like that already\n", u.Username)
		return nil
	}
	fmt.Fprintf(p.stdout, "changed %s\n", u.Username)
	return nil
}
