package store

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Request is an authorization in flight (RFC 6749 section 4.1.1).
type Request struct {
	ID       string
	ClientID string
	// Parameters is the validated authorization request, as JSON.
	Parameters string
	// BrowserHash binds it to one browser; nil until the first one comes.
	BrowserHash []byte
	Progress
	CreatedAt  time.Time
	ExpiresAt  time.Time
	FinishedAt time.Time
}

// Progress is what the person has answered on the way.
type Progress struct {
	// LoginAfter: only a sign-in younger than this counts.
	LoginAfter time.Time
	// Paged: a page of ours was shown, so the flow may end behind a form.
	Paged bool
	// DecidedBy is the subject whose answers the following are.
	DecidedBy string
	Chosen    bool
	Consented bool
	Confirmed bool
}

const requestColumns = "id, client_id, parameters, browser_hash, login_after, paged, decided_by, chosen, consented, confirmed, created_at, expires_at, finished_at"

func requestFields(r *Request) []any {
	return []any{&r.ID, &r.ClientID, &r.Parameters, &r.BrowserHash, stamp{&r.LoginAfter}, &r.Paged, &r.DecidedBy, &r.Chosen, &r.Consented, &r.Confirmed,
		stamp{&r.CreatedAt}, stamp{&r.ExpiresAt}, stamp{&r.FinishedAt}}
}

// CreateRequest stores an authorization in flight and returns it with its times.
func (s *Store) CreateRequest(ctx context.Context, r Request, lifetime time.Duration) (Request, error) {
	err := s.tx(ctx, "create_request", func(q *Queries) error {
		r.CreatedAt, r.ExpiresAt = q.now, q.now.Add(lifetime)
		return q.must(`INSERT INTO requests (id, client_id, parameters, browser_hash, login_after, paged, decided_by, chosen, consented, confirmed, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			r.ID, r.ClientID, r.Parameters, r.BrowserHash, at(r.LoginAfter), r.Paged, r.DecidedBy, r.Chosen, r.Consented, r.Confirmed, at(r.CreatedAt), at(r.ExpiresAt))
	})
	return r, err
}

// BindRequest gives a request that no browser holds yet to the first that
// comes. It does nothing to one that is bound.
func (s *Store) BindRequest(ctx context.Context, id string, browserHash []byte) error {
	return s.tx(ctx, "bind_request", func(q *Queries) error {
		return q.must("UPDATE requests SET browser_hash = $2 WHERE id = $1 AND browser_hash IS NULL AND expires_at > $3", id, browserHash, at(q.now))
	})
}

// Request finds a live request of this browser. Someone else's is ErrNotFound.
func (s *Store) Request(ctx context.Context, id string, browserHash []byte) (Request, error) {
	q := s.read(ctx)
	return one(q, requestFields, "SELECT "+requestColumns+" FROM requests WHERE id = $1 AND browser_hash = $2 AND finished_at IS NULL AND expires_at > $3", id, browserHash, at(q.now))
}

// RequestUnbound tells whether a live request waits for its first browser.
func (s *Store) RequestUnbound(ctx context.Context, id string) (bool, error) {
	q := s.read(ctx)
	list, err := many(q, text, "SELECT id FROM requests WHERE id = $1 AND browser_hash IS NULL AND finished_at IS NULL AND expires_at > $2", id, at(q.now))
	return len(list) == 1, err
}

// RequestClient names the client of a request in any state, for the page
// that says it has expired and offers a new start. It tells nothing else.
func (s *Store) RequestClient(ctx context.Context, id string) (string, error) {
	return one(s.read(ctx), text, "SELECT client_id FROM requests WHERE id = $1", id)
}

// SaveProgress records what happened on the way.
func (s *Store) SaveProgress(ctx context.Context, id string, browserHash []byte, p Progress) error {
	return s.tx(ctx, "save_progress", func(q *Queries) error { return q.saveProgress(id, browserHash, p) })
}

func (q *Queries) saveProgress(id string, browserHash []byte, p Progress) error {
	n, err := q.exec(`UPDATE requests SET login_after = $3, paged = $4, decided_by = $5, chosen = $6, consented = $7, confirmed = $8
		WHERE id = $1 AND browser_hash = $2 AND finished_at IS NULL AND expires_at > $9`,
		id, browserHash, at(p.LoginAfter), p.Paged, p.DecidedBy, p.Chosen, p.Consented, p.Confirmed, at(q.now))
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// SaveConsent records the person's consent and the request's progress
// together: an acknowledged consent is never lost, a lost one never asked.
func (s *Store) SaveConsent(ctx context.Context, id string, browserHash []byte, p Progress, sub, clientID string, scopes []string) error {
	return s.tx(ctx, "save_consent", func(q *Queries) error {
		if err := q.saveProgress(id, browserHash, p); err != nil {
			return err
		}
		// What another tab was allowed meanwhile stays.
		before, err := q.consent(sub, clientID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		allowed := before.Scopes
		for _, s := range scopes {
			if !slices.Contains(allowed, s) {
				allowed = append(allowed, s)
			}
		}
		return q.grantConsent(sub, clientID, allowed)
	})
}

// FinishRequest ends a request without a code (an error went back). It can be
// finished once; ErrNotFound afterwards.
func (s *Store) FinishRequest(ctx context.Context, id string, browserHash []byte) error {
	return s.tx(ctx, "finish_request", func(q *Queries) error { return q.finishRequest(id, browserHash) })
}

func (q *Queries) finishRequest(id string, browserHash []byte) error {
	n, err := q.exec("UPDATE requests SET finished_at = $3 WHERE id = $1 AND browser_hash = $2 AND finished_at IS NULL AND expires_at > $3", id, browserHash, at(q.now))
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}
