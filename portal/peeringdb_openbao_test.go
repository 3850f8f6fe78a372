package portal_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity/openbao/baotest"
	"peerage/portal/portaltest"
)

// People of OpenBao link their PeeringDB account and come in by it; nobody new
// gets the name of one of them, and nobody goes around their second factor.
func TestPeeringDBBesideOpenBao(t *testing.T) {
	bao := baotest.Shared(t)
	s := newPeeredWith(t, portaltest.Options{Issuer: named, OpenBao: &portaltest.OpenBao{Server: bao}}, nil, 64500, 64501)
	zoe := bao.Add(baotest.Person{Name: "zoe", Password: portaltest.Password})
	account, _ := s.pdb.Person("peggy")
	taken := strings.ToLower(account.GivenName + "." + account.FamilyName)
	bao.Add(baotest.Person{Name: taken})

	s.member("peggy")
	if u := s.personOf("peggy"); u.Username == taken {
		t.Errorf("step 5: %s has the name of a person of OpenBao", u.Username)
	}
	s.link(s.signedIn(t, "zoe", ""), "ada")
	u := s.personOf("ada")
	if u.Sub != zoe {
		t.Fatalf("the account is linked with %s", u.Username)
	}
	s.hasGroups(u, "as64500")
	s.member("ada")

	secret := bao.EnrolTOTP(s.Method, zoe)
	s.leaks.keep("TOTP secret", secret)
	s.pdb.Change("ada", func(p *lookalike.Person) { p.AMR = []string{"swk"} })
	s.Clock.Advance(time.Minute) // what is known of a person is of some seconds ago
	b := s.Browser()
	page := s.comes(b, "ada")
	if page.Status != 403 || page.Error != "not_allowed" || !strings.Contains(page.Body, "your password and your code") {
		t.Fatalf("by one factor at PeeringDB: %d, error %q at %s", page.Status, page.Error, page.URL)
	}
	if !strings.Contains(page.Body, `<a class="button" href="/login">Sign in with your password</a>`) {
		t.Error("no link leads to the password")
	}
	page = b.Submit(b.Submit(b.Get("/login"), "username", "zoe", "password", portaltest.Password), "code", baotest.Code(secret, time.Now()))
	if page.URL.Path != "/" || page.Status != 200 {
		t.Errorf("with password and code: %s (%d, error %q)", page.URL, page.Status, page.Error)
	}
	b.Post("/identity/peeringdb", url.Values{"action": {"unlink"}})
	if s.isLinked(u) {
		t.Error("the link stays")
	}
}
