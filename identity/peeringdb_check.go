package identity

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"peerage/identity/peeringdb"
	"peerage/store"
)

const (
	// checkPace is the least time between two checks, over all servers: each takes
	// two requests, and PeeringDB lets an address send 120 a minute, of which
	// sign-ins need some.
	checkPace = 3 * time.Second
	// checkLease is longer than a check takes when both requests run into their
	// deadline.
	checkLease = 2 * time.Minute
	// checkSoon: who comes here with an older answer is checked next.
	checkSoon = 15 * time.Minute
	// checkRecent: whose answer is younger is checked again when it is their turn;
	// who asks over and over must not take the turns of others.
	checkRecent = time.Minute
	// maxPatience bounds how long after PeeringDB came back somebody waits.
	maxPatience = time.Hour
)

// jitter spreads what would else happen to everybody at the same moment: d, give
// or take a tenth.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d)/5+1))
}

// CheckNextPeeringDB checks one person who is due, if there is one and the pace
// allows it.
func (d *Directory) CheckNextPeeringDB(ctx context.Context) error {
	link, token, err := d.store.TakePeeringDBCheck(ctx, "", checkLease, checkPace)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.check(ctx, link, token)
}

// PeeringDBCheckDue tells whether CheckNextPeeringDB would do anything.
func (d *Directory) PeeringDBCheckDue(ctx context.Context) (bool, error) {
	if d.peeringdb.Client == nil {
		return false, nil
	}
	return d.store.DuePeeringDBCheck(ctx)
}

// Checked is what became of a check that somebody asked for.
type Checked string

// The ends of a check.
const (
	CheckDone   Checked = "checked"   // PeeringDB answered, well or not: see the link
	CheckQueued Checked = "queued"    // it comes next
	CheckSignIn Checked = "sign_in"   // the person must sign in at PeeringDB again
	CheckPaused Checked = "no_answer" // PeeringDB is left alone for a while
)

// CheckPeeringDB checks a person who asks for it. store.ErrNotFound: they have no link.
func (d *Directory) CheckPeeringDB(ctx context.Context, u User) (Checked, error) {
	if d.peeringdb.Client == nil {
		return "", errors.ErrUnsupported
	}
	link, err := d.store.PeeringDBLink(ctx, u.Sub)
	switch {
	case err != nil:
		return "", err
	case link.NeedsSignIn:
		return CheckSignIn, nil
	}
	pause, err := d.store.PeeringDBPause(ctx)
	if err != nil {
		return "", err
	}
	if d.now().Before(pause.Until) {
		return CheckPaused, d.store.HurryPeeringDB(ctx, u.Sub)
	}
	if d.now().Sub(link.CheckedAt) < checkRecent {
		return CheckQueued, d.store.QueuePeeringDB(ctx, u.Sub)
	}
	link, token, err := d.store.TakePeeringDBCheck(ctx, u.Sub, checkLease, checkPace)
	if errors.Is(err, store.ErrNotFound) {
		return CheckQueued, d.store.HurryPeeringDB(ctx, u.Sub)
	}
	if err != nil {
		return "", err
	}
	return CheckDone, d.check(ctx, link, token)
}

// hurryPeeringDB puts a person who comes here before the others, when what is
// known of them is not of now.
func (d *Directory) hurryPeeringDB(ctx context.Context, sub string) {
	if d.peeringdb.Client == nil {
		return
	}
	link, err := d.store.PeeringDBLink(ctx, sub)
	if err == nil && !link.Urgent && !link.NeedsSignIn && d.now().Sub(link.CheckedAt) > checkSoon {
		err = d.store.HurryPeeringDB(ctx, sub)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		d.log.WarnContext(ctx, "asking for a check at PeeringDB", "error", err)
	}
}

// errSignInAgain: the link is good for nothing until the person signs in at
// PeeringDB once more. That is no reason to take anything away.
var errSignInAgain = errors.New("the person must sign in at PeeringDB again")

