package identity

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"peerage/store"
	"peerage/tracing"
)

// Results of a metric.
const (
	resultSuccess     = "success"
	resultFailure     = "failure"
	resultThrottled   = "throttled"
	resultUnavailable = "unavailable"
)

type metrics struct {
	logins   *prometheus.CounterVec
	password *prometheus.CounterVec
	limited  *prometheus.CounterVec
	backend  *prometheus.HistogramVec
	checks   *prometheus.CounterVec
}

func newMetrics() metrics {
	return metrics{
		logins:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "peerage_login_total", Help: "Sign-ins that ended, by result."}, []string{"result"}),
		password: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "peerage_password_change_total", Help: "Password changes, by result."}, []string{"result"}),
		limited:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "peerage_rate_limited_total", Help: "Requests that a limit refused, by rule."}, []string{"rule"}),
		checks:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "peerage_peeringdb_refresh_total", Help: "Checks of people at PeeringDB, by result."}, []string{"result"}),
		backend: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "peerage_backend_request_duration_seconds",
			Help: "Time the identity backend took.", Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"backend", "operation", "result"}),
	}
}

func (m metrics) collectors(s *store.Store) []prometheus.Collector {
	sessions := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "peerage_sessions", Help: "Live sessions of browsers."}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n, err := s.CountSessions(ctx)
		if err != nil {
			return -1 // told apart from "nobody is signed in"
		}
		return float64(n)
	})
	return []prometheus.Collector{m.logins, m.password, m.limited, m.backend, m.checks, sessions}
}

func resultOf(err error) string {
	var throttled *ThrottledError
	switch {
	case err == nil:
		return resultSuccess
	case errors.As(err, &throttled):
		return resultThrottled
	case errors.Is(err, ErrUnavailable):
		return resultUnavailable
	}
	return resultFailure
}

// timed measures one call of a backend, and puts it into a span.
func (m metrics) timed(ctx context.Context, b Backend, operation string, call func(context.Context) error) error {
	begun := time.Now()
	ctx, span := tracing.Child(ctx, trace.SpanKindInternal, b.Origin(), operation)
	err := call(ctx)
	result := resultOf(err)
	m.backend.WithLabelValues(b.Origin(), operation, result).Observe(time.Since(begun).Seconds())
	if span.IsRecording() {
		span.SetAttributes(attribute.String("peerage.backend", b.Origin()), attribute.String("peerage.operation", operation), attribute.String("peerage.result", result))
		if result == resultUnavailable {
			tracing.Failed(span) // a wrong password is an answer
		}
		span.End()
	}
	return err
}

// Limited counts a request that a limit outside this package refused.
func (d *Directory) Limited(rule string) { d.metrics.limited.WithLabelValues(rule).Inc() }
