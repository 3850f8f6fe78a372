package identity

import (
	"context"
	"time"

	"github.com/google/uuid"
)

const (
	// aloneLease ends the turn of a replica that died: longer than the calls of
	// a backend can take.
	aloneLease = 30 * time.Second
	// alonePatience is how long somebody else's turn is waited for.
	alonePatience = 10 * time.Second
	aloneAgain    = 20 * time.Millisecond
)

// alone runs f while nobody else, on any replica, changes the person's second
// factor. A backend that makes secrets itself keeps one for each person, and
// the row of the enrolment is another thing: between the two, another browser's
// enrolment would let the person prove one secret and be asked for another.
func (d *Directory) alone(ctx context.Context, sub string, f func(context.Context) error) error {
	ctx = context.WithoutCancel(ctx) // half of it is worse than all of it
	holder, patience := uuid.NewString(), time.NewTimer(alonePatience)
	defer patience.Stop()
	again := time.NewTicker(aloneAgain)
	defer again.Stop()
	for {
		held, err := d.store.Lease(ctx, "factor:"+sub, holder, aloneLease)
		if err != nil {
			return err
		}
		if held {
			break
		}
		select {
		case <-again.C:
		case <-patience.C:
			return ErrUnavailable
		}
	}
	err := f(ctx)
	if released := d.store.ReleaseLeases(ctx, holder); err == nil {
		err = released
	}
	return err
}
