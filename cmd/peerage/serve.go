package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"peerage/identity"
	"peerage/idp"
	"peerage/portal"
	"peerage/store"
)

type serveCommand struct {
	NoMigrate bool `help:"Do not touch the schema; stop when it is not this version's."`
}

// Run serves until ctx ends.
func (c serveCommand) Run(ctx context.Context, p *program) error {
	s, err := p.settings("PEERAGE_ISSUER", "PEERAGE_SECRET_KEY")
	if err == nil {
		err = s.servable()
	}
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // early: it would end a process that is still starting
	defer signal.Stop(hup)
	log := newLogger(p.stderr, s)
	slog.SetDefault(slog.New(quietHandler{log.Handler()})) // the OIDC library logs through it
	traces, err := startTraces(ctx, s.traces, log, p.now)
	if err != nil {
		return err
	}
	defer traces.stop()
	makeRoomBesidePasswords()
	server, err := newServer(ctx, s, serverOptions{log: log, now: p.now, tracer: traces.tracer(), noMigrate: c.NoMigrate})
	if err != nil {
		return err
	}
	defer func() {
		if err := server.close(); err != nil {
			log.Error("closing the store", "error", err)
		}
	}()
	return server.serve(ctx, hup)
}

type serverOptions struct {
	log       *slog.Logger
	now       func() time.Time
	tracer    trace.Tracer // nil: nothing is traced
	noMigrate bool
}

// server is a complete server: an installation and all that serves it.
type server struct {
	*installation
	registry *prometheus.Registry
	tracer   trace.Tracer // of requests and jobs; nil: nothing is traced
	holder   string       // what this server takes leases as
	cert     *certificate // nil without TLS
	keys     *idp.KeyRing
	keyFault string // why the signing key of the settings cannot be had, "" if it can
	clients  *idp.Clients
	provider *idp.Provider
	handler  http.Handler // the public listener
	ops      http.Handler // the operations listener
}

// newServer is the wiring: it makes every part and puts them together. The
// server listens nowhere yet.
func newServer(ctx context.Context, s Settings, o serverOptions) (*server, error) {
	// First what may fail without the store, so that nothing was changed then.
	render, err := portal.NewRenderer(s.brand(), o.now)
	if err != nil {
		return nil, err
	}
	var cert *certificate
	if s.TLSCert != "" {
		if cert, err = newCertificate(s.TLSCert, s.TLSKey, o.log, o.now); err != nil {
			return nil, err
		}
	}
	registry := newRegistry()
	st, err := openServerStore(ctx, s, o, registry)
	if err != nil {
		return nil, err
	}
	in, err := newInstallation(s, st, o.log, o.now, registry)
	if err != nil {
		st.Close()
		return nil, err
	}
	server := &server{installation: in, registry: registry, tracer: o.tracer, holder: newHolder(), cert: cert}
	if err := server.wire(ctx, render); err != nil {
		server.close()
		return nil, err
	}
	return server, nil
}

// openServerStore makes or opens the database and brings it up to date.
func openServerStore(ctx context.Context, s Settings, o serverOptions, registry *prometheus.Registry) (*store.Store, error) {
	options := storeOptions(s, o.log, o.now)
	options.Create, options.Registerer = !o.noMigrate, registry
	st, err := store.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := prepareStore(ctx, st, s, o); err != nil {
		st.Close()
		return nil, fmt.Errorf("%s: %w", s.databaseName(), err)
	}
	return st, nil
}

func prepareStore(ctx context.Context, st *store.Store, s Settings, o serverOptions) error {
	if o.noMigrate {
		if err := st.CheckSchema(ctx); err != nil {
			return err
		}
	} else {
		kept, err := st.Migrate(ctx)
		if err != nil {
			return err
		}
		if kept != "" {
			o.log.InfoContext(ctx, "migrated the database", "copy", kept)
		}
	}
	if err := st.CheckSecretKey(ctx); err != nil {
		return err
	}
	if err := checkBackend(ctx, st, s); err != nil {
		return err
	}
	if recorded, err := st.Setting(ctx, settingBackend); err == nil && recorded == s.Backend {
		return nil
	}
	if err := st.PutSetting(ctx, settingBackend, s.Backend); err != nil {
		return fmt.Errorf("recording the backend: %w", err)
	}
	return nil
}

