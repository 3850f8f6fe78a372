package openbao

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"peerage/identity"
	"peerage/store"
)

// Origin marks people who are kept in OpenBao, as in store.User.Origin.
const Origin = "openbao"

const (
	// signInTimeout bounds all requests of one sign-in together: whoever signs
	// in is answered within three seconds.
	signInTimeout = 2500 * time.Millisecond
	// replaceTimeout is how long another service credential may take to come.
	replaceTimeout = 300 * time.Millisecond
	// endingPause is how long OpenBao may take between two halves of a token's
	// end, and endingTries how often it is given that time.
	endingPause = 50 * time.Millisecond
	endingTries = 3
)

// People says which people of an OpenBao a Backend serves.
type People struct {
	// Mount is the userpass mount; "" means "userpass".
	Mount string
	// MethodID is the TOTP login-MFA method; "" means the one that bootstrap made.
	MethodID string
	// NameKey and EmailKey are the keys of entity metadata that hold them; ""
	// means "name" and "email".
	NameKey, EmailKey string
	// EmailVerified: the operator vouches for the addresses.
	EmailVerified bool
	// Engines give people more than sign-ins.
	Engines
	// MaxStale is how long the last known state of a person serves while OpenBao
	// does not answer.
	MaxStale time.Duration
}

// Deps are the parts that a Backend stands on.
type Deps struct {
	Client *Client
	// Token gives the service credential of now; Doubt is told when OpenBao
	// refused it, or what it may do.
	Token  func() (string, error)
	Doubt  func()
	Store  *store.Store
	Audit  *identity.Audit
	Now    func() time.Time
	Logger *slog.Logger
	// Registerer takes the metrics; nil: there are none.
	Registerer prometheus.Registerer
}

// Backend implements identity.Backend. It is safe for concurrent use.
type Backend struct {
	People
	client *Client
	token  func() (string, error)
	doubt  func()
	store  *store.Store
	audit  *identity.Audit
	now    func() time.Time
	log    *slog.Logger
	pace   *pace

	accessor memo[string] // of the accounts' mount
	tokens   memo[string] // that of API tokens
	method   memo[string]
	groups   memo[map[string]group] // by id
	granted  memo[bool]
	pkiRole  memo[pkiRole]
	crl      memo[string]

	clusterRole memo[clusterRole]

	// operations counts what was done to API tokens.
	operations *prometheus.CounterVec

	asking   singleflight.Group
	checking turns // of passwords, by user name

	mu     sync.Mutex
	states map[string]known // by sub
	downAt time.Time        // when OpenBao did not answer; zero: it does
}

// New makes the backend; it asks OpenBao nothing yet.
func New(p People, d Deps) (*Backend, error) {
	if p.Mount == "" {
		p.Mount = "userpass"
	}
	if p.NameKey == "" {
		p.NameKey = "name"
	}
	if p.EmailKey == "" {
		p.EmailKey = "email"
	}
	if err := at("{mount}", p.Mount).err; err != nil {
		return nil, fmt.Errorf("the userpass mount: %w", err)
	}
	if p.MethodID != "" {
		if err := checkSegment(p.MethodID); err != nil {
			return nil, fmt.Errorf("the id of the TOTP method: %w", err)
		}
	}
	if err := p.Engines.check(); err != nil {
		return nil, err
	}
	b := &Backend{People: p, client: d.Client, token: d.Token, doubt: d.Doubt, store: d.Store, audit: d.Audit, now: d.Now, log: d.Logger,
		pace: newPace(), states: map[string]known{}}
	b.accessor = memo[string]{now: d.Now, ask: b.askAccessor}
	b.tokens = memo[string]{now: d.Now, ask: b.askTokens}
	b.granted = memo[bool]{now: d.Now, ask: b.askGranted}
	b.method = memo[string]{now: d.Now, ask: b.askMethod}
	b.groups = memo[map[string]group]{now: d.Now, ask: b.askGroups}
	b.pkiRole = memo[pkiRole]{now: d.Now, ask: b.askPKIRole}
	b.crl = memo[string]{now: d.Now, ask: b.askCRL}
	b.clusterRole = memo[clusterRole]{now: d.Now, ask: b.askClusterRole}
	b.operations = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "peerage_token_operation_total", Help: "API tokens made and revoked by their people."}, []string{"action"})
	if d.Registerer != nil {
		if err := d.Registerer.Register(b.operations); err != nil {
			return nil, fmt.Errorf("registering the metrics of OpenBao: %w", err)
		}
	}
	return b, nil
}

// Origin implements identity.Backend.
func (b *Backend) Origin() string { return Origin }

