package openbao

import (
	"context"
	"errors"
	"sync"
	"time"

	"peerage/identity"
)

const (
	// memoFresh is how long what is the same for everybody is not asked again.
	memoFresh = 30 * time.Second
	// memoAgain is how often it is asked for something that it does not name.
	memoAgain = time.Second
)

// memo keeps an answer that is the same for everybody. While OpenBao does not
// answer, the last one serves: who may use it is decided elsewhere.
type memo[T any] struct {
	now func() time.Time
	ask func(context.Context) (T, error)

	mu    sync.Mutex // held while asking: one asks for all
	value T
	at    time.Time // zero: never asked
}

func (m *memo[T]) get(ctx context.Context) (T, error) { return m.within(ctx, memoFresh) }

// again asks anew, unless the answer is of just now.
func (m *memo[T]) again(ctx context.Context) (T, error) { return m.within(ctx, memoAgain) }

func (m *memo[T]) within(ctx context.Context, fresh time.Duration) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if age := now.Sub(m.at); !m.at.IsZero() && age >= 0 && age < fresh {
		return m.value, nil
	}
	value, err := m.ask(ctx)
	if err == nil {
		m.value, m.at = value, now
	} else if !m.at.IsZero() && errors.Is(err, identity.ErrUnavailable) {
		return m.value, nil
	}
	return value, err
}
