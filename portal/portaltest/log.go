package portaltest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"peerage/identity"
)

// Log collects log lines. It is safe for concurrent use.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Lines are the lines so far with that message.
func (l *Log) Lines(message string) []map[string]any { return l.with(slog.MessageKey, message) }

// Events are the audit events so far with that name.
func (l *Log) Events(name string) []map[string]any { return l.with("event", name) }

func (l *Log) with(key, value string) []map[string]any {
	var found []map[string]any
	for _, line := range bytes.Split([]byte(l.String()), []byte("\n")) {
		var entry map[string]any
		if json.Unmarshal(line, &entry) == nil && entry[key] == value {
			found = append(found, entry)
		}
	}
	return found
}

// withRequestID adds the number of the request to each line that is logged
// with its context, as the server does.
type withRequestID struct{ slog.Handler }

// Handle implements slog.Handler.
func (h withRequestID) Handle(ctx context.Context, r slog.Record) error {
	r.AddAttrs(slog.String("request_id", identity.CallerFrom(ctx).RequestID))
	return h.Handler.Handle(ctx, r)
}