func (s *server) wire(ctx context.Context, render *portal.Renderer) error {
	set := s.settings
	if err := s.ensureAdminGroup(ctx); err != nil {
		return err
	}
	if err := s.openKeys(ctx); err != nil {
		return err
	}
	var err error
	if s.clients, err = idp.NewClients(ctx, s.store, s.log); err != nil {
		return err
	}
	if path := set.files["PEERAGE_CLIENTS"]; path != "" && set.Clients == "" {
		return usageError{fmt.Errorf("PEERAGE_CLIENTS_FILE: %s is empty; [] means no clients", path)}
	}
	if err := s.setClients(ctx, set.Clients); err != nil {
		return err
	}
	limiter := identity.NewRateLimiter(set.RateLimit, set.RateBurst, s.now)
	s.provider, err = idp.New(
		idp.Config{Issuer: set.Issuer, AccessTokenTTL: set.AccessTokenTTL, IDTokenTTL: set.IDTokenTTL, RefreshIdle: set.RefreshIdle, RefreshMax: set.RefreshMax},
		idp.Deps{Store: s.store, Directory: s.directory, Passwords: s.passwords, Clients: s.clients, Keys: s.keys, Pages: portal.ProviderPages(render, s.log),
			Limiter: limiter, Now: s.now, Logger: s.log, Registerer: s.registry})
	if err != nil {
		return fmt.Errorf("setting up the provider: %w", err)
	}
	metrics := metricsHandler(s.registry)
	cluster, err := set.cluster()
	if err != nil {
		return err
	}
	s.handler, err = portal.New(
		portal.Config{Issuer: set.Issuer, AllowedHosts: set.AllowedHosts, TrustedProxies: set.TrustedProxies, MetricsNetworks: set.MetricsNetworks,
			IgnoreTraceparent: set.traces.IgnoreTraceparent, Cluster: cluster},
		portal.Deps{OpenBao: s.people, Store: s.store, Directory: s.directory, Provider: s.provider, Clients: s.clients, Keys: s.keys, Renderer: render, Limiter: limiter,
			Metrics: metrics, Tracer: s.tracer, Now: s.now, Logger: s.log, Registerer: s.registry})
	if err != nil {
		return fmt.Errorf("setting up the portal: %w", err)
	}
	s.ops = opsHandler(s.store.Ping, s.openBaoState, s.peeringDBState, metrics)
	return nil
}

// ensureAdminGroup makes the administrators' group when the settings give it
// another name than the migration did, so that the command that makes an
// administrator finds it.
func (s *server) ensureAdminGroup(ctx context.Context) error {
	err := s.directory.CreateGroup(ctx, s.settings.AdminGroup)
	if err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("making the group %s: %w", s.settings.AdminGroup, err)
	}
	return nil
}

// setClients puts the clients of the settings in force; none are none.
func (s *server) setClients(ctx context.Context, text secret) error {
	var system []store.Client
	if text != "" {
		var err error
		if system, err = idp.ParseClients([]byte(text)); err != nil {
			return err
		}
	}
	return s.clients.SetSystem(ctx, system)
}

// reload reads again what a SIGHUP asks for: the clients, when they come from
// a file. A bad file changes nothing.
func (s *server) reload(ctx context.Context) {
	if s.settings.participantsFile() {
		s.reloadParticipants(ctx)
	}
	path := s.settings.files["PEERAGE_CLIENTS"]
	if path == "" {
		if !s.settings.participantsFile() {
			s.log.InfoContext(ctx, "SIGHUP: nothing to read again; neither the clients nor the participants come from a file")
		}
		return
	}
	event := identity.Event{Name: "settings_change", Detail: []slog.Attr{slog.String("setting", "PEERAGE_CLIENTS")}}
	text, err := readSettingFile(path)
	if err == nil && strings.TrimSpace(text) == "" {
		// A file that is being written, or was cut off: to take it for "no
		// clients" would kill everybody's tokens.
		err = errors.New("is empty; [] means no clients")
	}
	if err == nil {
		err = s.setClients(ctx, secret(text))
	}
	if err != nil {
		for _, fault := range strings.Split(err.Error(), "\n") {
			s.log.ErrorContext(ctx, "SIGHUP: the clients stay as they were", "file", path, "fault", fault)
		}
		event.Result = "failure"
		s.audit.Event(ctx, event)
		return
	}
	s.event(ctx, event)
	s.log.InfoContext(ctx, "SIGHUP: read the clients again", "file", path)
}

// warnings tells what an operator should do before people come.
func (s *server) warnings(ctx context.Context) {
	has, err := s.directory.HasAdmin(ctx)
	if errors.Is(err, identity.ErrUnavailable) {
		s.log.WarnContext(ctx, "OpenBao does not say whether anybody can administer", "error", err)
	} else if err != nil {
		s.log.ErrorContext(ctx, "looking for an administrator", "error", err)
	} else if !has {
		s.log.WarnContext(ctx, "nobody can administer this installation yet", "next", s.makeAdmin())
	}
}

// serve listens until ctx ends; then requests in flight finish and jobs stop.
func (s *server) serve(ctx context.Context, hup <-chan os.Signal) error {
	public, err := net.Listen("tcp", s.settings.Listen)
	if err != nil {
		return fmt.Errorf("listening for the public: %w", err)
	}
	var ops net.Listener
	if s.settings.OpsListen != "" {
		if ops, err = net.Listen("tcp", s.settings.OpsListen); err != nil {
			public.Close()
			return fmt.Errorf("listening for operations: %w", err)
		}
	}
	return s.serveOn(ctx, public, ops, hup)
}
