package store

import (
	"context"
	"time"
)

// Throttle is how often something may go wrong for one key (an account, an
// address, a person's codes) before answers wait.
type Throttle struct {
	Key string
	// Free failures cost nothing.
	Free int64
	// Hard: after Free failures nothing more is tried until Window has passed
	// since the first. Otherwise each further failure doubles the wait, from
	// one second to MaxDelay, and never locks for good.
	Hard     bool
	MaxDelay time.Duration
	// Window after the last (Hard: the first) failure all is forgotten.
	Window time.Duration
	// Trailing: with Hard too, Window begins anew with each failure.
	Trailing bool
}

type attempt struct {
	failures int64
	firstAt  time.Time
	lastAt   time.Time
}

func attemptFields(a *attempt) []any {
	return []any{&a.failures, stamp{&a.firstAt}, stamp{&a.lastAt}}
}

// TakeAttempt counts one attempt for all keys, before its outcome is known,
// so that parallel guesses cannot slip through. When any key must wait it
// counts nothing and returns for how long.
func (s *Store) TakeAttempt(ctx context.Context, throttles ...Throttle) (wait time.Duration, err error) {
	err = s.tx(ctx, "take_attempt", func(q *Queries) error {
		wait = 0
		for _, t := range throttles {
			a, err := q.attempt(t)
			if err != nil {
				return err
			}
			wait = max(wait, t.wait(a, q.now))
		}
		if wait > 0 {
			return nil
		}
		for _, t := range throttles {
			if err := q.countAttempt(t); err != nil {
				return err
			}
		}
		return nil
	})
	return wait, err
}

func (q *Queries) attempt(t Throttle) (attempt, error) {
	list, err := many(q, attemptFields, "SELECT failures, first_at, last_at FROM attempts WHERE key = $1", t.Key)
	if err != nil || len(list) == 0 || t.over(list[0], q.now) {
		return attempt{}, err
	}
	return list[0], nil
}

func (q *Queries) countAttempt(t Throttle) error {
	a, err := q.attempt(t)
	if err != nil {
		return err
	}
	if a.failures == 0 {
		a.firstAt = q.now
	}
	return q.must(`INSERT INTO attempts (key, failures, first_at, last_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, first_at = excluded.first_at, last_at = excluded.last_at`,
		t.Key, a.failures+1, at(a.firstAt), at(q.now))
}

func (t Throttle) over(a attempt, now time.Time) bool {
	return now.Sub(t.since(a)) >= t.Window
}

// since is when the window began.
func (t Throttle) since(a attempt) time.Time {
	if t.Hard && !t.Trailing {
		return a.firstAt
	}
	return a.lastAt
}

func (t Throttle) wait(a attempt, now time.Time) time.Duration {
	if a.failures < t.Free || a.failures == 0 {
		return 0
	}
	if t.Hard {
		return t.since(a).Add(t.Window).Sub(now)
	}
	delay := t.MaxDelay
	if doublings := a.failures - t.Free; doublings < 16 {
		delay = min(delay, time.Second<<doublings)
	}
	return max(0, a.lastAt.Add(delay).Sub(now))
}

// ForgiveAttempt takes the last attempt back: it was right. all forgets the
// earlier failures too (of an account, never of an address: else an attacker
// clears his own count with an account of his own). The last attempts of also
// are taken back with it.
func (s *Store) ForgiveAttempt(ctx context.Context, key string, all bool, also ...string) error {
	if !all {
		also = append([]string{key}, also...)
	}
	return s.tx(ctx, "forgive_attempt", func(q *Queries) error {
		if all {
			if err := q.must("DELETE FROM attempts WHERE key = $1", key); err != nil {
				return err
			}
		}
		for _, key := range also {
			if err := q.must("UPDATE attempts SET failures = failures - 1 WHERE key = $1 AND failures > 0", key); err != nil {
				return err
			}
		}
		return nil
	})
}
