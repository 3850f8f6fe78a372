package store

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// at turns a time into what a BIGINT column holds; the zero time is NULL.
// Rows hold numbers because the SQLite driver gives text for max(t) and
// compares zones as text.
func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// storable writes U+FFFD for what no text of PostgreSQL can hold: bytes that
// are no UTF-8, and NUL. Requests bring such text wherever they bring any; it
// must find nothing, on both engines, and not break the statement.
func storable(args []any) []any {
	changed := false
	for i, arg := range args {
		s, ok := arg.(string)
		if !ok || utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
			continue
		}
		if !changed {
			args, changed = slices.Clone(args), true
		}
		args[i] = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	}
	return args
}

// stamp scans such a column.
type stamp struct{ t *time.Time }

// Scan implements sql.Scanner.
func (s stamp) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*s.t = time.Time{}
	case int64:
		*s.t = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time column holds %T", v)
	}
	return nil
}

// seconds scans a column of whole seconds.
type seconds struct{ d *time.Duration }

// Scan implements sql.Scanner.
func (s seconds) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a column of seconds holds %T", v)
	}
	*s.d = time.Duration(n) * time.Second
	return nil
}

// words scans a column of names separated by spaces (scopes, amr).
type words struct{ list *[]string }

// Scan implements sql.Scanner.
func (w words) Scan(v any) error {
	switch v := v.(type) {
	case string:
		*w.list = strings.Fields(v)
	case []byte:
		*w.list = strings.Fields(string(v))
	default:
		return fmt.Errorf("a list column holds %T", v)
	}
	return nil
}

func joined(list []string) string { return strings.Join(list, " ") }

// one reads exactly one row; ErrNotFound when there is none.
func one[T any](q *Queries, fields func(*T) []any, query string, args ...any) (T, error) {
	list, err := many(q, fields, query, args...)
	if err != nil {
		var none T
		return none, err
	}
	if len(list) == 0 {
		var none T
		return none, ErrNotFound
	}
	return list[0], nil
}

func many[T any](q *Queries, fields func(*T) []any, query string, args ...any) ([]T, error) {
	rows, err := q.on.QueryContext(q.ctx, query, storable(args)...)
	if err != nil {
		return nil, q.store.engine.translate(err)
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		var t T
		if err := rows.Scan(fields(&t)...); err != nil {
			return nil, fmt.Errorf("reading a row: %w", err)
		}
		list = append(list, t)
	}
	if err := rows.Err(); err != nil {
		return nil, q.store.engine.translate(err)
	}
	return list, nil
}

func text(t *string) []any { return []any{t} }

func number(n *int64) []any { return []any{n} }

var _ sql.Scanner = stamp{}
