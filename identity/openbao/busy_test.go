package openbao_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
	"peerage/store"
)

// behind is the same backend behind something that answers in OpenBao's place,
// or passes a request through to it.
func (s *site) behind(front func(w http.ResponseWriter, r *http.Request, through http.Handler)) *openbao.Backend {
	s.t.Helper()
	target, err := url.Parse(s.bao.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { front(w, r, through) }))
	s.t.Cleanup(server.Close)
	return s.at(server.URL)
}

// slow is the same backend before an OpenBao that takes so long for each
// answer; *pause may change.
func (s *site) slow(pause *atomic.Int64) *openbao.Backend {
	s.t.Helper()
	return s.behind(func(w http.ResponseWriter, r *http.Request, through http.Handler) {
		if r.URL.Path != "/v1/sys/leader" {
			<-time.After(time.Duration(pause.Load()))
		}
		through.ServeHTTP(w, r)
	})
}

// While OpenBao compares passwords on all its cores, what applications ask for
// does not wait behind them: the state of seconds ago serves, and the next one
// knows better. What is known to have changed is always waited for.
func TestBusyOpenBaoDelaysNobody(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.add("ada", password, "noc")
	s.login("ada", password)
	u := s.user("ada")
	var pause atomic.Int64
	b := s.slow(&pause)
	state := func() (identity.State, time.Duration) {
		begun := time.Now()
		state, err := b.State(t.Context(), u)
		if err != nil {
			t.Fatalf("State: %v", err)
		}
		return state, time.Since(begun)
	}
	state()
	pause.Store(int64(250 * time.Millisecond))
	s.bao.Do("POST", "identity/entity/id/"+ada, map[string]any{"disabled": true})
	s.clock.Advance(2 * time.Second)
	if got, taken := state(); got.Disabled || taken > 200*time.Millisecond {
		t.Errorf("the state of two seconds ago: %+v after %s", got, taken)
	}
	for deadline := time.Now().Add(5 * time.Second); ; <-time.After(5 * time.Millisecond) {
		if got, _ := state(); got.Disabled {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody asks behind the answer")
		}
	}
	s.bao.Do("POST", "identity/entity/id/"+ada, map[string]any{"disabled": false})
	s.clock.Advance(6 * time.Second)
	if got, taken := state(); got.Disabled || taken < 200*time.Millisecond {
		t.Errorf("the state of six seconds ago serves: %+v after %s", got, taken)
	}
	if err := b.RemoveTOTP(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if _, taken := state(); taken < 200*time.Millisecond {
		t.Errorf("after a change the state of before serves (%s)", taken)
	}
}

// OpenBao refuses requests that are too many. Whoever signs in is told to wait;
// for everybody else it is as if it were away.
func TestOpenBaoLimitsRequests(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password, "noc")
	s.login("ada", password)
	u := s.user("ada")
	lift := s.bao.Limit("auth/userpass", "identity")
	for range 2 { // the first of each still goes through
		_, _ = s.backend.Login(t.Context(), "nobody", password)
		_, _ = s.at(s.bao.Addr).State(t.Context(), u)
	}
	s.clock.Advance(6 * time.Second)
	var throttled *identity.ThrottledError
	if _, err := s.backend.Login(t.Context(), "ada", password); !errors.As(err, &throttled) || throttled.Wait <= 0 {
		t.Errorf("Login: %v", err)
	}
	s.clock.Advance(59 * time.Minute)
	if known := s.user("ada"); known.Disabled || !slices.Equal(known.Groups, []string{"noc"}) {
		t.Errorf("ada is %+v", known)
	}
	s.wantErr("RemoveTOTP", s.backend.RemoveTOTP(t.Context(), u), identity.ErrUnavailable)
	s.clock.Advance(2 * time.Minute)
	_, err := s.backend.State(t.Context(), u)
	s.wantErr("State after MaxStale", err, identity.ErrUnavailable)
	lift()
	s.clock.Advance(6 * time.Second)
	s.login("ada", password) // the refusals were no wrong passwords
	s.user("ada")
}

