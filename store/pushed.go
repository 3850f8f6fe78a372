package store

import (
	"context"
	"time"
)

// PutPushed keeps a pushed authorization request (RFC 9126 section 2.2) under
// the hash of its request_uri.
func (s *Store) PutPushed(ctx context.Context, uriHash []byte, clientID, parameters string, lifetime time.Duration) error {
	return s.tx(ctx, "put_pushed", func(q *Queries) error {
		return q.must("INSERT INTO pushed_requests (uri_hash, client_id, parameters, expires_at) VALUES ($1, $2, $3, $4)", uriHash, clientID, parameters, at(q.now.Add(lifetime)))
	})
}

// TakePushed uses a pushed request up. ErrNotFound: unknown, used, expired or
// another client's, which does not use it up.
func (s *Store) TakePushed(ctx context.Context, uriHash []byte, clientID string) (parameters string, err error) {
	err = s.tx(ctx, "take_pushed", func(q *Queries) (err error) {
		parameters, err = one(q, text, "DELETE FROM pushed_requests WHERE uri_hash = $1 AND client_id = $2 AND expires_at > $3 RETURNING parameters", uriHash, clientID, at(q.now))
		return err
	})
	return parameters, err
}

// UseAssertion remembers that a client's assertion was used, until it would
// have expired anyway. ErrExists: it was used before (RFC 7523 section 3).
func (s *Store) UseAssertion(ctx context.Context, jtiHash []byte, expires time.Time) error {
	return s.tx(ctx, "use_assertion", func(q *Queries) error {
		return q.must("INSERT INTO assertions (jti_hash, expires_at) VALUES ($1, $2)", jtiHash, at(expires))
	})
}
