package identity_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity"
	"peerage/identity/peeringdb"
	"peerage/store"
	"peerage/store/storetest"
)

const callbackAddress = "https://id.example.net/login/peeringdb/callback"

// startPeeringDB makes a look-alike that keeps to the clock of a test.
func startPeeringDB(t *testing.T, clock *storetest.Clock) *lookalike.Server {
	t.Helper()
	s, err := lookalike.New(lookalike.Config{Now: clock.Now,
		Clients: []lookalike.Client{{ID: "peerage", Secret: "secret-of-peerage", RedirectURIs: []string{callbackAddress}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// signUpBy lets people come in by that PeeringDB; AS64500 and AS64501 take part.
func signUpBy(s *lookalike.Server, clock *storetest.Clock) setting {
	return func(_ *identity.Config, d *identity.Deps) {
		config := peeringdb.Config{ClientID: "peerage", ClientSecret: "secret-of-peerage", RedirectURL: callbackAddress}.Endpoints(s.URL())
		d.PeeringDB = identity.PeeringDB{Client: peeringdb.NewClient(config, nil, clock.Now), SignUp: true,
			Participants: func() peeringdb.Participants { return peeringdb.Participants{64500: true, 64501: true} }}
	}
}

// linked is a person who came in by PeeringDB some time ago.
func (w *world) linked(s *lookalike.Server, p lookalike.Person, affiliations ...store.Affiliation) identity.User {
	w.t.Helper()
	_, refresh := s.Grant("peerage", p.Username)
	change, err := w.store.SignUpPeeringDB(w.ctx, store.PeeringDBAnswer{Sub: "sub-" + p.Username, PeeringDBID: int64(p.ID), AccountName: p.Username, RefreshToken: []byte(refresh),
		NextAt: w.clock.Now().Add(time.Hour), Decide: func(store.PeeringDBState) store.PeeringDBVerdict { return store.PeeringDBVerdict{Add: affiliations} }},
		slices.Values([]string{p.Username}))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.again(identity.User{User: change.User})
}

func (w *world) groupsOf(u identity.User) []string {
	w.t.Helper()
	return w.again(u).Groups
}

// TestTwoReplicasRefresh500People: a refresh token is dead after one use, so
// two servers that spend one would lose the person. PeeringDB's limits are in
// force: at 40 requests a minute, nobody is refused.
func TestTwoReplicasRefresh500People(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC))
	pdb := startPeeringDB(t, clock)
	address := storetest.Postgres(t)
	replicas := []*world{
		openWorld(t, storetest.Open(t, storetest.WithClock(clock), storetest.WithDatabase(address)), clock, signUpBy(pdb, clock)),
		openWorld(t, storetest.Open(t, storetest.WithClock(clock), storetest.WithDatabase(address)), clock, signUpBy(pdb, clock)),
	}
	const people = 500
	for i := range people {
		p := pdb.Add(lookalike.Person{Username: fmt.Sprintf("person-%03d", i), GivenName: "Person", FamilyName: fmt.Sprint(i), Email: fmt.Sprintf("p%d@example.net", i),
			VerifiedUser: true, VerifiedEmail: true, AMR: []string{"pwd", "otp", "mfa"}, Affiliations: []lookalike.Affiliation{{ASN: 64500, Perms: 1, Sessions: 1}}})
		replicas[0].linked(pdb, p)
	}
	clock.Advance(2 * time.Hour)
	begun, checked := clock.Now(), 0
	for checked < people && clock.Now().Sub(begun) < time.Hour {
		// Every fifth time at the same moment, else one right after the other.
		var both sync.WaitGroup
		for _, w := range replicas {
			both.Go(func() {
				if err := w.CheckNextPeeringDB(w.ctx); err != nil {
					t.Errorf("checking: %v", err)
				}
			})
			if checked%5 != 0 {
				both.Wait()
			}
		}
		both.Wait()
		checked = pdb.Calls("/profile/v1")
		clock.Advance(3 * time.Second)
	}
	took := clock.Now().Sub(begun)
	if checked != people || pdb.Calls("/oauth2/token/") != people || pdb.Reused() != 0 {
		t.Errorf("%d people checked with %d refreshes, %d tokens spent twice", checked, pdb.Calls("/oauth2/token/"), pdb.Reused())
	}
	if took < 24*time.Minute || took > 30*time.Minute {
		t.Errorf("500 people took %s: the limit is one in three seconds", took)
	}
	all, err := replicas[1].store.PeeringDBOverview(replicas[1].ctx, begun)
	if want := (store.PeeringDBOverview{Links: people}); err != nil || all != want {
		t.Errorf("the links are %+v (%v), want %+v", all, err, want)
	}
	for i := range 10 {
		u, err := replicas[1].User(replicas[1].ctx, fmt.Sprintf("sub-person-%03d", i*people/10))
		if err != nil || !slices.Equal(u.Groups, []string{"as64500"}) {
			t.Errorf("%s has the groups %v (%v)", u.Username, u.Groups, err)
		}
	}
}

// TestPeeringDBDownFor80Hours: the last word counts for 72 hours, then what it
// gave is withheld, and nobody is thrown out for it.
func TestPeeringDBDownFor80Hours(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC))
	pdb := startPeeringDB(t, clock)
	w := openWorld(t, storetest.Open(t, storetest.WithClock(clock)), clock, signUpBy(pdb, clock))
	bob, _ := pdb.Person("bob")
	u := w.linked(pdb, bob, store.Affiliation{ASN: 64500, Name: "Example Networks", Perms: 1, Origin: store.AffiliationPeeringDB})
	if got := w.groupsOf(u); !slices.Equal(got, []string{"as64500"}) {
		t.Fatalf("bob begins with %v", got)
	}
	pdb.Break(lookalike.Down)
	answered := clock.Now()
	for clock.Now().Sub(answered) < 80*time.Hour {
		clock.Advance(30 * time.Minute)
		if err := w.CheckNextPeeringDB(w.ctx); err != nil {
			t.Fatal(err)
		}
		now := w.again(u)
		want := []string{"as64500"}
		if clock.Now().Sub(answered) > 72*time.Hour {
			want = nil
		}
		if !slices.Equal(now.Groups, want) || now.Suspended != (want == nil) || now.Disabled {
			t.Fatalf("after %s bob has %v, suspended %t, disabled %t", clock.Now().Sub(answered), now.Groups, now.Suspended, now.Disabled)
		}
	}
	if asked := pdb.Calls("/oauth2/token/"); asked < 100 {
		t.Errorf("in 80 hours PeeringDB was asked %d times", asked)
	}
	pdb.Mend()
	clock.Advance(10 * time.Minute)
	if err := w.CheckNextPeeringDB(w.ctx); err != nil {
		t.Fatal(err)
	}
	if got := w.groupsOf(u); !slices.Equal(got, []string{"as64500"}) || w.again(u).Suspended {
		t.Errorf("the first good answer brings back %v", got)
	}
	if pdb.Reused() != 0 {
		t.Errorf("%d tokens were spent twice", pdb.Reused())
	}
}