// Two nodes of which one is left have no majority: the other answers, even as
// one in good health, and signs nobody in. With both back all is well.
func TestLostQuorum(t *testing.T) {
	bao := baotest.Start(t)
	s := newHastySite(t, bao)
	s.add("ada", password, "noc")
	s.add("bob", password)
	s.login("bob", password)
	s.login("ada", password)
	u := s.user("ada")
	other := bao.Join()
	other.Stop()
	eventually(t, "the node finds itself alone", func() bool {
		begun := time.Now()
		_, err := s.backend.Login(t.Context(), "bob", password)
		if err != nil && !errors.Is(err, identity.ErrUnavailable) {
			t.Fatalf("without a majority: %v", err)
		}
		if taken := time.Since(begun); taken > 3*time.Second {
			t.Fatalf("answered after %s", taken)
		}
		return err != nil
	})
	s.clock.Advance(50 * time.Minute)
	if known := s.user("ada"); known.Disabled || !slices.Equal(known.Groups, []string{"noc"}) {
		t.Errorf("ada is %+v", known)
	}
	s.wantErr("RemoveTOTP", s.backend.RemoveTOTP(t.Context(), u), identity.ErrUnavailable)
	other.Restart()
	eventually(t, "bob signs in again", func() bool {
		s.clock.Advance(6 * time.Second)
		_, err := s.backend.Login(t.Context(), "bob", password)
		return err == nil
	})
	s.user("ada")
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !is(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// 32 requests at once that allow applications, enrol and reset one person: no
// consent is lost, and what was proved last is what is asked for.
func TestParallelChangesOfOnePerson(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	d := s.directory()
	ada := s.add("ada", password)
	s.login("ada", password)
	resets := 0
	var mu sync.Mutex
	var proved []string
	enrol := func() error {
		b := identity.Browser{ID: identity.NewSecret()}
		u, err := d.UserByName(t.Context(), "ada")
		if err != nil {
			return err
		}
		begun, err := d.BeginTOTP(t.Context(), b, u)
		if err != nil {
			return err
		}
		_, err = d.EnrolVisitor(t.Context(), b, identity.Visitor{User: u, Session: store.Session{Sub: u.Sub}}, baotest.Code(begun.Secret, s.clock.Now()))
		if err == nil || errors.Is(err, identity.ErrNoSession) { // there is no session to make stronger
			mu.Lock()
			defer mu.Unlock()
			proved = append(proved, begun.Secret)
			return nil
		}
		return err
	}
	reset := func() error {
		u, err := d.UserByName(t.Context(), "ada")
		if err == nil {
			_, err = d.ResetMFA(t.Context(), u)
		}
		mu.Lock()
		defer mu.Unlock()
		resets++
		return err
	}
	consent := func(client string) error {
		id, browser := identity.NewSecret(), identity.Hash(client)
		_, err := s.store.CreateRequest(t.Context(), store.Request{ID: id, ClientID: client, Parameters: "{}", BrowserHash: browser}, time.Minute)
		if err == nil {
			err = s.store.SaveConsent(t.Context(), id, browser, store.Progress{}, ada, client, []string{"openid"})
		}
		return err
	}
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			var err error
			switch {
			case i%4 == 3:
				err = reset()
			case i%4 > 0:
				err = enrol()
			}
			if err != nil && !errors.Is(err, identity.ErrAlreadyEnrolled) && !errors.Is(err, identity.ErrNeedsLink) && !errors.Is(err, identity.ErrWrongCode) {
				t.Errorf("change %d: %v", i, err)
			}
			if err := consent(fmt.Sprint("client", i)); err != nil {
				t.Errorf("consent %d: %v", i, err)
			}
		})
	}
	all.Wait()
	consents, err := s.store.Consents(t.Context(), ada)
	if err != nil || len(consents) != 32 {
		t.Errorf("%d consents of 32 are left, %v", len(consents), err)
	}
	if told := s.events("admin_totp_reset"); len(told) != resets {
		t.Errorf("%d resets, the trail tells of %d", resets, len(told))
	}
	login := s.login("ada", password)
	s.clock.Advance(6 * time.Second)
	if enrolled := len(login.Challenge) > 0; enrolled != s.user("ada").TOTP {
		t.Errorf("a code is asked for: %v, and shown as enrolled: %v", enrolled, !enrolled)
	}
	if len(login.Challenge) == 0 {
		return
	}
	// The one that counts was proved among the last, and OpenBao takes five tries.
	for _, secret := range slices.Backward(proved) {
		if _, err := s.backend.Answer(t.Context(), "ada", login.Challenge, baotest.Code(secret, time.Now())); err == nil {
			return
		}
	}
	t.Errorf("none of the %d secrets that were proved is asked for", len(proved))
}

