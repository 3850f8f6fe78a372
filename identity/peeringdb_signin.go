package identity

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"peerage/identity/peeringdb"
	"peerage/store"
)

// accountName is how administrators tell an account.
func (p proof) accountName() string { return p.Name }

// answer is what the store gets of a proof, for a person.
func (d *Directory) answer(sub string, p proof) store.PeeringDBAnswer {
	a := store.PeeringDBAnswer{Sub: sub, PeeringDBID: p.ID, AccountName: p.accountName(), NextAt: d.nextCheck(), Decide: d.decide(p.Profile),
		Profile: store.User{Name: p.Name, GivenName: p.GivenName, FamilyName: p.FamilyName, Email: p.Email, EmailVerified: p.VerifiedEmail}}
	if p.refreshToken != "" {
		a.RefreshToken = []byte(p.refreshToken)
	}
	return a
}

// decide is the pure decision, in the words of the store.
func (d *Directory) decide(p peeringdb.Profile) func(store.PeeringDBState) store.PeeringDBVerdict {
	facts := peeringdb.Facts{Profile: p, Participants: d.peeringdb.Participants(), Policy: d.peeringdb.Policy}
	return func(s store.PeeringDBState) store.PeeringDBVerdict {
		f := facts
		f.OptedOut = s.OptedOut
		for _, a := range s.Affiliations {
			f.Current = append(f.Current, peeringdb.Affiliation{ASN: a.ASN, Name: a.Name, Perms: peeringdb.Perms(a.Perms), Origin: a.Origin})
		}
		o := peeringdb.Decide(f)
		return store.PeeringDBVerdict{Add: stored(o.Add), Change: stored(o.Change), Remove: stored(o.Remove), Refusal: string(o.Refusal), Alone: o.Alone}
	}
}

func stored(list []peeringdb.Affiliation) (affiliations []store.Affiliation) {
	for _, a := range list {
		affiliations = append(affiliations, store.Affiliation{ASN: a.ASN, Name: a.Name, Perms: int64(a.Perms), Origin: a.Origin})
	}
	return affiliations
}

// signInPeeringDB signs in whom PeeringDB's account belongs to, or makes them a
// person. It returns "" while a second factor is outstanding.
func (d *Directory) signInPeeringDB(ctx context.Context, b Browser, p proof) (secret string, err error) {
	link, err := d.store.PeeringDBLinkOf(ctx, p.ID)
	var change store.PeeringDBChange
	switch {
	case err == nil:
		change, err = d.store.PutPeeringDBAnswer(ctx, d.answer(link.Sub, p))
	case errors.Is(err, store.ErrNotFound) && d.peeringdb.SignUp:
		change, err = d.signUpPeeringDB(ctx, p)
	case errors.Is(err, store.ErrNotFound):
		return "", d.peeringDBFailed(ctx, store.User{}, PeeringDBUnknown, "account "+strconv.FormatInt(p.ID, 10))
	}
	if err != nil {
		return "", err
	}
	d.answered(ctx, change)
	if fault := refused(change); fault != "" {
		err := d.peeringDBFailed(ctx, change.User, fault, "account "+strconv.FormatInt(p.ID, 10))
		var told *PeeringDBError
		if errors.As(err, &told) {
			told.Account = p.accountName()
		}
		return "", err
	}
	return d.enterPeeringDB(ctx, b, change.User.Sub, p)
}

// refused is why a person is not let in by PeeringDB's word. Who has another way
// in is not kept out for want of networks.
func refused(c store.PeeringDBChange) PeeringDBFault {
	switch peeringdb.Refusal(c.Refusal) {
	case peeringdb.RefusedUser:
		return PeeringDBUserUnverified
	case peeringdb.RefusedEmail:
		return PeeringDBEmailUnverified
	case peeringdb.RefusedNoNetwork:
		if c.User.Origin == store.OriginPeeringDB || c.User.Origin == "" {
			return PeeringDBNoNetwork
		}
	}
	return ""
}

// tooManyNames bounds the search for a free user name.
const tooManyNames = 10_000

