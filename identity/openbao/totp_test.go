package openbao_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
	"peerage/store"
)

// enrol gives a person a second factor, as the Directory does, until a call
// fails: what was shown is what they have in their authenticator.
func (s *site) enrol(b *openbao.Backend, u identity.User) error {
	ctx := s.t.Context()
	secret, err := b.NewTOTP(ctx, u)
	if err == nil {
		s.shown = secret
		err = s.store.PutPendingTOTP(ctx, u.Sub, []byte(secret), nil, 10*time.Minute)
	}
	if err == nil {
		err = b.ActivateTOTP(ctx, u, 1)
	}
	return err
}

// dying is the same backend as it is while its process dies: requests after the
// first so many reach nobody, and none of the answer of the last comes back.
func (s *site) dying(requests int64) *openbao.Backend {
	s.t.Helper()
	target, err := url.Parse(s.bao.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	var left atomic.Int64
	left.Store(requests)
	through := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/sys/leader" {
			through.ServeHTTP(w, r)
			return
		}
		switch n := left.Add(-1); {
		case n == 0:
			through.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case n < 0:
			panic(http.ErrAbortHandler)
		}
		through.ServeHTTP(w, r)
	}))
	s.t.Cleanup(front.Close)
	return s.at(front.URL)
}

// Killed between any two calls of an enrolment, a removal or an enrolment anew,
// peerage leaves a person who can sign in: with the code of what they enrolled,
// or without any.
func TestCrashLeavesPeopleAbleToSignIn(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	for _, c := range []struct {
		what     string
		enrolled bool
		do       func(b *openbao.Backend, u identity.User) error
	}{
		{"enrol", false, s.enrol},
		{"remove", true, func(b *openbao.Backend, u identity.User) error { return b.RemoveTOTP(t.Context(), u) }},
		{"begin anew", true, func(b *openbao.Backend, u identity.User) error {
			err := b.RemoveTOTP(t.Context(), u)
			if err == nil {
				err = s.enrol(b, u)
			}
			return err
		}},
	} {
		died := 0
		for n := int64(0); ; n++ {
			name := fmt.Sprintf("p%d-%s", n, c.what[:2])
			s.add(name, password)
			s.login(name, password)
			if c.enrolled {
				if err := s.enrol(s.backend, s.user(name)); err != nil {
					t.Fatal(err)
				}
			}
			u := s.user(name)
			err := c.do(s.dying(n), u)
			if err != nil {
				died++
			}
			after := s.at(s.bao.Addr)
			login, loginErr := after.Login(t.Context(), name, password)
			if loginErr != nil {
				t.Fatalf("%s, killed after %d requests: %v", c.what, n, loginErr)
			}
			if len(login.Challenge) > 0 {
				if _, err := after.Answer(t.Context(), name, login.Challenge, baotest.Code(s.shown, time.Now())); err != nil {
					t.Errorf("%s, killed after %d requests: locked out: %v", c.what, n, err)
				}
			}
			// Whatever was left behind, the person can enrol (again).
			if u = s.userOf(after, name); !u.TOTP {
				if err := s.enrol(after, u); err != nil {
					t.Errorf("%s, killed after %d requests: enrolling later: %v", c.what, n, err)
				}
			}
			if err == nil {
				break
			}
		}
		if died < 3 {
			t.Errorf("%s died %d times only", c.what, died)
		}
	}
}

// Two browsers that enrol one person at once, in any order, never leave them
// with a secret that is not the one which is asked for.
func TestParallelEnrolments(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	d := s.directory()
	s.add("ada", password)
	s.login("ada", password)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			b := identity.Browser{ID: identity.NewSecret()}
			for range 4 {
				if _, err := d.BeginTOTP(t.Context(), b, s.user("ada")); err != nil {
					t.Errorf("BeginTOTP: %v", err)
				}
			}
		})
	}
	all.Wait()
	// The last one goes through while others begin anew and remove.
	proved := ""
	for try := 0; proved == "" && try < 20; try++ {
		b := identity.Browser{ID: identity.NewSecret()}
		begun, err := d.BeginTOTP(t.Context(), b, s.user("ada"))
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			_, err := d.BeginTOTP(t.Context(), identity.Browser{ID: identity.NewSecret()}, s.user("ada"))
			if err != nil && !errors.Is(err, identity.ErrAlreadyEnrolled) {
				t.Errorf("BeginTOTP: %v", err)
			}
		})
		v := identity.Visitor{User: s.user("ada"), Session: store.Session{Sub: s.user("ada").Sub}}
		_, err = d.EnrolVisitor(t.Context(), b, v, baotest.Code(begun.Secret, s.clock.Now()))
		if err == nil || errors.Is(err, identity.ErrNoSession) { // the test has no session to make stronger
			proved = begun.Secret
		} else if !errors.Is(err, identity.ErrWrongCode) {
			t.Fatalf("EnrolVisitor: %v", err)
		}
		all.Wait()
	}
	if proved == "" {
		t.Fatal("nobody could enrol")
	}
	login := s.login("ada", password)
	if _, err := s.backend.Answer(t.Context(), "ada", login.Challenge, baotest.Code(proved, time.Now())); err != nil {
		t.Errorf("the secret that was proved is not the one that is asked for: %v", err)
	}
}

// An enforcement without a secret, which only another tool can leave behind, is
// a wrong code and no fault of ours; a reset mends it.
func TestResetMendsALostSecret(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.add("ada", password)
	s.bao.EnrolTOTP(s.method, ada)
	s.bao.Do("POST", "identity/mfa/method/totp/admin-destroy", map[string]any{"method_id": s.method, "entity_id": ada})
	login := s.login("ada", password)
	_, err := s.backend.Answer(t.Context(), "ada", login.Challenge, "123456")
	s.wantErr("without a secret", err, identity.ErrWrongCode)
	link, err := s.directory().ResetMFA(t.Context(), s.user("ada"))
	if err != nil || link.Token == "" {
		t.Fatalf("ResetMFA: %v", err)
	}
	if login := s.login("ada", password); len(login.Challenge) > 0 || !s.user("ada").NeedsLink {
		t.Errorf("after the reset: %+v", login)
	}
}

// directory is a Directory over the backend.
func (s *site) directory() *identity.Directory { return s.directoryDemanding(identity.RequireMFAOff) }

// directoryDemanding is one that demands a second factor of those people.
func (s *site) directoryDemanding(whom string) *identity.Directory {
	s.t.Helper()
	passwords := identity.NewPasswords(1)
	d, err := identity.New(identity.Config{Issuer: "https://login.example.net", Brand: "Example", AdminGroup: "admins", RequireMFA: whom,
		SessionIdle: time.Hour, SessionMax: 8 * time.Hour, FreshFactor: 5 * time.Minute},
		identity.Deps{Store: s.store, Audit: s.audit, Passwords: passwords, Backends: []identity.Backend{s.backend}, Now: s.clock.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// userOf is user by another backend.
func (s *site) userOf(b *openbao.Backend, name string) identity.User {
	s.t.Helper()
	u := s.user(name)
	state, err := b.State(context.WithoutCancel(s.t.Context()), u)
	if err != nil {
		s.t.Fatal(err)
	}
	u.TOTP = state.TOTP
	return u
}
