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

// activityPageLength is how many events one page shows.
const activityPageLength = 50

// activity shows the person's own audit trail, the newest first. The query
// ?before= names an event of the page before; whatever it names, the trail is
// only ever the person's own.
func (p *Portal) activity(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	filter := store.EventFilter{Sub: v.User.Sub, Limit: activityPageLength + 1, After: eventMark(r.FormValue("before"))}
	events, err := p.store.Events(r.Context(), filter)
	if err != nil {
		return err
	}
	page := &ActivityPage{Base: p.base(r, &v)}
	if filter.After != nil {
		page.Pager.Prev = "/identity/activity"
	}
	if len(events) > activityPageLength {
		events = events[:activityPageLength]
		page.Pager.Next = "/identity/activity?before=" + url.QueryEscape(markOf(events[len(events)-1]))
	}
	for _, e := range events {
		page.Events = append(page.Events, p.activityItem(e))
	}
	return p.render.Render(w, http.StatusOK, page)
}

func (p *Portal) activityItem(e store.Event) ActivityItem {
	words, ok := eventWords[e.Event]
	if !ok {
		words.says = Say("event.other", "event", e.Event)
	}
	if e.Event == "token_revoke" && e.ClientID == "" {
		words = eventWord{says: Say("event.token_end")} // an API token, by its person
	}
	item := ActivityItem{Time: e.Time, What: words.says, Application: e.ClientID}
	if !words.byOthers {
		item.Address = e.IP
	}
	if client, ok := p.clients.Client(e.ClientID); ok {
		item.Application = client.DisplayName()
	}
	switch e.Result {
	case "success", "code", "device", "":
	default:
		// Some events are a failure by their name.
		item.Failed = !words.always
		if words.failed.Key != "" {
			item.What, item.Failed = words.failed, false
		}
	}
	return item
}

// markOf names an event in an address: its time and its id.
func markOf(e store.Event) string { return strconv.FormatInt(e.Time.UnixMicro(), 36) + "." + e.ID }

// eventMark reads what markOf wrote; nil for anything else.
func eventMark(s string) *store.Event {
	stamp, id, ok := strings.Cut(s, ".")
	micro, err := strconv.ParseInt(stamp, 36, 64)
	if !ok || err != nil || micro < 0 || len(id) > 64 {
		return nil
	}
	return &store.Event{Time: time.UnixMicro(micro).UTC(), ID: id}
}

// eventWord says what an event of the audit trail means to the person it is about.
type eventWord struct {
	says Sentence
	// failed is said instead when it did not succeed; the zero Sentence leaves
	// says with a badge.
	failed Sentence
	// always: the event is a failure by its name.
	always bool
	// byOthers: an administrator did it, or the server by itself; the address is
	// not the person's.
	byOthers bool
}
