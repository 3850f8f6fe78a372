package portaltest

import (
	"log/slog"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
	"peerage/portal"
)

// OpenBao is a server that keeps the people of a site, and what it gives them.
type OpenBao struct {
	Server  *baotest.Server
	Engines openbao.Engines
	// Cluster is what kubeconfigs are for.
	Cluster portal.Cluster
	// Address is where the site reaches it, "" for the server's own.
	Address string
}

// openbao sets the server up as bootstrap does, and makes its backend.
func (s *Site) openbao(o OpenBao, audit *identity.Audit, log *slog.Logger) *openbao.Backend {
	s.t.Helper()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatalf("setting OpenBao up: %v", err)
		}
	}
	if o.Address == "" {
		o.Address = o.Server.Addr
	}
	client, err := openbao.NewClient(openbao.Config{Address: o.Server.Addr, Namespace: o.Server.Namespace})
	must(err)
	want := openbao.Bootstrap{Userpass: baotest.Mount, Issuer: "Example IX", AdminGroup: "admins", Engines: o.Engines}
	want.Token = o.Server.Token("operator", want.OperatorPolicy())
	done, err := client.Bootstrap(s.t.Context(), want)
	must(err)
	client, err = openbao.NewClient(openbao.Config{Address: o.Address, Namespace: o.Server.Namespace, Now: s.Clock.Now})
	must(err)
	backend, err := openbao.New(openbao.People{Engines: o.Engines}, openbao.Deps{Client: client, Token: func() (string, error) { return done.Token, nil }, Doubt: func() {},
		Store: s.Store, Audit: audit, Now: s.Clock.Now, Logger: log, Registerer: s.Registry})
	must(err)
	s.Method = done.MethodID
	return backend
}
