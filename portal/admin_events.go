package portal

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"peerage/identity"
	"peerage/store"
)

const (
	pathEvents   = "/admin/events"
	eventsAtOnce = 50
	// numberedPages bounds ?page=N; pages further on are found by where the
	// one before ended, because each row that is skipped costs time.
	numberedPages = 100
)

// eventFields are the filters, in the order of the page.
var eventFields = []string{"event", "user", "client", "ip", "from", "to"}

// eventsPage shows the audit trail, or sends it as a file.
func (p *Portal) eventsPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	query := r.URL.Query()
	asked := map[string]string{}
	for _, name := range eventFields {
		asked[name] = strings.TrimSpace(query.Get(name))
	}
	filter, faults := identity.EventQuery{Event: asked["event"], User: asked["user"], Client: asked["client"], IP: asked["ip"], From: asked["from"], To: asked["to"]}.Filter(p.now())
	format := query.Get("format")
	page := &EventsPage{Base: p.base(r, &v), Most: maxExport}
	page.Filter = filterFields(asked, faults)
	page.Faults = faulty(page.Filter...)
	if format != "" && format != "csv" && format != "json" {
		page.Faults = append(page.Faults, Field{Name: "format", ID: "download", Label: Say("events.download"), Fault: Say("events.fault.format")})
	}
	here := url.Values{}
	for name, value := range asked {
		if value != "" {
			here.Set(name, value)
			page.Filtered = true
		}
	}
	page.CSV, page.JSON = eventsAddress(here, "format", "csv"), eventsAddress(here, "format", "json")
	if len(page.Faults) > 0 {
		page.Fault = "invalid_request"
		return p.render.Render(w, http.StatusUnprocessableEntity, page)
	}
	if format != "" {
		return p.exportEvents(w, r, filter, format)
	}
	if err := p.fillEvents(r, page, filter, here); err != nil {
		return err
	}
	return p.render.Render(w, http.StatusOK, page)
}

// fillEvents reads one page of the trail and finds its neighbours.
func (p *Portal) fillEvents(r *http.Request, page *EventsPage, filter store.EventFilter, here url.Values) error {
	first := setPage(&filter, r.URL.Query().Get("page"))
	back := filter.Before != nil
	filter.Limit = eventsAtOnce + 1 // one more tells whether there is another page
	events, err := p.store.Events(r.Context(), filter)
	if err != nil {
		return err
	}
	more := len(events) > eventsAtOnce
	switch {
	case more && back:
		events = events[1:]
	case more:
		events = events[:eventsAtOnce]
	}
	for _, e := range events {
		page.Events = append(page.Events, TrailRow{e})
	}
	if len(events) == 0 {
		if !first {
			page.Pager.Prev = eventsAddress(here, "", "")
		}
		return nil
	}
	if more || back {
		page.Pager.Next = eventsAddress(here, "page", cursor("older", events[len(events)-1]))
	}
	if !first && (more || !back) {
		page.Pager.Prev = eventsAddress(here, "page", cursor("newer", events[0]))
	}
	return nil
}

// setPage moves a filter to ?page=: a number, or where another page ended.
// What is neither is the first page.
func setPage(filter *store.EventFilter, page string) (first bool) {
	if n, err := strconv.Atoi(page); err == nil && n > 1 && n <= numberedPages {
		filter.Skip = (n - 1) * eventsAtOnce
		return false
	}
	direction, rest, _ := strings.Cut(page, ".")
	micros, id, found := strings.Cut(rest, ".")
	at, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || !found {
		return true
	}
	mark := &store.Event{ID: id, Time: time.UnixMicro(at).UTC()}
	switch direction {
	case "older":
		filter.After = mark
	case "newer":
		filter.Before = mark
	default:
		return true
	}
	return false
}

func cursor(direction string, e store.Event) string {
	return direction + "." + strconv.FormatInt(e.Time.UnixMicro(), 10) + "." + e.ID
}

// eventsAddress is the address of the trail with a filter and one more value.
func eventsAddress(filter url.Values, name, value string) string {
	query := url.Values{}
	for key, values := range filter {
		query[key] = values
	}
	if value != "" {
		query.Set(name, value)
	}
	if len(query) == 0 {
		return pathEvents
	}
	return pathEvents + "?" + query.Encode()
}

// filterFields are the controls of the filter with what was typed and what is
// wrong with it.
func filterFields(asked map[string]string, faults []identity.QueryFault) []Field {
	fields := []Field{
		{Name: "event", Kind: FieldSelect, Label: Say("events.event"), Options: []Option{{Label: Say("events.event.all")}}},
		{Name: "user", Kind: FieldSearch, Label: Say("events.user")},
		{Name: "client", Kind: FieldSearch, Label: Say("events.client"), Mono: true},
		{Name: "ip", Kind: FieldSearch, Label: Say("events.ip"), Mono: true, Max: 64},
		{Name: "from", Label: Say("events.from"), Hint: Say("events.from.hint"), Max: 40},
		{Name: "to", Label: Say("events.to"), Max: 40},
	}
	names := identity.EventNames
	if e := asked["event"]; e != "" && !identity.KnownEvent(e) {
		names = append([]string{clip(e)}, names...)
	}
	for _, name := range names {
		fields[0].Options = append(fields[0].Options, Option{Value: name})
	}
	for i, field := range fields {
		fields[i].Value = asked[field.Name]
		for _, fault := range faults {
			if fault.Field == field.Name {
				fields[i].Fault = queryFaults[fault.Kind]
			}
		}
	}
	return fields
}

var queryFaults = map[identity.QueryFaultKind]Sentence{
	identity.QueryNoEvent:   Say("events.fault.no_event"),
	identity.QueryNoAddress: Say("events.fault.no_address"),
	identity.QueryNoTime:    Say("events.fault.no_time"),
	identity.QueryNoRange:   Say("events.fault.no_range"),
}
