package tracing_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"peerage/tracing"
)

func begin(t *testing.T, sampler sdktrace.Sampler) (context.Context, trace.Span, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder), sdktrace.WithSampler(sampler))
	ctx, span := tracing.Start(t.Context(), provider.Tracer(tracing.Scope), "root")
	return ctx, span, recorder
}

func TestChild(t *testing.T) {
	ctx, root, recorder := begin(t, sdktrace.AlwaysSample())
	inner, span := tracing.Child(ctx, trace.SpanKindClient, "store", "redeem_code")
	if traceID, spanID := tracing.IDs(inner); traceID != root.SpanContext().TraceID().String() || spanID != span.SpanContext().SpanID().String() {
		t.Errorf("the ids within are %s and %s", traceID, spanID)
	}
	tracing.Failed(span)
	span.End()
	root.End()
	ended := recorder.Ended()
	if len(ended) != 2 {
		t.Fatalf("%d spans ended", len(ended))
	}
	got := ended[0]
	if got.Name() != "store redeem_code" || got.SpanKind() != trace.SpanKindClient || got.Parent().SpanID() != root.SpanContext().SpanID() ||
		got.Status() != (sdktrace.Status{Code: codes.Error}) || got.InstrumentationScope().Name != tracing.Scope {
		t.Errorf("the span is %q, %s, inside %s, %v", got.Name(), got.SpanKind(), got.Parent().SpanID(), got.Status())
	}
}

// The OIDC library begins spans of OpenTelemetry's global provider, which
// records none. What happens inside them still belongs to the request.
func TestSpansOfOthersHideNothing(t *testing.T) {
	ctx, root, recorder := begin(t, sdktrace.AlwaysSample())
	ctx, library := otel.Tracer("library").Start(ctx, "library")
	_, span := tracing.Child(ctx, trace.SpanKindClient, "store", "redeem_code")
	span.End()
	library.End()
	ended := recorder.Ended()
	if len(ended) != 1 || ended[0].Parent().SpanID() != root.SpanContext().SpanID() {
		t.Errorf("%d spans ended", len(ended))
	}
	if traceID, _ := tracing.IDs(ctx); traceID != root.SpanContext().TraceID().String() {
		t.Errorf("the trace within is %q", traceID)
	}
}

// A span is never born without its cause: neither where nothing is traced nor
// in a trace that the sampler left out. Ending it ends nothing else, and it
// costs no allocation.
func TestNoChildWithoutARecordedSpan(t *testing.T) {
	dropped, _, recorder := begin(t, sdktrace.NeverSample())
	for name, ctx := range map[string]context.Context{"not traced": t.Context(), "left out": dropped} {
		allocations := testing.AllocsPerRun(100, func() {
			within, span := tracing.Child(ctx, trace.SpanKindClient, "store", "redeem_code")
			if within != ctx || span.IsRecording() {
				t.Fatalf("%s: a span was begun", name)
			}
			tracing.Failed(span)
		})
		if allocations != 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
	if n := len(recorder.Started()); n != 0 {
		t.Errorf("%d spans were recorded", n)
	}
	// What is left out has ids all the same, for the lines of the log.
	if traceID, spanID := tracing.IDs(dropped); len(traceID) != 32 || len(spanID) != 16 {
		t.Errorf("ids %q, %q", traceID, spanID)
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if traceID, spanID := tracing.IDs(ctx); traceID != "" || spanID != "" {
			t.Fatalf("ids %q, %q without a trace", traceID, spanID)
		}
	}); n != 0 {
		t.Errorf("ids cost %v allocations where nothing is traced", n)
	}
}