// challenge is what a login waits with for its code.
type challenge struct {
	Request  string `json:"request"`
	Method   string `json:"method"`
	Username string `json:"username"`
	Sub      string `json:"sub"`
}

// lockout is our own count of wrong passwords, for names that nobody has too.
// It is full one try before OpenBao locks the person (five wrong ones, each
// within 15 minutes of the one before): the lock would hold for everything that
// uses OpenBao.
func lockout(username string) store.Throttle {
	return store.Throttle{Key: "openbao:" + username, Free: 4, Hard: true, Trailing: true, Window: 15 * time.Minute}
}

// Login implements identity.Backend. Wrong, unknown, disabled and locked are
// one error, after one time: OpenBao itself answers a locked person at once,
// and only people who exist can be locked.
func (b *Backend) Login(ctx context.Context, username, password string) (identity.Login, error) {
	begun := time.Now()
	bounded, cancel := b.bounded(ctx)
	defer cancel()
	login, err := b.login(bounded, identity.NormalizeUsername(username), password)
	if errors.Is(err, identity.ErrWrongCredentials) {
		if !errors.Is(err, identity.ErrDenied) {
			err = identity.ErrWrongCredentials // without the words of the request
		}
		b.pace.wait(ctx, begun)
	}
	return login, err
}

// bounded is what is left of the time for a sign-in: less when OpenBao has just
// kept the same visitor waiting for staleTimeout.
func (b *Backend) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := max(signInTimeout, b.client.timeout) // never less than one of its requests has
	if _, _, down := b.last(""); down {
		timeout -= staleTimeout
	}
	return context.WithTimeout(ctx, timeout)
}

func (b *Backend) login(ctx context.Context, username, password string) (identity.Login, error) {
	if identity.CheckUsername(username) != nil || password == "" || len(password) > maxPassword {
		return identity.Login{}, identity.ErrWrongCredentials // nobody's, and OpenBao would not count it
	}
	in, err := b.checkPassword(ctx, username, password)
	if err != nil {
		return identity.Login{}, err
	}
	sub, err := b.arrived(ctx, username, in)
	if err != nil {
		b.giveUp(ctx, in.Token)
		return identity.Login{}, err
	}
	if in.Token == "" {
		waits, err := json.Marshal(challenge{in.RequestID, in.MethodID, username, sub})
		return identity.Login{Sub: sub, Challenge: waits}, err
	}
	return identity.Login{Sub: sub, Token: []byte(in.Token), Expires: in.Expires}, nil
}

// checkPassword is the request alone, counted as OpenBao counts it. It is
// counted before its answer, so that parallel guesses do not slip through; one
// at a time, so that parallel right ones do not stop each other.
func (b *Backend) checkPassword(ctx context.Context, username, password string) (loggedIn, error) {
	release, err := b.checking.take(ctx, username)
	if err != nil {
		return loggedIn{}, err
	}
	defer release()
	throttle := lockout(username)
	wait, err := b.store.TakeAttempt(ctx, throttle)
	if err != nil {
		return loggedIn{}, err
	}
	if wait > 0 {
		return loggedIn{}, &identity.ThrottledError{Wait: wait}
	}
	sent := time.Now()
	in, err := b.client.login(ctx, b.Mount, username, password)
	if errors.Is(err, ErrDenied) {
		b.suspectName(ctx, username) // perhaps disabled just now
		return loggedIn{}, identity.ErrDenied
	}
	if errors.Is(err, identity.ErrWrongCredentials) {
		b.pace.saw(time.Since(sent))
		return loggedIn{}, err
	}
	// A right password with a code outstanding does not clear OpenBao's count.
	all := err == nil && in.Token != ""
	if forgotten := b.store.ForgiveAttempt(context.WithoutCancel(ctx), throttle.Key, all); forgotten != nil && err == nil {
		b.giveUp(ctx, in.Token)
		return loggedIn{}, forgotten
	}
	return in, err
}

// Answer implements identity.Backend.
func (b *Backend) Answer(ctx context.Context, username string, waits []byte, code string) (identity.Login, error) {
	var c challenge
	if err := json.Unmarshal(waits, &c); err != nil || c.Username != identity.NormalizeUsername(username) || c.Request == "" {
		return identity.Login{}, identity.ErrNoSignIn
	}
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	in, err := b.client.code(ctx, loggedIn{RequestID: c.Request, MethodID: c.Method}, code)
	if errors.Is(err, identity.ErrNoSignIn) {
		b.suspect(c.Sub) // perhaps the factor was removed just now
	}
	if err != nil {
		return identity.Login{}, err
	}
	if in.EntityID != c.Sub {
		b.mismatch(ctx, c.Username, c.Sub, in.EntityID)
		b.giveUp(ctx, in.Token)
		return identity.Login{}, identity.ErrNoSignIn
	}
	return identity.Login{Sub: c.Sub, Token: []byte(in.Token), Expires: in.Expires}, nil
}

