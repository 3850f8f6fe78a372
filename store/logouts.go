package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Logout is a session's end that a client is still to be told of.
type Logout struct {
	ID        string
	ClientID  string
	Sub       string
	SessionID string // "" for all sessions of the person
	Attempts  int64
	CreatedAt time.Time
}

const logoutColumns = "id, client_id, sub, session_id, attempts, created_at"

func logoutFields(l *Logout) []any {
	return []any{&l.ID, &l.ClientID, &l.Sub, &l.SessionID, &l.Attempts, stamp{&l.CreatedAt}}
}

// addLogouts notes, in the transaction that ends a session, every client that
// it gave tokens to. Who is not interested is sorted out by the sender.
func (q *Queries) addLogouts(session Session) error {
	clients, err := many(q, text, "SELECT DISTINCT client_id FROM families WHERE session_id = $1", session.ID)
	if err != nil {
		return err
	}
	for _, client := range clients {
		if err := q.addLogout(client, session.Sub, session.ID); err != nil {
			return err
		}
	}
	return nil
}

// addLogout notes one; an empty session means all sessions of the person.
func (q *Queries) addLogout(clientID, sub, sessionID string) error {
	return q.must("INSERT INTO logouts (id, client_id, sub, session_id, attempts, next_at, created_at) VALUES ($1, $2, $3, $4, 0, $5, $5)",
		uuid.NewString(), clientID, sub, sessionID, at(q.now))
}

// TakeLogouts gives at most limit sign-outs that are due. No other replica
// gets them for the lease; who is done calls DoneLogout, and what is not done
// by then comes again.
func (s *Store) TakeLogouts(ctx context.Context, limit int, lease time.Duration) ([]Logout, error) {
	if due, err := s.LogoutsDue(ctx); err != nil || !due {
		return nil, err // the usual case costs one read
	}
	var taken []Logout
	err := s.tx(ctx, "take_logouts", func(q *Queries) (err error) {
		taken, err = many(q, logoutFields, `UPDATE logouts SET next_at = $2, attempts = attempts + 1
			WHERE id IN (SELECT id FROM logouts WHERE next_at <= $1 ORDER BY next_at LIMIT $3) RETURNING `+logoutColumns, at(q.now), at(q.now.Add(lease)), limit)
		return err
	})
	return taken, err
}

// LogoutsDue tells whether a client waits to be told of a sign-out.
func (s *Store) LogoutsDue(ctx context.Context) (bool, error) {
	due, err := many(s.read(ctx), text, "SELECT id FROM logouts WHERE next_at <= $1 LIMIT 1", at(s.clock()))
	return len(due) > 0, err
}

// DoneLogout forgets a sign-out: the client was told, or will never be.
func (s *Store) DoneLogout(ctx context.Context, id string) error {
	return s.tx(ctx, "done_logout", func(q *Queries) error { return q.must("DELETE FROM logouts WHERE id = $1", id) })
}

// RetryLogout says when to try again.
func (s *Store) RetryLogout(ctx context.Context, id string, wait time.Duration) error {
	return s.tx(ctx, "retry_logout", func(q *Queries) error {
		return q.must("UPDATE logouts SET next_at = $2 WHERE id = $1", id, at(q.now.Add(wait)))
	})
}
