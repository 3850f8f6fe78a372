package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"peerage/identity"
	"peerage/store"
)

type userCommands struct {
	List         userListCommand         `cmd:"" help:"List everybody."`
	Show         userShowCommand         `cmd:"" help:"Show one person."`
	Create       userCreateCommand       `cmd:"" help:"Make a person who signs in by password."`
	Invite       userInviteCommand       `cmd:"" help:"Make a person and print the one-time link with which they choose a password."`
	Import       userImportCommand       `cmd:"" help:"Make the people of a CSV file; the good rows although others fail."`
	Edit         userEditCommand         `cmd:"" help:"Change a person: what the flags name and nothing else."`
	Password     userPasswordCommand     `cmd:"" help:"Set a person's password; signs them out everywhere."`
	Disable      userDisableCommand      `cmd:"" help:"Keep a person out: their sessions and tokens end at once."`
	Enable       userEnableCommand       `cmd:"" help:"Let a disabled person in again."`
	Unlock       userUnlockCommand       `cmd:"" help:"Forget a person's wrong passwords and codes, so that they need not wait."`
	ResetMFA     userResetMFACommand     `cmd:"" name:"reset-mfa" help:"Remove a lost second factor and print the one-time link to enrol another."`
	RecoveryLink userRecoveryLinkCommand `cmd:"" name:"recovery-link" help:"Print a one-time link with which a person sets another password."`
	SignOut      userSignOutCommand      `cmd:"" name:"sign-out" help:"End a person's sessions and tokens everywhere."`
	Affiliation  userAffiliationCommands `cmd:"" help:"Networks that a person acts for by an administrator's hand."`
	Delete       userDeleteCommand       `cmd:"" help:"Delete a person; the audit trail stays."`
}

// userJSON is a person for programs.
type userJSON struct {
	Sub           string     `json:"sub"`
	Username      string     `json:"username"`
	Name          string     `json:"name"`
	Email         string     `json:"email"`
	EmailVerified bool       `json:"email_verified"`
	Groups        []string   `json:"groups"`
	Disabled      bool       `json:"disabled"`
	TOTP          bool       `json:"totp"`
	Origin        string     `json:"origin"`
	LastLoginAt   *time.Time `json:"last_login_at"`
}

func newUserJSON(u identity.User) userJSON {
	groups := u.Groups
	if groups == nil {
		groups = []string{}
	}
	return userJSON{Sub: u.Sub, Username: u.Username, Name: u.Name, Email: u.Email, EmailVerified: u.EmailVerified, Groups: groups,
		Disabled: u.Disabled, TOTP: u.TOTP, Origin: u.Origin, LastLoginAt: jsonTime(u.LastLoginAt)}
}

// everybody reads all people with their groups. away: their backend does not
// answer, and only what is known here is told of its people.
func (in *installation) everybody(ctx context.Context) (all []identity.User, away bool, err error) {
	const page = 500
	for {
		users, err := in.store.Users(ctx, page, len(all))
		if err != nil {
			return nil, away, fmt.Errorf("listing people: %w", err)
		}
		for _, u := range users {
			var user identity.User
			if !away {
				user, err = in.directory.User(ctx, u.Sub)
				away = errors.Is(err, identity.ErrUnavailable)
			}
			if away {
				user, err = in.directory.Here(ctx, u)
			}
			if err != nil {
				return nil, away, fmt.Errorf("reading %s: %w", u.Username, err)
			}
			all = append(all, user)
		}
		if len(users) < page {
			return all, away, nil
		}
	}
}

type userListCommand struct {
	JSON bool `name:"json" help:"Print one JSON array."`
}

