package identity

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"peerage/store"
)

// EventQuery says which events of the audit trail somebody asks for, as they
// typed it on a page or in a command; empty means all.
type EventQuery struct {
	Event, User, Client, IP string
	// From and To are times (RFC 3339, or 2026-03-19 09:12 in UTC, or a day), or
	// how long ago (24h, 7d). From belongs to the range, To does not.
	From, To string
}

// QueryFault is a value of an EventQuery that cannot be read.
type QueryFault struct {
	Field string // event, user, client, ip, from or to
	Kind  QueryFaultKind
	Value string
}

// QueryFaultKind says what is wrong with a value.
type QueryFaultKind string

// What may be wrong.
const (
	QueryNoEvent   QueryFaultKind = "no_event"   // no such name
	QueryNoAddress QueryFaultKind = "no_address" // not an IP address
	QueryNoTime    QueryFaultKind = "no_time"    // not a time
	QueryNoRange   QueryFaultKind = "no_range"   // from is not before to
)

// Error implements error.
func (f QueryFault) Error() string {
	switch f.Kind {
	case QueryNoEvent:
		return fmt.Sprintf("%s: there is no event %q", f.Field, f.Value)
	case QueryNoAddress:
		return fmt.Sprintf("%s: %q is not an address", f.Field, f.Value)
	case QueryNoTime:
		return fmt.Sprintf("%s: %q is neither a time such as 2026-03-19T09:12:00Z nor a duration such as 24h", f.Field, f.Value)
	}
	return "from must be earlier than to"
}

// Filter is what the query means at that time, and everything that is wrong
// with it.
func (q EventQuery) Filter(now time.Time) (store.EventFilter, []QueryFault) {
	filter := store.EventFilter{Event: q.Event, Username: q.User, ClientID: q.Client}
	var faults []QueryFault
	if q.Event != "" && !KnownEvent(q.Event) {
		faults = append(faults, QueryFault{"event", QueryNoEvent, q.Event})
	}
	if q.IP != "" {
		address, err := netip.ParseAddr(q.IP)
		if err != nil {
			faults = append(faults, QueryFault{"ip", QueryNoAddress, q.IP})
		}
		filter.IP = address.Unmap().String() // as rows have it
	}
	for _, limit := range []struct {
		field, text string
		time        *time.Time
	}{{"from", q.From, &filter.From}, {"to", q.To, &filter.To}} {
		if limit.text == "" {
			continue
		}
		at, ok := moment(limit.text, now)
		if !ok {
			faults = append(faults, QueryFault{limit.field, QueryNoTime, limit.text})
		}
		*limit.time = at
	}
	if !filter.From.IsZero() && !filter.To.IsZero() && !filter.From.Before(filter.To) {
		faults = append(faults, QueryFault{"to", QueryNoRange, q.To})
	}
	return filter, faults
}

// moment reads a time, or how long ago it was.
func moment(text string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), inRange(at)
		}
	}
	ago, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); found {
		var n int
		n, err = strconv.Atoi(days)
		if n > maxDaysAgo {
			return time.Time{}, false
		}
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago < 0 {
		return time.Time{}, false
	}
	return now.Add(-ago), true
}

// maxDaysAgo is a hundred years, which a time.Duration can hold.
const maxDaysAgo = 36500

// inRange tells whether rows can hold a time: microseconds since 1970.
func inRange(at time.Time) bool { return at.Year() >= 1 && at.Year() <= 9999 }
