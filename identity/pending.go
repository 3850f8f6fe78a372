package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"peerage/store"
)

// PendingSignIn is a sign-in whose password was right.
type PendingSignIn struct {
	store.SignIn
	// Challenged: a second factor is outstanding, else its enrolment is. With a
	// Challenge the backend takes its own code; a passkey or a recovery code
	// is checked here.
	Challenged bool
	// amr are the factors given so far (RFC 8176).
	amr []string
}

// with are the factors of the sign-in once these were given too.
func (p PendingSignIn) with(factors ...string) []string {
	amr := slices.Clone(p.amr)
	for _, f := range factors {
		if !slices.Contains(amr, f) {
			amr = append(amr, f)
		}
	}
	return amr
}

// carried is what a half-done sign-in keeps for its backend, sealed in the row.
type carried struct {
	Challenge []byte    `json:"challenge,omitempty"`
	Token     []byte    `json:"token,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	// AMR are the factors given so far; none stands for the password.
	AMR []string `json:"amr,omitempty"`
}

func carriedBy(i store.SignIn) (c carried, err error) {
	if i.Challenge != nil {
		if err = json.Unmarshal(i.Challenge, &c); err != nil {
			err = fmt.Errorf("reading a half-done sign-in: %w", err)
		}
	}
	return c, err
}

// putSignIn remembers in a browser that the password was right, or what amr says
// that was given instead. What the
// backend handed out for it is carried along: the session that an enrolment
// ends with needs the person's token and its end. When it cannot be kept it is
// given back, as is that of a sign-in whose place this one takes.
func (d *Directory) putSignIn(ctx context.Context, b Browser, u store.User, l Login, mayEnrol bool, amr ...string) error {
	i := store.SignIn{Sub: u.Sub, Username: u.Username, Origin: u.Origin, MayEnrol: mayEnrol}
	if len(l.Challenge) > 0 || len(l.Token) > 0 || len(amr) > 0 {
		var err error
		if i.Challenge, err = json.Marshal(carried{l.Challenge, l.Token, l.Expires, amr}); err != nil {
			d.giveBackTo(ctx, u.Origin, l.Token)
			return fmt.Errorf("keeping a sign-in: %w", err)
		}
	}
	lifetime := enrolLifetime
	if len(l.Challenge) > 0 || u.Passkeys > 0 {
		lifetime = signInLifetime
	}
	replaced, err := d.store.PutSignIn(ctx, Hash(b.ID), i, lifetime)
	if err != nil {
		d.giveBackTo(ctx, u.Origin, l.Token)
		return err
	}
	d.giveBackSignIns(ctx, replaced...)
	return nil
}

// Pending is the half-done sign-in of a browser; ErrNoSignIn without one.
func (d *Directory) Pending(ctx context.Context, b Browser) (PendingSignIn, User, error) {
	if b.ID == "" {
		return PendingSignIn{}, User{}, ErrNoSignIn
	}
	i, err := d.store.SignIn(ctx, Hash(b.ID))
	if errors.Is(err, store.ErrNotFound) {
		return PendingSignIn{}, User{}, ErrNoSignIn
	}
	if err != nil {
		return PendingSignIn{}, User{}, err
	}
	c, err := carriedBy(i)
	if err != nil {
		return PendingSignIn{}, User{}, err
	}
	i.Challenge = c.Challenge
	u, err := d.User(ctx, i.Sub)
	if errors.Is(err, store.ErrNotFound) || err == nil && u.Disabled {
		return PendingSignIn{}, User{}, ErrNoSignIn
	}
	if i.MayEnrol {
		u.NeedsLink = false // this browser has used the link up
	}
	if len(c.AMR) == 0 {
		c.AMR = []string{"pwd"}
	}
	return PendingSignIn{i, len(c.Challenge) > 0 || u.Passkeys > 0, c.AMR}, u, err
}

// ForgetSignIn ends the half-done sign-in of a browser, if there is one, and
// gives back what the backend handed out for it. Somebody else's right password,
// whose code never came, must not make the browser ask the person who came after
// them for that code.
func (d *Directory) ForgetSignIn(ctx context.Context, b Browser) error {
	if b.ID == "" {
		return nil
	}
	// Most have none: a look does not wait for the store's writer.
	_, err := d.store.SignIn(ctx, Hash(b.ID))
	if err == nil {
		var taken store.SignIn
		if taken, err = d.store.TakeSignIn(ctx, Hash(b.ID)); err == nil {
			d.giveBackSignIns(ctx, taken)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// takeSignIn uses the half-done sign-in of a person up, so that of two answers
// sent at once only one begins a session. It returns what the backend gave for
// the password: of one that was given again since the page was shown, the
// earlier credential has ended. ErrNoSignIn: it is another person's by now, or gone.
func (d *Directory) takeSignIn(ctx context.Context, b Browser, sub string) (Login, error) {
	taken, err := d.store.TakeSignIn(ctx, Hash(b.ID))
	if errors.Is(err, store.ErrNotFound) {
		return Login{}, ErrNoSignIn
	}
	if err != nil {
		return Login{}, err
	}
	if taken.Sub != sub {
		d.giveBackSignIns(ctx, taken)
		return Login{}, ErrNoSignIn
	}
	c, err := carriedBy(taken)
	return Login{Sub: sub, Token: c.Token, Expires: c.Expires}, err
}

// giveBackSignIns gives back what a backend handed out for sign-ins that no
// session comes of.
func (d *Directory) giveBackSignIns(ctx context.Context, ended ...store.SignIn) {
	for _, i := range ended {
		c, err := carriedBy(i)
		if err != nil {
			d.log.WarnContext(ctx, "giving a person's credential back to the backend", "error", err)
		}
		d.giveBackTo(ctx, i.Origin, c.Token)
	}
}
