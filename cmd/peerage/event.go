package main

import (
	"context"
	"io"

	"peerage/identity"
	"peerage/store"
)

type eventCommands struct {
	List   eventListCommand   `cmd:"" help:"List events, the newest first."`
	Export eventExportCommand `cmd:"" help:"Print events as CSV or JSON, the newest first."`
}

// eventFlags say which events are meant.
type eventFlags struct {
	Event  string `placeholder:"NAME" help:"Only events of that name, such as login_failure."`
	User   string `placeholder:"NAME" help:"Only events of that person."`
	Client string `placeholder:"ID" help:"Only events of that client."`
	IP     string `name:"ip" placeholder:"ADDRESS" help:"Only events from that address."`
	From   string `placeholder:"TIME" help:"Only events of that time and later: RFC 3339, or a duration before now such as 24h or 7d."`
	To     string `placeholder:"TIME" help:"Only events before that time: RFC 3339, or a duration before now."`
}

type eventListCommand struct {
	eventFlags
	Limit int  `default:"50" placeholder:"N" help:"How many at most; 0 for all. Default: 50."`
	JSON  bool `name:"json" help:"Print one JSON array."`
}

// Run lists events.
func (c eventListCommand) Run(ctx context.Context, p *program) error {
	if c.JSON {
		return p.exportEvents(ctx, c.eventFlags, c.Limit, identity.NewEventsJSON(p.stdout))
	}
	return p.exportEvents(ctx, c.eventFlags, c.Limit, &eventTable{w: p.stdout})
}

type eventExportCommand struct {
	eventFlags
	Limit  int    `placeholder:"N" help:"How many at most; all when absent."`
	Format string `default:"csv" enum:"csv,json" help:"csv or json."`
	JSON   bool   `name:"json" help:"The same as --format json."`
}

// Run prints events for other programs.
func (c eventExportCommand) Run(ctx context.Context, p *program) error {
	if c.JSON || c.Format == "json" {
		return p.exportEvents(ctx, c.eventFlags, c.Limit, identity.NewEventsJSON(p.stdout))
	}
	return p.exportEvents(ctx, c.eventFlags, c.Limit, identity.NewEventsCSV(p.stdout))
}

// exportEvents writes the events that the flags mean, limit at most (0: all).
func (p *program) exportEvents(ctx context.Context, flags eventFlags, limit int, to identity.EventWriter) error {
	if limit < 0 {
		return usagef("--limit must not be negative")
	}
	filter, faults := identity.EventQuery(flags).Filter(p.now())
	if len(faults) > 0 {
		return usagef("--%w", faults[0])
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	return identity.ExportEvents(ctx, in.store, filter, limit, to)
}

// eventTable shows events to people.
type eventTable struct {
	w    io.Writer
	rows [][]string
}

// Begin implements identity.EventWriter.
func (t *eventTable) Begin() error { return nil }

// Write implements identity.EventWriter.
func (t *eventTable) Write(events []store.Event) error {
	for _, e := range events {
		t.rows = append(t.rows, []string{e.Time.UTC().Format("2006-01-02 15:04:05"), e.Event, e.Result, e.Username, e.ClientID, e.IP, e.Detail})
	}
	return nil
}

// End prints all at once: the columns are as wide as their widest cell.
func (t *eventTable) End() error {
	return printTable(t.w, []string{"TIME (UTC)", "EVENT", "RESULT", "USER", "CLIENT", "IP", "DETAIL"}, t.rows)
}
