package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// EventFilter says which events are meant: those that have each of the values
// that are set.
type EventFilter struct {
	Event    string
	Username string
	Sub      string
	ClientID string
	IP       string
	// From is the earliest time that is meant, To the first that is not.
	From, To time.Time
	// After goes on behind this event of an earlier list, so that a long trail
	// is read in pieces while new events arrive.
	After *Event
	// Before goes back: it means the last events, Limit of them, that stand
	// before this one in the list.
	Before *Event
	// Skip leaves out so many; each costs time, so it is for small numbers.
	Skip int
	// Limit bounds the list; 0 is no bound.
	Limit int
}

// Events lists the events that a filter means, the newest first.
func (s *Store) Events(ctx context.Context, f EventFilter) ([]Event, error) {
	where, args := f.conditions()
	order := " ORDER BY time DESC, id DESC"
	if f.Before != nil {
		order = " ORDER BY time, id"
	}
	query := "SELECT " + eventColumns + " FROM events" + where + order
	if f.Limit > 0 {
		args = append(args, f.Limit)
		query += fmt.Sprintf(" LIMIT $%d", len(args))
	}
	if f.Limit > 0 && f.Skip > 0 {
		args = append(args, f.Skip)
		query += fmt.Sprintf(" OFFSET $%d", len(args))
	}
	list, err := many(s.read(ctx), eventFields, query, args...)
	if f.Before != nil {
		slices.Reverse(list)
	}
	return list, err
}

// conditions is the WHERE clause. It names only what is set: a condition that
// also holds for an empty argument would keep every index from being used.
func (f EventFilter) conditions() (where string, args []any) {
	var all []string
	add := func(set bool, condition string, value any) {
		if set {
			args = append(args, value)
			all = append(all, fmt.Sprintf(condition, len(args)))
		}
	}
	// The most telling condition finds the rows, by its index; the others, some
	// of which hold for half of the trail, must not be taken for the better one.
	compare := "%s = $%%d"
	for _, column := range []struct{ name, value string }{
		{"sub", f.Sub}, {"username", f.Username}, {"ip", f.IP}, {"client_id", f.ClientID}, {"event", f.Event},
	} {
		add(column.value != "", fmt.Sprintf(compare, column.name), column.value)
		if column.value != "" {
			compare = "%s || '' = $%%d"
		}
	}
	add(!f.From.IsZero(), "time >= $%d", at(f.From))
	add(!f.To.IsZero(), "time < $%d", at(f.To))
	if f.After != nil {
		args = append(args, at(f.After.Time), f.After.ID)
		n := len(args)
		// The first of the two bounds the search in the index.
		all = append(all, fmt.Sprintf("time <= $%d AND (time < $%d OR id < $%d)", n-1, n-1, n))
	}
	if f.Before != nil {
		args = append(args, at(f.Before.Time), f.Before.ID)
		n := len(args)
		all = append(all, fmt.Sprintf("time >= $%d AND (time > $%d OR id > $%d)", n-1, n-1, n))
	}
	if len(all) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(all, " AND "), args
}
