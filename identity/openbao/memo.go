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
	// memoPatience bounds the wait for others who ask, and the question itself:
	// of many at once before a server that hangs none waits for all before it.
	memoPatience = DefaultTimeout
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

func (m *memo[T]) get(ctx context.Context) (T, error) {
	return m.since(ctx, m.now().Add(-memoFresh+1))
}

// again asks anew, unless the answer is of just now.
func (m *memo[T]) again(ctx context.Context) (T, error) {
	return m.since(ctx, m.now().Add(-memoAgain+1))
}

// since gives what was asked then or later.
func (m *memo[T]) since(ctx context.Context, then time.Time) (T, error) {
	good := func(at time.Time) bool { // a clock may have been set back
		return !at.IsZero() && !at.Before(then) && !at.After(m.now())
	}
	value, at := m.last()
	if good(at) {
		return value, nil
	}
	ctx, cancel := context.WithTimeout(ctx, memoPatience)
	defer cancel()
	release, err := m.asking.take(ctx, "")
	if err == nil {
		defer release()
		if value, at = m.last(); good(at) {
			return value, nil // somebody has asked meanwhile
		}
		begun := m.now()
		if value, err = m.ask(ctx); err == nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.value, m.at = value, begun
			return value, nil
		}
	}
	if last, at := m.last(); !at.IsZero() && errors.Is(err, identity.ErrUnavailable) {
		return last, nil
	}
	return value, err
}

// last is the last answer, and when it was asked for; zero: never.
func (m *memo[T]) last() (value T, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.value, m.at
}
