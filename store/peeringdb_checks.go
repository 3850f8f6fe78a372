package store

import (
	"context"
	"errors"
	"time"
)

// PeeringDBPause says how long PeeringDB is left alone.
type PeeringDBPause struct {
	// Until: nobody is checked before. Refused: PeeringDB is asked for nobody
	// before, sign-ins included.
	Until, Refused time.Time
	// Fault is why, "" when PeeringDB answered well since.
	Fault string
}

type pace struct {
	next time.Time
	PeeringDBPause
}

func paceFields(p *pace) []any {
	return []any{stamp{&p.next}, stamp{&p.Until}, stamp{&p.Refused}, &p.Fault}
}

const paceQuery = "SELECT next_at, paused_until, refused_until, fault FROM peeringdb_pace WHERE id = 1"

// PeeringDBPause tells how long PeeringDB is left alone.
func (s *Store) PeeringDBPause(ctx context.Context) (PeeringDBPause, error) {
	p, err := one(s.read(ctx), paceFields, paceQuery)
	return p.PeeringDBPause, err
}

// PausePeeringDB leaves PeeringDB alone until then; refused also for sign-ins.
// It never makes a pause shorter.
func (s *Store) PausePeeringDB(ctx context.Context, until time.Time, refused bool, fault string) error {
	return s.tx(ctx, "pause_peeringdb", func(q *Queries) error {
		if err := q.must("UPDATE peeringdb_pace SET fault = $1 WHERE id = 1", fault); err != nil {
			return err
		}
		if refused {
			if err := q.must("UPDATE peeringdb_pace SET refused_until = $1 WHERE id = 1 AND refused_until < $1", at(until)); err != nil {
				return err
			}
		}
		return q.must("UPDATE peeringdb_pace SET paused_until = $1 WHERE id = 1 AND paused_until < $1", at(until))
	})
}

// PeeringDBAnswered: PeeringDB works. Whoever asked for a sign-in goes before
// the checks, which wait for the pace once more.
func (s *Store) PeeringDBAnswered(ctx context.Context, pace time.Duration) error {
	return s.tx(ctx, "peeringdb_answered", func(q *Queries) error {
		return q.must("UPDATE peeringdb_pace SET fault = '', next_at = $1 WHERE id = 1", at(q.now.Add(pace)))
	})
}

