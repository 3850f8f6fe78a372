package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

const (
	// aloneLease ends the turn of a replica that died: longer than what is done
	// alone may take.
	aloneLease = 30 * time.Second
	aloneAgain = 20 * time.Millisecond
)

// Alone runs f while nobody else, on any replica, runs something under that
// name. It waits for others as long as patience allows; held is false when that
// was not enough, and f did not run. Hanging up does not stop it: half of such
// a thing is worse than all of it.
func (s *Store) Alone(ctx context.Context, name string, patience time.Duration, f func(context.Context) error) (held bool, err error) {
	ctx = context.WithoutCancel(ctx)
	holder, enough := uuid.NewString(), time.NewTimer(patience)
	defer enough.Stop()
	again := time.NewTicker(aloneAgain)
	defer again.Stop()
	for {
		if held, err = s.Lease(ctx, name, holder, aloneLease); err != nil {
			return false, err
		}
		if held {
			break
		}
		select {
		case <-again.C:
		case <-enough.C:
			return false, nil
		}
	}
	err = f(ctx)
	if released := s.ReleaseLeases(ctx, holder); err == nil {
		err = released
	}
	return true, err
}
