package portal_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"peerage/portal/portaltest"
	"peerage/store"
)

// tracedWorld is a world that records its spans.
func tracedWorld(t *testing.T, o portaltest.Options) (*world, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	o.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	w := newWorld(t, o)
	return w, recorder
}

// requestSpans are the spans of requests so far, in the order of their ends.
func requestSpans(recorder *tracetest.SpanRecorder) (spans []sdktrace.ReadOnlySpan) {
	for _, span := range recorder.Ended() {
		if span.SpanKind() == trace.SpanKindServer {
			spans = append(spans, span)
		}
	}
	return spans
}

func attributes(span sdktrace.ReadOnlySpan) map[string]string {
	all := map[string]string{}
	for _, a := range span.Attributes() {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

// Spans are named by method and route, and hold nothing that a caller chose:
// no path, for one-time links are paths, no query, no form, no header.
func TestSpansHoldNoSecrets(t *testing.T) {
	w, recorder := tracedWorld(t, portaltest.Options{})
	const marker = "one-time-secret-0123456789"
	for _, test := range []struct {
		method, address, name, route string
		status                       int
	}{
		{"GET", "/login?return=/identity&username=" + marker, "GET /login", "/login", 200},
		{"POST", "/login?x=" + marker, "POST /login", "/login", 422},
		{"GET", "/recover/" + marker, "GET /recover/{token}", "/recover/{token}", 410},
		{"POST", "/recover/" + marker, "POST /recover/{token}", "/recover/{token}", 410},
		{"GET", "/recover/" + marker + "/", "GET", "", 308},
		{"GET", "/" + marker, "GET /", "/", 404},
		{"GET", "/static/" + marker, "GET /static/", "/static/", 404},
		{"GET", "/oauth2/" + marker, "GET", "", 404},
		{"GET", "/oauth2/authorize?code=" + marker, "GET /oauth2/authorize", "/oauth2/authorize", 400},
		{strings.ToUpper(marker), "/oauth2/token", "_OTHER /oauth2/token", "/oauth2/token", 405},
	} {
		before := len(requestSpans(recorder))
		page := w.Browser().Once(test.method, test.address, url.Values{"password": {marker}, "username": {marker}}, func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+marker)
			r.Header.Set("User-Agent", marker)
			r.AddCookie(&http.Cookie{Name: "peerage", Value: marker})
		})
		spans := requestSpans(recorder)[before:]
		if len(spans) != 1 {
			t.Errorf("%s %s makes %d spans", test.method, test.address, len(spans))
			continue
		}
		method, _, _ := strings.Cut(test.name, " ")
		want := map[string]string{"http.request.method": method, "http.response.status_code": fmt.Sprint(test.status), "peerage.request_id": page.Header.Get("X-Request-Id")}
		if test.route != "" {
			want["http.route"] = test.route
		}
		if diff := cmp.Diff(want, attributes(spans[0])); diff != "" || spans[0].Name() != test.name {
			t.Errorf("%s %s is called %q, attributes (-want +got):\n%s", test.method, test.address, spans[0].Name(), diff)
		}
	}
	for _, span := range recorder.Ended() {
		if text := fmt.Sprint(span.Name(), span.Attributes(), span.Events(), span.Status(), span.Links()); strings.Contains(strings.ToLower(text), marker) {
			t.Errorf("a secret is in the span %s", text)
		}
	}
}

