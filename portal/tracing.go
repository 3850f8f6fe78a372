package portal

import (
	"context"
	"net/http"
	"net/netip"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"peerage/identity"
	"peerage/tracing"
)

// traced puts each request into a span, the root of a trace unless a trusted
// proxy has begun one (W3C Trace Context). It stands inside withCaller.
func (p *Portal) traced(next http.Handler) http.Handler {
	if p.tracer == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := spanMethod(r.Method)
		ctx, span := tracing.Start(p.parent(r), p.tracer, method, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", method), attribute.String("peerage.request_id", identity.CallerFrom(r.Context()).RequestID)))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// parent is the context with the span that the request continues. Nobody but a
// trusted proxy may name one: a stranger could force that their requests are
// recorded, or mix them into the traces of others. Not even a link is kept.
func (p *Portal) parent(r *http.Request) context.Context {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if p.IgnoreTraceparent || err != nil || !in(p.TrustedProxies, peer.Addr().Unmap()) {
		return r.Context()
	}
	return propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
}

var knownMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace}

// spanMethod keeps names few: a method is any word that a caller likes.
func spanMethod(method string) string {
	if slices.Contains(knownMethods, method) {
		return method
	}
	return "_OTHER"
}

// describeSpan names the span of a request by its route's pattern, "" without
// one; the path itself may be a one-time link.
func describeSpan(span trace.Span, method, route string, status int) {
	if !span.IsRecording() {
		return
	}
	if route != "" {
		span.SetName(spanMethod(method) + " " + route)
		span.SetAttributes(attribute.String("http.route", route))
	}
	if status != 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
	}
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
