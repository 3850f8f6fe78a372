package store

import (
	"context"
	"fmt"
	"time"
)

// keepUsed is how long spent codes and ended requests stay, so that a replay
// is recognised and not just unknown. A family outlives its codes anyway.
const keepUsed = 24 * time.Hour

// keepCertificates is how long a certificate is listed after its end.
const keepCertificates = 30 * 24 * time.Hour

// keepStates is longer than any operator lets a last known state serve.
const keepStates = 30 * 24 * time.Hour

// DeleteExpired removes what nobody can use any more, but half-done sign-ins
// (see ExpireSignIns), at most batch rows of
// each kind in a transaction, and returns how many it removed. Sessions that
// ended by themselves are returned for their events.
func (s *Store) DeleteExpired(ctx context.Context, batch int, sessionIdle time.Duration) (rows int64, ended []Session, err error) {
	now := s.clock()
	// Sessions first: their families say which clients are to be told.
	err = s.tx(ctx, "expire_sessions", func(q *Queries) (err error) {
		ended, err = q.endSessions("id IN (SELECT id FROM sessions WHERE expires_at <= $1 OR last_seen_at <= $2 LIMIT $3)", at(q.now), at(q.now.Add(-sessionIdle)), batch)
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("expiring sessions: %w", err)
	}
	rows = int64(len(ended))
	for _, e := range []struct {
		table, key, column string
		before             time.Time
		spare              string
	}{
		{"requests", "id", "expires_at", now.Add(-keepUsed), ""},
		{"codes", "code_hash", "expires_at", now.Add(-keepUsed), ""},
		{"device_codes", "device_hash", "expires_at", now.Add(-keepUsed), ""},
		{"access_tokens", "token_hash", "expires_at", now, ""},
		{"refresh_tokens", "token_hash", "expires_at", now, ""},
		{"families", "id", "expires_at", now.Add(-keepUsed),
			// A living session's families say which clients are told of its end.
			"AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = families.session_id)"},
		{"links", "token_hash", "expires_at", now, ""},
		{"ceremonies", "challenge", "expires_at", now, ""},
		{"peeringdb_flows", "state_hash", "expires_at", now, ""},
		{"assertions", "jti_hash", "expires_at", now, ""},
		{"pushed_requests", "uri_hash", "expires_at", now, ""},
		{"attempts", "key", "last_at", now.Add(-keepUsed), ""},
		{"api_tokens", "accessor", "expires_at", now.Add(-keepUsed), ""},
		{"certificates", "serial", "not_after", now.Add(-keepCertificates), ""},
		{"known_states", "sub", "asked_at", now.Add(-keepStates), ""},
	} {
		err := s.tx(ctx, "delete_expired", func(q *Queries) error {
			n, err := q.exec(fmt.Sprintf("DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE %[3]s <= $1 %[4]s LIMIT $2)", e.table, e.key, e.column, e.spare), at(e.before), batch)
			rows += n
			return err
		})
		if err != nil {
			return rows, ended, fmt.Errorf("deleting expired %s: %w", e.table, err)
		}
	}
	return rows, ended, nil
}