// OpenBao notes used codes by themselves, not by person: of two people whose
// apps show the same digits the second is refused. The sign-in stays open, and
// the next code is good.
func TestTwoPeopleWithTheSameCode(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	first, second, code, next := s.collision()
	for _, entity := range []string{first, second} {
		name := "twin-" + strings.ToLower(entity[:8])
		s.bao.SetPassword(baotest.Mount, name, password)
		s.bao.Do("POST", "identity/entity-alias", map[string]any{"name": name, "mount_accessor": s.bao.Accessor(baotest.Mount), "canonical_id": entity})
		s.bao.Do("POST", "identity/mfa/login-enforcement/totp-"+entity, map[string]any{"mfa_method_ids": []string{s.method}, "identity_entity_ids": []string{entity}})
		login := s.login(name, password)
		answer, err := s.backend.Answer(t.Context(), name, login.Challenge, code)
		if entity == first {
			if err != nil {
				t.Fatalf("the first one: %v", err)
			}
			continue
		}
		s.wantErr("the same digits by somebody else", err, identity.ErrWrongCode)
		if answer, err = s.backend.Answer(t.Context(), name, login.Challenge, next); err != nil || answer.Sub != second {
			t.Errorf("the next code: %v", err)
		}
	}
}

// collision makes entities with secrets until two of them have a code in
// common, and finds another good one of the second. Codes are good for years
// here, three at a time, so that nothing hurries: 400 secrets do, and in one
// case of ten thousand it takes 1,400.
func (s *site) collision() (first, second, code, next string) {
	s.t.Helper()
	now := time.Now()
	period := now.Unix() / 3 * 2 // in its middle
	s.bao.Do("POST", "identity/mfa/method/totp", map[string]any{"method_name": openbao.MethodName, "issuer": "portal",
		"period": period, "digits": 6, "algorithm": "SHA1", "skew": 1, "key_size": 20, "qr_size": 0})
	type person struct {
		entity string
		codes  []string
	}
	have := map[string]person{}
	for n := 0; ; n++ {
		made := make([]person, 32) // at once, because each waits for the disk
		var all sync.WaitGroup
		for i := range made {
			all.Go(func() {
				entity, _ := s.bao.Do("POST", fmt.Sprintf("identity/entity/name/twin%d-%d", n, i), nil)["id"].(string)
				secret := s.bao.MakeTOTP(s.method, entity)
				made[i].entity = entity
				for _, step := range []int64{-period, 0, period} {
					code, err := totp.GenerateCodeCustom(secret, time.Unix(now.Unix()+step, 0), totp.ValidateOpts{Period: uint(period), Digits: otp.DigitsSix})
					if err != nil {
						s.t.Error(err)
					}
					made[i].codes = append(made[i].codes, code)
				}
			})
		}
		if all.Wait(); s.t.Failed() {
			s.t.FailNow()
		}
		for _, p := range made {
			for i, code := range p.codes {
				if other, ok := have[code]; ok && other.entity != p.entity {
					return other.entity, p.entity, code, p.codes[(i+1)%len(p.codes)]
				}
				have[code] = p
			}
		}
	}
}
