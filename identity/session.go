package identity

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"peerage/store"
)

// Visitor is a signed-in person in a browser.
type Visitor struct {
	User    User
	Session store.Session
}

// Fresh tells whether the strongest factor that the person has was given
// within the operator's limit. A session of one factor is not fresh for a
// person who has two.
func (d *Directory) Fresh(v Visitor) bool {
	strongest := !v.User.HasSecondFactor() || ACRSatisfies(v.Session.ACR, ACRTwoFactors)
	return strongest && d.now().Sub(v.Session.FactorAt) < d.FreshFactor
}

// Visitor finds who is signed in with the cookie's secret. ErrNoSession:
// nobody; the session may have ended or the person be disabled.
func (d *Directory) Visitor(ctx context.Context, secret string) (Visitor, error) {
	if secret == "" {
		return Visitor{}, ErrNoSession
	}
	session, err := d.store.Session(ctx, Hash(secret), d.SessionIdle)
	if errors.Is(err, store.ErrNotFound) {
		return Visitor{}, ErrNoSession
	}
	if err != nil {
		return Visitor{}, err
	}
	user, err := d.User(ctx, session.Sub)
	if errors.Is(err, store.ErrNotFound) || err == nil && user.Disabled {
		return Visitor{}, ErrNoSession
	}
	user.adminHere = err == nil && d.administersHere(user, session)
	return Visitor{user, session}, err
}

// begin starts a session for a person who has proved themselves and returns
// the secret of its cookie. The browser's earlier session ends. Without a
// session the backend's credential is given back.
func (d *Directory) begin(ctx context.Context, b Browser, u store.User, l Login, acr string, amr []string) (secret string, err error) {
	secret = NewSecret()
	now := d.now()
	caller := CallerFrom(ctx)
	expires := now.Add(d.SessionMax)
	if !l.Expires.IsZero() && l.Expires.Before(expires) {
		expires = l.Expires
	}
	var replaces []byte
	var replaced store.Session
	if b.Session != "" {
		replaces = Hash(b.Session)
		// A session that cannot be read ends all the same.
		replaced, _ = d.store.Session(ctx, replaces, d.SessionMax)
	}
	// The same person proving themselves anew stays in the same session: what
	// it gave to applications lives on, and they are not told of a sign-out.
	id := uuid.NewString()
	if replaced.Sub == l.Sub {
		id = replaced.ID
	}
	factorAt := now
	if l.Stale {
		factorAt = now.Add(-d.FreshFactor)
	}
	err = d.store.CreateSession(ctx, store.Session{
		ID: id, Sub: l.Sub, AuthTime: now, ACR: acr, AMR: amr, FactorAt: factorAt,
		IP: caller.IP, UserAgent: Clean(caller.UserAgent), BackendToken: l.Token, ExpiresAt: expires,
	}, Hash(secret), replaces)
	if err != nil {
		d.giveBackTo(ctx, u.Origin, l.Token)
		if errors.Is(err, store.ErrRevoked) {
			err = ErrWrongCredentials
		}
		return "", err
	}
	d.hurryPeeringDB(ctx, l.Sub)
	if replaced.ID != "" && replaced.ID != id {
		d.ended(ctx, replaced, "logout")
	} else {
		d.giveBackTo(ctx, u.Origin, replaced.BackendToken)
	}
	return secret, nil
}

// strengthen moves a session under a new secret after another factor.
func (d *Directory) strengthen(ctx context.Context, b Browser, s store.Session, acr string, factors ...string) (secret string, err error) {
	secret = NewSecret()
	amr := slices.Clone(s.AMR)
	for _, f := range factors {
		if !slices.Contains(amr, f) {
			amr = append(amr, f)
		}
	}
	err = d.store.StrengthenSession(ctx, Hash(b.Session), Hash(secret), strongerACR(s.ACR, acr), amr)
	if errors.Is(err, store.ErrNotFound) {
		return "", ErrNoSession
	}
	return secret, err
}

// SignOut ends the session of a browser. It is no error when there is none.
func (d *Directory) SignOut(ctx context.Context, secret string) error {
	if secret == "" {
		return nil
	}
	ended, err := d.store.EndSession(ctx, Hash(secret))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	d.ended(ctx, ended, "logout")
	return nil
}

// ended tells of a session's end and gives the backend's credential back.
func (d *Directory) ended(ctx context.Context, s store.Session, event string) {
	user, err := d.store.User(ctx, s.Sub)
	if err != nil {
		d.log.WarnContext(ctx, "naming the person of an ended session", "error", err)
	}
	d.Audit.Event(ctx, Event{Name: event, User: user.Username, Sub: s.Sub, Result: resultSuccess})
	d.giveBackTo(ctx, user.Origin, s.BackendToken)
}

// giveBackTo is giveBack to the backend of that origin.
func (d *Directory) giveBackTo(ctx context.Context, origin string, token []byte) {
	if b, ok := d.backends[origin]; ok {
		d.giveBack(ctx, b, token)
	}
}

// giveBack ends a person's own credential at their backend, also when the
// caller has gone away. When that fails it ends by itself later: nobody is kept
// waiting for it.
func (d *Directory) giveBack(ctx context.Context, b Backend, token []byte) {
	if len(token) == 0 {
		return
	}
	if err := b.SignOut(context.WithoutCancel(ctx), token); err != nil {
		d.log.WarnContext(ctx, "giving a person's credential back to the backend", "backend", b.Origin(), "error", err)
	}
}

// Expire removes what is too old from the store, batch rows at a time, and
// tells of sessions that ended by themselves. What a backend handed out for
// them, and for sign-ins that nobody finished, is given back. It returns how
// many rows went.
func (d *Directory) Expire(ctx context.Context, batch int) (rows int64, err error) {
	rows, sessions, err := d.store.DeleteExpired(ctx, batch, d.SessionIdle)
	for _, s := range sessions {
		d.ended(ctx, s, "session_expired")
	}
	if err != nil {
		return rows, err
	}
	unfinished, err := d.store.ExpireSignIns(ctx, batch)
	d.giveBackSignIns(ctx, unfinished...)
	return rows + int64(len(unfinished)), err
}

// Sessions lists where a person is signed in, the latest first.
func (d *Directory) Sessions(ctx context.Context, u User) ([]store.Session, error) {
	list, err := d.store.Sessions(ctx, u.Sub)
	idle := d.now().Add(-d.SessionIdle)
	return slices.DeleteFunc(list, func(s store.Session) bool { return !s.LastSeenAt.After(idle) }), err
}

// RevokeSession ends one of a person's own sessions by its id, with all that it
// gave to applications. ErrNoSession: they have no such session; anybody
// else's is none of theirs.
func (d *Directory) RevokeSession(ctx context.Context, u User, id string) error {
	ended, err := d.store.RevokeSession(ctx, u.Sub, id)
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoSession
	}
	if err == nil {
		d.ended(context.WithoutCancel(ctx), ended, "session_revoke")
	}
	return err
}

// RevokeOtherSessions ends all of a person's sessions but the one they use, and
// returns how many.
func (d *Directory) RevokeOtherSessions(ctx context.Context, v Visitor) (int, error) {
	ended, err := d.store.RevokeOtherSessions(ctx, v.User.Sub, v.Session.ID)
	for _, s := range ended {
		d.ended(context.WithoutCancel(ctx), s, "session_revoke")
	}
	return len(ended), err
}
