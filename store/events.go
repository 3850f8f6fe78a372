package store

import (
	"context"
	"time"
)

// Event is one row of the audit trail.
type Event struct {
	// ID sorts by time (UUIDv7).
	ID        string
	Time      time.Time
	Event     string
	Username  string
	Sub       string
	ClientID  string
	IP        string
	Result    string
	Detail    string // further key=value pairs, as in the log line
	RequestID string
	TraceID   string
	SpanID    string
}

const eventColumns = "id, time, event, username, sub, client_id, ip, result, detail, request_id, trace_id, span_id"

func eventFields(e *Event) []any {
	return []any{&e.ID, stamp{&e.Time}, &e.Event, &e.Username, &e.Sub, &e.ClientID, &e.IP, &e.Result, &e.Detail, &e.RequestID, &e.TraceID, &e.SpanID}
}

// AddEvents appends to the audit trail.
func (s *Store) AddEvents(ctx context.Context, events []Event) error {
	return s.tx(ctx, "add_events", func(q *Queries) error {
		for _, e := range events {
			err := q.must("INSERT INTO events ("+eventColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
				e.ID, at(e.Time), e.Event, e.Username, e.Sub, e.ClientID, e.IP, e.Result, e.Detail, e.RequestID, e.TraceID, e.SpanID)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Events lists the newest events first, at most limit.
func (s *Store) Events(ctx context.Context, limit int) ([]Event, error) {
	return many(s.read(ctx), eventFields, "SELECT "+eventColumns+" FROM events ORDER BY time DESC, id DESC LIMIT $1", limit)
}
