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
	"peerage/identity/peeringdb"
	"peerage/portal/portaltest"
	"peerage/store"
	"peerage/store/storetest"
)

// peered is a site beside the look-alike of PeeringDB, on one clock.
type peered struct {
	*world
	pdb *lookalike.Server
	t   *testing.T
}

// newPeered makes the site of an exchange in which these networks take part.
func newPeered(t *testing.T, decide func(*identity.PeeringDB), asns ...uint32) *peered {
	t.Helper()
	return newPeeredWith(t, portaltest.Options{Issuer: named, Clients: "[" + grafana + "," + wiki + "," + trusted("https://trusted.example.net/out") + "]"}, decide, asns...)
}

func newPeeredWith(t *testing.T, o portaltest.Options, decide func(*identity.PeeringDB), asns ...uint32) *peered {
	t.Helper()
	o.Clock = storetest.NewClock(portaltest.Begin())
	server, err := lookalike.New(lookalike.Config{Now: o.Clock.Now, Clients: []lookalike.Client{
		{ID: portaltest.PeeringDBClient, Secret: portaltest.PeeringDBSecret, RedirectURIs: []string{named + "/login/peeringdb/callback"}, Algorithm: "RS256"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	taking := peeringdb.Participants{}
	for _, asn := range asns {
		taking[asn] = true
	}
	o.PeeringDB = server.URL()
	o.Decide = func(p *identity.PeeringDB) {
		p.Participants = func() peeringdb.Participants { return taking }
		if decide != nil {
			decide(p)
		}
	}
	s := &peered{newWorld(t, o), server, t}
	s.leaks.keep("client secret", portaltest.PeeringDBSecret)
	return s
}

// leaves is where a browser is sent from the page that it posts to.
func (s *peered) leaves(b *portaltest.Browser, address string, pairs ...string) string {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	page := b.Post(address, form)
	if page.Status != http.StatusOK || !strings.HasPrefix(page.Left, s.pdb.URL()) {
		s.t.Fatalf("%s leads to %s, %q (%d, error %q)", address, page.URL, page.Left, page.Status, page.Error)
	}
	return page.Left
}

// atPeeringDB does what a person does there, and returns the address back.
func (s *peered) atPeeringDB(address, username string) string {
	s.t.Helper()
	back, err := s.pdb.Authorize(s.t.Context(), address, username)
	if err != nil {
		s.t.Fatal(err)
	}
	return back
}

// comes signs in by PeeringDB and shows the page behind it.
func (s *peered) comes(b *portaltest.Browser, username string) *portaltest.Page {
	s.t.Helper()
	return b.Get(s.atPeeringDB(s.leaves(b, "/login/peeringdb"), username))
}

// member is a browser in which that account signed in.
func (s *peered) member(username string) *portaltest.Browser {
	s.t.Helper()
	b := s.Browser()
	if page := s.comes(b, username); page.Status != http.StatusOK || page.URL.Path != "/" {
		s.t.Fatalf("%s comes to %s (%d, error %q)", username, page.URL, page.Status, page.Error)
	}
	return b
}

// person is who the account at PeeringDB belongs to here.
func (s *peered) personOf(username string) identity.User {
	s.t.Helper()
	account, _ := s.pdb.Person(username)
	link, err := s.Store.PeeringDBLinkOf(s.t.Context(), int64(account.ID))
	if err != nil {
		s.t.Fatalf("%s: %v", username, err)
	}
	u, err := s.Directory.User(s.t.Context(), link.Sub)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func (s *peered) hasGroups(u identity.User, want ...string) {
	s.t.Helper()
	now, err := s.Directory.User(s.t.Context(), u.Sub)
	if err != nil || !slices.Equal(now.Groups, want) {
		s.t.Errorf("%s is in %v, want %v (%v)", u.Username, now.Groups, want, err)
	}
}

// nobodyOf fails when somebody is linked with the account.
func (s *peered) nobodyOf(username string) {
	s.t.Helper()
	account, _ := s.pdb.Person(username)
	if _, err := s.Store.PeeringDBLinkOf(s.t.Context(), int64(account.ID)); err == nil {
		s.t.Errorf("somebody is linked with the account of %s", username)
	}
}

// Somebody new comes by PeeringDB: a person of ours, with their networks.
func TestSignUpByPeeringDB(t *testing.T) {
	s := newPeered(t, nil, 64500, 64501)
	b := s.Browser()
	if !strings.Contains(b.Get("/login").Body, "Sign in with PeeringDB") {
		t.Error("the sign-in page does not offer PeeringDB")
	}
	if page := b.Get("/login/peeringdb"); page.Status != http.StatusOK || !strings.Contains(page.Body, "second factor first") {
		t.Errorf("P10: nobody says that PeeringDB may ask for a second factor first: %d", page.Status)
	}
	left := s.leaves(b, "/login/peeringdb")
	q := mustParse(t, left).Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("state") == "" || q.Get("nonce") == "" || q.Get("scope") != "openid profile email networks amr" || q.Has("prompt") {
		t.Errorf("the request is %v", q)
	}
	s.skipEvents()
	if page := b.Get(s.atPeeringDB(left, "carol")); page.URL.Path != "/" || page.Status != http.StatusOK {
		t.Fatalf("comes to %s (%d, error %q)", page.URL, page.Status, page.Error)
	}
	u := s.personOf("carol")
	s.happened(t, "user_create success "+u.Username, "peeringdb_link success "+u.Username, "affiliation_added success "+u.Username, "affiliation_added success "+u.Username,
		"peeringdb_login success "+u.Username, "login_success success "+u.Username)
	s.hasGroups(u, "as64500", "as64501") // 64502 takes no part
	account, _ := s.pdb.Person("carol")
	if u.Origin != store.OriginPeeringDB || u.Sub == q.Get("state") || len(u.Sub) != 36 || u.Email != account.Email || !u.EmailVerified {
		t.Errorf("%+v", u.User)
	}
	v, err := s.Directory.Visitor(t.Context(), cookie(t, b, "__Host-peerage"))
	if err != nil || v.Session.ACR != identity.ACRTwoFactors || !slices.Equal(v.Session.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("step 11: the session is of class %q by %v, %v", v.Session.ACR, v.Session.AMR, err)
	}
	if strings.Contains(b.Get("/").Body, "one factor only") {
		t.Error("who gave two factors at PeeringDB is told to add one")
	}
	if page := b.Get("/identity/peeringdb"); !strings.Contains(page.Body, "AS64501") || !strings.Contains(page.Body, "Check now") || strings.Contains(page.Body, "Remove the link") {
		t.Errorf("the page of the account: %d", page.Status)
	}
	t.Run("step 0 who is signed in goes nowhere", func(t *testing.T) {
		if page := b.Post("/login/peeringdb", nil); page.URL.Path != "/" {
			t.Errorf("the browser is sent to %s", page.URL)
		}
	})
	// Step 5: no password, and none can be had.
	if page := signIn(s.Browser(), u.Username, ""); page.Error != portalWrong {
		t.Errorf("a password leads to %q", page.Error)
	}
	if _, err := s.Directory.RecoveryLink(t.Context(), u); err == nil {
		t.Error("a link to a password was made")
	}
	if err := s.Directory.RequestRecovery(t.Context(), u.Email); err != nil || len(s.Mails()) != 0 {
		t.Errorf("a mail with a link was sent, %v", err)
	}
	// The second time it is the same person.
	again := s.member("carol")
	v, err = s.Directory.Visitor(t.Context(), cookie(t, again, "__Host-peerage"))
	if err != nil || v.User.Sub != u.Sub {
		t.Errorf("comes again as %s, %v", v.User.Username, err)
	}
}

const portalWrong = "wrong_credentials"

// Who is not let in is told why, and where to mend it; nobody is made of them.
func TestPeeringDBRefusals(t *testing.T) {
	s := newPeered(t, nil, 64500, 64501)
	for _, c := range []struct {
		name, who, fault string
		status           int
		says             string
	}{
		{"E1 step 2 the user is not verified", "dave", "peeringdb_user_unverified", http.StatusForbidden, "You signed in at PeeringDB as"},
		{"E1 step 2 the e-mail address is not verified", "erin", "peeringdb_email_unverified", http.StatusForbidden, "peeringdb.com"},
		{"E3 step 1 no network", "frank", "peeringdb_no_network", http.StatusForbidden, "affiliated"},
		{"E4 step 3 none takes part", "ken", "peeringdb_no_network", http.StatusForbidden, "affiliated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := s.Browser()
			page := s.comes(b, c.who)
			if page.Status != c.status || page.Error != c.fault || !strings.Contains(page.Body, c.says) {
				t.Errorf("%d, error %q", page.Status, page.Error)
			}
			s.nobodyOf(c.who)
			if cookie(t, b, "__Host-peerage") != "" {
				t.Error("a session began")
			}
		})
	}
	t.Run("P10 who must enrol there first does not come back, and begins again", func(t *testing.T) {
		b := s.Browser()
		if back, err := s.pdb.Authorize(t.Context(), s.leaves(b, "/login/peeringdb"), "heidi"); err == nil {
			t.Fatalf("heidi came back to %s", back)
		}
		s.pdb.Change("heidi", func(p *lookalike.Person) { p.AMR = []string{"pwd", "otp", "mfa"} })
		if page := s.comes(b, "heidi"); page.Status != http.StatusOK {
			t.Errorf("then it is %d, error %q", page.Status, page.Error)
		}
	})
}

// Settings that let in whom the ordinary ones refuse.
func TestPeeringDBEnrolAny(t *testing.T) {
	s := newPeered(t, func(p *identity.PeeringDB) { p.Policy.EnrolAny = true }, 64500)
	s.member("frank")
	s.hasGroups(s.personOf("frank"))
	s.member("ken")
	s.hasGroups(s.personOf("ken"))
	if page := s.comes(s.Browser(), "dave"); page.Error != "peeringdb_user_unverified" {
		t.Errorf("an unverified person gets %q", page.Error)
	}
}

// E5: while nobody knows who takes part nobody new comes in.
func TestPeeringDBWithoutParticipants(t *testing.T) {
	s := newPeered(t, nil)
	if page := s.comes(s.Browser(), "ada"); page.Error != "peeringdb_no_network" {
		t.Errorf("error %q", page.Error)
	}
}

// In the mode link nobody new comes in.
func TestPeeringDBModeLink(t *testing.T) {
	s := newPeered(t, func(p *identity.PeeringDB) { p.SignUp = false }, 64500)
	page := s.comes(s.Browser(), "ada")
	if page.Status != http.StatusForbidden || page.Error != "not_allowed" || !strings.Contains(page.Body, "Nobody here is linked") {
		t.Errorf("%d, error %q", page.Status, page.Error)
	}
	s.nobodyOf("ada")
}

// What comes back must be the answer to what this browser asked, once.
func TestPeeringDBCallback(t *testing.T) {
	s := newPeered(t, nil, 64500)
	b, other := s.Browser(), s.Browser()
	back := func() string { return s.atPeeringDB(s.leaves(b, "/login/peeringdb"), "ada") }
	bad := func(t *testing.T, page *portaltest.Page, fault string) {
		t.Helper()
		if page.Error != fault {
			t.Errorf("%s gives %q (%d)", page.URL.Path, page.Error, page.Status)
		}
		if cookie(t, b, "__Host-peerage")+cookie(t, other, "__Host-peerage") != "" {
			t.Error("a session began")
		}
	}
	other.Get("/login")
	t.Run("another browser", func(t *testing.T) { bad(t, other.Get(back()), "peeringdb_response") })
	t.Run("E14 no state", func(t *testing.T) { bad(t, b.Get("/login/peeringdb/callback?code=x"), "peeringdb_response") })
	t.Run("E14 a state that nobody made", func(t *testing.T) {
		bad(t, b.Get("/login/peeringdb/callback?code=x&state="+identity.NewSecret()), "peeringdb_response")
	})
	t.Run("E13 the person said no", func(t *testing.T) {
		state := mustParse(t, s.leaves(b, "/login/peeringdb")).Query().Get("state")
		bad(t, b.Get("/login/peeringdb/callback?error=access_denied&state="+state), "access_denied")
		s.nobodyOf("ada")
	})
	t.Run("another fault of PeeringDB's", func(t *testing.T) {
		state := mustParse(t, s.leaves(b, "/login/peeringdb")).Query().Get("state")
		bad(t, b.Get("/login/peeringdb/callback?error=%3Cscript%3E&state="+state), "peeringdb_response")
	})
	t.Run("E14 an answer that came too late", func(t *testing.T) {
		address := back()
		s.Clock.Advance(time.Hour)
		bad(t, b.Get(address), "peeringdb_response")
	})
	t.Run("E14 a code that is too old is asked for once more", func(t *testing.T) {
		address := back()
		s.Clock.Advance(2 * time.Minute)
		page := b.Get(address)
		if !strings.HasPrefix(page.Left, s.pdb.URL()) {
			t.Fatalf("leads to %s (%d, error %q)", page.URL, page.Status, page.Error)
		}
		address = s.atPeeringDB(page.Left, "ada")
		s.Clock.Advance(2 * time.Minute)
		bad(t, b.Get(address), "peeringdb_response") // and no third time
	})
	t.Run("it works once", func(t *testing.T) {
		address := back()
		if page := b.Get(address); page.Status != http.StatusOK {
			t.Fatalf("%d, error %q", page.Status, page.Error)
		}
		if page := b.Get(address); page.Error != "peeringdb_response" {
			t.Errorf("the second time: %q", page.Error)
		}
	})
}

// IXP Manager's rule, made safe.
func TestPeeringDBUserNames(t *testing.T) {
	s := newPeered(t, nil, 64500, 64501, 65550)
	for _, who := range []string{"ada", "peggy", "judy", "oscar"} {
		s.member(who)
	}
	t.Run("E7 two people of one name have two user names", func(t *testing.T) {
		first, second := s.personOf("ada").Username, s.personOf("peggy").Username
		if second != first+"2" {
			t.Errorf("%s and %s", first, second)
		}
	})
	t.Run("step 5 who has no name is known by the id", func(t *testing.T) {
		if name := s.personOf("oscar").Username; name != "pdb-14" {
			t.Errorf("the user name %s", name)
		}
	})
	t.Run("E16 whatever the name is", func(t *testing.T) {
		if judy := s.personOf("judy"); identity.CheckUsername(judy.Username) != nil {
			t.Errorf("the user name %q", judy.Username)
		}
		page := s.member("judy").Get("/identity/peeringdb")
		if strings.Contains(page.Body, "<script>alert") || strings.Contains(page.Body, "\u202e") || strings.Contains(page.Body, "<b>fett") {
			t.Error("a hostile name stands in the page as it came")
		}
	})
}