// signUpPeeringDB makes a person for an account that nobody is linked with. Their
// subject is ours and never PeeringDB's, and they get no password.
func (d *Directory) signUpPeeringDB(ctx context.Context, p proof) (store.PeeringDBChange, error) {
	tried := 0
	for name := range peeringdb.Usernames(p.Profile) {
		if tried++; tried > tooManyNames {
			break
		}
		taken, err := d.nameTaken(ctx, name)
		if err != nil {
			return store.PeeringDBChange{}, err
		}
		if taken {
			continue
		}
		change, err := d.store.SignUpPeeringDB(ctx, d.answer(uuid.NewString(), p), slices.Values([]string{name}))
		if !errors.Is(err, store.ErrExists) {
			if err == nil && change.Refusal == "" {
				d.personEvent(ctx, "user_create", User{User: change.User}, slog.String("origin", store.OriginPeeringDB))
				d.peeringDBEvent(ctx, "peeringdb_link", change.User, "")
			}
			return change, err
		}
		// Of two browsers of one person at once the second finds the first's link.
		if link, err := d.store.PeeringDBLinkOf(ctx, p.ID); err == nil {
			return d.store.PutPeeringDBAnswer(ctx, d.answer(link.Sub, p))
		}
	}
	return store.PeeringDBChange{}, errors.New("finding a free user name for a person of PeeringDB")
}

// nameTaken asks who else has user names; while they cannot say, nobody is made.
func (d *Directory) nameTaken(ctx context.Context, name string) (bool, error) {
	if _, err := d.store.UserByName(ctx, name); !errors.Is(err, store.ErrNotFound) {
		return true, err
	}
	return d.primary.HasAccount(ctx, name)
}

// enterPeeringDB begins a session, or what must come before it: a second factor
// of the person's, which PeeringDB's password must not go around, or its enrolment.
func (d *Directory) enterPeeringDB(ctx context.Context, b Browser, sub string, p proof) (secret string, err error) {
	u, err := d.User(ctx, sub)
	if err != nil {
		return "", err
	}
	if u.Disabled {
		return "", d.peeringDBFailed(ctx, u.User, PeeringDBDisabled, "")
	}
	amr := p.AMR
	if len(amr) == 0 {
		amr = []string{"pwd"}
	}
	d.peeringDBEvent(ctx, "peeringdb_login", u.User, "")
	login := Login{Sub: u.Sub, Stale: !p.anew}
	challenged := u.HasSecondFactor()
	if !p.secondFactor() && (challenged || u.NeedsLink || d.peeringdb.RequireMFA || d.MustHaveMFA(u)) {
		if u.TOTP {
			if u.Origin != OriginLocal && u.Origin != store.OriginPeeringDB && u.Passkeys == 0 {
				return "", d.peeringDBFailed(ctx, u.User, PeeringDBFactor, "")
			}
			login.Challenge = []byte("totp")
		}
		d.Audit.Event(ctx, challengeEvent(u.User, challenged))
		return "", d.putSignIn(ctx, b, u.User, login, false, amr...)
	}
	if secret, err = d.begin(ctx, b, u.User, login, p.acr(), amr); err != nil {
		return "", err
	}
	d.signedIn(ctx, u.User)
	return secret, nil
}

// answered tells of all that an answer has changed.
func (d *Directory) answered(ctx context.Context, c store.PeeringDBChange) {
	ctx = context.WithoutCancel(ctx)
	if c.User.Sub == "" {
		return // nobody was made
	}
	for _, a := range c.Remove {
		d.affiliationEvent(ctx, "affiliation_removed", c.User, a.ASN, store.AffiliationPeeringDB)
	}
	for _, a := range c.Add {
		d.affiliationEvent(ctx, "affiliation_added", c.User, a.ASN, store.AffiliationPeeringDB)
	}
	if len(c.Add)+len(c.Remove) > 0 && !c.User.LastLoginAt.IsZero() {
		d.notify(ctx, User{User: c.User}, MailNetworks)
	}
	if c.Deactivated {
		d.giveBackAll(ctx, User{User: c.User}, c.Ended)
		d.personEvent(ctx, "user_disable", User{User: c.User}, slog.String("reason", "no_network"))
	}
	if c.Reactivated {
		d.personEvent(ctx, "user_enable", User{User: c.User}, slog.String("reason", "peeringdb"))
	}
	if n := len(c.Add); n > manyNetworks {
		d.log.WarnContext(ctx, "a person has so many networks that applications may refuse their groups", "user", c.User.Username, "networks", n)
	}
}

// manyNetworks is about what cookies and headers of applications bear.
const manyNetworks = 100

func (d *Directory) peeringDBEvent(ctx context.Context, name string, u store.User, reason string) {
	e := Event{Name: name, User: u.Username, Sub: u.Sub, Result: resultSuccess}
	if reason != "" {
		e.Result, e.Detail = resultFailure, []slog.Attr{slog.String("reason", reason)}
		if reason == string(PeeringDBUnavailable) {
			e.Result = resultUnavailable
		}
	}
	d.Audit.Event(ctx, e)
}

// nextCheck is when a person is checked next: not all at the same moment.
func (d *Directory) nextCheck() time.Time {
	return d.now().Add(jitter(d.peeringdb.Refresh))
}
