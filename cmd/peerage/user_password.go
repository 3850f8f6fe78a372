package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"peerage/identity"
)

// passwordFlags are the two ways to hand a password over. It is never an
// argument, which everybody on the machine can see.
type passwordFlags struct {
	PasswordStdin bool   `help:"Read the password from standard input."`
	PasswordFile  string `placeholder:"FILE" help:"Read the password from a file."`
}

// check tells whether exactly one way was chosen.
func (f passwordFlags) check() error {
	if f.PasswordStdin == (f.PasswordFile != "") {
		return usagef("give the password by one of --password-stdin and --password-file")
	}
	return nil
}

// maxPasswordInput is more than any password may have.
const maxPasswordInput = 64 << 10

// read reads the password, without the newline at its end. Somebody at a
// terminal is asked for it twice and does not see it.
func (f passwordFlags) read(ctx context.Context, p *program) (string, error) {
	from := p.stdin
	if file := p.terminal(); file != nil && f.PasswordStdin {
		return p.askPassword(ctx, file)
	}
	if f.PasswordFile != "" {
		file, err := os.Open(f.PasswordFile)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxPasswordInput))
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	return password, typeable(password)
}

// typeable tells whether somebody can type a password into a field: a second
// line, which an editor may leave in a file, would keep its owner out.
func typeable(password string) error {
	switch {
	case password == "":
		return errors.New("the password is empty")
	case !utf8.ValidString(password), strings.ContainsFunc(password, unicode.IsControl):
		return errors.New("the password has a second line, or another character that nobody can type")
	}
	return nil
}

type userPasswordCommand struct {
	Name string `arg:"" help:"User name."`
	passwordFlags
}

// Run sets a person's password.
func (c userPasswordCommand) Run(ctx context.Context, p *program) error {
	if err := c.check(); err != nil {
		return err
	}
	return p.withUser(ctx, c.Name, func(in *installation, u identity.User) error {
		password, err := c.read(ctx, p)
		if err != nil {
			return err
		}
		if err := in.directory.SetPassword(ctx, u, password); err != nil {
			return in.refused("setting the password of "+u.Username, err)
		}
		fmt.Fprintf(p.stdout, "set the password of %s and signed them out everywhere\n", u.Username)
		return nil
	})
}
