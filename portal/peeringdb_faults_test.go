package portal_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity"
	"peerage/portal/portaltest"
)

// What PeeringDB answers badly says nothing of the person, and stops the checks for
// as long as it wants.
func TestPeeringDBFaultsBlameNobody(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   lookalike.Fault
		refused bool
	}{
		{"no answer", lookalike.Down, false},
		{"500", lookalike.ServerError, false},
		{"the page of a proxy", lookalike.HTMLError, false},
		{"not JSON", lookalike.NotJSON, false},
		{"a huge body", lookalike.HugeBody, false},
		{"P0 429 with Retry-After", lookalike.RateLimited, true},
		{"P2 429 without", lookalike.TooManyRefusals, true},
		{"P14 429 of the public data", lookalike.Throttled, true},
	} {
		for _, path := range []string{"/oauth2/token/", "/profile/v1"} {
			if c.fault == lookalike.Throttled && path == "/profile/v1" {
				continue
			}
			t.Run(c.name+" at "+path, func(t *testing.T) {
				t.Parallel()
				s := newPeered(t, nil, 64500)
				s.member("ada")
				u := s.personOf("ada")
				s.pdb.Break(c.fault, path)
				s.Clock.Advance(aRound)
				if err := s.Directory.CheckNextPeeringDB(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.hasGroups(u, "as64500")
				if link := s.linkOf(u); link.NeedsSignIn {
					t.Error("the person is blamed")
				}
				pause, err := s.Store.PeeringDBPause(t.Context())
				if err != nil || !pause.Until.After(s.Clock.Now()) || pause.Refused.After(s.Clock.Now()) != c.refused {
					t.Errorf("pause %+v, %v", pause, err)
				}
				if due, _ := s.Directory.PeeringDBCheckDue(t.Context()); due {
					t.Error("the checks go on")
				}
				page := s.Browser().Post("/login/peeringdb", nil)
				if got := page.Error == "peeringdb_unavailable" && page.Status == http.StatusServiceUnavailable; got != c.refused {
					t.Errorf("who wants to sign in gets %d, error %q", page.Status, page.Error)
				}
				s.pdb.Mend()
				s.pdb.Forget()
				s.pass(time.Hour)
				// What could not be read held the next refresh token: that is a lost answer.
				spent := c.fault == lookalike.NotJSON && path == "/oauth2/token/"
				if link := s.linkOf(u); !spent && (link.Fault != "" || link.NeedsSignIn) {
					t.Errorf("afterwards: %+v", link)
				}
			})
		}
	}
}

