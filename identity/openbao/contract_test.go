package openbao_test

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/backendtest"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
	"peerage/store"
	"peerage/store/storetest"
)

// site is a Backend before a real OpenBao, which it may use as bootstrap lets it.
type site struct {
	t         testing.TB
	bao       *baotest.Server
	proxy     *baotest.Proxy
	store     *store.Store
	clock     *storetest.Clock
	audit     *identity.Audit
	backend   *openbao.Backend
	method    string
	people    openbao.People
	bootstrap openbao.Bootstrap
	patience  time.Duration // for each answer of OpenBao
	token     string        // the service credential
	shown     string        // the last secret of an enrolment
	doubts    atomic.Int64  // how often it was refused
}

// choice changes what a site is made of.
type choice func(p *openbao.People, bootstrap *openbao.Bootstrap)

// withoutPeople is a service credential that may not set passwords.
func withoutPeople(_ *openbao.People, bootstrap *openbao.Bootstrap) { bootstrap.People = false }

// newSite is a site that waits for OpenBao as long as a machine under load takes.
func newSite(t testing.TB, bao *baotest.Server, choices ...choice) *site {
	t.Helper()
	return siteOf(t, bao, 20*time.Second, choices...)
}

// newHastySite is one that soon gives up, for tests in which OpenBao goes away.
func newHastySite(t testing.TB, bao *baotest.Server, choices ...choice) *site {
	t.Helper()
	return siteOf(t, bao, time.Second, choices...)
}

func siteOf(t testing.TB, bao *baotest.Server, patience time.Duration, choices ...choice) *site {
	t.Helper()
	s := &site{t: t, bao: bao, proxy: baotest.NewProxy(t, bao.Addr), patience: patience}
	// A minute late: an enrolment moves the clock on by one, and OpenBao's is
	// the real one.
	s.clock = storetest.NewClock(time.Now().Add(-time.Minute))
	people := openbao.People{MaxStale: time.Hour, EmailVerified: true}
	s.bootstrap = openbao.Bootstrap{Userpass: baotest.Mount, Issuer: "portal", AdminGroup: "admins", People: true}
	for _, c := range choices {
		c(&people, &s.bootstrap)
	}
	mirrored := "" // nobody's
	if s.bootstrap.MirrorConsents {
		mirrored = openbao.Origin
	}
	s.store = storetest.Open(t, storetest.WithClock(s.clock), storetest.WithMirroredConsents(mirrored))
	s.audit = identity.NewAudit(s.store, slog.New(slog.DiscardHandler), s.clock.Now)
	t.Cleanup(s.audit.Close)
	s.bootstrap.Token = bao.Token("operator", s.bootstrap.OperatorPolicy())
	s.credential()
	s.people = people
	s.backend = s.at(s.proxy.Addr)
	return s
}

// credential sets OpenBao up, again with another service credential.
func (s *site) credential() {
	s.t.Helper()
	client, err := openbao.NewClient(openbao.Config{Address: s.bao.Addr, Namespace: s.bao.Namespace, Timeout: 20 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	done, err := client.Bootstrap(s.t.Context(), s.bootstrap)
	if err != nil || done.Token == "" {
		s.t.Fatalf("Bootstrap: %v", err)
	}
	s.method, s.token = done.MethodID, done.Token
	s.bootstrap.NewCredential = true
}

// at is a backend that reaches OpenBao at an address, and knows nothing yet.
func (s *site) at(address string) *openbao.Backend {
	s.t.Helper()
	client, err := openbao.NewClient(openbao.Config{Address: address, Namespace: s.bao.Namespace, Timeout: s.patience, Now: s.clock.Now})
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := openbao.New(s.people, openbao.Deps{Client: client, Token: func() (string, error) { return s.token, nil }, Doubt: func() { s.doubts.Add(1) },
		Store: s.store, Audit: s.audit, Now: s.clock.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// add makes a person with a password, who may change it.
func (s *site) add(name, password string, groups ...string) (entity string) {
	s.t.Helper()
	return s.bao.Add(baotest.Person{Name: name, Password: password, Policies: []string{"portal-user"}, Groups: groups,
		Metadata: map[string]string{"name": "Somebody Called " + name, "email": name + "@example.net"}})
}

// lives tells whether a person's token does.
func (s *site) lives(token []byte) bool {
	return len(token) > 0 && s.bao.Call(string(token), "GET", "auth/token/lookup-self", nil).Status == 200
}

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Harness {
		// Only a server of its own may be restarted.
		start, fresh := baotest.Shared, newSite
		if strings.HasSuffix(t.Name(), "forgotten_challenge") {
			start = baotest.Start
		}
		if strings.HasSuffix(t.Name(), "unavailable") {
			fresh = newHastySite
		}
		s := fresh(t, start(t))
		return backendtest.Harness{
			Backend: s.backend, Store: s.store, Clock: s.clock,
			Person: func(_ testing.TB, name, password string) { s.add(name, password) },
			Disable: func(_ testing.TB, name string) {
				s.bao.Do("POST", "identity/entity/name/"+name, map[string]any{"disabled": true})
			},
			Break: func(broken bool) {
				if broken {
					s.proxy.Hang()
				} else {
					s.proxy.Resume()
				}
			},
			Lives: s.lives, Forget: s.bao.Restart,
		}
	})
}
