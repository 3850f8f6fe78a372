package openbao_test

import (
	"slices"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
)

// knows asks a backend while OpenBao is away.
func (s *site) knows(b *openbao.Backend, u identity.User) identity.State {
	s.t.Helper()
	state, err := b.State(s.t.Context(), u)
	if err != nil {
		s.t.Fatalf("what was last known of %s: %v", u.Username, err)
	}
	return state
}

// A server that is restarted while OpenBao is away goes on with what was known
// before, as long as the one before would have, and no longer.
func TestWhatIsKnownOutlivesARestart(t *testing.T) {
	s := newHastySite(t, baotest.Shared(t))
	s.bao.EnrolTOTP(s.method, s.add("ada", password, "noc", "night shift"))
	s.login("ada", password)
	s.add("bob", password, "noc")
	s.login("bob", password)
	s.clock.Advance(6 * time.Second)
	s.bao.Do("POST", "identity/entity/name/bob", map[string]any{"disabled": true})
	ada, bob := s.user("ada"), s.user("bob")
	if !bob.Disabled {
		t.Fatal("bob is not disabled")
	}
	s.proxy.Hang()
	restarted := s.at(s.proxy.Addr)
	s.clock.Advance(59 * time.Minute)
	if got := s.knows(restarted, ada); got.Disabled || !got.TOTP || !slices.Equal(got.Groups, []string{"night shift", "noc"}) {
		t.Errorf("of ada is known %+v", got)
	}
	if got := s.knows(restarted, bob); !got.Disabled {
		t.Errorf("who was disabled is let in again: %+v", got)
	}
	s.clock.Advance(time.Minute)
	for _, b := range []*openbao.Backend{restarted, s.at(s.proxy.Addr)} {
		_, err := b.State(t.Context(), ada)
		s.wantErr("what is too old", err, identity.ErrUnavailable)
	}
	s.proxy.Resume()
	s.clock.Advance(6 * time.Second)
	s.knows(restarted, ada)
}

// Of two replicas the one that asked last is right about who is let in.
func TestNewestAnswerOfAllReplicasCounts(t *testing.T) {
	s := newHastySite(t, baotest.Shared(t))
	s.add("ada", password, "noc")
	s.login("ada", password)
	u := s.user("ada")
	other := s.at(s.proxy.Addr)
	s.clock.Advance(10 * time.Second)
	s.bao.Do("POST", "identity/entity/name/ada", map[string]any{"disabled": true})
	if got := s.knows(other, u); !got.Disabled {
		t.Fatal("ada is not disabled")
	}
	s.proxy.Hang()
	s.clock.Advance(time.Minute)
	for range 2 { // at first it asks, then it knows that nobody answers
		if got := s.knows(s.backend, u); !got.Disabled {
			t.Errorf("the older answer counts: %+v", got)
		}
	}
}

// What does not change is not written again at every request, and not left to
// become too old either.
func TestStoreIsToldOfChangesAndSeldomElse(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.add("ada", password, "noc")
	s.login("ada", password)
	u := s.user("ada")
	told := func() time.Time {
		t.Helper()
		kept, err := s.store.KnownState(t.Context(), ada)
		if err != nil {
			t.Fatal(err)
		}
		return kept.AskedAt
	}
	before := told()
	ask := func(later time.Duration) (again bool) {
		t.Helper()
		s.clock.Advance(later)
		s.knows(s.backend, u)
		again = told() != before
		before = told()
		return again
	}
	if ask(4*time.Minute) || ask(30*time.Second) {
		t.Error("the store is told what it knows")
	}
	if !ask(time.Minute) {
		t.Error("what the store knows becomes old")
	}
	s.bao.Leave("noc", "ada")
	if !ask(time.Minute) {
		t.Error("the store is not told of a change")
	}
	// A factor that was taken away here.
	if err := s.backend.RemoveTOTP(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if !ask(10 * time.Second) {
		t.Error("the store is not told after a change of our own")
	}
}
