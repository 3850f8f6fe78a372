package openbao_test

import (
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

// tokensOf is how many tokens a person's sign-ins have at OpenBao.
func (s *site) tokensOf(name string) int {
	s.t.Helper()
	answer := s.bao.Ask("LIST", "sys/leases/lookup/auth/"+baotest.Mount+"/login/"+name, nil)
	if answer.Status != 200 && answer.Status != 404 {
		s.t.Fatalf("listing tokens: %d %v", answer.Status, answer.Errors)
	}
	keys, _ := answer.Data["keys"].([]any)
	return len(keys)
}

// OpenBao's token of a sign-in that is never finished would live for hours in
// nobody's hands.
func TestTokensOfUnfinishedSignInsEnd(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password)
	d := s.directoryDemanding(identity.RequireMFAAll)
	half := func(b identity.Browser) {
		t.Helper()
		if secret, err := d.SignIn(t.Context(), b, "ada", password); err != nil || secret != "" {
			t.Fatalf("SignIn: %q, %v; want an enrolment outstanding", secret, err)
		}
	}
	living := func(what string, want int) {
		t.Helper()
		if got := s.tokensOf("ada"); got != want {
			t.Errorf("%s: ada has %d tokens, want %d", what, got, want)
		}
	}
	b, other := identity.Browser{ID: identity.NewSecret()}, identity.Browser{ID: identity.NewSecret()}
	half(b)
	living("with an enrolment outstanding", 1)
	half(b)
	living("when it began again", 1)
	half(other)
	living("in two browsers", 2)
	if err := d.ForgetSignIn(t.Context(), b); err != nil {
		t.Error(err)
	}
	living("when one is forgotten", 1)
	s.clock.Advance(10 * time.Minute)
	if rows, err := d.Expire(t.Context(), 10); err != nil || rows != 1 {
		t.Errorf("%d sign-ins were too old, %v", rows, err)
	}
	living("when the other is too old", 0)
}

// Tokens of somebody who is disabled are refused, but not gone: they would be
// good again when the person is let in again.
func TestDisablingEndsTokensForGood(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password)
	d := s.directory()
	b := identity.Browser{ID: identity.NewSecret()}
	secret, err := d.SignIn(t.Context(), b, "ada", password)
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Visitor(t.Context(), secret)
	if err != nil || !s.lives(v.Session.BackendToken) {
		t.Fatalf("the session is %+v, %v", v.Session, err)
	}
	for _, disabled := range []bool{true, false} {
		if err := d.SetDisabled(t.Context(), v.User, disabled); err != nil {
			t.Fatal(err)
		}
	}
	if s.lives(v.Session.BackendToken) || s.tokensOf("ada") != 0 {
		t.Errorf("let in again, ada has %d tokens", s.tokensOf("ada"))
	}
}
