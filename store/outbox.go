package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Outgoing is something that is still to be done by mail: a message to be
// sent, or a request that may lead to one. Content is sealed in its row, for
// it holds links.
type Outgoing struct {
	ID        string
	Kind      string
	Content   []byte
	Attempts  int64 // how often it was taken
	CreatedAt time.Time
}

func outgoingFields(o *Outgoing) []any {
	return []any{&o.ID, &o.Kind, &o.Content, &o.Attempts, stamp{&o.CreatedAt}}
}

func outgoingPlace(id string) sealedColumn {
	return sealedColumn{"outbox", "sealed_content", "id = $2", id}
}

// sealOutgoing gives an entry its id and seals it; nil stays nil.
func (s *Store) sealOutgoing(o *Outgoing) (*Outgoing, error) {
	if o == nil {
		return nil, nil
	}
	id := uuid.NewString()
	sealed, err := s.seals.seal(o.Content, outgoingPlace(id).place())
	return &Outgoing{ID: id, Kind: o.Kind, Content: sealed}, err
}

func (q *Queries) putOutgoing(o *Outgoing) error {
	if o == nil {
		return nil
	}
	return q.must("INSERT INTO outbox (id, kind, sealed_content, attempts, next_at, created_at) VALUES ($1, $2, $3, 0, $4, $4)", o.ID, o.Kind, o.Content, at(q.now))
}

// PutOutgoing puts an entry into the outbox, due at once.
func (s *Store) PutOutgoing(ctx context.Context, o Outgoing) error {
	sealed, err := s.sealOutgoing(&o)
	if err != nil {
		return err
	}
	return s.tx(ctx, "put_outgoing", func(q *Queries) error { return q.putOutgoing(sealed) })
}

// OutgoingDue tells whether TakeOutgoing would give anything.
func (s *Store) OutgoingDue(ctx context.Context) (bool, error) {
	due, err := many(s.read(ctx), text, "SELECT id FROM outbox WHERE next_at <= $1 LIMIT 1", at(s.clock()))
	return len(due) > 0, err
}

// TakeOutgoing gives at most limit entries that are due. No other replica gets
// them for the lease; who is done calls DoneOutgoing, and what is not done by
// then comes again. An entry that does not open is dropped and told of.
func (s *Store) TakeOutgoing(ctx context.Context, limit int, lease time.Duration) ([]Outgoing, error) {
	if due, err := s.OutgoingDue(ctx); err != nil || !due {
		return nil, err // the usual case costs one read
	}
	var taken []Outgoing
	err := s.tx(ctx, "take_outgoing", func(q *Queries) (err error) {
		taken, err = many(q, outgoingFields, `UPDATE outbox SET next_at = $2, attempts = attempts + 1
			WHERE id IN (SELECT id FROM outbox WHERE next_at <= $1 ORDER BY next_at LIMIT $3) RETURNING id, kind, sealed_content, attempts, created_at`,
			at(q.now), at(q.now.Add(lease)), limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	var opened []Outgoing
	for _, o := range taken {
		if o.Content, err = s.unseal(ctx, o.Content, outgoingPlace(o.ID)); err == nil {
			opened = append(opened, o)
			continue
		}
		s.log.ErrorContext(ctx, "a mail in the outbox does not open and is dropped", "id", o.ID, "error", err)
		if err := s.DoneOutgoing(ctx, o.ID); err != nil {
			return opened, err
		}
	}
	return opened, nil
}

// DoneOutgoing forgets an entry: it is done, or will never be.
func (s *Store) DoneOutgoing(ctx context.Context, id string) error {
	return s.tx(ctx, "done_outgoing", func(q *Queries) error { return q.must("DELETE FROM outbox WHERE id = $1", id) })
}

// RetryOutgoing says when an entry is due again.
func (s *Store) RetryOutgoing(ctx context.Context, id string, wait time.Duration) error {
	return s.tx(ctx, "retry_outgoing", func(q *Queries) error {
		return q.must("UPDATE outbox SET next_at = $2 WHERE id = $1", id, at(q.now.Add(wait)))
	})
}