// check asks PeeringDB about a person and puts the answer into effect. What it
// returns is a fault of ours; PeeringDB's own is noted.
func (d *Directory) check(ctx context.Context, link store.PeeringDBLink, token []byte) error {
	// Whoever spends a token must see what comes of it.
	ctx = context.WithoutCancel(ctx)
	generation := link.Generation
	err := d.ask(ctx, link, token, &generation)
	var unavailable *peeringdb.UnavailableError
	if errors.Is(err, peeringdb.ErrResponse) {
		unavailable = &peeringdb.UnavailableError{Reason: err.Error(), Wait: time.Minute}
	}
	switch {
	case err == nil:
		d.metrics.checks.WithLabelValues(resultSuccess).Inc()
		return nil
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		return nil // they signed in at PeeringDB, or unlinked, meanwhile
	case errors.Is(err, errSignInAgain):
		d.metrics.checks.WithLabelValues(resultFailure).Inc()
		d.log.InfoContext(ctx, "a link to PeeringDB needs a new sign-in", "sub", link.Sub, "error", err)
		err = d.store.PutPeeringDBFault(ctx, link.Sub, generation, err.Error(), time.Time{})
	case unavailable != nil, errors.As(err, &unavailable):
		result := resultUnavailable
		if unavailable.Refused {
			result = resultThrottled
		}
		d.metrics.checks.WithLabelValues(result).Inc()
		d.log.WarnContext(ctx, "PeeringDB does not answer a check", "error", unavailable.Reason, "wait", unavailable.Wait)
		d.pausePeeringDB(ctx, unavailable)
		wait := unavailable.Wait
		if generation != link.Generation && !unavailable.Refused {
			wait = max(wait, d.patience(link)) // PeeringDB answers, but not about this person
		}
		err = d.store.PutPeeringDBFault(ctx, link.Sub, generation, unavailable.Reason, d.now().Add(wait))
	}
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// patience is how long somebody waits for the next try whose profile could not be
// read: the longer, the longer that was so, for each try that fails stops the checks
// of everybody.
func (d *Directory) patience(link store.PeeringDBLink) time.Duration {
	return min(d.now().Sub(link.CheckedAt)/16, maxPatience)
}

// ask spends the refresh token, keeps the next one before anything else is done,
// and reads the profile. generation becomes that of the token that is kept.
func (d *Directory) ask(ctx context.Context, link store.PeeringDBLink, token []byte, generation *int64) error {
	if len(token) == 0 {
		return fmt.Errorf("%w: PeeringDB gave no refresh token", errSignInAgain)
	}
	client := d.peeringdb.Client
	tokens, err := client.Refresh(ctx, string(token))
	if errors.Is(err, peeringdb.ErrInvalidGrant) {
		return d.lost(ctx, link)
	}
	if tokens.Refresh != "" {
		next, err := d.store.KeepPeeringDBToken(ctx, link.Sub, *generation, []byte(tokens.Refresh))
		if err != nil {
			return err
		}
		*generation = next
	}
	if errors.Is(err, peeringdb.ErrNoScope) {
		return fmt.Errorf("%w: %w", errSignInAgain, err)
	}
	if err != nil {
		return err
	}
	profile, err := client.Profile(ctx, tokens.Access)
	switch {
	case errors.Is(err, peeringdb.ErrNoScope):
		return fmt.Errorf("%w: %w", errSignInAgain, err)
	case err != nil:
		return err
	case profile.ID != link.PeeringDBID:
		return fmt.Errorf("%w: PeeringDB answers for another account", errSignInAgain)
	case !profile.HasNetworks:
		return fmt.Errorf("%w: PeeringDB does not say the networks", errSignInAgain)
	}
	answer := d.answer(link.Sub, proof{Profile: profile})
	answer.Generation = *generation
	change, err := d.store.PutPeeringDBAnswer(ctx, answer)
	if err != nil {
		return err
	}
	d.answered(ctx, change)
	return nil
}

// lost: a token that counts no more may have been spent by another server, or
// replaced by a sign-in. Only when it is still the one that is kept is the link lost.
func (d *Directory) lost(ctx context.Context, link store.PeeringDBLink) error {
	now, err := d.store.PeeringDBLink(ctx, link.Sub)
	if err != nil {
		return err
	}
	if now.Generation != link.Generation {
		return store.ErrConflict
	}
	return fmt.Errorf("%w: %w", errSignInAgain, peeringdb.ErrInvalidGrant)
}

// ForgetPeople deletes people who came by PeeringDB alone and had no network for
// as long as the operator keeps them; batch at most.
func (d *Directory) ForgetPeople(ctx context.Context, batch int) error {
	people, err := d.store.PeopleToForget(ctx, d.now().Add(-d.peeringdb.Retention), batch)
	if err != nil {
		return err
	}
	for _, u := range people {
		if err := d.DeleteUser(ctx, User{User: u}); err != nil {
			return fmt.Errorf("deleting %s: %w", u.Sub, err)
		}
	}
	return nil
}

// OptOut takes a network from everybody who has it by PeeringDB, and keeps it from
// them. store.ErrExists: it had opted out.
func (d *Directory) OptOut(ctx context.Context, asn uint32) error {
	taken, err := d.store.OptOut(ctx, asn)
	if err != nil {
		return err
	}
	for _, t := range taken {
		d.affiliationEvent(ctx, "affiliation_removed", store.User{Sub: t.Sub, Username: t.Username}, asn, store.AffiliationPeeringDB)
	}
	d.settingEvent(ctx, "opt-out", asn)
	return nil
}

// OptIn undoes OptOut. store.ErrNotFound: it had not opted out.
func (d *Directory) OptIn(ctx context.Context, asn uint32) error {
	if err := d.store.OptIn(ctx, asn); err != nil {
		return err
	}
	d.settingEvent(ctx, "opt-in", asn)
	return nil
}

// PeeringDBStatus is how things stand with PeeringDB.
type PeeringDBStatus struct {
	Offered, SignUp bool
	store.PeeringDBOverview
	Pause store.PeeringDBPause
	// Refresh is the time between two checks of a person, MaxAge how long an answer
	// counts, Round how long it takes to check everybody at the pace.
	Refresh, MaxAge, Round time.Duration
	// Participants is how many networks take part; 0 is not known.
	Participants int
}

// TooMany tells that not everybody can be checked within Refresh.
func (s PeeringDBStatus) TooMany() bool { return s.Round > s.Refresh }

// Broken tells that PeeringDB did not answer at last.
func (s PeeringDBStatus) Broken() bool { return s.Pause.Fault != "" }

// PeeringDBStatus tells how things stand.
func (d *Directory) PeeringDBStatus(ctx context.Context) (PeeringDBStatus, error) {
	p := d.peeringdb
	s := PeeringDBStatus{Offered: p.Client != nil, SignUp: p.SignUp, Refresh: p.Refresh, MaxAge: p.MaxAge, Participants: len(p.Participants())}
	var err error
	if s.PeeringDBOverview, err = d.store.PeeringDBOverview(ctx, d.now().Add(-p.MaxAge)); err != nil {
		return s, err
	}
	s.Round = time.Duration(s.Links) * checkPace
	s.Pause, err = d.store.PeeringDBPause(ctx)
	return s, err
}
