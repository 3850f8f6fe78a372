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
	err := q.must(`INSERT INTO revisions (topic, revision) VALUES ($1, 1)
		ON CONFLICT (topic) DO UPDATE SET revision = revisions.revision + 1`, topic)
	if err != nil {
		return err
	}
	return q.store.engine.notify(q, topic)
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
// the interval, until ctx ends; at first once for every topic that ever
// changed. A topic whose call fails is told again.
func (s *Store) Watch(ctx context.Context, interval time.Duration, changed func(topic string) error) error {
	seen := map[string]int64{}
	for ctx.Err() == nil {
		if err := s.watch(ctx, interval, seen, changed); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "watching for changes", "error", err)
			select { // the connection broke: a new one, not at once
			case <-ctx.Done():
			case <-time.After(interval):
			}
		}
	}
	return nil
}

// watch follows the changes on one connection until it breaks. seen is kept,
// so that nothing is missed between two connections.
func (s *Store) watch(ctx context.Context, interval time.Duration, seen map[string]int64, changed func(topic string) error) error {
	next, end, err := s.engine.wait(ctx, interval)
	if err != nil {
		return err
	}
	defer end()
	for {
		something, err := next(ctx)
		if err != nil {
			return err
		}
		if !something {
			continue
		}
		now, err := s.revisions(ctx)
		if err != nil {
			return err
		}
		for topic, count := range now {
			if seen[topic] == count {
				continue
			}
			if err := changed(topic); err != nil {
				return err // tried again on a new connection
			}
			seen[topic] = count
		}
	}
}
