package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/peeringdb"
	"peerage/store"
)

// settingBackend is the name under which the store records the backend.
const settingBackend = "backend"

// installation is a store with its people, as every command uses it.
type installation struct {
	settings  Settings
	log       *slog.Logger
	now       func() time.Time
	store     *store.Store
	audit     *identity.Audit
	passwords *identity.Passwords
	directory *identity.Directory
	// participants are the networks that take part in the exchange.
	participants atomic.Pointer[peeringdb.Participants]
	// bao asks OpenBao; nil where people are kept here, as credential is.
	bao *openbao.Client
	// credential is OpenBao's; nil where people are kept here.
	credential *openbao.Credential
	people     *openbao.Backend // those of OpenBao; nil where they are none
}

// openStore opens an existing database of the right schema.
func openStore(ctx context.Context, s Settings, log *slog.Logger, now func() time.Time) (*store.Store, error) {
	st, err := store.Open(ctx, storeOptions(s, log, now))
	if errors.Is(err, store.ErrNoDatabase) {
		return nil, fmt.Errorf("%w; peerage serve or peerage migrate makes one, --database or PEERAGE_DATABASE names another path", err)
	}
	if err != nil {
		return nil, err
	}
	err = st.CheckSchema(ctx)
	if err == nil {
		err = checkBackend(ctx, st, s)
	}
	if err != nil {
		st.Close()
		return nil, fmt.Errorf("%s: %w", s.databaseName(), err)
	}
	return st, nil
}

func storeOptions(s Settings, log *slog.Logger, now func() time.Time) store.Options {
	o := store.Options{Database: s.Database, AdminGroup: s.AdminGroup, SecretKey: []byte(s.SecretKey), Now: now, Logger: log}
	if s.BaoMirrorConsents {
		o.MirrorConsents = openbao.Origin
	}
	if s.OldSecretKey != "" {
		o.OldSecretKeys = [][]byte{[]byte(s.OldSecretKey)}
	}
	return o
}

// checkBackend refuses to go on with another backend than the one that the
// first server recorded, unless the settings name it: a forgotten variable
// must not turn everybody's password into a wrong one.
func checkBackend(ctx context.Context, st *store.Store, s Settings) error {
	recorded, err := st.Setting(ctx, settingBackend)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the recorded backend: %w", err)
	}
	if recorded != s.Backend && !s.given["PEERAGE_BACKEND"] {
		return fmt.Errorf("people of this installation are kept by the backend %s, and the settings imply %s; set PEERAGE_BACKEND to the one that is meant", recorded, s.Backend)
	}
	return nil
}

// open is what a command about people begins with.
func (p *program) open(ctx context.Context, required ...string) (*installation, error) {
	s, err := p.settings(required...)
	if err != nil {
		return nil, err
	}
	log := p.commandLogger(s)
	st, err := openStore(ctx, s, log, p.now)
	if err != nil {
		return nil, err
	}
	in, err := newInstallation(s, st, log, p.now, nil)
	if err != nil {
		st.Close()
		return nil, err
	}
	return in, nil
}

// commandLogger is for commands that end by themselves: their answer is what
// they print, so lines below a warning are for those who ask.
func (p *program) commandLogger(s Settings) *slog.Logger {
	if !s.given["PEERAGE_LOG_LEVEL"] {
		s.LogLevel = "warn"
	}
	return newLogger(p.stderr, s)
}

func newInstallation(s Settings, st *store.Store, log *slog.Logger, now func() time.Time, registerer prometheus.Registerer) (*installation, error) {
	passwords := identity.NewPasswords(parallelPasswords)
	mailer, err := newMailer(s, now)
	if err != nil {
		return nil, err
	}
	in := &installation{settings: s, log: log, now: now, store: st, passwords: passwords}
	in.audit = identity.NewAudit(st, log, now)
	backends, err := in.backends(registerer)
	if err != nil {
		in.audit.Close()
		return nil, err
	}
	if err := in.loadParticipants(); err != nil {
		in.audit.Close()
		return nil, err
	}
	config := identity.Config{Issuer: s.Issuer, Brand: s.BrandName, AdminGroup: s.AdminGroup, RequireMFA: s.RequireMFA,
		SessionIdle: s.SessionIdle, SessionMax: s.SessionMax, FreshFactor: s.FreshFactor,
		Cookies: identity.Cookies{Secure: strings.HasPrefix(s.Issuer, "https:"), MaxAge: s.SessionMax}}
	in.directory, err = identity.New(config, identity.Deps{Store: st, Audit: in.audit, Passwords: passwords,
		Backends: backends, PeeringDB: in.peeringDB(), Now: now, Logger: log, Registerer: registerer, Mailer: mailer})
	if err != nil {
		in.audit.Close()
		return nil, fmt.Errorf("setting up the directory: %w", err)
	}
	return in, nil
}

// close writes what is left of the audit trail, gives the service credential
// back and closes the store.
func (in *installation) close() error {
	in.rest()
	return in.store.Close()
}

// rest is close without the store.
func (in *installation) rest() {
	if in.credential != nil {
		in.credential.GiveBack()
	}
	in.audit.Close()
}

// user finds a person by name, for commands.
func (in *installation) user(ctx context.Context, name string) (identity.User, error) {
	u, err := in.directory.UserByName(ctx, name)
	if errors.Is(err, store.ErrNotFound) && in.people != nil {
		// Perhaps they never signed in here.
		if err = in.people.TakeIn(ctx, identity.NormalizeUsername(name)); err == nil {
			u, err = in.directory.UserByName(ctx, name)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return u, fmt.Errorf("there is nobody called %q; peerage user list shows who there is", name)
	}
	if err != nil {
		return u, fmt.Errorf("finding %q: %w", name, err)
	}
	return u, nil
}

// event records a change that a command made.
func (in *installation) event(ctx context.Context, e identity.Event) {
	e.Result = "success"
	in.audit.Event(ctx, e)
}

// withUser is a command about one person: it finds them and acts.
func (p *program) withUser(ctx context.Context, name string, act func(*installation, identity.User) error, required ...string) error {
	in, err := p.open(ctx, required...)
	if err != nil {
		return err
	}
	defer in.close()
	u, err := in.user(ctx, name)
	if err != nil {
		return err
	}
	return act(in, u)
}

// refused says why something was not done, with what to do first.
func (in *installation) refused(doing string, err error) error {
	if errors.Is(err, store.ErrLastAdministrator) {
		return fmt.Errorf("%s: nobody could administer this installation any more; make another first: %s", doing, in.makeAdmin())
	}
	if errors.Is(err, identity.ErrNotGranted) {
		return fmt.Errorf("%s: OpenBao does not let peerage do that; peerage openbao bootstrap --people allows it", doing)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// makeAdmin names the commands that make an administrator.
func (in *installation) makeAdmin() string {
	return fmt.Sprintf("peerage group add %s NAME makes an administrator of NAME, peerage user create NAME --group %s --password-stdin a new one", in.settings.AdminGroup, in.settings.AdminGroup)
}