// ConfirmFields implements identity.Backend: OpenBao checks a code only as the
// second half of a login.
func (b *Backend) ConfirmFields(u identity.User) (password, code bool) { return true, u.TOTP }

// Confirm implements identity.Backend: it is a whole login.
func (b *Backend) Confirm(ctx context.Context, u identity.User, password, code string) (identity.Login, error) {
	return b.prove(ctx, u, password, code)
}

// prove is a whole login of a person who is known already.
func (b *Backend) prove(ctx context.Context, u identity.User, password, code string) (identity.Login, error) {
	ctx, cancel := b.bounded(ctx)
	defer cancel()
	login, err := b.Login(ctx, u.Username, password)
	if err != nil {
		return identity.Login{}, err
	}
	challenged := len(login.Challenge) > 0
	if challenged {
		if login, err = b.Answer(ctx, u.Username, login.Challenge, code); err != nil {
			return identity.Login{}, err
		}
	}
	switch {
	case login.Sub != u.Sub:
		err = identity.ErrWrongCredentials
	case u.TOTP && !challenged:
		// The factor went meanwhile: the password alone must not count as two.
		b.suspect(u.Sub)
		err = identity.ErrWrongCode
	default:
		return login, nil
	}
	b.giveUp(ctx, string(login.Token))
	return identity.Login{}, err
}

// SignOut implements identity.Backend. A token whose end OpenBao does not
// confirm ends by itself: nobody has it any more.
func (b *Backend) SignOut(ctx context.Context, token []byte) error {
	if _, _, down := b.last(""); down {
		return &Error{Operation: "revoke_token", Kind: identity.ErrUnavailable, Reason: "it has just not answered"}
	}
	ctx, cancel := context.WithTimeout(ctx, b.client.timeout*2/5) // nobody should be kept waiting for it
	defer cancel()
	err := b.client.revoke(ctx, string(token))
	if errors.Is(err, identity.ErrUnavailable) {
		b.answers(ctx, err) // of ten sessions that end at once one waits
	}
	return err
}

// giveUp ends a token that nobody is going to get, when there is one. Where
// that fails it ends by itself.
func (b *Backend) giveUp(ctx context.Context, token string) {
	if token == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.client.timeout/8)
	defer cancel()
	if err := b.client.revoke(ctx, token); err != nil {
		b.log.WarnContext(ctx, "ending a token of OpenBao", "error", err)
	}
}

// service sends a request with the service credential. That OpenBao refuses the
// credential says nothing about a person: it is as if it were away.
func (b *Backend) service(ctx context.Context, r request) (answer, error) {
	var err error
	if r.token, err = b.token(); err != nil {
		return answer{}, err
	}
	got, err := b.client.do(ctx, r)
	for tries := 0; r.ending && tries < endingTries && errors.Is(err, ErrForbidden); tries++ {
		if _, dead := b.client.lookUp(ctx, r.token); dead != nil || !pause(ctx, endingPause) {
			break
		}
		got, err = b.client.do(ctx, r)
	}
	if errors.Is(err, ErrForbidden) {
		b.doubt()
		if fresh := b.replaced(ctx, r.token); fresh != "" {
			r.token = fresh
			got, err = b.client.do(ctx, r)
		}
	}
	var limited *identity.ThrottledError
	if errors.As(err, &limited) {
		// Too many requests, but none of them are the person's fault.
		return answer{}, &Error{Operation: r.operation, Status: 429, Kind: identity.ErrUnavailable, Reason: "it limits the rate of requests"}
	}
	if errors.Is(err, ErrForbidden) {
		b.log.ErrorContext(ctx, "OpenBao refuses the service credential, or its policy does not allow this", "operation", r.operation)
		return answer{}, &Error{Operation: r.operation, Status: 403, Kind: identity.ErrUnavailable, Reason: "the service credential is refused"}
	}
	return got, err
}

// pause waits; false: ctx has ended.
func pause(ctx context.Context, wait time.Duration) bool {
	over := time.NewTimer(wait)
	defer over.Stop()
	select {
	case <-over.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// replaced waits a moment for a credential in place of one that was refused; ""
// when none comes.
func (b *Backend) replaced(ctx context.Context, refused string) string {
	ctx, cancel := context.WithTimeout(ctx, replaceTimeout)
	defer cancel()
	again := time.NewTicker(replaceTimeout / 20)
	defer again.Stop()
	for {
		if token, err := b.token(); err == nil && token != refused {
			return token
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ""
		}
	}
}
