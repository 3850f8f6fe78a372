package portal

import (
	"peerage/identity"
	"peerage/store"
)

// EventsPage is the audit trail, the newest first.
type EventsPage struct {
	Base
	Filter []Field
	Faults []Field // those of the filter, and of the format
	Events []TrailRow
	Pager  Pager
	// CSV and JSON are the addresses of the downloads.
	CSV, JSON string
	Most      int64 // how many events a download holds at most
	Filtered  bool
}

func (*EventsPage) frame() frame {
	return frame{file: "admin_events", house: true, place: placeAdmin}
}

// TrailRow is one event.
type TrailRow struct{ store.Event }

// Pairs are the further facts of the event.
func (e TrailRow) Pairs() [][2]string { return identity.EventDetail(e.Event) }
