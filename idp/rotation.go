package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"peerage/identity"
	"peerage/store"
)

const (
	// PublishBefore is how long a key is published before it signs. Clients
	// keep the key set for up to a day and some look again only then.
	PublishBefore = 24 * time.Hour
	// rotateEvery is how old an active key gets before it is replaced by itself.
	rotateEvery = 90 * 24 * time.Hour
)

// Refusals of Rotate and Retire.
var (
	ErrUnknownAlgorithm = errors.New("the algorithm is not RS256, ES256 or EdDSA")
	ErrUnknownKey       = errors.New("there is no such key")
	// ErrKeyNeeded: the key signs, and the one to follow is not known to
	// clients yet.
	ErrKeyNeeded = errors.New("it signs now, and the key that would follow has not been published for a day")
	// ErrKeyRetired: nothing is left to do.
	ErrKeyRetired = errors.New("it is retired already")
)

// Rotated says what a rotation did.
type Rotated struct {
	Alg string
	// KID is the key that signs now or will.
	KID string
	// At is when it signs: now, or in the future.
	At time.Time
	// PublishedFor is how long clients could have seen it when it begins.
	PublishedFor time.Duration
}

// Rotate replaces the active key of an algorithm. The next key becomes active
// once it has been published for a day; at is that time. With now it becomes
// active at once, and clients that keep an older key set refuse its tokens
// until they look again.
func (k *KeyRing) Rotate(ctx context.Context, alg string, now bool) (Rotated, error) {
	if !slices.Contains(algorithms, alg) {
		return Rotated{}, fmt.Errorf("%q: %w", alg, ErrUnknownAlgorithm)
	}
	if err := k.Prepare(ctx); err != nil {
		return Rotated{}, err
	}
	next, ok := k.next(alg)
	if !ok {
		return Rotated{}, fmt.Errorf("there is no next key for %s", alg)
	}
	due := next.CreatedAt.Add(PublishBefore)
	if now || !due.After(k.now()) {
		r := Rotated{alg, next.KID, k.now(), k.now().Sub(next.CreatedAt)}
		return r, k.promote(ctx, next.KID)
	}
	if err := k.store.SchedulePromotion(ctx, next.KID, due); err != nil {
		return Rotated{}, fmt.Errorf("scheduling the key %s: %w", next.KID, err)
	}
	return Rotated{alg, next.KID, due, PublishBefore}, k.Reload(ctx)
}

// Algorithms are the signature algorithms that there are keys for.
func Algorithms() []string { return slices.Clone(algorithms) }

// Keys lists all keys, the newest first, without their private halves.
// LastUsedAt is what any replica has written and what this one knows.
func (k *KeyRing) Keys(ctx context.Context) ([]store.SigningKey, error) {
	keys, err := k.store.PublicKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the signing keys: %w", err)
	}
	slices.Reverse(keys)
	k.usedMu.Lock()
	defer k.usedMu.Unlock()
	for i := range keys {
		keys[i].Private = nil
		if recent := k.used[keys[i].KID]; recent.After(keys[i].LastUsedAt) {
			keys[i].LastUsedAt = recent
		}
	}
	return keys, nil
}

func (k *KeyRing) next(alg string) (store.SigningKey, bool) {
	for _, row := range k.ring.Load().states {
		if row.Alg == alg && row.State == store.KeyNext {
			return row, true
		}
	}
	return store.SigningKey{}, false
}

// promote makes a key active and publishes another next one. Another replica
// may have been faster; that is no error.
func (k *KeyRing) promote(ctx context.Context, kid string) error {
	if err := k.store.PromoteKey(ctx, kid); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("promoting the key %s: %w", kid, err)
	}
	if err := k.Reload(ctx); err != nil {
		return err
	}
	return k.Prepare(ctx)
}

// Retire takes a key out of use. With withdraw it leaves the key set at once
// and nothing that it signed verifies any more (it leaked).
func (k *KeyRing) Retire(ctx context.Context, kid string, withdraw bool) error {
	row, ok := k.ring.Load().states[kid]
	if !ok {
		return fmt.Errorf("%s: %w", kid, ErrUnknownKey)
	}
	if !row.WithdrawnAt.IsZero() || row.State == store.KeyRetired && !withdraw {
		return fmt.Errorf("%s: %w", kid, ErrKeyRetired)
	}
	if row.State == store.KeyActive && !withdraw {
		if next, ok := k.next(row.Alg); !ok || next.CreatedAt.Add(PublishBefore).After(k.now()) {
			return fmt.Errorf("%s: %w: rotate %s first, or retire it now if it leaked", kid, ErrKeyNeeded, row.Alg)
		}
	}
	if err := k.Prepare(ctx); err != nil { // one that can follow
		return err
	}
	if err := k.store.RetireKey(ctx, kid, withdraw); err != nil {
		return fmt.Errorf("retiring the key %s: %w", kid, err)
	}
	if err := k.Reload(ctx); err != nil {
		return err
	}
	return k.Prepare(ctx)
}

// Keep does what is due: it makes keys that are missing, promotes those whose
// time has come, and begins the replacement of old ones. Replicas may do it at
// once.
func (k *KeyRing) Keep(ctx context.Context, audit *identity.Audit) error {
	if err := k.Ensure(ctx); err != nil {
		return err
	}
	if err := k.Prepare(ctx); err != nil {
		return err
	}
	for _, row := range k.ring.Load().states {
		now := k.now()
		switch {
		case row.State == store.KeyNext && !row.PromoteAt.IsZero() && !row.PromoteAt.After(now):
			if err := k.promote(ctx, row.KID); err != nil {
				return err
			}
			audit.Event(ctx, identity.Event{Name: "key_rotate", Result: "success", Detail: KeyDetail(row.Alg, row.KID)})
		case row.State == store.KeyActive && now.Sub(row.ActivatedAt) >= rotateEvery:
			if next, ok := k.next(row.Alg); ok && next.PromoteAt.IsZero() {
				if _, err := k.Rotate(ctx, row.Alg, false); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
