package portal_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	lookalike "peerage/demo/peeringdb"
	"peerage/portal/portaltest"
)

// What PeeringDB answers to a sign-in is held against what it should be.
func TestPeeringDBAnswersThatDoNotCount(t *testing.T) {
	for _, c := range []struct {
		name, error string
		says        string // "" for the words of the error
		spoil       func(*peered)
	}{
		{"an ID token of another issuer", "peeringdb_response", "told us about you", func(s *peered) { s.pdb.Break(lookalike.WrongIssuer) }},
		{"an ID token signed by HS256", "peeringdb_response", "told us about you", func(s *peered) {
			s.pdb.Register(lookalike.Client{ID: portaltest.PeeringDBClient, Secret: portaltest.PeeringDBSecret, RedirectURIs: []string{named + "/login/peeringdb/callback"}, Algorithm: "HS256"})
		}},
		{"no answer of the token endpoint", "peeringdb_unavailable", "", func(s *peered) { s.pdb.Break(lookalike.Down, "/oauth2/token/") }},
		{"no answer for the profile", "peeringdb_unavailable", "", func(s *peered) { s.pdb.Break(lookalike.ServerError, "/profile/v1") }},
		{"no keys", "peeringdb_unavailable", "", func(s *peered) { s.pdb.Break(lookalike.HTMLError, "/oauth2/.well-known/jwks.json") }},
		{"P0 429", "peeringdb_unavailable", "", func(s *peered) { s.pdb.Break(lookalike.RateLimited, "/profile/v1") }},
		{"half an answer", "peeringdb_response", "told us about you", func(s *peered) { s.pdb.Break(lookalike.NotJSON, "/profile/v1") }},
		{"E2 networks are not said", "peeringdb_response", "did not tell us your networks", saysOfAda(`{"id":1,"name":"Ada","verified_user":true,"verified_email":true,"email":"ada@example.net"}`)},
		{"E6 networks are no list", "peeringdb_response", "told us about you", saysOfAda(`{"id":1,"name":"Ada","verified_user":true,"verified_email":true,"email":"ada@example.net","networks":{}}`)},
		{"another account than the ID token's", "peeringdb_response", "told us about you", saysOfAda(`{"id":2,"name":"Ada","verified_user":true,"verified_email":true,"email":"ada@example.net","networks":[]}`)},
		{"E1 the verification is a word", "peeringdb_user_unverified", "", saysOfAda(`{"id":1,"name":"Ada","verified_user":"true","verified_email":true,"email":"ada@example.net","networks":[{"asn":64500,"name":"x","perms":1}]}`)},
		{"E6 an ASN in words", "peeringdb_no_network", "", saysOfAda(`{"id":1,"name":"Ada","verified_user":true,"verified_email":true,"email":"ada@example.net","networks":[{"asn":"64500","name":"x","perms":1}]}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newPeered(t, nil, 64500)
			b := s.Browser()
			back := s.atPeeringDB(s.leaves(b, "/login/peeringdb"), "ada")
			c.spoil(s)
			page := b.Get(back)
			if page.Error != c.error || page.Status == http.StatusOK || !strings.Contains(page.Body, c.says) {
				t.Errorf("%d, error %q", page.Status, page.Error)
			}
			s.nobodyOf("ada")
		})
	}
}

// saysOfAda makes PeeringDB answer this for ada, whatever is right.
func saysOfAda(profile string) func(*peered) {
	return func(s *peered) {
		s.pdb.Change("ada", func(p *lookalike.Person) { p.Profile = json.RawMessage(profile) })
	}
}

// E2: what is not said takes nothing away from who has it.
func TestPeeringDBNotSaidIsNotNone(t *testing.T) {
	s := newPeered(t, nil, 64500)
	s.member("ada")
	u := s.personOf("ada")
	saysOfAda(`{"id":1,"name":"Ada","verified_user":true,"verified_email":true,"email":"ada@example.net"}`)(s)
	if page := s.comes(s.Browser(), "ada"); page.Error != "peeringdb_response" {
		t.Errorf("error %q", page.Error)
	}
	s.pass(aRound)
	s.hasGroups(u, "as64500")
	if !s.linkOf(u).NeedsSignIn {
		t.Error("nobody is told that a new sign-in is needed")
	}
}

// Name and address follow PeeringDB for who has them from there.
func TestPeeringDBProfileIsTakenOver(t *testing.T) {
	s := newPeered(t, nil, 64500)
	s.AddUser("bob")
	s.member("ada")
	before := s.personOf("ada")
	s.pdb.Change("ada", func(p *lookalike.Person) { p.Email, p.FamilyName = "bob@example.net", "King" })
	s.pass(aRound)
	t.Run("step 6 what PeeringDB owns follows it", func(t *testing.T) {
		now := s.personOf("ada")
		if now.Email != "bob@example.net" || now.FamilyName != "King" || now.Username != before.Username || now.Sub != before.Sub {
			t.Errorf("%+v", now.User)
		}
	})
	t.Run("E9 who else has the address keeps it", func(t *testing.T) {
		if bob := s.person(t, "bob"); bob.Email != "bob@example.net" || s.isLinked(bob) {
			t.Errorf("%+v", bob.User)
		}
	})
}
