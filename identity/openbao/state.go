package openbao

import (
	"context"
	"errors"
	"strconv"
	"time"

	"peerage/identity"
	"peerage/store"
)

const (
	// stateFresh is how long a person's state is not asked again: the pages and
	// tokens of one click share one answer.
	stateFresh = time.Second
	// downFor is how long OpenBao is left alone after it did not answer, by
	// those for whom the last known state will do.
	downFor = time.Second
	// staleTimeout bounds the question for whom the last known state will do.
	staleTimeout = time.Second
	// stateRecent is how old a state may be that serves while OpenBao takes its
	// time. The question goes on behind, so that the next one knows.
	stateRecent = 3 * time.Second
	// statePatience is how long OpenBao may take before that. Idle, it answers
	// within one millisecond; comparing passwords on all cores, in a hundred.
	statePatience = 10 * time.Millisecond
	// maxStates bounds the memory: about 300 bytes a person.
	maxStates = 50_000
)

// known is what OpenBao said of a person, and when.
type known struct {
	state identity.State
	at    time.Time
	// doubted: something has changed since, so that it serves only while
	// nothing better can be had.
	doubted bool
	// doubts counts them: an answer to a question from before one is old news.
	doubts int
	// keptAt is when the store was told this; zero: it knows another state.
	keptAt time.Time
}

func (k *known) doubt() { k.doubted, k.doubts, k.keptAt = true, k.doubts+1, time.Time{} }

// State implements identity.Backend. While OpenBao does not answer, the last
// known state serves for MaxStale, then ErrUnavailable.
func (b *Backend) State(ctx context.Context, u identity.User) (identity.State, error) {
	last, age, down := b.last(u.Sub)
	if age >= 0 && age < stateFresh && !last.doubted {
		return last.state, nil
	}
	if age < 0 || down {
		var err error
		if last, age, err = b.recall(ctx, u.Sub); err != nil {
			return identity.State{}, err
		}
	}
	serves := age >= 0 && age < b.MaxStale
	if serves && down {
		return last.state, nil
	}
	timeout := b.client.timeout
	if serves {
		timeout = min(timeout, staleTimeout)
	}
	asking := b.asking.DoChan(u.Sub+" "+strconv.Itoa(last.doubts), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		asked := b.now()
		state, err := b.ask(ctx, u)
		if err == nil {
			b.learned(ctx, u.Sub, state, asked, last.doubts)
		}
		b.answers(ctx, err)
		return state, err
	})
	patience := timeout
	if serves && !last.doubted && age < stateRecent {
		patience = statePatience
	}
	var err error
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case got := <-asking:
		if got.Err == nil {
			return got.Val.(identity.State), nil
		}
		err = got.Err
	case <-enough.C: // who began the question may have waited for it before
		err = &Error{Operation: "read_entity", Kind: identity.ErrUnavailable, Reason: "it does not answer in time"}
	case <-ctx.Done():
		return identity.State{}, ctx.Err()
	}
	if !errors.Is(err, identity.ErrUnavailable) {
		return identity.State{}, err
	}
	if serves && age < stateRecent {
		return last.state, nil
	}
	// Another replica may have asked since.
	last, age, failed := b.recall(ctx, u.Sub)
	if failed == nil && age >= 0 && age < b.MaxStale {
		return last.state, nil
	}
	return identity.State{}, errors.Join(err, failed)
}

// ask reads a person's state: two requests at once.
func (b *Backend) ask(ctx context.Context, u identity.User) (identity.State, error) {
	enrolled, enrolledErr := false, make(chan error, 1)
	go func() {
		var err error
		enrolled, err = b.enforced(ctx, u.Sub)
		enrolledErr <- err
	}()
	e, err := b.entityByID(ctx, u.Sub)
	if asked := <-enrolledErr; err == nil {
		err = asked
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrRefused) {
		return identity.State{Disabled: true}, nil // the person is gone
	}
	if err != nil {
		return identity.State{}, err
	}
	accessor, err := b.accessor.get(ctx)
	if err == nil && !e.signsIn(u.Username, accessor) {
		accessor, err = b.accessor.again(ctx)
	}
	if err != nil {
		return identity.State{}, err
	}
	if fresh := b.profile(u.Username, e); fresh.Name != u.Name || fresh.Email != u.Email {
		if err := b.row(ctx, u.Username, e); err != nil {
			return identity.State{}, err // changed at OpenBao since they signed in
		}
	}
	groups, err := b.groupNames(ctx, e)
	// Whose account signs in as another entity now is nobody any more.
	return identity.State{Groups: groups, TOTP: enrolled, Disabled: e.Disabled || !e.signsIn(u.Username, accessor)}, err
}

// last gives what is known of a person with its age, negative when nothing is,
// and whether OpenBao is away.
func (b *Backend) last(sub string) (k known, age time.Duration, down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	since := now.Sub(b.downAt)
	down = !b.downAt.IsZero() && since >= 0 && since < downFor
	k, ok := b.states[sub]
	if !ok {
		return known{}, -1, down
	}
	return k, max(0, now.Sub(k.at)), down
}

// answers notes whether OpenBao does, and says so once.
func (b *Backend) answers(ctx context.Context, err error) {
	away := errors.Is(err, identity.ErrUnavailable)
	b.mu.Lock()
	was := !b.downAt.IsZero()
	b.downAt = time.Time{}
	if away {
		b.downAt = b.now()
	}
	b.mu.Unlock()
	switch {
	case away && !was:
		b.log.WarnContext(ctx, "OpenBao does not answer; what was last known of people serves", "for", b.MaxStale.String(), "error", err)
	case !away && was:
		b.log.InfoContext(ctx, "OpenBao answers again")
	}
}

// remember notes what was asked when there were so many doubts. due tells that
// the store is to be told too.
func (b *Backend) remember(sub string, state identity.State, doubts int) (due bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.states[sub]
	if last.doubts != doubts {
		return false
	}
	now := b.now()
	fresh := known{state: state, at: now, doubts: doubts}
	if age := now.Sub(last.keptAt); age >= 0 && age < b.keepEvery() && same(state, last.state) {
		fresh.keptAt = last.keptAt
	}
	b.put(sub, fresh)
	return fresh.keptAt.IsZero() && b.MaxStale > 0
}

// put makes room for one more person where there is none; b.mu is held.
func (b *Backend) put(sub string, fresh known) {
	if _, ok := b.states[sub]; !ok && len(b.states) >= maxStates {
		for s, k := range b.states {
			// Those that serve nobody, else whoever comes first.
			if fresh.at.Sub(k.at) >= b.MaxStale || len(b.states) >= maxStates {
				delete(b.states, s)
			}
		}
	}
	b.states[sub] = fresh
}

// suspect makes the next State ask.
func (b *Backend) suspect(sub string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, ok := b.states[sub]; ok {
		k.doubt()
		b.states[sub] = k
	}
}

// changed notes that a person's TOTP factor came or went; with an error, that
// it may have.
func (b *Backend) changed(sub string, totp bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.states[sub]
	if !ok {
		return
	}
	k.doubt()
	if err == nil {
		k.state.TOTP = totp
	}
	b.states[sub] = k
}

func (b *Backend) suspectName(ctx context.Context, username string) {
	row, err := b.store.UserByName(ctx, username)
	if err == nil {
		b.suspect(row.Sub)
	} else if !errors.Is(err, store.ErrNotFound) {
		b.log.WarnContext(ctx, "finding the person whom OpenBao denied", "error", err)
	}
}
