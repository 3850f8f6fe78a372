package portal_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity"
	"peerage/portal/portaltest"
	"peerage/store"
)

// pass lets time go by and the job do its turns until nobody is due.
func (s *peered) pass(d time.Duration) {
	s.t.Helper()
	s.Clock.Advance(d)
	s.checks()
}

// checks lets the job run until nobody is due, at its pace.
func (s *peered) checks() {
	s.t.Helper()
	for range 100 {
		s.Clock.Advance(3 * time.Second)
		due, err := s.Directory.PeeringDBCheckDue(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if !due {
			return
		}
		if err := s.Directory.CheckNextPeeringDB(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *peered) linkOf(u identity.User) store.PeeringDBLink {
	s.t.Helper()
	l, err := s.Store.PeeringDBLink(s.t.Context(), u.Sub)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

const aRound = 7 * time.Hour // longer than the interval with its jitter

// E10, E11, step 15: what changes at PeeringDB changes here within one interval, in
// pages, sessions and what applications get.
func TestPeeringDBKeepsCurrent(t *testing.T) {
	s := newPeered(t, nil, 64500, 64501, 64502)
	b := s.member("carol")
	u := s.personOf("carol")
	s.hasGroups(u, "as64500", "as64501", "as64502")
	tokens := s.Redeem("grafana", "grafana-secret", code(t, b.Submit(b.Get(portaltest.Authorize("grafana", callback, "scope", "openid groups offline_access")), "decision", "allow"), callback), callback)
	s.pdb.EndAffiliation("carol", 64500)                                                               // E10
	s.pdb.ChangeNetwork(64502, func(n *lookalike.Network) { n.Status = "deleted" })                    // E11
	s.pdb.ChangeNetwork(64501, func(n *lookalike.Network) { n.Name = "Renamed\u202e <b>Transit</b>" }) // E16
	s.pass(aRound)
	s.hasGroups(u, "as64501")
	refreshed := s.Refresh("grafana", "grafana-secret", tokens.Str("refresh_token"))
	if info := s.UserInfo(refreshed.Str("access_token")); refreshed.Status != http.StatusOK || strings.Contains(info.Body, "as64500") || !strings.Contains(info.Body, "as64501") {
		t.Errorf("an application is told %d %s", refreshed.Status, info.Body)
	}
	b = s.member("carol")
	t.Run("step 10 the person is told, once and harmlessly", func(t *testing.T) {
		page := b.Get("/")
		if !strings.Contains(page.Body, "AS64500") || !strings.Contains(page.Body, "was removed") || strings.Contains(page.Body, "<b>Transit") || strings.Contains(page.Body, "\u202e") {
			t.Error("not told, or not harmlessly")
		}
		if page = b.Post("/identity/peeringdb", url.Values{"action": {"seen"}}); strings.Contains(b.Get("/").Body, "was removed") {
			t.Errorf("what was read is told again (%s)", page.URL)
		}
	})
	s.pdb.Affiliate("carol", 64500, lookalike.Read)
	s.pass(aRound)
	s.hasGroups(u, "as64500", "as64501")
	if s.pdb.Reused() != 0 {
		t.Errorf("%d refresh tokens were spent twice", s.pdb.Reused())
	}
}

// Step 9: who came by PeeringDB alone and has no network left is out at once, and
// deleted later; who comes back in time is the same person.
func TestPeeringDBWithoutNetworks(t *testing.T) {
	s := newPeered(t, nil, 64500)
	b := s.member("ada")
	u := s.personOf("ada")
	tokens := s.Redeem("grafana", "grafana-secret", code(t, b.Submit(b.Get(portaltest.Authorize("grafana", callback, "scope", "openid offline_access")), "decision", "allow"), callback), callback)
	s.pdb.EndAffiliation("ada", 64500)
	s.skipEvents()
	s.pass(aRound)
	if consents, err := s.Store.Consents(t.Context(), u.Sub); err != nil || len(consents) != 0 {
		t.Errorf("consents stay: %v, %v", consents, err)
	}
	s.happened(t, "affiliation_removed success "+u.Username, "user_disable success "+u.Username)
	if page := b.Get("/"); page.URL.Path != "/login" {
		t.Errorf("the session leads to %s", page.URL)
	}
	if answer := s.Refresh("grafana", "grafana-secret", tokens.Str("refresh_token")); answer.Status != http.StatusBadRequest || answer.Str("error") != "invalid_grant" {
		t.Errorf("the refresh token gives %d %s", answer.Status, answer.Body)
	}
	if page := s.comes(s.Browser(), "ada"); page.Error != "peeringdb_no_network" {
		t.Errorf("they come back to %q", page.Error)
	}
	s.pdb.Affiliate("ada", 64500, lookalike.Read)
	s.member("ada")
	if again := s.personOf("ada"); again.Sub != u.Sub || again.Disabled {
		t.Errorf("then they are %s, disabled %t", again.Sub, again.Disabled)
	}
	// A local person only loses the group.
	bob := s.AddUser("bob")
	s.link(s.signedIn(t, "bob", ""), "bob")
	s.pdb.EndAffiliation("bob", 64500)
	s.pdb.EndAffiliation("ada", 64500)
	s.pass(aRound)
	s.hasGroups(bob)
	if now, _ := s.Directory.User(t.Context(), bob.Sub); now.Disabled {
		t.Error("a local person was disabled")
	}
	calls := s.pdb.Calls("/oauth2/revoke_token/")
	s.Clock.Advance(721 * time.Hour)
	if err := s.Directory.ForgetPeople(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Store.User(t.Context(), u.Sub); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the person is still there: %v", err)
	}
	if s.pdb.Calls("/oauth2/revoke_token/") != calls+1 {
		t.Error("P8: PeeringDB was not told")
	}
	if _, err := s.Store.User(t.Context(), bob.Sub); err != nil {
		t.Errorf("a local person is gone: %v", err)
	}
}

// PeeringDB is away for 80 hours: people keep what they have, then it is withheld
// and they are told, and it comes back by itself.
func TestPeeringDBIsAway(t *testing.T) {
	s := newPeered(t, nil, 64500)
	s.AddUser("bob")
	s.link(s.signedIn(t, "bob", ""), "ada")
	bob := s.person(t, "bob")
	s.pdb.Break(lookalike.Down)
	for range 71 {
		s.pass(time.Hour)
	}
	s.hasGroups(bob, "as64500")
	b := s.signedIn(t, "bob", "")
	if page := b.Get("/identity/peeringdb"); !strings.Contains(page.Body, "no answer") || strings.Contains(page.Body, "withheld") {
		t.Error("after 71 hours the page does not say how things stand")
	}
	if page := s.Browser().Get("/login"); page.Status != http.StatusOK {
		t.Errorf("the sign-in page: %d", page.Status)
	}
	s.pass(9 * time.Hour)
	s.hasGroups(bob)
	b = s.signedIn(t, "bob", "")
	for _, address := range []string{"/identity", "/identity/peeringdb"} {
		if page := b.Get(address); !strings.Contains(page.Body, "withheld") {
			t.Errorf("%s does not say that networks are withheld", address)
		}
	}
	s.pdb.Mend()
	s.pass(aRound)
	s.hasGroups(bob, "as64500")
}

// P0: one person every three seconds, sign-ins first, and never more than PeeringDB
// lets an address ask.
func TestPeeringDBPace(t *testing.T) {
	s := newPeered(t, nil, 64500)
	for _, who := range []string{"ada", "bob", "carol", "oscar"} {
		s.member(who)
	}
	late := s.personOf("carol")
	s.Clock.Advance(aRound)
	turn := func() int {
		before := s.pdb.Calls("/profile/v1")
		for range 5 {
			if err := s.Directory.CheckNextPeeringDB(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return s.pdb.Calls("/profile/v1") - before
	}
	if n := turn(); n != 1 {
		t.Errorf("%d people at one moment", n)
	}
	s.Clock.Advance(2 * time.Second)
	if n := turn(); n != 0 {
		t.Errorf("%d people two seconds later", n)
	}
	if checked, err := s.Directory.CheckPeeringDB(t.Context(), late); err != nil || checked != identity.CheckQueued {
		t.Errorf("who asks at that moment is %s, %v", checked, err)
	}
	s.Clock.Advance(time.Second)
	turn()
	if at := s.linkOf(late).CheckedAt; s.Clock.Now().Sub(at) > time.Minute {
		t.Errorf("who asked is not the next one: checked at %s", at)
	}
	s.Clock.Advance(3 * time.Second)
	s.member("ada") // a sign-in goes first
	if n := turn(); n != 0 {
		t.Errorf("%d people right after a sign-in", n)
	}
}

// Who comes here after a quarter of an hour is checked before the others.
func TestWhoComesBackIsCheckedNext(t *testing.T) {
	s := newPeered(t, nil, 64500)
	bob := s.AddUser("bob")
	s.link(s.signedIn(t, "bob", ""), "ada")
	s.Clock.Advance(10 * time.Minute)
	s.signedIn(t, "bob", "")
	if s.linkOf(bob).Urgent {
		t.Error("what is known of ten minutes ago is asked for again")
	}
	s.Clock.Advance(10 * time.Minute)
	s.signedIn(t, "bob", "")
	if link := s.linkOf(bob); !link.Urgent || link.NextAt.After(s.Clock.Now()) {
		t.Errorf("after twenty minutes: %+v", link)
	}
	s.pdb.EndAffiliation("ada", 64500)
	s.checks()
	s.hasGroups(bob)
}

// "Check now" on the person's page.
func TestCheckNow(t *testing.T) {
	s := newPeered(t, nil, 64500, 64501)
	b := s.member("ada")
	check := func() *portaltest.Page { return b.Post("/identity/peeringdb", url.Values{"action": {"check"}}) }
	s.pdb.Affiliate("ada", 64501, lookalike.Read)
	s.member("ada")
	s.pdb.EndAffiliation("ada", 64501)
	if page := check(); page.URL.Query().Get("done") != "peeringdb_queued" {
		t.Errorf("right after the sign-in: %s", page.URL)
	}
	if s.linkOf(s.personOf("ada")).Urgent {
		t.Error("who asks over and over goes before the others")
	}
	s.checks()
	s.hasGroups(s.personOf("ada"), "as64500")
	s.pdb.Affiliate("ada", 64501, lookalike.Read)
	s.Clock.Advance(5 * time.Minute)
	if page := check(); page.URL.Query().Get("done") != "peeringdb_checked" || !strings.Contains(page.Body, "AS64501") {
		t.Errorf("later: %s", page.URL)
	}
	s.pdb.Break(lookalike.ServerError)
	s.Clock.Advance(5 * time.Minute)
	check()
	if page := check(); page.URL.Query().Get("done") != "peeringdb_no_answer" {
		t.Errorf("while PeeringDB does not answer: %s", page.URL)
	}
	bob := s.AddUser("bob")
	if page := s.signedIn(t, "bob", "").Post("/identity/peeringdb", url.Values{"action": {"check"}}); page.Status != http.StatusUnprocessableEntity || s.isLinked(bob) {
		t.Errorf("without a link: %d", page.Status)
	}
	if page := b.Post("/identity/peeringdb", url.Values{"action": {"unlink"}}); page.URL.Path != "/login/confirm" {
		t.Errorf("unlinking without a fresh factor leads to %s", page.URL)
	}
}

// An administrator lets a network out, sees who has trouble, and
// has everybody checked.
func TestAdministratePeeringDB(t *testing.T) {
	s := newPeered(t, nil, 64500, 64501)
	ada := s.AddUser("ada")
	s.link(s.signedIn(t, "ada", ""), "carol")
	s.hasGroups(ada, "as64500", "as64501")
	secret := s.AddTOTP(s.AddUser("root", "admins"))
	b := s.signedIn(t, "root", secret)
	page := b.Get("/admin/peeringdb")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "Linked people") || !strings.Contains(page.Body, "all of them take 1 minute.") {
		t.Fatalf("%d", page.Status)
	}
	t.Run("step 13 a network opts out, at once and for good", func(t *testing.T) {
		for _, wrong := range []string{"AS0", "x"} {
			if asked := b.Get("/admin/peeringdb?ask=opt-out&asn=" + wrong); asked.Status != http.StatusUnprocessableEntity || !strings.Contains(asked.Body, `value="`+wrong+`"`) {
				t.Errorf("asked about %s: %d", wrong, asked.Status)
			}
		}
		if strings.Contains(page.Body, `name="action" value="opt-out"`) {
			t.Error("the button does it without asking")
		}
		page = b.Get("/admin/peeringdb?asn=AS64500&ask=opt-out")
		s.hasGroups(ada, "as64500", "as64501")
		if page = b.Submit(page, "action", "opt-out"); page.Status != http.StatusOK || !strings.Contains(page.Body, "AS64500") {
			t.Errorf("%d, error %q", page.Status, page.Error)
		}
		s.hasGroups(ada, "as64501")
		s.pass(aRound)
		s.hasGroups(ada, "as64501")
	})
	b = s.signedIn(t, "root", secret)
	for _, wrong := range []string{"AS0", "x", "64500"} {
		if page = b.Post("/admin/peeringdb", url.Values{"action": {"opt-out"}, "asn": {wrong}}); page.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", wrong, page.Status)
		}
	}
	b.Post("/admin/peeringdb", url.Values{"action": {"opt-in"}, "asn": {"64500"}})
	if page = b.Post("/admin/peeringdb", url.Values{"action": {"recheck"}}); page.Header.Get("Refresh") == "" {
		t.Error("the page does not show by itself how the checks go on")
	}
	s.checks()
	if page = b.Get("/admin/peeringdb?done=pdb_recheck"); page.Header.Get("Refresh") != "" {
		t.Error("the page is loaded again although nobody waits")
	}
	s.hasGroups(ada, "as64500", "as64501")
	s.pdb.DropAccess("carol")
	b.Post("/admin/peeringdb", url.Values{"action": {"recheck"}})
	s.checks()
	if page = b.Get("/admin/peeringdb"); !strings.Contains(page.Body, "Must sign in at PeeringDB again") {
		t.Error("the page does not show who must sign in again")
	}
	t.Run("step 14 the page of a person says where networks come from", func(t *testing.T) {
		if page := b.Get("/admin/users/" + ada.Sub); !strings.Contains(page.Body, "from PeeringDB") {
			t.Errorf("%d", page.Status)
		}
	})
}
