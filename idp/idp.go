// Package idp is the OpenID Connect provider: the front channel (authorize,
// resume, logout) is its own, the token endpoint's routing and parsing is the
// library's. It asks identity who a browser is and the store for each state
// change, and gets its pages as functions.
package idp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
	"peerage/store"
)

// Config is what an operator decides about tokens.
type Config struct {
	// Issuer is exact: no slash at its end.
	Issuer         string
	AccessTokenTTL time.Duration
	IDTokenTTL     time.Duration
	// RefreshIdle and RefreshMax bound a refresh family.
	RefreshIdle time.Duration
	RefreshMax  time.Duration
}

// Deps are the parts that a Provider stands on.
type Deps struct {
	Store      *store.Store
	Directory  *identity.Directory
	Passwords  *identity.Passwords
	Clients    *Clients
	Keys       *KeyRing
	Pages      Pages
	Limiter    *identity.RateLimiter
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Provider serves the protocol. It is safe for concurrent use.
type Provider struct {
	Config
	store      *store.Store
	directory  *identity.Directory
	passwords  *identity.Passwords
	clients    *Clients
	keys       *KeyRing
	pages      Pages
	limiter    *identity.RateLimiter
	now        func() time.Time
	log        *slog.Logger
	metrics    metrics
	metadata   document
	clientKeys *clientKeys
	outgoing   *http.Client
	// guesses bounds wrong secrets for one client from one network, whatever
	// the operator's own limit is.
	guesses   *identity.RateLimiter
	sizesTold sizesTold
	// nobody's secret is compared when a client is unknown.
	nobody  *Client
	handler http.Handler
}

// New makes a Provider.
func New(c Config, d Deps) (*Provider, error) {
	p := &Provider{Config: c, store: d.Store, directory: d.Directory, passwords: d.Passwords, clients: d.Clients, keys: d.Keys, pages: d.Pages,
		limiter: d.Limiter, now: d.Now, log: d.Logger, metrics: newMetrics(), outgoing: newOutgoing(),
		guesses: identity.NewRateLimiter(guessesPerSecond, guessesAtOnce, d.Now)}
	p.clientKeys = newClientKeys(p.outgoing)
	_, hash := NewClientSecret()
	p.nobody = newClient(store.Client{ClientSecretHash: hash})
	var err error
	if p.metadata, err = newMetadata(c.Issuer); err != nil {
		return nil, err
	}
	if d.Registerer != nil {
		for _, collector := range append(p.metrics.collectors(), d.Keys) {
			if err := d.Registerer.Register(collector); err != nil {
				return nil, fmt.Errorf("registering the provider's metrics: %w", err)
			}
		}
	}
	p.handler = p.routes()
	return p, nil
}

// routes puts a ServeMux in front of the library's handler, which would
// otherwise answer discovery and health by itself, with any origin allowed.
func (p *Provider) routes() http.Handler {
	library := op.RegisterServer(&server{p: p}, op.Endpoints{Token: op.NewEndpoint(PathToken),
		Introspection: op.NewEndpoint(PathIntrospect), Revocation: op.NewEndpoint(PathRevoke),
		DeviceAuthorization: op.NewEndpoint(PathDeviceAuthorization)}, op.WithServerCORSOptions(nil))
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathDiscovery, p.metadata.serve)
	mux.HandleFunc("GET "+PathMetadata, p.metadata.serve)
	mux.HandleFunc("GET "+PathJWKS, func(w http.ResponseWriter, r *http.Request) { p.keys.wait().jwks.serve(w, r) })
	mux.HandleFunc("GET "+PathAuthorize, p.authorize)
	mux.HandleFunc("POST "+PathAuthorize, p.authorize)
	mux.HandleFunc("GET "+PathResume, p.resume)
	mux.HandleFunc("GET "+PathUserInfo, p.userInfo)
	mux.HandleFunc("POST "+PathUserInfo, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		p.userInfo(w, r)
	})
	mux.HandleFunc("OPTIONS "+PathUserInfo, p.preflight)
	mux.HandleFunc("GET "+PathLogout, p.logout)
	mux.HandleFunc("POST "+PathLogout, p.logout)
	for _, path := range []string{PathToken, PathIntrospect, PathRevoke, PathDeviceAuthorization} {
		mux.Handle(path, p.backChannel(library))
	}
	mux.Handle(PathPAR, p.backChannel(http.HandlerFunc(p.push)))
	return mux
}

// ServeHTTP serves /oauth2/ and /.well-known/.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

func isUnavailable(err error) bool {
	return errors.Is(err, identity.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}
