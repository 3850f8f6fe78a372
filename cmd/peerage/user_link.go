package main

import (
	"context"
	"errors"
	"fmt"

	"peerage/identity"
	"peerage/store"
)

type userInviteCommand struct {
	Username string   `arg:"" name:"name" help:"User name: 1 to 64 of a-z, 0-9, _ . -"`
	Name     string   `help:"Name as people know it, such as \"Ada Example\"."`
	Email    string   `help:"E-mail address; the invitation is mailed there too when mail is configured."`
	Group    []string `sep:"none" placeholder:"GROUP" help:"Group to be in; may be given several times."`
	JSON     bool     `name:"json" help:"Print one JSON object."`
}

// Run makes a person and prints the link that lets them choose a password.
func (c userInviteCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx, "PEERAGE_ISSUER") // the link begins with it
	if err != nil {
		return err
	}
	defer in.close()
	if err := in.mustHaveGroups(ctx, c.Group); err != nil {
		return err
	}
	link, err := in.directory.Invite(ctx, identity.NewUser{Username: c.Username, Name: c.Name, Email: c.Email, Groups: c.Group})
	if errors.Is(err, store.ErrExists) {
		return fmt.Errorf("the user name %q is taken", identity.NormalizeUsername(c.Username))
	}
	if err != nil {
		return in.refused(fmt.Sprintf("inviting %q", c.Username), err)
	}
	u, err := in.user(ctx, c.Username)
	if err != nil {
		return err
	}
	if c.JSON {
		return printLink(p, u, link)
	}
	fmt.Fprintf(p.stdout, "made %s (sub %s)\n", u.Username, u.Sub)
	if u.Email != "" && in.directory.MailsPeople() {
		fmt.Fprintf(p.stdout, "the running server mails the invitation to %s\n", u.Email)
	}
	fmt.Fprintf(p.stdout, "next: hand them this link; it lets them choose a password, once, until %s:\n%s\n", shownTime(link.Expires), link.URL)
	return nil
}

type userRecoveryLinkCommand struct {
	Name string `arg:"" help:"User name."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Run prints the link that lets a person set another password.
func (c userRecoveryLinkCommand) Run(ctx context.Context, p *program) error {
	// The link begins with the issuer.
	return p.withUser(ctx, c.Name, func(in *installation, u identity.User) error {
		link, err := in.directory.RecoveryLink(ctx, u)
		if errors.Is(err, identity.ErrDisabled) {
			return fmt.Errorf("%s is disabled; peerage user enable %s comes first", u.Username, u.Username)
		}
		if err != nil {
			return in.refused("making a link for "+u.Username, err)
		}
		if c.JSON {
			return printLink(p, u, link)
		}
		fmt.Fprintf(p.stdout, "next: hand %s this link; it lets them set another password, once, until %s:\n%s\n", u.Username, shownTime(link.Expires), link.URL)
		return nil
	}, "PEERAGE_ISSUER")
}

// printLink prints a one-time link for programs.
func printLink(p *program, u identity.User, link identity.Link) error {
	return printJSON(p.stdout, map[string]any{"username": u.Username, "url": link.URL, "expires_at": jsonTime(link.Expires)})
}