// A person of whom PeeringDB never answers well must not stop the checks of all
// others again and again.
func TestPeeringDBAnswersBadlyForOnePerson(t *testing.T) {
	s := newPeered(t, nil, 64500)
	s.member("ada")
	s.member("bob")
	saysOfAda(`"this is no profile"`)(s)
	s.Clock.Advance(aRound)
	before := s.pdb.Calls("/profile/v1")
	for range 60 { // an hour
		if err := s.Directory.CheckNextPeeringDB(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(time.Minute)
	}
	if n := s.pdb.Calls("/profile/v1") - before; n > 5 {
		t.Errorf("PeeringDB was asked %d times", n)
	}
	if link := s.linkOf(s.personOf("bob")); s.Clock.Now().Sub(link.CheckedAt) > time.Hour {
		t.Errorf("the others wait since %s", link.CheckedAt)
	}
	s.pdb.Change("ada", func(p *lookalike.Person) { p.Profile = nil })
	s.pass(time.Hour)
	if link := s.linkOf(s.personOf("ada")); link.Fault != "" {
		t.Errorf("when it is well again: %q", link.Fault)
	}
}

// Whoever makes codes up spends requests that PeeringDB counts against everybody
// here, who then could not sign in nor be checked.
func TestMadeUpCodesOfPeeringDBAreSlowed(t *testing.T) {
	s := newPeered(t, nil, 64500)
	b := s.Browser()
	before, page := s.pdb.Calls("/oauth2/token/"), (*portaltest.Page)(nil)
	for range 30 {
		state := mustParse(t, s.leaves(b, "/login/peeringdb")).Query().Get("state")
		page = b.Get("/login/peeringdb/callback?" + url.Values{"state": {state}, "code": {"made up"}}.Encode())
	}
	if n := s.pdb.Calls("/oauth2/token/") - before; n > 22 || page.Status != http.StatusTooManyRequests || page.Error != "throttled" || page.Header.Get("Retry-After") == "" {
		t.Errorf("PeeringDB was asked %d times; then %d, error %q", n, page.Status, page.Error)
	}
	if got := metric(t, s.Site, "peerage_rate_limited_total", "rule", "peeringdb"); got == 0 {
		t.Error("nothing is counted")
	}
	s.Clock.Advance(2 * time.Minute)
	s.pdb.Forget() // it limits the address too
	s.member("ada")
}

// P1, P3: one wrong secret makes PeeringDB refuse everybody behind the address, for
// as long as it is asked: nobody is asked about for a minute, and nobody blamed.
func TestPeeringDBWrongSecret(t *testing.T) {
	s := newPeered(t, nil, 64500)
	s.member("ada")
	u := s.personOf("ada")
	s.pdb.Register(lookalike.Client{ID: portaltest.PeeringDBClient, Secret: "another secret", RedirectURIs: []string{named + "/login/peeringdb/callback"}, Algorithm: "RS256"})
	s.Clock.Advance(aRound)
	if err := s.Directory.CheckNextPeeringDB(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls := s.pdb.Calls("/oauth2/token/")
	if page := s.Browser().Post("/login/peeringdb", nil); page.Error != "peeringdb_unavailable" {
		t.Errorf("who wants to sign in gets %q", page.Error)
	}
	s.hasGroups(u, "as64500")
	if s.linkOf(u).NeedsSignIn || s.pdb.Calls("/oauth2/token/") != calls {
		t.Error("the person is blamed, or PeeringDB is asked again at once")
	}
	s.pdb.Register(lookalike.Client{ID: portaltest.PeeringDBClient, Secret: portaltest.PeeringDBSecret, RedirectURIs: []string{named + "/login/peeringdb/callback"}, Algorithm: "RS256"})
	s.pass(2 * time.Minute)
	if link := s.linkOf(u); link.Fault != "" {
		t.Errorf("with the right secret: %q", link.Fault)
	}
}

// E12, P8, P17: a grant that is lost asks for a new sign-in, and takes nothing away
// before its time.
func TestPeeringDBLostGrants(t *testing.T) {
	lost := func(t *testing.T, s *peered, u identity.User) {
		t.Helper()
		s.hasGroups(u, "as64500")
		if link := s.linkOf(u); !link.NeedsSignIn || !link.NextAt.IsZero() {
			t.Errorf("%+v", link)
		}
		calls := s.pdb.Calls("/oauth2/token/")
		s.pass(aRound)
		if s.pdb.Calls("/oauth2/token/") != calls {
			t.Error("PeeringDB is asked again although the grant is lost")
		}
		s.member("ada")
		if link := s.linkOf(u); link.NeedsSignIn || link.Fault != "" {
			t.Errorf("after a new sign-in: %+v", link)
		}
		s.hasGroups(u, "as64500")
	}
	t.Run("P8 an access token was revoked: the scope is empty", func(t *testing.T) {
		s := newPeered(t, nil, 64500)
		s.member("ada")
		s.pdb.DropAccess("ada")
		s.pass(aRound)
		lost(t, s, s.personOf("ada"))
	})
	t.Run("P17 a lost answer: the token is spent, and the next one nobody has", func(t *testing.T) {
		s := newPeered(t, nil, 64500)
		s.member("ada")
		s.pdb.Break(lookalike.LostAnswer, "/oauth2/token/")
		s.Clock.Advance(aRound)
		if err := s.Directory.CheckNextPeeringDB(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.pdb.Mend()
		s.pass(2 * time.Minute)
		lost(t, s, s.personOf("ada"))
	})
	t.Run("the answer is about another account", func(t *testing.T) {
		s := newPeered(t, nil, 64500, 64501)
		s.member("ada")
		saysOfAda(`{"id":2,"name":"Ada","verified_user":true,"verified_email":true,"email":"ada@example.net","networks":[{"asn":64501,"name":"x","perms":1}]}`)(s)
		s.pass(aRound)
		s.pdb.Change("ada", func(p *lookalike.Person) { p.Profile = nil })
		lost(t, s, s.personOf("ada"))
	})
	t.Run("E12 after its time the networks are withheld", func(t *testing.T) {
		s := newPeered(t, nil, 64500)
		s.member("ada")
		u := s.personOf("ada")
		s.pdb.Remove("ada")
		s.pass(aRound)
		s.hasGroups(u, "as64500")
		s.Clock.Advance(72 * time.Hour)
		s.hasGroups(u)
	})
	t.Run("P5 a closed account goes on answering, and is out", func(t *testing.T) {
		s := newPeered(t, nil, 64500)
		s.member("ada")
		u := s.personOf("ada")
		s.pdb.CloseAccount("ada")
		s.pass(aRound)
		if now := s.personOf("ada"); !now.Disabled {
			t.Error("who closed their account is still let in")
		}
		s.hasGroups(u)
	})
	t.Run("P5 E1 an address that is no longer confirmed: no networks, and the person stays", func(t *testing.T) {
		s := newPeered(t, nil, 64500)
		s.member("ada")
		u := s.personOf("ada")
		s.pdb.Change("ada", func(p *lookalike.Person) { p.VerifiedEmail = false })
		s.pass(aRound)
		s.hasGroups(u)
		if s.personOf("ada").Disabled {
			t.Error("the person is disabled")
		}
		s.pdb.Change("ada", func(p *lookalike.Person) { p.VerifiedEmail = true })
		s.pass(aRound)
		s.hasGroups(u, "as64500")
	})
}
