// Package portal is everything that people see: signing in and out, consent,
// their account. Pages are plain HTML forms that work without JavaScript.
package portal

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/idp"
	"peerage/store"
)

// Config is what an operator decides about the portal.
type Config struct {
	Issuer string
	// AllowedHosts are host names beside the issuer's and the loopback ones.
	AllowedHosts []string
	// TrustedProxies may tell the caller's address; empty: nobody.
	TrustedProxies []netip.Prefix
	// MetricsNetworks may read /metrics here; empty: nobody.
	MetricsNetworks []netip.Prefix
	// IgnoreTraceparent begins a new trace even behind a trusted proxy.
	IgnoreTraceparent bool
	// Cluster is what kubeconfigs are for, where OpenBao gives tokens for one.
	Cluster Cluster
}

// Deps are the parts that the portal stands on.
type Deps struct {
	Store     *store.Store
	Directory *identity.Directory
	Provider  *idp.Provider
	Clients   *idp.Clients
	Keys      *idp.KeyRing
	Renderer  *Renderer
	Limiter   *identity.RateLimiter
	Metrics   http.Handler
	// OpenBao gives people more than sign-ins; nil where they are kept here.
	OpenBao *openbao.Backend
	// Tracer begins the span of each request; nil: there are none.
	Tracer     trace.Tracer
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Portal serves the whole public listener: its own pages, and the protocol
// behind the same middleware.
type Portal struct {
	Config
	store     *store.Store
	directory *identity.Directory
	provider  *idp.Provider
	clients   *idp.Clients
	keys      *idp.KeyRing
	render    *Renderer
	limiter   *identity.RateLimiter
	metrics   http.Handler
	openbao   *openbao.Backend
	tracer    trace.Tracer
	now       func() time.Time
	log       *slog.Logger
	hosts     map[string]bool
	secure    bool
	seconds   *prometheus.HistogramVec
	mux       *http.ServeMux
	pages     *http.ServeMux // our own pages alone: what ?return= may name
	handler   http.Handler
	claimed   atomic.Int64 // Unix time of the last note of a forwarding header from a stranger
}

// New makes the portal.
func New(c Config, d Deps) (*Portal, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("reading the issuer: %w", err)
	}
	p := &Portal{Config: c, store: d.Store, directory: d.Directory, provider: d.Provider, clients: d.Clients, keys: d.Keys, render: d.Renderer, limiter: d.Limiter,
		metrics: d.Metrics, openbao: d.OpenBao, tracer: d.Tracer, now: d.Now, log: d.Logger, secure: issuer.Scheme == "https",
		hosts: map[string]bool{issuer.Hostname(): true, "localhost": true, "127.0.0.1": true, "::1": true}}
	for _, host := range c.AllowedHosts {
		p.hosts[host] = true
	}
	p.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "peerage_request_duration_seconds", Help: "Time to answer, by endpoint.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}}, []string{"endpoint"})
	if d.Registerer != nil {
		if err := d.Registerer.Register(p.seconds); err != nil {
			return nil, fmt.Errorf("registering the portal's metrics: %w", err)
		}
	}
	p.render.Offer(p.offers())
	p.mux = p.routes()
	p.handler = p.middleware(p.mux)
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }
