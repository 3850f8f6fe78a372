package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"peerage/identity"
	"peerage/tracing"
)

// newLogger writes lines of the format and least level of the settings.
// slog's text form is logfmt, and quotes whatever could break a line.
func newLogger(w io.Writer, s Settings) *slog.Logger {
	var level slog.Level
	// The settings hold one of four words that slog knows.
	_ = level.UnmarshalText([]byte(s.LogLevel))
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(requestHandler{slog.NewJSONHandler(w, options)})
	}
	return slog.New(requestHandler{slog.NewTextHandler(w, options)})
}

// requestHandler adds the ids of the request and of its trace to each line, so
// that a person can be helped with the ids that their error page shows.
type requestHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := identity.CallerFrom(ctx).RequestID; id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("request_id", id))
	}
	if traceID, spanID := tracing.IDs(ctx); traceID != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", traceID), slog.String("span_id", spanID))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}

// quietHandler is for libraries that log to slog's default: what they take
// for worth telling (each route they register) is a detail here, and what they
// repeat of a request (a grant_type of a megabyte) is clipped and shown without
// control characters.
type quietHandler struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, quieter(level))
}

// Handle implements slog.Handler.
func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	shown := slog.NewRecord(r.Time, quieter(r.Level), identity.Clean(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		shown.AddAttrs(harmless(a))
		return true
	})
	return h.Handler.Handle(ctx, shown)
}

// WithAttrs implements slog.Handler.
func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var shown []slog.Attr
	for _, a := range attrs {
		shown = append(shown, harmless(a))
	}
	return quietHandler{h.Handler.WithAttrs(shown)}
}

// WithGroup implements slog.Handler.
func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}

func quieter(level slog.Level) slog.Level {
	if level < slog.LevelWarn {
		return slog.LevelDebug
	}
	return level
}

// harmless cleans every text in an attribute, however deep; numbers, times and
// the like are what they are.
func harmless(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(identity.Clean(v.String()))
	case slog.KindAny:
		a.Value = slog.StringValue(identity.Clean(fmt.Sprintf("%+v", v.Any())))
	case slog.KindGroup:
		var members []slog.Attr
		for _, member := range v.Group() {
			members = append(members, harmless(member))
		}
		a.Value = slog.GroupValue(members...)
	default:
		a.Value = v
	}
	return a
}
