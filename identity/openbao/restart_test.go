package openbao_test

import (
	"slices"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

// OpenBao 2.6.2 forgets at a restart that an enforcement was deleted. Who gave
// their second factor up still comes in by the password alone, is nobody's
// collision, and can enrol again.
func TestRemovedFactorStaysRemovedAfterARestart(t *testing.T) {
	bao := baotest.Start(t)
	s := newSite(t, bao)
	entity := s.add("ada", password)
	s.login("ada", password)
	enrol := func() {
		t.Helper()
		s.bao.EnrolTOTP(s.method, entity)
		if login := s.login("ada", password); len(login.Challenge) == 0 {
			t.Fatal("no code is asked")
		}
	}
	enrol()
	if err := s.backend.RemoveTOTP(t.Context(), s.user("ada")); err != nil {
		t.Fatal(err)
	}
	bao.Restart()
	s.clock.Advance(time.Minute)
	if login := s.login("ada", password); len(login.Challenge) != 0 {
		t.Error("after the restart a code is asked that nobody has")
	}
	state, err := s.backend.State(t.Context(), identity.User{User: s.user("ada").User})
	if err != nil || state.TOTP {
		t.Errorf("the state is %+v, %v", state, err)
	}
	roll, err := s.backend.Roll(t.Context())
	if err != nil || slices.Contains(roll.TOTP, entity) {
		t.Errorf("the roll is %+v, %v", roll, err)
	}
	s.credential() // bootstraps again: no collision
	enrol()
}
