package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"peerage/tracing"
)

const (
	// traceFlushTimeout bounds how long the end of the process waits for an
	// OTLP receiver.
	traceFlushTimeout = 3 * time.Second
	// traceFaultEvery is how often the log tells that sending fails.
	traceFaultEvery = time.Minute
	// traceCheckTimeout bounds the attempt of peerage check.
	traceCheckTimeout = 5 * time.Second
)

// traces sends spans to an OTLP receiver, in batches and beside the work: when
// the receiver does not answer, spans are dropped and nothing waits. nil sends
// nothing.
type traces struct {
	provider *sdktrace.TracerProvider
	log      *slog.Logger
}

// startTraces returns nil when nothing is to be traced.
//
// The provider is not made OpenTelemetry's global one: the OIDC library would
// begin spans there, of which we do not know what they hold.
func startTraces(ctx context.Context, s traceSettings, log *slog.Logger, now func() time.Time) (*traces, error) {
	if !s.on() {
		return nil, nil
	}
	// What OpenTelemetry's packages say of settings shows their values, and the
	// settings were checked before.
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(&traceFaults{log: log, now: now})
	exporter, err := otlptrace.New(ctx, s.client(true))
	if err != nil {
		return nil, fmt.Errorf("setting up traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", "peerage"), attribute.String("service.version", version)),
		resource.WithFromEnv()) // wins over ours
	if err != nil {
		return nil, fmt.Errorf("setting up traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	log.InfoContext(ctx, "sending traces", "endpoint", s.Endpoint, "protocol", s.Protocol)
	return &traces{provider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), log: log}, nil
}

// client speaks to the receiver. Options win over the variables that the
// packages read themselves: there, a variable "insecure" would win over https.
func (s traceSettings) client(again bool) otlptrace.Client {
	if s.Protocol == protocolHTTP {
		return otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(s.Endpoint), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: again,
			InitialInterval: 5 * time.Second, MaxInterval: 30 * time.Second, MaxElapsedTime: time.Minute}))
	}
	options := []otlptracegrpc.Option{otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: again,
		InitialInterval: 5 * time.Second, MaxInterval: 30 * time.Second, MaxElapsedTime: time.Minute})}
	if strings.Contains(s.Endpoint, "://") {
		options = append(options, otlptracegrpc.WithEndpointURL(s.Endpoint))
	} else {
		scheme := "https://"
		if s.Insecure {
			scheme = "http://"
		}
		options = append(options, otlptracegrpc.WithEndpointURL(scheme+s.Endpoint))
	}
	return otlptracegrpc.NewClient(options...)
}

// tracer is nil when nothing is traced.
func (t *traces) tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(tracing.Scope)
}

// stop sends what is left, for a bounded time.
func (t *traces) stop() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), traceFlushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last traces were not sent", "error", err)
	}
}

// traceFaults tells of failures to send, now and then.
type traceFaults struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex
	told  time.Time
	quiet int // failures since then
}

// Handle implements otel.ErrorHandler.
func (f *traceFaults) Handle(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if !f.told.IsZero() && now.Sub(f.told) < traceFaultEvery {
		f.quiet++
		return
	}
	f.log.Warn("sending traces fails; spans are lost, nothing else is", "error", err, "failures_not_told", f.quiet)
	f.told, f.quiet = now, 0
}

// checkTraces sends an empty batch, without a second try.
func checkTraces(ctx context.Context, s traceSettings) finding {
	if !s.on() {
		return finding{"otlp", readyOff, "no traces are sent; OTEL_EXPORTER_OTLP_ENDPOINT names a receiver"}
	}
	otel.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(ctx, traceCheckTimeout)
	defer cancel()
	client := s.client(false)
	err := client.Start(ctx)
	if err == nil {
		err = client.UploadTraces(ctx, nil)
		// Nothing is left to be sent, so nothing can be lost.
		_ = client.Stop(ctx)
	}
	if err != nil {
		return finding{"otlp", "failed", fmt.Sprintf("%s by %s: %s; correct OTEL_EXPORTER_OTLP_ENDPOINT and what belongs to it, or start the receiver", s.Endpoint, s.Protocol, oneLine(err.Error()))}
	}
	return finding{"otlp", readyOK, s.Endpoint + " takes traces by " + s.Protocol}
}

// oneLine keeps what a receiver answers from looking like further findings.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}
