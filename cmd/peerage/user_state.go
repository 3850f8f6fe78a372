package main

import (
	"context"
	"fmt"

	"peerage/identity"
)

type userDisableCommand struct {
	Name string `arg:"" help:"User name."`
}

// Run disables a person.
func (c userDisableCommand) Run(ctx context.Context, p *program) error {
	return setDisabled(ctx, p, c.Name, true)
}

type userEnableCommand struct {
	Name string `arg:"" help:"User name."`
}

// Run enables a person.
func (c userEnableCommand) Run(ctx context.Context, p *program) error {
	return setDisabled(ctx, p, c.Name, false)
}

func setDisabled(ctx context.Context, p *program, name string, disabled bool) error {
	return p.withUser(ctx, name, func(in *installation, u identity.User) error {
		if err := in.directory.SetDisabled(ctx, u, disabled); err != nil {
			return in.refused("changing "+u.Username, err)
		}
		if disabled {
			fmt.Fprintf(p.stdout, "disabled %s; their sessions and tokens are dead\n", u.Username)
		} else {
			fmt.Fprintf(p.stdout, "enabled %s\n", u.Username)
		}
		return nil
	})
}

type userUnlockCommand struct {
	Name string `arg:"" help:"User name."`
}

// Run forgets a person's wrong passwords and codes.
func (c userUnlockCommand) Run(ctx context.Context, p *program) error {
	return p.withUser(ctx, c.Name, func(in *installation, u identity.User) error {
		if err := in.directory.Unlock(ctx, u); err != nil {
			return fmt.Errorf("unlocking %s: %w", u.Username, err)
		}
		fmt.Fprintf(p.stdout, "forgot the wrong passwords and codes of %s\n", u.Username)
		return nil
	})
}

type userResetMFACommand struct {
	Name string `arg:"" help:"User name."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Run removes a person's second factor.
func (c userResetMFACommand) Run(ctx context.Context, p *program) error {
	// The link begins with the issuer.
	return p.withUser(ctx, c.Name, func(in *installation, u identity.User) error {
		link, err := in.directory.ResetMFA(ctx, u)
		if err != nil {
			return fmt.Errorf("resetting the second factor of %s: %w", u.Username, err)
		}
		if c.JSON {
			return printLink(p, u, link)
		}
		fmt.Fprintf(p.stdout, "removed the second factor of %s and signed them out everywhere\n", u.Username)
		fmt.Fprintf(p.stdout, "next: hand them this link; with their password it lets them enrol another, once, until %s:\n%s\n", shownTime(link.Expires), link.URL)
		if has, err := in.directory.HasPassword(ctx, u); err == nil && !has {
			fmt.Fprintf(p.stderr, "peerage: %s has no password yet, and comes no further by that link before; peerage user recovery-link %s prints the link for one\n", u.Username, u.Username)
		}
		return nil
	}, "PEERAGE_ISSUER")
}

type userSignOutCommand struct {
	Name     string `arg:"" help:"User name."`
	Consents bool   `help:"Also forget what they agreed to share with applications."`
}

// Run ends a person's sessions and tokens.
func (c userSignOutCommand) Run(ctx context.Context, p *program) error {
	return p.withUser(ctx, c.Name, func(in *installation, u identity.User) error {
		if err := in.directory.SignOutEverywhere(ctx, u, c.Consents); err != nil {
			return fmt.Errorf("signing %s out: %w", u.Username, err)
		}
		fmt.Fprintf(p.stdout, "signed %s out everywhere\n", u.Username)
		if c.Consents {
			fmt.Fprintln(p.stdout, "forgot what they agreed to share; applications ask them again")
		}
		return nil
	})
}

type userDeleteCommand struct {
	Name string `arg:"" help:"User name."`
}

// Run deletes a person, and asks first whoever sits at a terminal.
func (c userDeleteCommand) Run(ctx context.Context, p *program) error {
	return p.withUser(ctx, c.Name, func(in *installation, u identity.User) error {
		if !p.confirmed(ctx, fmt.Sprintf("Delete %s with their factors, sessions and consents? [y/N] ", u.Username)) {
			return fmt.Errorf("%s was not deleted", u.Username)
		}
		if err := in.directory.DeleteUser(ctx, u); err != nil {
			return in.refused("deleting "+u.Username, err)
		}
		fmt.Fprintf(p.stdout, "deleted %s\n", u.Username)
		return nil
	})
}
