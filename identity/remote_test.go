package identity_test

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"peerage/identity"
	"peerage/identity/backendtest"
	"peerage/store"
	"peerage/store/storetest"
)

const originRemote = "remote"

// remote is a backend like OpenBao: it has the people and makes their TOTP
// secrets, checks a code only as the second half of a login, known by a
// request id, and hands out a token that ends.
type remote struct {
	store *store.Store
	now   func() time.Time
	// onLogin runs in each login, onToken when it hands out a token, onActivate
	// before a factor counts.
	onLogin    func(context.Context)
	onToken    func()
	onActivate func()
	// answersAs is whom a right code signs in, when not the one who asked.
	answersAs string

	mu       sync.Mutex
	broken   bool
	people   map[string]*remotePerson
	requests map[string]string // request id → user name
	tokens   map[string]time.Time
}

type remotePerson struct {
	sub, password, secret string
	enforced, disabled    bool
	used                  int64 // the last step
	groups                []string
}

const remoteTokenLife = 2 * time.Hour

func newRemote() *remote {
	return &remote{people: map[string]*remotePerson{}, requests: map[string]string{}, tokens: map[string]time.Time{}}
}

func (r *remote) add(name, password string, groups ...string) *remotePerson {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.people[name] = &remotePerson{sub: uuid.NewString(), password: password, groups: groups}
	return r.people[name]
}

func (r *remote) breakDown(broken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = broken
}

func (r *remote) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.requests)
}

func (r *remote) lives(token []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	expires, ok := r.tokens[string(token)]
	return ok && expires.After(r.now())
}

func (r *remote) living() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.tokens)
}

// serve is one request to the server.
func (r *remote) serve(answer func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return identity.ErrUnavailable
	}
	return answer()
}

func (r *remote) Origin() string { return originRemote }

func (r *remote) token() ([]byte, time.Time) {
	token, expires := identity.NewSecret(), r.now().Add(remoteTokenLife)
	r.tokens[token] = expires
	return []byte(token), expires
}

func (r *remote) Login(ctx context.Context, name, password string) (login identity.Login, err error) {
	if r.onLogin != nil {
		r.onLogin(ctx)
	}
	err = r.serve(func() error {
		p := r.people[name]
		if p == nil || p.password != password || p.disabled {
			return identity.ErrWrongCredentials
		}
		login.Sub = p.sub
		if p.enforced {
			id := uuid.NewString()
			r.requests[id] = name
			login.Challenge = []byte(id)
			return nil
		}
		login.Token, login.Expires = r.token()
		return nil
	})
	if err != nil {
		return identity.Login{}, err
	}
	if _, err := r.store.User(ctx, login.Sub); err != nil {
		err = r.store.CreateUser(ctx, store.User{Sub: login.Sub, Origin: originRemote, Username: name}, "", nil)
		if err != nil {
			return identity.Login{}, err
		}
	}
	if r.onToken != nil && len(login.Token) > 0 {
		r.onToken()
	}
	return login, nil
}

func (r *remote) Answer(_ context.Context, name string, challenge []byte, code string) (login identity.Login, err error) {
	err = r.serve(func() error {
		p, owner := r.people[name], r.requests[string(challenge)]
		if p == nil || owner != name || !p.enforced {
			return identity.ErrNoSignIn
		}
		step, ok := identity.CheckCode(p.secret, code, r.now())
		if !ok || step <= p.used {
			return identity.ErrWrongCode
		}
		p.used = step
		delete(r.requests, string(challenge))
		login.Sub = cmp.Or(r.answersAs, p.sub)
		login.Token, login.Expires = r.token()
		return nil
	})
	return login, err
}

func (r *remote) ConfirmFields(u identity.User) (password, code bool) { return true, u.TOTP }

// Confirm is a whole login.
func (r *remote) Confirm(ctx context.Context, u identity.User, password, code string) (identity.Login, error) {
	login, err := r.Login(ctx, u.Username, password)
	if err == nil && len(login.Challenge) > 0 {
		login, err = r.Answer(ctx, u.Username, login.Challenge, code)
	}
	return login, err
}

func (r *remote) NewTOTP(_ context.Context, u identity.User) (secret string, err error) {
	err = r.serve(func() error {
		p := r.people[u.Username]
		if p.enforced {
			return identity.ErrAlreadyEnrolled
		}
		p.secret = identity.NewTOTPSecret() // the one before is destroyed
		secret = p.secret
		return nil
	})
	return secret, err
}

