// Package portaltest runs the whole public listener in a test: real store,
// real local backend, real pages, on a loopback port and a clock that the
// test moves.
package portaltest

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"peerage/identity"
	"peerage/identity/local"
	"peerage/identity/openbao"
	"peerage/identity/peeringdb"
	"peerage/idp"
	"peerage/portal"
	"peerage/store"
	"peerage/store/storetest"
)

// Site is one running installation.
type Site struct {
	Issuer    string
	Clock     *storetest.Clock
	Store     *store.Store
	Directory *identity.Directory
	Clients   *idp.Clients
	Keys      *idp.KeyRing
	Provider  *idp.Provider
	Registry  *prometheus.Registry
	Portal    *portal.Portal
	// Method is OpenBao's TOTP method; "" for local people alone.
	Method string
	// Address is the listener's own, such as http://127.0.0.1:40001.
	Address string
	// Log is everything that was logged, as JSON lines.
	Log   *Log
	mails mails
	// Watch, when set, sees every exchange with the site.
	Watch func(*http.Response, []byte)
	t     testing.TB
}

// Options change how a Site is set up; the zero value is a site at http on
// loopback without rate limit, where administrators need a second factor.
type Options struct {
	RequireMFA string
	// Clients are given as JSON, like PEERAGE_CLIENTS.
	Clients        string
	RateLimit      float64
	RateBurst      int
	TrustedProxies []netip.Prefix
	// Issuer overrides the server's own address (to test https issuers). The
	// site still listens on plain loopback, as behind a proxy that ends TLS.
	Issuer string
	// Metrics are shown to MetricsNetworks on the public listener.
	Metrics         http.Handler
	MetricsNetworks []netip.Prefix
	// NoMail is a site on which mail is not configured.
	NoMail bool
	// Database shares the file of another site (two replicas).
	Database string
	// Tracer begins the spans of requests; IgnoreTraceparent as portal.Config's.
	Tracer            trace.Tracer
	IgnoreTraceparent bool
	Clock             *storetest.Clock
	// OpenBao keeps people beside the local ones; nil: there is none.
	OpenBao *OpenBao
	// PeeringDB is the address of a look-alike at which the site is registered as
	// PeeringDBClient; "" is a site without PeeringDB. Decide changes what the
	// operator decides of it.
	PeeringDB string
	Decide    func(*identity.PeeringDB)
}

// PeeringDBClient and PeeringDBSecret are how a site is registered at PeeringDB.
const (
	PeeringDBClient = "peerage"
	PeeringDBSecret = "peeringdb-secret"
)

// peeringDB is where the site's people may come by: everybody who takes part may
// sign up.
func (s *Site) peeringDB(o Options) identity.PeeringDB {
	p := identity.PeeringDB{SignUp: true}
	if o.PeeringDB != "" {
		config := peeringdb.Config{ClientID: PeeringDBClient, ClientSecret: PeeringDBSecret, RedirectURL: s.Issuer + "/login/peeringdb/callback"}
		p.Client = peeringdb.NewClient(config.Endpoints(o.PeeringDB), nil, o.Clock.Now)
	}
	if o.Decide != nil {
		o.Decide(&p)
	}
	return p
}

// Begin is what a site's clock shows at first. It is the real day, so that
// libraries that look at the real clock accept its tokens.
func Begin() time.Time { return time.Now().UTC().Truncate(time.Second) }