// Run lists everybody.
func (c userListCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	users, away, err := in.everybody(ctx)
	if err != nil {
		return err
	}
	if away {
		fmt.Fprintln(p.stderr, "peerage: OpenBao does not answer: groups, second factors and locks of its people are not shown")
	}
	if c.JSON {
		list := make([]userJSON, 0, len(users))
		for _, u := range users {
			list = append(list, newUserJSON(u))
		}
		return printJSON(p.stdout, list)
	}
	var rows [][]string
	for _, u := range users {
		state := "enabled"
		if u.Disabled {
			state = "disabled"
		}
		rows = append(rows, []string{u.Username, u.Name, u.Email, strings.Join(u.Groups, ","), yesNo(u.TOTP), state, shownTime(u.LastLoginAt)})
	}
	return printTable(p.stdout, []string{"USERNAME", "NAME", "E-MAIL", "GROUPS", "TOTP", "STATE", "LAST SIGN-IN"}, rows)
}

type userShowCommand struct {
	Name string `arg:"" help:"User name."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Run shows one person.
func (c userShowCommand) Run(ctx context.Context, p *program) error {
	return p.withUser(ctx, c.Name, func(_ *installation, u identity.User) error { return c.show(p, u) })
}

func (c userShowCommand) show(p *program, u identity.User) error {
	if c.JSON {
		return printJSON(p.stdout, newUserJSON(u))
	}
	email := u.Email
	if email != "" && !u.EmailVerified {
		email += " (not verified)"
	}
	pairs := [][2]string{{"username", u.Username}, {"sub", u.Sub}, {"name", u.Name}, {"e-mail", email}, {"groups", strings.Join(u.Groups, ", ")},
		{"origin", u.Origin}, {"second factor", yesNo(u.HasSecondFactor())}, {"disabled", yesNo(u.Disabled)},
		{"created", shownTime(u.CreatedAt)}, {"last sign-in", shownTime(u.LastLoginAt)}}
	if u.NeedsLink {
		pairs = append(pairs, [2]string{"waits for", "the one-time link of a reset; peerage user reset-mfa " + u.Username + " prints a new one"})
	}
	return printPairs(p.stdout, pairs)
}

type userCreateCommand struct {
	Username      string   `arg:"" name:"name" help:"User name: 1 to 64 of a-z, 0-9, _ . -"`
	Name          string   `help:"Name as people know it, such as \"Ada Example\"."`
	Email         string   `help:"E-mail address."`
	EmailVerified bool     `help:"The address is known to be theirs."`
	Group         []string `sep:"none" placeholder:"GROUP" help:"Group to be in; may be given several times."`
	Local         bool     `help:"A local person beside OpenBao: a way in while it is away. A second factor is demanded of them."`
	passwordFlags
}

// Run makes a person.
func (c userCreateCommand) Run(ctx context.Context, p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.EmailVerified && c.Email == "" {
		return usagef("--email-verified is about an address: give it by --email")
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	if err := in.mustHaveGroups(ctx, c.Group); err != nil {
		return err
	}
	password, err := c.read(ctx, p)
	if err != nil {
		return err
	}
	u, err := in.directory.CreateUser(ctx, identity.NewUser{Username: c.Username, Name: c.Name, Email: c.Email, EmailVerified: c.EmailVerified, Groups: c.Group, Password: password, Local: c.Local})
	if errors.Is(err, store.ErrExists) {
		return fmt.Errorf("the user name %q is taken", identity.NormalizeUsername(c.Username))
	}
	if err != nil {
		return in.refused(fmt.Sprintf("making %q", c.Username), err)
	}
	fmt.Fprintf(p.stdout, "made %s (sub %s)\n", u.Username, u.Sub)
	fmt.Fprintln(p.stdout, "next: "+in.afterCreate(ctx, u))
	return nil
}

// afterCreate says what comes after a person was made.
func (in *installation) afterCreate(ctx context.Context, u identity.User) string {
	if in.directory.MustHaveMFA(u) {
		return "they sign in and are led to enrol a second factor"
	}
	if has, err := in.directory.HasAdmin(ctx); err == nil && !has {
		return fmt.Sprintf("there is no administrator yet; peerage group add %s %s makes one of them", shellWord(in.settings.AdminGroup), u.Username)
	}
	return "they sign in with that password"
}
