package identity

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/uuid"

	"peerage/store"
	"peerage/tracing"
)

// Event is something that an auditor wants to know.
type Event struct {
	Name   string // one of the contract's event names
	User   string // user name, as typed or as known
	Sub    string
	Client string // registered client_id
	Result string
	// Detail are further pairs for the line and the row.
	Detail []slog.Attr
}

const (
	auditQueue = 4096
	auditBatch = 256
	auditDelay = 100 * time.Millisecond
	maxValue   = 256 // runes of one value in a line or row
)

// Audit writes each event as a log line at once and as a row of the store
// soon after: rows are written in batches, so that a UserInfo call does not
// wait for the disk. Close writes what is left.
type Audit struct {
	store *store.Store
	log   *slog.Logger
	now   func() time.Time
	queue chan *store.Event
	flush chan chan struct{}
	done  chan struct{}

	closing sync.RWMutex
	closed  bool
}

// NewAudit starts the writer. Close must be called before the store's.
func NewAudit(s *store.Store, log *slog.Logger, now func() time.Time) *Audit {
	a := &Audit{store: s, log: log, now: now, queue: make(chan *store.Event, auditQueue), flush: make(chan chan struct{}), done: make(chan struct{})}
	go a.write()
	return a
}

// Event records an event, with the address and request of ctx's caller.
func (a *Audit) Event(ctx context.Context, e Event) {
	caller := CallerFrom(ctx)
	if by := actorFrom(ctx); by != "" && by != e.User {
		others := slices.DeleteFunc(slices.Clone(e.Detail), func(d slog.Attr) bool { return d.Key == "by" })
		e.Detail = append(others, slog.String("by", by))
	}
	var detail []string
	attrs := []slog.Attr{slog.String("event", e.Name), slog.String("user", Clean(e.User)), slog.String("client", Clean(e.Client)),
		slog.String("ip", caller.IP), slog.String("result", e.Result)}
	for _, d := range e.Detail {
		d = slog.String(d.Key, Clean(d.Value.String()))
		attrs = append(attrs, d)
		detail = append(detail, d.Key+"="+quoted(d.Value.String()))
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
	id, err := uuid.NewV7()
	if err != nil {
		id = uuid.New()
	}
	row := store.Event{ID: id.String(), Time: a.now(), Event: e.Name, Username: Clean(e.User), Sub: e.Sub, ClientID: Clean(e.Client),
		IP: caller.IP, Result: e.Result, Detail: strings.Join(detail, " "), RequestID: caller.RequestID}
	row.TraceID, row.SpanID = tracing.IDs(ctx) // the line has them from the logger
	a.enqueue(ctx, row)
}

// enqueue takes the row even of a caller who has gone: hanging up must not
// hide what was tried. Only a full queue gives up with the caller, so that it
// hangs no request for ever; the line is written by then.
func (a *Audit) enqueue(ctx context.Context, row store.Event) {
	a.closing.RLock()
	defer a.closing.RUnlock()
	why := "the trail is closed"
	if !a.closed {
		select {
		case a.queue <- &row:
			return
		default:
		}
		select {
		case a.queue <- &row:
			return
		case <-ctx.Done():
			why = "the queue is full"
		}
	}
	a.log.WarnContext(context.WithoutCancel(ctx), "audit row dropped", "event", row.Event, "reason", why)
}

// Flush returns when all events recorded before are in the store.
func (a *Audit) Flush() {
	ack := make(chan struct{})
	select {
	case a.flush <- ack:
		<-ack
	case <-a.done:
	}
}

// Close writes what is left and stops. Events that come later have their line
// only.
func (a *Audit) Close() {
	a.closing.Lock()
	if !a.closed {
		a.closed = true
		close(a.queue)
	}
	a.closing.Unlock()
	<-a.done
}

func (a *Audit) write() {
	defer close(a.done)
	for {
		var batch []store.Event
		var ack chan struct{}
		open := true
		select {
		case row, ok := <-a.queue:
			if !ok {
				return
			}
			batch, ack, open = a.gather(append(batch, *row))
		case ack = <-a.flush:
			batch, open = a.drain(batch)
		}
		a.save(batch)
		if ack != nil {
			close(ack)
		}
		if !open {
			return
		}
	}
}

// gather waits a moment for more events, so that busy times share a commit.
func (a *Audit) gather(batch []store.Event) (_ []store.Event, ack chan struct{}, open bool) {
	deadline := time.NewTimer(auditDelay)
	defer deadline.Stop()
	for len(batch) < auditBatch {
		select {
		case row, ok := <-a.queue:
			if !ok {
				return batch, nil, false
			}
			batch = append(batch, *row)
		case ack = <-a.flush:
			batch, open = a.drain(batch)
			return batch, ack, open
		case <-deadline.C:
			return batch, nil, true
		}
	}
	return batch, nil, true
}

func (a *Audit) drain(batch []store.Event) (_ []store.Event, open bool) {
	for {
		select {
		case row, ok := <-a.queue:
			if !ok {
				return batch, false
			}
			batch = append(batch, *row)
		default:
			return batch, true
		}
	}
}

func (a *Audit) save(batch []store.Event) {
	if len(batch) == 0 {
		return
	}
	if err := a.store.AddEvents(context.Background(), batch); err != nil {
		a.log.Error("writing the audit trail", "events", len(batch), "error", err)
	}
}

// quoted keeps a value from looking like several pairs.
func quoted(value string) string {
	if value == "" || strings.ContainsAny(value, " =\"\\") {
		return strconv.Quote(value)
	}
	return value
}

// Clean makes a value from outside harmless in a line: no control or bidi
// characters (they forge lines and hide text), and bounded in length.
func Clean(value string) string {
	if len(value) <= maxValue && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return value // as nearly all are
	}
	var b strings.Builder
	n := 0
	for _, r := range value {
		if n == maxValue {
			b.WriteString("…")
			break
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || r == unicode.ReplacementChar {
			continue
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
