package store

import "context"

// Overview are the numbers of an installation.
type Overview struct {
	People        int64
	Disabled      int64
	WithoutFactor int64 // people without an active second factor
	Groups        int64
	Sessions      int64 // live sessions
}

// Overview counts what an administrator wants to see first.
func (s *Store) Overview(ctx context.Context) (Overview, error) {
	q := s.read(ctx)
	return one(q, func(o *Overview) []any {
		return []any{&o.People, &o.Disabled, &o.WithoutFactor, &o.Groups, &o.Sessions}
	}, `SELECT (SELECT COUNT(*) FROM users),
		(SELECT COUNT(*) FROM users WHERE disabled = TRUE),
		(SELECT COUNT(*) FROM users) - (SELECT COUNT(*) FROM (SELECT sub FROM factors WHERE pending = FALSE UNION SELECT sub FROM passkeys) AS protected),
		(SELECT COUNT(*) FROM local_groups),
		(SELECT COUNT(*) FROM sessions WHERE expires_at > $1)`, at(q.now))
}

// CountUsers is the number of all people.
func (s *Store) CountUsers(ctx context.Context) (int64, error) {
	return one(s.read(ctx), number, "SELECT COUNT(*) FROM users")
}
