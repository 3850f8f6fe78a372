package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

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
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	u, err := in.user(ctx, name)
	if err != nil {
		return err
	}
	if err := in.directory.SetDisabled(ctx, u, disabled); err != nil {
		return fmt.Errorf("changing %s: %w", u.Username, err)
	}
	if !disabled {
		fmt.Fprintf(p.stdout, "enabled %s\n", u.Username)
		return nil
	}
	fmt.Fprintf(p.stdout, "disabled %s; their sessions and tokens are dead\n", u.Username)
	return in.warnWithoutAdmin(ctx, p)
}

type userResetMFACommand struct {
	Name string `arg:"" help:"User name."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Run removes a person's second factor.
func (c userResetMFACommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx, "PEERAGE_ISSUER") // the link begins with it
	if err != nil {
		return err
	}
	defer in.close()
	u, err := in.user(ctx, c.Name)
	if err != nil {
		return err
	}
	link, err := in.directory.ResetMFA(ctx, u)
	if err != nil {
		return fmt.Errorf("resetting the second factor of %s: %w", u.Username, err)
	}
	if c.JSON {
		return printLink(p, u, link)
	}
	fmt.Fprintf(p.stdout, "removed the second factor of %s and signed them out everywhere\n", u.Username)
	fmt.Fprintf(p.stdout, "next: hand them this link; with their password it lets them enrol another, once, until %s:\n%s\n", shownTime(link.Expires), link.URL)
	return nil
}

type userSignOutCommand struct {
	Name     string `arg:"" help:"User name."`
	Consents bool   `help:"Also forget what they agreed to share with applications."`
}

// Run ends a person's sessions and tokens.
func (c userSignOutCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	u, err := in.user(ctx, c.Name)
	if err != nil {
		return err
	}
	if err := in.store.SignOutEverywhere(ctx, u.Sub, c.Consents); err != nil {
		return fmt.Errorf("signing %s out: %w", u.Username, err)
	}
	in.event(ctx, identity.Event{Name: "session_revoke", User: u.Username, Sub: u.Sub, Detail: []slog.Attr{slog.String("sessions", "all")}})
	if c.Consents {
		in.event(ctx, identity.Event{Name: "consent_revoke", User: u.Username, Sub: u.Sub, Detail: []slog.Attr{slog.String("consents", "all")}})
	}
	fmt.Fprintf(p.stdout, "signed %s out everywhere\n", u.Username)
	return nil
}

type userDeleteCommand struct {
	Name string `arg:"" help:"User name."`
}

// Run deletes a person, and asks first whoever sits at a terminal.
func (c userDeleteCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	u, err := in.user(ctx, c.Name)
	if err != nil {
		return err
	}
	if !p.confirmed(fmt.Sprintf("Delete %s with their factors, sessions and consents? [y/N] ", u.Username)) {
		return fmt.Errorf("%s was not deleted", u.Username)
	}
	if err := in.store.DeleteUser(ctx, u.Sub); err != nil {
		return fmt.Errorf("deleting %s: %w", u.Username, err)
	}
	in.event(ctx, identity.Event{Name: "user_delete", User: u.Username, Sub: u.Sub})
	fmt.Fprintf(p.stdout, "deleted %s\n", u.Username)
	return in.warnWithoutAdmin(ctx, p)
}

// confirmed asks when a person is at the other end; a script meant it.
func (p *program) confirmed(question string) bool {
	file, ok := p.stdin.(*os.File)
	if !ok || !isatty.IsTerminal(file.Fd()) {
		return true
	}
	fmt.Fprint(p.stdout, question)
	answer, _ := bufio.NewReader(file).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}
