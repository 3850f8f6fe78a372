package openbao

import (
	"context"
	"errors"
	"slices"
	"time"

	"peerage/identity"
	"peerage/store"
)

const (
	// stateKept is how old the state of a person in the store may be that has
	// not changed: a restart makes what is known at most that much older.
	stateKept = 5 * time.Minute
	// keepTimeout bounds who waits for the store to be told.
	keepTimeout = 300 * time.Millisecond
	// clockSlack is how far the clocks of two replicas may be apart.
	clockSlack = time.Minute
)

// keepEvery is stateKept, or less where what is known serves for minutes only.
func (b *Backend) keepEvery() time.Duration { return min(stateKept, b.MaxStale/4) }

// same tells whether two states let a person do the same.
func same(a, b identity.State) bool {
	return slices.Equal(a.Groups, b.Groups) && a.TOTP == b.TOTP && a.Disabled == b.Disabled
}

// learned notes what OpenBao said of a person when it was asked then and there
// were so many doubts: here, and in the store when that knows another state or
// an old one. That the store is not told is no reason to keep anybody out.
func (b *Backend) learned(ctx context.Context, sub string, state identity.State, asked time.Time, doubts int) {
	if !b.remember(sub, state, doubts) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	err := b.store.PutKnownState(ctx, store.KnownState{Sub: sub, Groups: state.Groups, TOTP: state.TOTP, Disabled: state.Disabled, AskedAt: asked})
	if err != nil {
		if !errors.Is(err, store.ErrNotFound) { // deleted meanwhile
			b.log.WarnContext(ctx, "keeping what OpenBao said of a person", "sub", sub, "error", err)
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, ok := b.states[sub]; ok && k.doubts == doubts {
		k.keptAt = asked
		b.states[sub] = k
	}
}

// recall gives what is known of a person with its age, negative when nothing is:
// what the store knows when that is newer, by another replica or from before a
// restart. It serves only while nothing better can be had.
func (b *Backend) recall(ctx context.Context, sub string) (known, time.Duration, error) {
	kept, err := b.store.KnownState(ctx, sub)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return known{}, -1, err
	}
	if err == nil && !kept.AskedAt.After(b.now().Add(clockSlack)) {
		b.mu.Lock()
		if last, ok := b.states[sub]; !ok || kept.AskedAt.After(last.at) {
			state := identity.State{Groups: kept.Groups, TOTP: kept.TOTP, Disabled: kept.Disabled}
			b.put(sub, known{state: state, at: kept.AskedAt, doubted: true, doubts: last.doubts, keptAt: kept.AskedAt})
		}
		b.mu.Unlock()
	}
	last, age, _ := b.last(sub)
	return last, age, nil
}
