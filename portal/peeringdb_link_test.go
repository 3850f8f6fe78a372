package portal_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity"
	"peerage/portal/portaltest"
)

// link links the person of a browser with an account at PeeringDB.
func (s *peered) link(b *portaltest.Browser, username string) *portaltest.Page {
	s.t.Helper()
	return b.Get(s.atPeeringDB(s.leaves(b, "/identity/peeringdb", "action", "link"), username))
}

func (s *peered) isLinked(u identity.User) bool {
	_, err := s.Store.PeeringDBLink(s.t.Context(), u.Sub)
	return err == nil
}

// A local person links their account, signs in by it, and unlinks it.
func TestLinkPeeringDB(t *testing.T) {
	s := newPeered(t, nil, 64500)
	bob := s.AddUser("bob", "admins")
	if err := s.Directory.AddAffiliation(t.Context(), bob, 64501, "By hand"); err != nil {
		t.Fatal(err)
	}
	b := s.signedIn(t, "bob", s.AddTOTP(bob))
	left := s.leaves(b, "/identity/peeringdb", "action", "link")
	if mustParse(t, left).Query().Get("prompt") != "login" {
		t.Error("whoever was signed in at PeeringDB before is linked without a word")
	}
	if page := b.Get(s.atPeeringDB(left, "ada")); page.URL.Path != "/identity/peeringdb" || !strings.Contains(page.Body, "Ada") || !strings.Contains(page.Body, "AS64500") {
		t.Fatalf("linking leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}
	s.hasGroups(bob, "admins", "as64500", "as64501")
	if now, _ := s.Directory.User(t.Context(), bob.Sub); now.Name != bob.Name || now.Email != bob.Email {
		t.Errorf("step 6: name or address became PeeringDB's: %q, %q", now.Name, now.Email)
	}
	// By PeeringDB it is the same person.
	other := s.member("ada")
	if v, err := s.Directory.Visitor(t.Context(), cookie(t, other, "__Host-peerage")); err != nil || v.User.Sub != bob.Sub || v.Session.ACR != identity.ACRTwoFactors {
		t.Errorf("ada's account signs in %s, %v", v.User.Username, err)
	}
	if page := b.Get("/identity/peeringdb?ask=unlink"); !strings.Contains(page.Body, "Remove the link to PeeringDB?") {
		t.Errorf("nobody is asked before: %d", page.Status)
	}
	if page := b.Post("/identity/peeringdb", url.Values{"action": {"unlink"}}); page.Status != http.StatusOK || s.isLinked(bob) {
		t.Errorf("unlinking leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}
	s.hasGroups(bob, "admins", "as64501") // step 7: what was given by hand stays
	if s.pdb.Calls("/oauth2/revoke_token/") != 1 {
		t.Error("P8: PeeringDB was not told")
	}
	t.Run("step 4 then it is somebody new", func(t *testing.T) {
		if page := s.comes(s.Browser(), "ada"); page.Status != http.StatusOK {
			t.Errorf("%d, error %q", page.Status, page.Error)
		}
		if s.personOf("ada").Sub == bob.Sub {
			t.Error("the account was linked by itself")
		}
	})
}

// Class 18: whoever can make somebody's browser, or somebody's forgotten session,
// link an account of theirs takes that person over.
func TestTakeoverByLinking(t *testing.T) {
	s := newPeered(t, nil, 64500)
	victim, thief := s.AddUser("victim"), s.AddUser("thief")
	v, th := s.signedIn(t, "victim", ""), s.signedIn(t, "thief", "")
	t.Run("E8 the same address at PeeringDB links nobody", func(t *testing.T) {
		s.pdb.Change("ada", func(p *lookalike.Person) { p.Email = victim.Email })
		s.member("ada")
		if s.personOf("ada").Sub == victim.Sub || s.isLinked(victim) {
			t.Error("the account of who has the same address was linked")
		}
	})
	t.Run("the thief's answer in the victim's browser", func(t *testing.T) {
		back := s.atPeeringDB(s.leaves(th, "/identity/peeringdb", "action", "link"), "bob")
		if page := v.Get(back); page.Error != "peeringdb_response" || s.isLinked(victim) {
			t.Errorf("error %q, linked %t", page.Error, s.isLinked(victim))
		}
	})
	t.Run("the victim's state with the thief's code", func(t *testing.T) {
		state := mustParse(t, s.leaves(v, "/identity/peeringdb", "action", "link")).Query().Get("state")
		code := mustParse(t, s.atPeeringDB(s.leaves(th, "/identity/peeringdb", "action", "link"), "bob")).Query().Get("code")
		page := v.Get("/login/peeringdb/callback?" + url.Values{"state": {state}, "code": {code}}.Encode())
		if s.isLinked(victim) || page.Error != "" && page.Error != "peeringdb_response" {
			t.Errorf("error %q, linked %t", page.Error, s.isLinked(victim))
		}
	})
	t.Run("begun by one person and ended by another in the same browser", func(t *testing.T) {
		b := s.signedIn(t, "thief", "")
		back := s.atPeeringDB(s.leaves(b, "/identity/peeringdb", "action", "link"), "bob")
		b.Post("/logout", url.Values{"logout": {"yes"}})
		signIn(b, "victim", "")
		if page := b.Get(back); page.Error != "peeringdb_response" || s.isLinked(victim) || s.isLinked(thief) {
			t.Errorf("error %q", page.Error)
		}
	})
	t.Run("begun in one session and ended in another of the same person", func(t *testing.T) {
		b := s.signedIn(t, "thief", "")
		back := s.atPeeringDB(s.leaves(b, "/identity/peeringdb", "action", "link"), "bob")
		b.Post("/logout", url.Values{"logout": {"yes"}})
		signIn(b, "thief", "")
		if page := b.Get(back); page.Error != "peeringdb_response" || s.isLinked(thief) {
			t.Errorf("error %q", page.Error)
		}
	})
	t.Run("a session that is not fresh", func(t *testing.T) {
		s.Clock.Advance(time.Hour)
		page := v.Post("/identity/peeringdb", url.Values{"action": {"link"}})
		if page.URL.Path != "/login/confirm" {
			t.Errorf("linking leads to %s, %q", page.URL, page.Left)
		}
		v = s.signedIn(t, "victim", "")
	})
	t.Run("from another site", func(t *testing.T) {
		page := v.Once(http.MethodPost, "/identity/peeringdb", url.Values{"action": {"link"}}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
		if page.Status != http.StatusForbidden {
			t.Errorf("%d", page.Status)
		}
	})
	t.Run("an account that is somebody else's", func(t *testing.T) {
		b := s.signedIn(t, "victim", "")
		if page := s.link(b, "ada"); page.Status != http.StatusConflict || page.Error != "conflict" || s.isLinked(victim) {
			t.Errorf("%d, error %q", page.Status, page.Error)
		}
	})
	t.Run("a second account", func(t *testing.T) {
		b := s.signedIn(t, "victim", "")
		if page := s.link(b, "bob"); page.Status != http.StatusOK {
			t.Fatalf("%d, error %q", page.Status, page.Error)
		}
		if page := s.link(b, "carol"); page.Error != "conflict" {
			t.Errorf("error %q", page.Error)
		}
	})
	t.Run("step 12 a disabled person cannot come in by it", func(t *testing.T) {
		if err := s.Directory.SetDisabled(t.Context(), victim, true); err != nil {
			t.Fatal(err)
		}
		b := s.Browser()
		if page := s.comes(b, "bob"); page.Status != http.StatusForbidden || page.Error != "not_allowed" || cookie(t, b, "__Host-peerage") != "" {
			t.Errorf("%d, error %q", page.Status, page.Error)
		}
	})
	t.Run("an unverified address links nothing", func(t *testing.T) {
		b := s.signedIn(t, "thief", "")
		if page := s.link(b, "dave"); page.Error != "peeringdb_user_unverified" || s.isLinked(thief) {
			t.Errorf("error %q", page.Error)
		}
	})
}

// PeeringDB's second factor counts; where it asked for none, ours
// is asked for when somebody wants one, and always when the person has one.
func TestPeeringDBSecondFactor(t *testing.T) {
	weak := func(s *peered, username string, amr ...string) {
		s.pdb.Change(username, func(p *lookalike.Person) { p.AMR = amr })
	}
	t.Run("E18 step 11 a passkey there is one factor", func(t *testing.T) {
		s := newPeered(t, nil, 64500)
		weak(s, "ada", "swk")
		v, err := s.Directory.Visitor(t.Context(), cookie(t, s.member("ada"), "__Host-peerage"))
		if err != nil || v.Session.ACR != identity.ACROneFactor || !slices.Equal(v.Session.AMR, []string{"swk"}) {
			t.Errorf("class %q by %v, %v", v.Session.ACR, v.Session.AMR, err)
		}
	})
	t.Run("the operator demands one", func(t *testing.T) {
		s := newPeered(t, func(p *identity.PeeringDB) { p.RequireMFA = true }, 64500)
		weak(s, "ada", "swk")
		b := s.Browser()
		page := s.comes(b, "ada")
		if page.URL.Path != "/login/enrol" {
			t.Fatalf("leads to %s (error %q)", page.URL, page.Error)
		}
		secret := s.enrolmentSecret(t, page)
		if page = b.Submit(page, "code", s.Code(secret)); page.URL.Path != "/" {
			t.Fatalf("then to %s (error %q)", page.URL, page.Error)
		}
		v, err := s.Directory.Visitor(t.Context(), cookie(t, b, "__Host-peerage"))
		if err != nil || v.Session.ACR != identity.ACRTwoFactors || !slices.Equal(v.Session.AMR, []string{"swk", "otp", "mfa"}) {
			t.Errorf("class %q by %v, %v", v.Session.ACR, v.Session.AMR, err)
		}
		// The next time the code is asked for.
		s.Clock.Advance(time.Minute)
		b = s.Browser()
		if page = s.comes(b, "ada"); page.URL.Path != "/login/totp" {
			t.Fatalf("the next time leads to %s", page.URL)
		}
		if page = b.Submit(page, "code", s.Code(secret)); page.URL.Path != "/" {
			t.Errorf("a right code leads to %s (error %q)", page.URL, page.Error)
		}
	})
	t.Run("a person's own factor is not gone around", func(t *testing.T) {
		s := newPeered(t, nil, 64500)
		bob := s.AddUser("bob")
		secret := s.AddTOTP(bob)
		s.link(s.signedIn(t, "bob", secret), "ada")
		weak(s, "ada", "swk")
		if page := s.comes(s.Browser(), "ada"); page.URL.Path != "/login/totp" {
			t.Errorf("leads to %s", page.URL)
		}
		weak(s, "ada", "pwd", "otp", "mfa")
		s.member("ada")
	})
	t.Run("a client demands one", func(t *testing.T) {
		s := newPeeredWith(t, portaltest.Options{Issuer: named, Clients: `[{"client_id":"strict","client_secret":"wiki-secret","redirect_uris":["https://strict.example.net/cb"],"trusted":true,"require_mfa":true}]`}, nil, 64500)
		ask := func(who string) (*portaltest.Browser, *portaltest.Page) {
			b := s.Browser()
			page := b.Get(portaltest.Authorize("strict", "https://strict.example.net/cb"))
			request := page.URL.Query().Get("request")
			return b, b.Get(s.atPeeringDB(s.leaves(b, "/login/peeringdb?request="+request), who))
		}
		if _, page := ask("ada"); page.Query(t).Get("code") == "" {
			t.Errorf("PeeringDB's second factor: %s %q", page.URL, page.Left)
		}
		weak(s, "bob", "swk")
		// Before they enrol one of ours they prove once more that it is them.
		if _, page := ask("bob"); page.URL.Path != "/login/confirm" || !strings.Contains(page.URL.RawQuery, "enrol") {
			t.Errorf("without it: %s %q", page.URL, page.Left)
		}
	})
}

// Who is to sign in anew is asked at PeeringDB too.
func TestSigningInAnewAtPeeringDB(t *testing.T) {
	s := newPeered(t, nil, 64500)
	for name, more := range map[string][]string{"P18 prompt=login": {"prompt", "login"}, "P18 max_age=60": {"max_age", "60"}, "": nil} {
		t.Run(name, func(t *testing.T) {
			b := s.Browser()
			request := b.Get(portaltest.Authorize("grafana", callback, more...)).URL.Query().Get("request")
			if left := s.leaves(b, "/login/peeringdb?request="+request); mustParse(t, left).Query().Has("prompt") != (name != "") {
				t.Errorf("the browser is sent to %s", left)
			}
		})
	}
}

// Who has nothing else proves at PeeringDB that it is still them, with the same account.
func TestConfirmByPeeringDB(t *testing.T) {
	s := newPeered(t, nil, 64500, 64501)
	b := s.member("ada")
	page := b.Post("/identity/totp", url.Values{"code": {"000000"}})
	if page.URL.Path != "/login/confirm" || !strings.Contains(page.Body, "Continue to PeeringDB") {
		t.Fatalf("P18: whom PeeringDB may have known already counts as fresh: %s", page.URL)
	}
	left := s.leaves(b, "/login/confirm", "peeringdb", "yes", "return", "/identity/totp")
	if mustParse(t, left).Query().Get("prompt") != "login" {
		t.Error("P9 P18: PeeringDB is not told to ask again")
	}
	if page := b.Get(s.atPeeringDB(left, "peggy")); page.Error != "not_allowed" || !strings.Contains(page.Body, "another PeeringDB account") {
		t.Errorf("another account: error %q", page.Error)
	}
	if page := b.Get(s.atPeeringDB(s.leaves(b, "/login/confirm", "peeringdb", "yes", "return", "/identity/totp"), "ada")); page.URL.Path != "/identity/totp" {
		t.Errorf("leads to %s (error %q)", page.URL, page.Error)
	}
	if page := b.Post("/identity/totp", url.Values{"code": {"000000"}}); page.URL.Path != "/identity/totp" || page.Error != "wrong_code" {
		t.Errorf("then a change leads to %s (error %q)", page.URL, page.Error)
	}
	if page := b.Post("/identity/peeringdb", url.Values{"action": {"unlink"}}); page.Status != http.StatusUnprocessableEntity || s.personOf("ada").Disabled {
		t.Errorf("the only way in is taken away: %d", page.Status)
	}
	// Nobody else confirms so: a password is asked of who has one.
	s.AddUser("bob")
	local := s.signedIn(t, "bob", "")
	s.Clock.Advance(time.Hour)
	if page := local.Post("/login/confirm", url.Values{"peeringdb": {"yes"}}); page.Error != "wrong_credentials" {
		t.Errorf("a local person gets %q (%s)", page.Error, page.Left)
	}
}

// A lost second factor of somebody without a password: an administrator's link lets
// them enrol another, once they have signed in at PeeringDB.
func TestResetFactorOfPeeringDBPerson(t *testing.T) {
	s := newPeered(t, func(p *identity.PeeringDB) { p.RequireMFA = true }, 64500)
	s.pdb.Change("ada", func(p *lookalike.Person) { p.AMR = []string{"swk"} })
	b := s.Browser()
	page := s.comes(b, "ada")
	b.Submit(page, "code", s.Code(s.enrolmentSecret(t, page)))
	link, err := s.Directory.ResetMFA(t.Context(), s.personOf("ada"))
	if err != nil {
		t.Fatal(err)
	}
	if page := s.comes(s.Browser(), "ada"); page.URL.Path != "/login/enrol" || shownSecret.MatchString(page.Body) {
		t.Errorf("without the link they come to %s (%d)", page.URL, page.Status)
	}
	b = s.Browser()
	page = b.Get(s.path(t, link.URL))
	if strings.Contains(page.Body, `name="password"`) {
		t.Error("a password is asked for")
	}
	b.Post(s.path(t, link.URL), nil)
	if page = b.Get(s.path(t, link.URL)); page.Error != "link_expired" {
		t.Errorf("the link works twice: %q", page.Error)
	}
	if page = s.comes(b, "ada"); page.URL.Path != "/login/enrol" {
		t.Fatalf("leads to %s (error %q)", page.URL, page.Error)
	}
	if page = b.Submit(page, "code", s.Code(s.enrolmentSecret(t, page))); page.URL.Path != "/" {
		t.Errorf("enrolling leads to %s (error %q)", page.URL, page.Error)
	}
}

// E15: who may update the exchange's own network and gave two factors administers,
// and never counts as the last administrator.
func TestAdministratorByNetwork(t *testing.T) {
	s := newPeered(t, func(p *identity.PeeringDB) { p.Policy.AdminASN = 64496 }, 64500)
	if page := s.member("nora").Get("/admin"); page.Status != http.StatusOK {
		t.Errorf("%d, error %q", page.Status, page.Error)
	}
	if page := s.member("ada").Get("/admin"); page.Status != http.StatusForbidden {
		t.Errorf("a member: %d", page.Status)
	}
	if has, err := s.Directory.HasAdmin(t.Context()); err != nil || has {
		t.Errorf("counts as an administrator that stays: %t, %v", has, err)
	}
	s.pdb.Change("nora", func(p *lookalike.Person) { p.AMR = []string{"swk"} })
	if page := s.member("nora").Get("/admin"); page.Status != http.StatusForbidden {
		t.Errorf("with one factor: %d", page.Status)
	}
	s.pdb.Change("nora", func(p *lookalike.Person) {
		p.AMR = []string{"pwd", "otp", "mfa"}
		p.Affiliations[0].Perms = lookalike.Read
	})
	if page := s.member("nora").Get("/admin"); page.Status != http.StatusForbidden {
		t.Errorf("who may only read: %d", page.Status)
	}
}
