package openbao_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

// With OpenBao sealed, stopped or hanging, whoever signs in is told within
// three seconds that it is not their password, people who are known go on for
// MaxStale, and all is well again by itself afterwards.
func TestOpenBaoGoesAndComesBack(t *testing.T) {
	bao := baotest.Start(t)
	s := newHastySite(t, bao)
	s.add("ada", password, "noc")
	s.add("bob", password)
	s.login("bob", password)
	secret := s.bao.EnrolTOTP(s.method, s.login("ada", password).Sub)
	s.add("carol", password)
	if err := s.backend.TakeIn(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	carol, err := s.store.UserByName(t.Context(), "carol")
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(6 * time.Second)
	for _, fault := range []struct {
		what       string
		goes, back func()
	}{
		{"sealed", bao.Seal, bao.Unseal},
		{"stopped", bao.Stop, bao.Restart},
		{"hanging", s.proxy.Hang, s.proxy.Resume},
	} {
		t.Run(fault.what, func(t *testing.T) {
			login := s.login("ada", password)
			u := s.user("ada")
			if !u.TOTP || !slices.Equal(u.Groups, []string{"noc"}) {
				t.Fatalf("ada is %+v", u)
			}
			fault.goes()
			s.quick("Login", func() error { _, err := s.backend.Login(t.Context(), "ada", password); return err })
			s.quick("Login of nobody", func() error { _, err := s.backend.Login(t.Context(), "nobody", password); return err })
			s.quick("Answer", func() error {
				_, err := s.backend.Answer(t.Context(), "ada", login.Challenge, baotest.Code(secret, time.Now()))
				return err
			})
			s.quick("Confirm", func() error { _, err := s.backend.Confirm(t.Context(), u, password, "123456"); return err })
			s.quick("NewTOTP", func() error { _, err := s.backend.NewTOTP(t.Context(), u); return err })
			s.quick("RemoveTOTP", func() error { return s.backend.RemoveTOTP(t.Context(), u) })
			s.quick("a person who was never seen", func() error { _, err := s.backend.State(t.Context(), identity.User{User: carol}); return err })

			s.clock.Advance(59 * time.Minute)
			begun := time.Now()
			known := s.user("ada")
			if taken := time.Since(begun); taken > 2*time.Second || !known.TOTP || known.Disabled || !slices.Equal(known.Groups, []string{"noc"}) {
				t.Errorf("the last known state after %s: %+v", taken, known)
			}
			begun = time.Now()
			for range 100 {
				s.user("ada")
			}
			if taken := time.Since(begun); taken > time.Second {
				t.Errorf("100 requests waited %s for a server that is away", taken)
			}
			s.clock.Advance(time.Minute)
			s.quick("State after MaxStale", func() error { _, err := s.backend.State(t.Context(), u); return err })

			fault.back()
			s.clock.Advance(6 * time.Second)
			s.login("bob", password)
			if u := s.user("ada"); !u.TOTP || u.Disabled {
				t.Errorf("after it is back ada is %+v", u)
			}
		})
	}
}

// quick is a call that must fail within three seconds, for OpenBao is away.
func (s *site) quick(what string, call func() error) {
	s.t.Helper()
	begun := time.Now()
	err := call()
	if taken := time.Since(begun); taken > 3*time.Second {
		s.t.Errorf("%s took %s", what, taken)
	}
	s.wantErr(what, err, identity.ErrUnavailable)
}

// A service credential that ended under us is no statement about anybody.
func TestServiceCredentialEnds(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password, "noc")
	s.login("ada", password)
	u := s.user("ada")
	good := s.token
	s.bao.Call(good, "POST", "auth/token/revoke-self", nil)
	s.clock.Advance(6 * time.Second)
	if known := s.user("ada"); known.Disabled || !slices.Equal(known.Groups, []string{"noc"}) {
		t.Errorf("ada is %+v", known)
	}
	if s.doubts.Load() == 0 {
		t.Error("nobody is told that the credential was refused")
	}
	_, err := s.backend.Login(t.Context(), "ada", password)
	s.wantErr("Login", err, identity.ErrUnavailable)
	s.wantErr("RemoveTOTP", s.backend.RemoveTOTP(t.Context(), u), identity.ErrUnavailable)
	s.clock.Advance(2 * time.Hour)
	_, err = s.backend.State(t.Context(), u)
	s.wantErr("State after MaxStale", err, identity.ErrUnavailable)
	s.credential()
	s.login("ada", password)
	s.user("ada")
}

// Who is disabled, deleted or put into a group is so within seconds, without a
// sign-in.
func TestStateFollowsOpenBao(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.add("ada", password)
	s.login("ada", password)
	s.user("ada")
	s.bao.Add(baotest.Person{Name: "bob", Groups: []string{"fresh"}})
	group := s.bao.Do("GET", "identity/group/name/fresh", nil)["id"]
	s.bao.Do("POST", "identity/group/name/fresh", map[string]any{"type": "internal", "member_entity_ids": []string{ada}})
	s.clock.Advance(6 * time.Second)
	if u := s.user("ada"); !slices.Equal(u.Groups, []string{"fresh"}) {
		t.Errorf("in the new group %v ada is in %q", group, u.Groups)
	}
	s.bao.Do("POST", "identity/entity/name/ada", map[string]any{"disabled": true})
	s.clock.Advance(6 * time.Second)
	if !s.user("ada").Disabled {
		t.Error("ada goes on while she is disabled")
	}
	s.bao.Do("POST", "identity/entity/name/ada", map[string]any{"disabled": false})
	s.clock.Advance(6 * time.Second)
	if s.user("ada").Disabled {
		t.Error("ada stays disabled")
	}
	s.bao.Do("DELETE", "identity/entity/id/"+ada, nil)
	s.clock.Advance(6 * time.Second)
	if !s.user("ada").Disabled {
		t.Error("ada goes on when she is deleted")
	}
	var throttled *identity.ThrottledError
	if _, err := s.backend.Login(t.Context(), "ada", password); !errors.Is(err, identity.ErrWrongCredentials) || errors.As(err, &throttled) {
		t.Errorf("her account, which is a new entity now: %v", err)
	}
}

// A group that was made a moment after the list was read is none the less one
// of the person's: who would lose it would lose what it opens.
func TestGroupOfJustNow(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password, "noc")
	s.login("ada", password)
	s.clock.Advance(10 * time.Millisecond)
	s.add("bob", password, "night shift", "noc")
	s.login("bob", password)
	if u := s.user("bob"); !slices.Equal(u.Groups, []string{"night shift", "noc"}) {
		t.Errorf("bob is in %q", u.Groups)
	}
}
