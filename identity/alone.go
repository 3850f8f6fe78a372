package identity

import (
	"context"
	"time"
)

// alonePatience is how long somebody else's turn is waited for.
const alonePatience = 10 * time.Second

// alone runs f while nobody else, on any replica, changes the person's second
// factor. A backend that makes secrets itself keeps one for each person, and
// the row of the enrolment is another thing: between the two, another browser's
// enrolment would let the person prove one secret and be asked for another.
func (d *Directory) alone(ctx context.Context, sub string, f func(context.Context) error) error {
	held, err := d.store.Alone(ctx, "factor:"+sub, alonePatience, f)
	if err == nil && !held {
		err = ErrUnavailable
	}
	return err
}
