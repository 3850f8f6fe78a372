package openbao

import (
	"context"
	"sync"

	"peerage/identity"
)

// turns lets one at a time pass for each name.
type turns struct {
	mu   sync.Mutex
	open map[string]*turn
}

type turn struct {
	held  chan struct{} // of one: full while somebody has the turn
	wants int           // who has it or waits
}

// take waits for the turn of a name. release gives it back.
func (t *turns) take(ctx context.Context, name string) (release func(), err error) {
	t.mu.Lock()
	if t.open == nil {
		t.open = map[string]*turn{}
	}
	one := t.open[name]
	if one == nil {
		one = &turn{held: make(chan struct{}, 1)}
		t.open[name] = one
	}
	one.wants++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.wants--; one.wants == 0 {
			delete(t.open, name)
		}
	}
	select {
	case one.held <- struct{}{}:
		return func() { <-one.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, &Error{Kind: identity.ErrUnavailable, Reason: "others who wait for the same take too long"}
	}
}
