package identity

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"peerage/store"
)

// EventWriter writes events piece by piece: a trail may be larger than memory.
type EventWriter interface {
	Begin() error
	Write([]store.Event) error
	End() error
}

// eventPiece is how many events are read at once.
const eventPiece = 1000

// ExportEvents writes the events that a filter means, the newest first, limit
// at most (0: all).
func ExportEvents(ctx context.Context, s *store.Store, filter store.EventFilter, limit int, to EventWriter) error {
	if err := to.Begin(); err != nil {
		return fmt.Errorf("writing the events: %w", err)
	}
	for left, more := limit, true; more; {
		filter.Limit = eventPiece
		if limit > 0 {
			filter.Limit = min(left, eventPiece)
		}
		events, err := s.Events(ctx, filter)
		if err != nil {
			return fmt.Errorf("reading the events: %w", err)
		}
		if err := to.Write(events); err != nil {
			return fmt.Errorf("writing the events: %w", err)
		}
		left -= len(events)
		if more = len(events) == filter.Limit && (limit == 0 || left > 0); more {
			filter.After = &events[len(events)-1]
		}
	}
	if err := to.End(); err != nil {
		return fmt.Errorf("writing the events: %w", err)
	}
	return nil
}

// eventsJSON writes one array on one line.
type eventsJSON struct {
	out   *bufio.Writer
	wrote bool
}

// NewEventsJSON writes events as one JSON array; each has the keys of its log
// line, in their order, and time.
func NewEventsJSON(w io.Writer) EventWriter { return &eventsJSON{out: bufio.NewWriter(w)} }

func (j *eventsJSON) Begin() error { return j.out.WriteByte('[') }

func (j *eventsJSON) Write(events []store.Event) error {
	for _, e := range events {
		document, err := eventDocument(e)
		if err != nil {
			return err
		}
		if j.wrote {
			j.out.WriteByte(',')
		}
		j.wrote = true
		if _, err := j.out.Write(document); err != nil {
			return err
		}
	}
	return nil
}

func (j *eventsJSON) End() error {
	j.out.WriteString("]\n")
	return j.out.Flush()
}

func eventDocument(e store.Event) ([]byte, error) {
	pairs := [][2]string{{"time", e.Time.UTC().Format(time.RFC3339Nano)}, {"event", e.Event}, {"user", e.Username}, {"sub", e.Sub},
		{"client", e.ClientID}, {"ip", e.IP}, {"result", e.Result}, {"request_id", e.RequestID}, {"trace_id", e.TraceID}, {"span_id", e.SpanID}}
	taken := map[string]bool{}
	for _, pair := range pairs {
		taken[pair[0]] = true
	}
	for _, pair := range EventDetail(e) {
		if !taken[pair[0]] {
			taken[pair[0]] = true
			pairs = append(pairs, pair)
		}
	}
	var b bytes.Buffer
	for i, pair := range pairs {
		key, err := json.Marshal(pair[0])
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(pair[1])
		if err != nil {
			return nil, err
		}
		b.WriteByte("{,"[min(i, 1)])
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// EventDetail takes apart the detail of an event, key=value key="quoted value".
func EventDetail(e store.Event) (pairs [][2]string) {
	for detail := e.Detail; detail != ""; {
		key, rest, found := strings.Cut(detail, "=")
		if !found {
			break
		}
		value := ""
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			value, _ = strconv.Unquote(quoted) // QuotedPrefix has looked at it
			detail = strings.TrimPrefix(rest[len(quoted):], " ")
		} else {
			value, detail, _ = strings.Cut(rest, " ")
		}
		pairs = append(pairs, [2]string{key, value})
	}
	return pairs
}

// eventsCSV writes RFC 4180 with a head.
type eventsCSV struct{ w *csv.Writer }

// NewEventsCSV writes events as CSV that a spreadsheet can open without harm.
func NewEventsCSV(w io.Writer) EventWriter { return &eventsCSV{csv.NewWriter(w)} }

func (c *eventsCSV) Begin() error {
	return c.w.Write([]string{"time", "event", "user", "sub", "client", "ip", "result", "detail", "request_id", "trace_id", "span_id"})
}

func (c *eventsCSV) Write(events []store.Event) error {
	for _, e := range events {
		row := []string{e.Time.UTC().Format(time.RFC3339Nano), e.Event, e.Username, e.Sub, e.ClientID, e.IP, e.Result, e.Detail, e.RequestID, e.TraceID, e.SpanID}
		for i, cell := range row {
			row[i] = harmless(cell)
		}
		if err := c.w.Write(row); err != nil {
			return err
		}
	}
	return nil
}

func (c *eventsCSV) End() error {
	c.w.Flush()
	return c.w.Error()
}

// harmless keeps a spreadsheet from taking a cell for a formula: anybody may
// type =HYPERLINK(…) as a user name, and the trail records it. The apostrophe
// is what spreadsheets themselves write before text.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
