package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

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
	From   string `placeholder:"TIME" help:"Only events of that time and later: RFC 3339, or a duration before now such as 24h."`
	To     string `placeholder:"TIME" help:"Only events before that time: RFC 3339, or a duration before now."`
}

// filter is what the flags say.
func (f eventFlags) filter(now time.Time) (store.EventFilter, error) {
	filter := store.EventFilter{Event: f.Event, Username: f.User, ClientID: f.Client}
	if f.IP != "" {
		address, err := netip.ParseAddr(f.IP)
		if err != nil {
			return filter, usagef("--ip: %q is not an address", f.IP)
		}
		filter.IP = address.Unmap().String() // as rows have it
	}
	for _, limit := range []struct {
		name, text string
		time       *time.Time
	}{{"--from", f.From, &filter.From}, {"--to", f.To, &filter.To}} {
		if limit.text == "" {
			continue
		}
		at, err := moment(limit.text, now)
		if err != nil {
			return filter, usagef("%s: %w", limit.name, err)
		}
		*limit.time = at
	}
	if !filter.From.IsZero() && !filter.To.IsZero() && !filter.From.Before(filter.To) {
		return filter, usagef("--from must be earlier than --to")
	}
	return filter, nil
}

// moment reads a time, or how long ago it was.
func moment(text string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("%q is neither a time such as %s nor a duration such as 24h", text, now.UTC().Format(time.RFC3339))
	}
	return now.Add(-ago), nil
}

type eventListCommand struct {
	eventFlags
	Limit int  `default:"50" placeholder:"N" help:"How many at most; 0 for all. Default: 50."`
	JSON  bool `name:"json" help:"Print one JSON array."`
}

// Run lists events.
func (c eventListCommand) Run(ctx context.Context, p *program) error {
	if c.JSON {
		return p.exportEvents(ctx, c.eventFlags, c.Limit, &eventsJSON{w: p.stdout})
	}
	return p.exportEvents(ctx, c.eventFlags, c.Limit, &eventTable{w: p.stdout})
}

// eventJSON is an event with the keys of its log line, in their order, and
// the time.
type eventJSON store.Event

// MarshalJSON implements json.Marshaler.
func (e eventJSON) MarshalJSON() ([]byte, error) {
	pairs := [][2]string{{"time", e.Time.UTC().Format(time.RFC3339Nano)}, {"event", e.Event}, {"user", e.Username}, {"sub", e.Sub},
		{"client", e.ClientID}, {"ip", e.IP}, {"result", e.Result}, {"request_id", e.RequestID}, {"trace_id", e.TraceID}, {"span_id", e.SpanID}}
	taken := map[string]bool{}
	for _, pair := range pairs {
		taken[pair[0]] = true
	}
	for _, pair := range detailPairs(e.Detail) {
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

// detailPairs takes apart the detail of an event, key=value key="quoted value".
func detailPairs(detail string) (pairs [][2]string) {
	for detail != "" {
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