// A traceparent is a claim like every header. Were it believed of anybody, a
// stranger could have all their requests recorded whatever the sampler says,
// and write into the traces of others.
func TestTraceparentOfStrangersCountsNothing(t *testing.T) {
	const claimed, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for name, test := range map[string]struct {
		options portaltest.Options
		header  string
		counts  bool
	}{
		"a stranger":             {portaltest.Options{}, "00-" + claimed + "-" + parent + "-01", false},
		"a trusted proxy":        {portaltest.Options{TrustedProxies: loopback()}, "00-" + claimed + "-" + parent + "-01", true},
		"a proxy with nonsense":  {portaltest.Options{TrustedProxies: loopback()}, "00-" + claimed + "-01", false},
		"a proxy with zeros":     {portaltest.Options{TrustedProxies: loopback()}, "00-" + strings.Repeat("0", 32) + "-" + parent + "-01", false},
		"propagation turned off": {portaltest.Options{TrustedProxies: loopback(), IgnoreTraceparent: true}, "00-" + claimed + "-" + parent + "-01", false},
	} {
		t.Run(name, func(t *testing.T) {
			w, recorder := tracedWorld(t, test.options)
			w.Call(http.MethodGet, "/login", nil, func(r *http.Request) {
				r.Header.Set("Traceparent", test.header)
				r.Header.Set("Tracestate", "claimed=1")
				r.Header.Set("Baggage", "claimed=1")
			})
			span := requestSpans(recorder)[0]
			if got := span.SpanContext().TraceID().String() == claimed; got != test.counts {
				t.Errorf("the trace is %s", span.SpanContext().TraceID())
			}
			if got := span.Parent().SpanID().String() == parent; got != test.counts || span.Parent().IsValid() != test.counts {
				t.Errorf("the parent is %s", span.Parent().SpanID())
			}
			if len(span.Links()) != 0 {
				t.Error("the claim is kept as a link")
			}
			if got := span.SpanContext().TraceState().Len() != 0; got != test.counts {
				t.Errorf("the state is %s", span.SpanContext().TraceState())
			}
		})
	}
}

// A fault's page, the log and the audit trail lead to the trace.
func TestTraceIsFoundFromPageLogAndTrail(t *testing.T) {
	w, recorder := tracedWorld(t, portaltest.Options{})
	page := w.Browser().Get("/nowhere")
	span := requestSpans(recorder)[0].SpanContext()
	if !strings.Contains(page.Body, span.TraceID().String()) || !strings.Contains(page.Body, page.Header.Get("X-Request-Id")) {
		t.Errorf("the page does not name trace %s:\n%s", span.TraceID(), page.Body)
	}
	b := w.Browser()
	b.Submit(b.Get("/login"), "username", "nobody", "password", "wrong wrong wrong")
	spans := requestSpans(recorder)
	span = spans[len(spans)-1].SpanContext()
	w.Directory.Audit.Flush()
	events, err := w.Store.Events(t.Context(), store.EventFilter{Event: "login_failure"})
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if events[0].TraceID != span.TraceID().String() || events[0].SpanID != span.SpanID().String() {
		t.Errorf("the event is of trace %s, span %s; the request of %s, %s", events[0].TraceID, events[0].SpanID, span.TraceID(), span.SpanID())
	}
	// The password was compared inside that request.
	for _, s := range recorder.Ended() {
		if s.Name() == "local login" {
			if s.Parent().SpanID() != span.SpanID() || attributes(s)["peerage.result"] != "failure" || s.Status().Code != codes.Unset {
				t.Errorf("the backend's span has parent %s, %v, %v", s.Parent().SpanID(), s.Attributes(), s.Status())
			}
			return
		}
	}
	t.Error("there is no span of the backend")
}

// A page without tracing speaks of no trace.
func TestNoTraceWithoutTracing(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	if page := w.Browser().Get("/nowhere"); strings.Contains(page.Body, "Trace") {
		t.Errorf("the page speaks of a trace:\n%s", page.Body)
	}
}

// A panic is the span's failure too.
func TestPanicFailsTheSpan(t *testing.T) {
	boom := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })
	w, recorder := tracedWorld(t, portaltest.Options{Metrics: boom, MetricsNetworks: loopback()})
	w.Browser().Get("/metrics")
	span := requestSpans(recorder)[0]
	if span.Name() != "GET /metrics" || span.Status() != (sdktrace.Status{Code: codes.Error}) || attributes(span)["http.response.status_code"] != "500" {
		t.Errorf("%s %v %v", span.Name(), span.Status(), span.Attributes())
	}
}
