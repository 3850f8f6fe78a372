package store

import (
	"context"
	"time"
)

// Lease takes the lease of that name for the holder, or makes it last longer
// when it is the holder's already. held is false while another one has it. A
// holder that neither renews nor releases loses it after ttl, by the clock of
// whoever asks then: clocks that differ by less than ttl only shift the moment.
func (s *Store) Lease(ctx context.Context, name, holder string, ttl time.Duration) (held bool, err error) {
	err = s.tx(ctx, "lease", func(q *Queries) error {
		rows, err := q.exec(`INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
			WHERE leases.holder = excluded.holder OR leases.expires_at <= $4`, name, holder, at(q.now.Add(ttl)), at(q.now))
		held = rows == 1
		return err
	})
	return held && err == nil, err
}

// ReleaseLeases gives back every lease of the holder, so that others need not
// wait until it runs out. The table holds one row a job.
func (s *Store) ReleaseLeases(ctx context.Context, holder string) error {
	return s.tx(ctx, "release_leases", func(q *Queries) error { return q.must("DELETE FROM leases WHERE holder = $1", holder) })
}