// ActivateTOTP keeps the books of the store by its two operations: the
// enrolment ends and the link is no longer needed, and no secret stays here.
func (r *remote) ActivateTOTP(ctx context.Context, u identity.User, step int64) error {
	if _, err := r.store.PendingTOTP(ctx, u.Sub); err != nil {
		return identity.ErrWrongCode
	}
	if r.onActivate != nil {
		r.onActivate()
	}
	err := r.serve(func() error {
		r.people[u.Username].enforced = true
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.store.ActivateTOTP(ctx, u.Sub, step); err != nil {
		return err
	}
	return r.store.RemoveTOTP(ctx, u.Sub)
}

func (r *remote) RemoveTOTP(_ context.Context, u identity.User) error {
	return r.serve(func() error {
		p := r.people[u.Username]
		p.enforced, p.secret = false, ""
		return nil
	})
}

func (r *remote) SetPassword(ctx context.Context, u identity.User, password string) error {
	err := r.serve(func() error {
		r.people[u.Username].password = password
		clear(r.tokens)
		return nil
	})
	if err != nil {
		return err
	}
	_, err = r.store.SignOutEverywhere(ctx, u.Sub, false)
	return err
}

func (r *remote) HasPassword(context.Context, identity.User) (bool, error) { return true, nil }

// ChangePassword is a whole login, whose token takes the place of the session's.
func (r *remote) ChangePassword(ctx context.Context, u identity.User, c identity.PasswordChange) (identity.Changed, error) {
	login, err := r.Login(ctx, u.Username, c.Current)
	if err == nil && len(login.Challenge) > 0 {
		login, err = r.Answer(ctx, u.Username, login.Challenge, c.Code)
	}
	if err != nil {
		return identity.Changed{}, err
	}
	err = r.serve(func() error {
		r.people[u.Username].password = c.New
		return nil
	})
	if err != nil {
		return identity.Changed{}, err
	}
	ended, err := r.store.EndOthers(ctx, u.Sub, c.Keep)
	return identity.Changed{Token: login.Token, Expires: login.Expires, Ended: ended}, err
}

func (r *remote) State(_ context.Context, u identity.User) (state identity.State, err error) {
	// What is known of a person serves while the server is away.
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.people[u.Username]; p != nil && p.sub == u.Sub {
		return identity.State{Groups: p.groups, TOTP: p.enforced, Disabled: p.disabled}, nil
	}
	return identity.State{Disabled: true}, nil
}

func (r *remote) SignOut(ctx context.Context, token []byte) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.serve(func() error {
		delete(r.tokens, string(token))
		return nil
	})
}

func (r *remote) Granted(context.Context) error { return nil }

func (r *remote) HasAccount(_ context.Context, username string) (has bool, err error) {
	err = r.serve(func() error {
		has = r.people[username] != nil
		return nil
	})
	return has, err
}

func (r *remote) NewAccount(_ context.Context, n identity.NewUser) (a identity.Account, err error) {
	err = r.serve(func() error {
		if r.people[n.Username] != nil {
			return store.ErrExists
		}
		a.Sub = uuid.NewString()
		r.people[n.Username] = &remotePerson{sub: a.Sub, password: cmp.Or(n.Password, identity.NewSecret())}
		return nil
	})
	return a, err
}

func (r *remote) RemoveAccount(_ context.Context, u identity.User) error {
	return r.serve(func() error {
		delete(r.people, u.Username)
		return nil
	})
}

func (r *remote) SetProfile(context.Context, identity.User, string, string) error {
	return r.serve(func() error { return nil })
}

func (r *remote) SetDisabled(_ context.Context, u identity.User, disabled bool) error {
	return r.serve(func() error {
		r.people[u.Username].disabled = disabled
		return nil
	})
}

func (r *remote) Unlock(context.Context, identity.User) error {
	return r.serve(func() error { return nil })
}

func (r *remote) Roll(context.Context) (roll identity.Roll, err error) {
	err = r.serve(func() error {
		for _, p := range r.people {
			if p.enforced {
				roll.TOTP = append(roll.TOTP, p.sub)
			}
		}
		return nil
	})
	return roll, err
}

func (r *remote) HasMember(_ context.Context, group string) (has bool, err error) {
	err = r.serve(func() error {
		for _, p := range r.people {
			has = has || slices.Contains(p.groups, group)
		}
		return nil
	})
	return has, err
}

func (r *remote) SignOutEverywhere(context.Context, identity.User) error {
	return r.serve(func() error {
		clear(r.tokens)
		return nil
	})
}

// newRemoteWorld has local people too; unknown names go to the remote backend.
func newRemoteWorld(t *testing.T, r *remote, settings ...setting) *world {
	t.Helper()
	first := func(_ *identity.Config, d *identity.Deps) {
		r.store, r.now = d.Store, d.Now
		d.Backends = slices.Insert(d.Backends, 0, identity.Backend(r))
	}
	return newWorld(t, append(settings, first)...)
}

func TestRemoteContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Harness {
		clock := storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
		r := newRemote()
		r.store, r.now = storetest.Open(t, storetest.WithClock(clock)), clock.Now
		return backendtest.Harness{
			Backend: r, Store: r.store, Clock: clock,
			Person: func(_ testing.TB, name, password string) { r.add(name, password) },
			Disable: func(_ testing.TB, name string) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.people[name].disabled = true
			},
			Break: r.breakDown, Lives: r.lives, Forget: r.forget,
		}
	})
}