// New starts a site; it ends with the test.
func New(t testing.TB, o Options) *Site {
	t.Helper()
	if o.Clock == nil {
		o.Clock = storetest.NewClock(Begin())
	}
	if o.RequireMFA == "" {
		o.RequireMFA = identity.RequireMFAAdmins
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	s := &Site{Issuer: o.Issuer, Address: "http://" + listener.Addr().String(), Clock: o.Clock, Registry: prometheus.NewRegistry(), Log: &Log{}, t: t}
	if s.Issuer == "" {
		s.Issuer = s.Address
	}
	handler := s.wire(o)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	return s
}

func (s *Site) wire(o Options) http.Handler {
	t := s.t
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("setting up the site: %v", err)
		}
	}
	log := slog.New(withRequestID{slog.NewJSONHandler(s.Log, &slog.HandlerOptions{Level: slog.LevelDebug})})
	options := []storetest.Option{storetest.WithClock(o.Clock), storetest.WithAdminGroup("admins"), func(so *store.Options) { so.Registerer = s.Registry }}
	if o.Database != "" {
		options = append(options, storetest.WithDatabase(o.Database))
	}
	s.Store = storetest.Open(t, options...)
	audit := identity.NewAudit(s.Store, log, o.Clock.Now)
	t.Cleanup(audit.Close)
	// Real parameters would take most of the time of all tests.
	passwords := identity.NewPasswordsWith(argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}, 2)
	render, err := portal.NewRenderer(portal.Brand{Name: "Example IX", Support: "noc@example.net"}, o.Clock.Now)
	must(err)
	mailer := &identity.Mailer{Words: render.Mail, Send: s.mails.take}
	if o.NoMail {
		mailer = nil
	}
	backends := []identity.Backend{local.New(s.Store, passwords, o.Clock.Now)}
	var bao *openbao.Backend
	var cluster portal.Cluster
	if o.OpenBao != nil {
		bao, cluster = s.openbao(*o.OpenBao, audit, log), o.OpenBao.Cluster
		backends = append([]identity.Backend{bao}, backends...)
	}
	cookies := identity.Cookies{Secure: s.Issuer[:5] == "https", MaxAge: 24 * time.Hour}
	s.Directory, err = identity.New(identity.Config{Issuer: s.Issuer, Brand: "Example IX", AdminGroup: "admins", RequireMFA: o.RequireMFA,
		SessionIdle: 9 * time.Hour, SessionMax: 24 * time.Hour, FreshFactor: 10 * time.Minute, Cookies: cookies},
		identity.Deps{Store: s.Store, Audit: audit, Passwords: passwords, PeeringDB: s.peeringDB(o),
			Backends: append(backends, local.NewWithoutPasswords(s.Store, passwords, o.Clock.Now, store.OriginPeeringDB)),
			Now:      o.Clock.Now, Logger: log, Registerer: s.Registry, Mailer: mailer})
	must(err)
	s.Keys, err = idp.NewKeyRing(t.Context(), s.Store, o.Clock.Now, log)
	must(err)
	_, err = s.Keys.Import(t.Context(), testKey()) // making an RSA key for each test would cost more than the test
	must(err)
	must(s.Keys.Ensure(t.Context()))
	s.Clients, err = idp.NewClients(t.Context(), s.Store, log)
	must(err)
	if o.Clients != "" {
		system, err := idp.ParseClients([]byte(o.Clients))
		must(err)
		must(s.Clients.SetSystem(t.Context(), system))
	}
	limiter := identity.NewRateLimiter(o.RateLimit, o.RateBurst, o.Clock.Now)
	s.Provider, err = idp.New(idp.Config{Issuer: s.Issuer, AccessTokenTTL: 15 * time.Minute, IDTokenTTL: 15 * time.Minute, RefreshIdle: 720 * time.Hour, RefreshMax: 2160 * time.Hour},
		idp.Deps{Store: s.Store, Directory: s.Directory, Passwords: passwords, Clients: s.Clients, Keys: s.Keys, Pages: portal.ProviderPages(render, log),
			Limiter: limiter, Now: o.Clock.Now, Logger: log, Registerer: s.Registry})
	must(err)
	s.Portal, err = portal.New(portal.Config{Issuer: s.Issuer, TrustedProxies: o.TrustedProxies, MetricsNetworks: o.MetricsNetworks, IgnoreTraceparent: o.IgnoreTraceparent, Cluster: cluster},
		portal.Deps{OpenBao: bao, Store: s.Store, Directory: s.Directory, Provider: s.Provider, Clients: s.Clients, Keys: s.Keys, Renderer: render, Limiter: limiter,
			Metrics: o.Metrics, Tracer: o.Tracer, Now: o.Clock.Now, Logger: log, Registerer: s.Registry})
	must(err)
	return s.Portal
}

// Password is the password of everybody that AddUser makes.
const Password = "correct horse battery staple"

// AddUser makes a local person with Password.
func (s *Site) AddUser(name string, groups ...string) identity.User {
	s.t.Helper()
	u, err := s.Directory.CreateUser(s.t.Context(), identity.NewUser{Username: name, Name: name + " Example", Email: name + "@example.net", EmailVerified: true, Groups: groups, Password: Password, Local: true})
	if err != nil {
		s.t.Fatalf("making %s: %v", name, err)
	}
	return u
}

// AddTOTP enrols a second factor and returns its secret. The clock moves on,
// so that the code of the enrolment is not the next one.
func (s *Site) AddTOTP(u identity.User) (secret string) {
	s.t.Helper()
	enrolment, err := s.Directory.BeginTOTP(s.t.Context(), identity.Browser{}, u)
	if err != nil {
		s.t.Fatalf("enrolling %s: %v", u.Username, err)
	}
	step, ok := identity.CheckCode(enrolment.Secret, s.Code(enrolment.Secret), s.Clock.Now())
	if !ok {
		s.t.Fatalf("the enrolment code of %s is wrong", u.Username)
	}
	if err := s.Store.ActivateTOTP(s.t.Context(), u.Sub, step); err != nil {
		s.t.Fatalf("activating the factor of %s: %v", u.Username, err)
	}
	s.Clock.Advance(time.Minute)
	return enrolment.Secret
}

// Code is the TOTP code of now.
func (s *Site) Code(secret string) string {
	s.t.Helper()
	code, err := totp.GenerateCode(secret, s.Clock.Now())
	if err != nil {
		s.t.Fatalf("making a code: %v", err)
	}
	return code
}
