// Package tracing begins the spans within a request or a job. A span is born
// only inside another that is recorded and takes its tracer from there, so
// that no part needs a tracer of its own, nothing is told without its cause,
// and nothing is made, or allocated, while tracing is off.
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

// Child begins a span inside the one of ctx and calls it "SUBJECT OPERATION",
// which must be words of ours. Without a recorded span in ctx it returns ctx
// and a span that does nothing.
func Child(ctx context.Context, kind trace.SpanKind, subject, operation string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, parent
	}
	return parent.TracerProvider().Tracer(Scope).Start(ctx, subject+" "+operation, trace.WithSpanKind(kind))
}

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
