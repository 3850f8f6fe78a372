package store

import (
	"context"
	"fmt"
	"time"
)

// Topics are what running servers keep in memory.
const (
	TopicClients = "clients"
	TopicKeys    = "keys"
)

// raise tells running servers, in the transaction that changes it, that what
// they remember of a topic is old.
func (q *Queries) raise(topic string) error {
	return q.must(`INSERT INTO revisions (topic, revision) VALUES ($1, 1)
		ON CONFLICT (topic) DO UPDATE SET revision = revisions.revision + 1`, topic)
}

type revision struct {
	topic string
	count int64
}

func (s *Store) revisions(ctx context.Context) (map[string]int64, error) {
	list, err := many(s.read(ctx), func(r *revision) []any { return []any{&r.topic, &r.count} }, "SELECT topic, revision FROM revisions")
	if err != nil {
		return nil, fmt.Errorf("reading the revisions: %w", err)
	}
	seen := make(map[string]int64, len(list))
	for _, r := range list {
		seen[r.topic] = r.count
	}
	return seen, nil
}

// Watch calls changed with a topic whenever any process changed it, within
// the interval, until ctx ends. It asks PRAGMA data_version on a connection
// of its own, which costs microseconds while nothing is written.
func (s *Store) Watch(ctx context.Context, interval time.Duration, changed func(topic string)) error {
	conn, err := s.reader.Conn(ctx)
	if err != nil {
		return fmt.Errorf("watching for changes: %w", err)
	}
	defer conn.Close()
	seen, err := s.revisions(ctx)
	if err != nil {
		return err
	}
	var last int64 = -1
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		var version int64
		if err := conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			s.log.WarnContext(ctx, "watching for changes", "error", err)
			continue
		}
		if version == last {
			continue
		}
		now, err := s.revisions(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.log.WarnContext(ctx, "watching for changes", "error", err)
			}
			continue
		}
		for topic, count := range now {
			if seen[topic] != count {
				changed(topic)
			}
		}
		last, seen = version, now
	}
}
