// Package identity knows people: who they are, how they prove it, what
// groups they are in and which browsers they are signed in with. It talks to
// backends that keep passwords and puts throttle, audit and metrics around them.
package identity

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/prometheus/client_golang/prometheus"

	"peerage/store"
)

// Values of Config.RequireMFA.
const (
	RequireMFAOff    = "off"
	RequireMFAAdmins = "admins"
	RequireMFAAll    = "all"
)

// Config is what an operator decides about people.
type Config struct {
	// Issuer is what links begin with, and what passkeys are made for: its host
	// is their RP ID. Without a name in it there are no passkeys.
	Issuer string
	// Brand names this installation in authenticator apps.
	Brand      string
	AdminGroup string
	RequireMFA string
	// SessionIdle and SessionMax bound a browser's session.
	SessionIdle time.Duration
	SessionMax  time.Duration
	// FreshFactor is how long a factor counts as just given.
	FreshFactor time.Duration
	// Cookies name and shape the browser's cookies.
	Cookies Cookies
}

// Directory is what the rest of the program asks about people. It is safe
// for concurrent use.
type Directory struct {
	Config
	Audit     *Audit
	store     *store.Store
	passwords *Passwords
	backends  map[string]Backend
	primary   Backend
	now       func() time.Time
	log       *slog.Logger
	metrics   metrics
	mailer    *Mailer // nil: no mail
	// party is nil where passkeys cannot work.
	party     *webauthn.WebAuthn
	peeringdb PeeringDB
}

// Deps are the parts that a Directory stands on.
type Deps struct {
	Store     *store.Store
	Audit     *Audit
	Passwords *Passwords
	// Backends: the first is asked for names that nobody has yet.
	Backends   []Backend
	Now        func() time.Time
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Mailer sends mails; without it (nil) links are for an administrator to hand over.
	Mailer *Mailer
	// PeeringDB is how people come by it; the zero value lets nobody.
	PeeringDB PeeringDB
}

// New makes a Directory.
func New(c Config, deps Deps) (*Directory, error) {
	if len(deps.Backends) == 0 {
		return nil, errors.New("a directory needs a backend")
	}
	d := &Directory{Config: c, Audit: deps.Audit, store: deps.Store, passwords: deps.Passwords, backends: map[string]Backend{},
		primary: deps.Backends[0], now: deps.Now, log: deps.Logger, metrics: newMetrics(), mailer: deps.Mailer,
		peeringdb: deps.PeeringDB.withDefaults()}
	var err error
	if d.party, err = newRelyingParty(c.Issuer, c.Brand); err != nil {
		return nil, err
	}
	for _, b := range deps.Backends {
		d.backends[b.Origin()] = b
	}
	if deps.Registerer != nil {
		for _, c := range d.metrics.collectors(deps.Store) {
			if err := deps.Registerer.Register(c); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// IsAdmin tells whether a person may administer.
func (d *Directory) IsAdmin(u User) bool { return u.adminHere || u.In([]string{d.AdminGroup}) }

// MustHaveMFA tells whether a second factor is demanded of a person: by the
// operator, or because they come in beside the backend that the operator chose.
func (d *Directory) MustHaveMFA(u User) bool {
	return d.beside(u.User) || d.RequireMFA == RequireMFAAll || d.RequireMFA == RequireMFAAdmins && d.IsAdmin(u)
}

// beside tells whether somebody is a local person beside another backend: the
// way in while that one is away.
func (d *Directory) beside(u store.User) bool {
	return u.Origin == OriginLocal && d.primary.Origin() != OriginLocal
}

// HasAdmin tells whether anybody could administer this installation.
func (d *Directory) HasAdmin(ctx context.Context) (bool, error) {
	for _, origin := range slices.Sorted(maps.Keys(d.backends)) {
		if has, err := d.backends[origin].HasMember(ctx, d.AdminGroup); has || err != nil {
			return has, err
		}
	}
	return false, nil
}
