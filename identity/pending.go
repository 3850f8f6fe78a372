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
	// login is what the backend gave for the password alone.
	login Login
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

// putSignIn remembers in a browser that the password was right, or what amr says
// that was given instead. What the
// backend handed out for it is carried along: the session that an enrolment
// ends with needs the person's token and its end.
func (d *Directory) putSignIn(ctx context.Context, b Browser, u store.User, l Login, mayEnrol bool, amr ...string) error {
	i := store.SignIn{Sub: u.Sub, Username: u.Username, Origin: u.Origin, MayEnrol: mayEnrol}
	if len(l.Challenge) > 0 || len(l.Token) > 0 || len(amr) > 0 {
		var err error
		if i.Challenge, err = json.Marshal(carried{l.Challenge, l.Token, l.Expires, amr}); err != nil {
			return fmt.Errorf("keeping a sign-in: %w", err)
		}
	}
	lifetime := enrolLifetime
	if len(l.Challenge) > 0 || u.Passkeys > 0 {
		lifetime = signInLifetime
	}
	return d.store.PutSignIn(ctx, Hash(b.ID), i, lifetime)
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
	var c carried
	if i.Challenge != nil {
		if err := json.Unmarshal(i.Challenge, &c); err != nil {
			return PendingSignIn{}, User{}, fmt.Errorf("reading a half-done sign-in: %w", err)
		}
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
	return PendingSignIn{i, len(c.Challenge) > 0 || u.Passkeys > 0, Login{Sub: i.Sub, Token: c.Token, Expires: c.Expires}, c.AMR}, u, err
}

// forget ends a half-done sign-in whose challenge died at the backend.
func (d *Directory) forget(ctx context.Context, b Browser) error {
	if err := d.takeSignIn(ctx, b); !errors.Is(err, ErrNoSignIn) {
		return err
	}
	return nil
}

// takeSignIn uses the half-done sign-in up, so that of two answers sent at
// once only one begins a session.
func (d *Directory) takeSignIn(ctx context.Context, b Browser) error {
	err := d.store.TakeSignIn(ctx, Hash(b.ID))
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoSignIn
	}
	return err
}
