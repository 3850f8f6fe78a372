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

	asking turns // one asks for all

	mu    sync.Mutex
	value T
	at    time.Time // zero: never asked
}

func (m *memo[T]) get(ctx context.Context) (T, error) { return m.within(ctx, memoFresh) }

// again asks anew, unless the answer is of just now.
func (m *memo[T]) again(ctx context.Context) (T, error) { return m.within(ctx, memoAgain) }

func (m *memo[T]) within(ctx context.Context, fresh time.Duration) (T, error) {
	value, age := m.last()
	if age >= 0 && age < fresh {
		return value, nil
	}
	release, err := m.asking.take(ctx, "")
	if err == nil {
		defer release()
		if value, age = m.last(); age >= 0 && age < fresh {
			return value, nil // somebody has asked meanwhile
		}
		if value, err = m.ask(ctx); err == nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.value, m.at = value, m.now()
			return value, nil
		}
	}
	if last, age := m.last(); age >= 0 && errors.Is(err, identity.ErrUnavailable) {
		return last, nil
	}
	return value, err
}

// last is the last answer with its age, negative without one.
func (m *memo[T]) last() (value T, age time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.IsZero() {
		return m.value, -1
	}
	return m.value, max(0, m.now().Sub(m.at))
}
