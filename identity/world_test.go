package identity_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"github.com/prometheus/client_golang/prometheus"

	"peerage/identity"
	"peerage/identity/local"
	"peerage/store"
	"peerage/store/storetest"
)

const password = "correct horse"

// world is a Directory on a store of its own, with cheap passwords.
type world struct {
	*identity.Directory
	t         *testing.T
	ctx       context.Context
	store     *store.Store
	clock     *storetest.Clock
	audit     *identity.Audit
	log       *logBuffer
	passwords *identity.Passwords
	metrics   *prometheus.Registry
}

// logBuffer is safe for the goroutines that write lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// setting changes the world before it begins.
type setting func(*identity.Config, *identity.Deps)

func requireMFA(who string) setting {
	return func(c *identity.Config, _ *identity.Deps) { c.RequireMFA = who }
}

func newWorld(t *testing.T, settings ...setting) *world {
	t.Helper()
	clock := storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	return openWorld(t, storetest.Open(t, storetest.WithClock(clock)), clock, settings...)
}

// openWorld makes a Directory on a store, as another replica would.
func openWorld(t *testing.T, s *store.Store, clock *storetest.Clock, settings ...setting) *world {
	t.Helper()
	w := &world{t: t, store: s, clock: clock, log: &logBuffer{}, passwords: identity.NewTestPasswords(t, 8, 4), metrics: prometheus.NewRegistry()}
	w.ctx = from("192.0.2.1")(t.Context())
	logger := slog.New(slog.NewTextHandler(w.log, nil))
	w.audit = identity.NewAudit(s, logger, clock.Now)
	t.Cleanup(w.audit.Close)
	config := identity.Config{Brand: "Example IX", AdminGroup: "admins", RequireMFA: identity.RequireMFAOff,
		SessionIdle: time.Hour, SessionMax: 12 * time.Hour, FreshFactor: 10 * time.Minute}
	deps := identity.Deps{Store: s, Audit: w.audit, Passwords: w.passwords, Backends: []identity.Backend{local.New(s, w.passwords, clock.Now)},
		Now: clock.Now, Logger: logger, Registerer: w.metrics}
	for _, set := range settings {
		set(&config, &deps)
	}
	d, err := identity.New(config, deps)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	w.Directory = d
	return w
}

// from puts a caller of that address into a context.
func from(address string) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context {
		return identity.WithCaller(ctx, identity.Caller{IP: address, Network: address, UserAgent: "test", RequestID: "req-1"})
	}
}

func (w *world) person(name string, groups ...string) identity.User {
	w.t.Helper()
	for _, g := range groups {
		if err := w.store.CreateGroup(w.ctx, g); err != nil && !errors.Is(err, store.ErrExists) {
			w.t.Fatalf("CreateGroup: %v", err)
		}
	}
	u, err := w.CreateUser(w.ctx, identity.NewUser{Username: name, Groups: groups, Password: password, Local: true})
	if err != nil {
		w.t.Fatalf("CreateUser(%s): %v", name, err)
	}
	return u
}

// enrolled is a person with a second factor.
func (w *world) enrolled(name string, groups ...string) (identity.User, string) {
	w.t.Helper()
	u := w.person(name, groups...)
	secret := identity.NewTOTPSecret()
	if err := w.store.PutPendingTOTP(w.ctx, u.Sub, []byte(secret), nil, time.Minute); err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.ActivateTOTP(w.ctx, u.Sub, 0); err != nil {
		w.t.Fatal(err)
	}
	return w.again(u), secret
}

// again reads a person anew.
func (w *world) again(u identity.User) identity.User {
	w.t.Helper()
	u, err := w.User(w.ctx, u.Sub)
	if err != nil {
		w.t.Fatalf("User: %v", err)
	}
	return u
}

func browser() identity.Browser { return identity.Browser{ID: identity.NewSecret()} }

// signIn signs a person without second factor in.
func (w *world) signIn(b *identity.Browser, name string) identity.Visitor {
	w.t.Helper()
	secret, err := w.SignIn(w.ctx, *b, name, password)
	if err != nil || secret == "" {
		w.t.Fatalf("SignIn(%s): %q, %v", name, secret, err)
	}
	b.Session = secret
	return w.visitor(*b)
}

// half gives the password of a person who has more to do.
func (w *world) half(b identity.Browser, name string) {
	w.t.Helper()
	if secret, err := w.SignIn(w.ctx, b, name, password); err != nil || secret != "" {
		w.t.Fatalf("SignIn(%s): %q, %v; want a half-done sign-in", name, secret, err)
	}
}

// signIn2 signs a person with second factor in.
func (w *world) signIn2(b *identity.Browser, name, secret string) identity.Visitor {
	w.t.Helper()
	w.half(*b, name)
	session, err := w.Answer(w.ctx, *b, w.code(secret))
	if err != nil {
		w.t.Fatalf("Answer: %v", err)
	}
	b.Session = session
	return w.visitor(*b)
}

func (w *world) visitor(b identity.Browser) identity.Visitor {
	w.t.Helper()
	v, err := w.Visitor(w.ctx, b.Session)
	if err != nil {
		w.t.Fatalf("Visitor: %v", err)
	}
	return v
}

func (w *world) code(secret string) string { return codeAt(w.t, secret, w.clock.Now()) }

func codeAt(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCodeCustom(secret, at, totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		t.Fatalf("making a code: %v", err)
	}
	return code
}

// wrongCode is a code that is not right now.
func (w *world) wrongCode(secret string) string {
	for code := 100000; ; code += 111111 {
		text := strconv.Itoa(code)
		if _, ok := identity.CheckCode(secret, text, w.clock.Now()); !ok {
			return text
		}
	}
}

// nextStep moves on to where no earlier code counts.
func (w *world) nextStep() { w.clock.Advance(time.Minute) }

// events are the rows so far, oldest first, as name and result.
func (w *world) events() []string {
	w.t.Helper()
	w.audit.Flush()
	rows, err := w.store.Events(w.ctx, store.EventFilter{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	names := make([]string, 0, len(rows))
	for i := range rows {
		row := rows[len(rows)-1-i]
		names = append(names, row.Event+" "+row.Result)
	}
	return names
}

func (w *world) dead(secret, what string) {
	w.t.Helper()
	if v, err := w.Visitor(w.ctx, secret); !errors.Is(err, identity.ErrNoSession) {
		w.t.Errorf("%s: the session is of %q, %v", what, v.User.Username, err)
	}
}

func wantErr(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want %v", what, err, target)
	}
}

func wantSame(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// throttled tells whether err is a wait, and how long.
func throttled(err error) (time.Duration, bool) {
	var e *identity.ThrottledError
	if errors.As(err, &e) {
		return e.Wait, true
	}
	return 0, false
}