// DuePeeringDBCheck tells whether TakePeeringDBCheck would find somebody.
func (s *Store) DuePeeringDBCheck(ctx context.Context) (bool, error) {
	q := s.read(ctx)
	p, err := one(q, paceFields, paceQuery)
	if err != nil || q.now.Before(p.next) || q.now.Before(p.Until) {
		return false, err
	}
	_, err = q.nextCheck("")
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// nextCheck finds who is to be checked next, or whether a certain person is:
// first those whom somebody waits for.
func (q *Queries) nextCheck(sub string) (PeeringDBLink, error) {
	if sub != "" {
		return one(q, linkedFields, "SELECT "+linkedColumns+` FROM peeringdb_links l WHERE l.sub = $1 AND l.next_at IS NOT NULL
			AND (l.lease_until IS NULL OR l.lease_until <= $2)`, sub, at(q.now))
	}
	for _, urgent := range []bool{true, false} {
		link, err := one(q, linkedFields, "SELECT "+linkedColumns+` FROM peeringdb_links l WHERE l.urgent = $1 AND l.next_at <= $2
			AND (l.lease_until IS NULL OR l.lease_until <= $2) ORDER BY l.next_at LIMIT 1`, urgent, at(q.now))
		if !errors.Is(err, ErrNotFound) {
			return link, err
		}
	}
	return PeeringDBLink{}, ErrNotFound
}

// TakePeeringDBCheck gives the link of who is to be checked next, or of a certain
// person (sub, "" for anybody), with its refresh token, to one server alone for the
// time of the lease. The next one may come after pace, whichever server asks: PeeringDB
// counts the requests of an address. ErrNotFound: nobody now.
func (s *Store) TakePeeringDBCheck(ctx context.Context, sub string, lease, pace time.Duration) (link PeeringDBLink, token []byte, err error) {
	var blob []byte
	err = s.tx(ctx, "take_peeringdb_check", func(q *Queries) error {
		// The row of the pace is the lock.
		n, err := q.exec("UPDATE peeringdb_pace SET next_at = $1 WHERE id = 1 AND next_at <= $2 AND paused_until <= $2", at(q.now.Add(pace)), at(q.now))
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		if link, err = q.nextCheck(sub); err != nil {
			return err
		}
		blob, err = one(q, rawBytes, "UPDATE peeringdb_links SET lease_until = $2, tried_at = $3 WHERE sub = $1 RETURNING sealed_refresh_token", link.Sub, at(q.now.Add(lease)), at(q.now))
		return err
	})
	if err == nil && blob != nil {
		token, err = s.unseal(ctx, blob, refreshTokenPlace(link.Sub))
	}
	return link, token, err
}

// KeepPeeringDBToken puts the next refresh token into a link, before anything is
// done with what came along. ErrConflict: a newer one came by another way.
func (s *Store) KeepPeeringDBToken(ctx context.Context, sub string, generation int64, token []byte) (next int64, err error) {
	sealed, err := s.seals.seal(token, refreshTokenPlace(sub).place())
	if err != nil {
		return 0, err
	}
	err = s.tx(ctx, "keep_peeringdb_token", func(q *Queries) error {
		n, err := q.exec("UPDATE peeringdb_links SET sealed_refresh_token = $3, generation = generation + 1 WHERE sub = $1 AND generation = $2", sub, generation, sealed)
		if err == nil && n == 0 {
			err = ErrConflict
		}
		return err
	})
	return generation + 1, err
}

// PutPeeringDBFault ends a check that had no good answer; what the person has
// stays. next is when it is tried again, zero for not before they sign in at
// PeeringDB again. ErrConflict: a newer token came by another way, so that the
// fault says nothing.
func (s *Store) PutPeeringDBFault(ctx context.Context, sub string, generation int64, fault string, next time.Time) error {
	return s.tx(ctx, "put_peeringdb_fault", func(q *Queries) error {
		n, err := q.exec(`UPDATE peeringdb_links SET fault = $3, next_at = $4, urgent = FALSE, needs_sign_in = $5, lease_until = NULL WHERE sub = $1 AND generation = $2`,
			sub, generation, fault, at(next), next.IsZero())
		if err == nil && n == 0 {
			err = ErrConflict
		}
		return err
	})
}

// HurryPeeringDB puts a person before everybody else who is to be checked.
func (s *Store) HurryPeeringDB(ctx context.Context, sub string) error {
	return s.tx(ctx, "hurry_peeringdb", func(q *Queries) error { return q.hurry(sub) })
}

func (q *Queries) hurry(sub string) error {
	return q.must("UPDATE peeringdb_links SET urgent = TRUE, next_at = $2 WHERE sub = $1 AND next_at IS NOT NULL", sub, at(q.now))
}

// QueuePeeringDB lets a person be checked when those are done who are due already.
func (s *Store) QueuePeeringDB(ctx context.Context, sub string) error {
	return s.tx(ctx, "queue_peeringdb", func(q *Queries) error {
		return q.must("UPDATE peeringdb_links SET next_at = $2 WHERE sub = $1 AND next_at > $2", sub, at(q.now))
	})
}

// RecheckPeeringDB lets everybody be checked as soon as the pace allows, and
// returns how many they are.
func (s *Store) RecheckPeeringDB(ctx context.Context) (people int64, err error) {
	err = s.tx(ctx, "recheck_peeringdb", func(q *Queries) error {
		people, err = q.exec("UPDATE peeringdb_links SET next_at = $1 WHERE next_at > $1", at(q.now))
		return err
	})
	return people, err
}

// PeeringDBOverview are numbers about all links.
type PeeringDBOverview struct {
	Links, Due, NeedSignIn, Faulty, Stale, Deactivated int64
}

// PeeringDBOverview counts links; stale are those without a good answer since then.
func (s *Store) PeeringDBOverview(ctx context.Context, stale time.Time) (PeeringDBOverview, error) {
	q := s.read(ctx)
	return one(q, func(o *PeeringDBOverview) []any {
		return []any{&o.Links, &o.Due, &o.NeedSignIn, &o.Faulty, &o.Stale, &o.Deactivated}
	}, `SELECT COUNT(*), COALESCE(SUM(CASE WHEN next_at <= $1 THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN needs_sign_in THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN fault <> '' THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN checked_at < $2 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN deactivated_at IS NOT NULL THEN 1 ELSE 0 END), 0) FROM peeringdb_links`, at(q.now), at(stale))
}

// PeeringDBTrouble is a link that needs attention, with its person's name.
type PeeringDBTrouble struct {
	PeeringDBLink
	Username string
}

// PeeringDBTroubles lists links with a fault or a refusal, the latest first.
func (s *Store) PeeringDBTroubles(ctx context.Context, limit int) ([]PeeringDBTrouble, error) {
	return many(s.read(ctx), func(t *PeeringDBTrouble) []any { return append(linkedFields(&t.PeeringDBLink), &t.Username) },
		"SELECT "+linkedColumns+`, u.username FROM peeringdb_links l JOIN users u ON u.sub = l.sub
		WHERE l.fault <> '' OR l.refusal <> '' OR l.needs_sign_in = TRUE ORDER BY l.tried_at DESC LIMIT $1`, limit)
}

// PeopleToForget lists people who were disabled for want of networks before then.
func (s *Store) PeopleToForget(ctx context.Context, before time.Time, limit int) ([]User, error) {
	return many(s.read(ctx), userFields, "SELECT "+userColumns+` FROM users u JOIN peeringdb_links l ON l.sub = u.sub
		WHERE l.deactivated_at <= $1 AND u.disabled = TRUE AND u.origin = $2 ORDER BY l.deactivated_at LIMIT $3`, at(before), OriginPeeringDB, limit)
}
