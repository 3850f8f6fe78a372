package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"

	"peerage/store"
)

type eventExportCommand struct {
	eventFlags
	Limit  int    `placeholder:"N" help:"How many at most; all when absent."`
	Format string `default:"csv" enum:"csv,json" help:"csv or json."`
	JSON   bool   `name:"json" help:"The same as --format json."`
}

// Run prints events for other programs.
func (c eventExportCommand) Run(ctx context.Context, p *program) error {
	if c.JSON || c.Format == "json" {
		return p.exportEvents(ctx, c.eventFlags, c.Limit, &eventsJSON{w: p.stdout})
	}
	return p.exportEvents(ctx, c.eventFlags, c.Limit, &eventsCSV{w: csv.NewWriter(p.stdout)})
}

// eventWriter writes events piece by piece: a trail may be larger than memory.
type eventWriter interface {
	begin() error
	write([]store.Event) error
	end() error
}

// eventPiece is how many events are read at once.
const eventPiece = 1000

// exportEvents writes the events that the flags mean, limit at most (0: all).
func (p *program) exportEvents(ctx context.Context, flags eventFlags, limit int, to eventWriter) error {
	if limit < 0 {
		return usagef("--limit must not be negative")
	}
	filter, err := flags.filter(p.now())
	if err != nil {
		return err
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	if err := to.begin(); err != nil {
		return fmt.Errorf("writing the events: %w", err)
	}
	for left, more := limit, true; more; {
		filter.Limit = eventPiece
		if limit > 0 {
			filter.Limit = min(left, eventPiece)
		}
		events, err := in.store.Events(ctx, filter)
		if err != nil {
			return fmt.Errorf("reading the events: %w", err)
		}
		if err := to.write(events); err != nil {
			return fmt.Errorf("writing the events: %w", err)
		}
		left -= len(events)
		if more = len(events) == filter.Limit && (limit == 0 || left > 0); more {
			filter.After = &events[len(events)-1]
		}
	}
	if err := to.end(); err != nil {
		return fmt.Errorf("writing the events: %w", err)
	}
	return nil
}

// eventTable shows events to people.
type eventTable struct {
	w    io.Writer
	rows [][]string
}

func (t *eventTable) begin() error { return nil }

func (t *eventTable) write(events []store.Event) error {
	for _, e := range events {
		t.rows = append(t.rows, []string{e.Time.UTC().Format("2006-01-02 15:04:05"), e.Event, e.Result, e.Username, e.ClientID, e.IP, e.Detail})
	}
	return nil
}

// end prints all at once: the columns are as wide as their widest cell.
func (t *eventTable) end() error {
	return printTable(t.w, []string{"TIME (UTC)", "EVENT", "RESULT", "USER", "CLIENT", "IP", "DETAIL"}, t.rows)
}

// eventsJSON writes one array on one line.
type eventsJSON struct {
	w     io.Writer
	out   *bufio.Writer
	wrote bool
}

func (j *eventsJSON) begin() error {
	j.out = bufio.NewWriter(j.w)
	return j.out.WriteByte('[')
}

func (j *eventsJSON) write(events []store.Event) error {
	for _, e := range events {
		document, err := eventJSON(e).MarshalJSON()
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

func (j *eventsJSON) end() error {
	j.out.WriteString("]\n")
	return j.out.Flush()
}

// eventsCSV writes RFC 4180 with a head.
type eventsCSV struct{ w *csv.Writer }

func (c *eventsCSV) begin() error {
	return c.w.Write([]string{"time", "event", "user", "sub", "client", "ip", "result", "detail", "request_id", "trace_id", "span_id"})
}

func (c *eventsCSV) write(events []store.Event) error {
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

func (c *eventsCSV) end() error {
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
