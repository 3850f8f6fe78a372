// Package tracing begins spans: one for a request or a job, and those within. A
// span within is born only inside one that is recorded and takes its tracer
// from there, so that few parts need a tracer, nothing is told without its
// cause, and nothing is made, or allocated, while tracing is off.
//
// No span holds the text of an error, an address as it was sent, a query, a
// cookie or anything that somebody typed: traces leave the machine, and one-time
// links, codes and tokens are in these places. The log line with the same trace
// id says more.
package tracing

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Scope names what makes our spans (OpenTelemetry's instrumentation scope).
const Scope = "peerage"

// spanKey is where a context holds our span. OpenTelemetry's own place does not
// do: the OIDC library begins spans too, which are recorded nowhere and would
// hide the one around them from those within.
type spanKey struct{}

// Start begins the span of a request or a job.
func Start(ctx context.Context, tracer trace.Tracer, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	ctx, span := tracer.Start(ctx, name, options...)
	return context.WithValue(ctx, spanKey{}, span), span
}

// Child begins a span inside the one that Start or Child put into ctx and calls
// it "SUBJECT OPERATION", which must be words of ours. Without a recorded span
// there it returns ctx and a span that does nothing.
func Child(ctx context.Context, kind trace.SpanKind, subject, operation string) (context.Context, trace.Span) {
	parent, ok := ctx.Value(spanKey{}).(trace.Span)
	if !ok || !parent.IsRecording() {
		return ctx, nothing
	}
	return Start(ctx, parent.TracerProvider().Tracer(Scope), subject+" "+operation, trace.WithSpanKind(kind))
}

// nothing is the span that does nothing.
var nothing = trace.SpanFromContext(context.Background())

// Failed marks a span as one that went wrong.
func Failed(span trace.Span) {
	if span.IsRecording() {
		span.SetStatus(codes.Error, "")
	}
}

// IDs are the ids of the trace and the span of ctx in hexadecimal, "" without.
func IDs(ctx context.Context) (traceID, spanID string) {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsValid() {
		return "", ""
	}
	return c.TraceID().String(), c.SpanID().String()
}
