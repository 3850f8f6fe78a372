package identity_test

import (
	"net/url"
	"sync"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity"
	"peerage/identity/peeringdb"
	"peerage/store"
)

// P17: of two checks with one token, as when a lease ran out, the one that comes
// second is not taken for a lost grant.
func TestRaceForATokenIsNoLostGrant(t *testing.T) {
	const redirect = "https://id.example.net/login/peeringdb/callback"
	var server *lookalike.Server
	w := newWorld(t, func(_ *identity.Config, d *identity.Deps) {
		var err error
		server, err = lookalike.New(lookalike.Config{Now: d.Now, Clients: []lookalike.Client{{ID: "peerage", Secret: "secret", RedirectURIs: []string{redirect}, Algorithm: "RS256"}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		config := peeringdb.Config{ClientID: "peerage", ClientSecret: "secret", RedirectURL: redirect}
		d.PeeringDB = identity.PeeringDB{Client: peeringdb.NewClient(config.Endpoints(server.URL()), nil, d.Now), SignUp: true,
			Participants: func() peeringdb.Participants { return peeringdb.Participants{64500: true} }}
	})
	b := identity.Browser{ID: identity.NewSecret()}
	address, err := w.BeginPeeringDB(w.ctx, b, store.PeeringDBFlow{Purpose: store.FlowSignIn}, false)
	if err != nil {
		t.Fatal(err)
	}
	back, err := server.Authorize(w.ctx, address, "ada")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.FinishPeeringDB(w.ctx, b, nil, u.Query()); err != nil {
		t.Fatal(err)
	}
	before, err := w.store.PeeringDBLinkOf(w.ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	link, token, err := w.store.TakePeeringDBCheck(w.ctx, before.Sub, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := w.Check(w.ctx, link, token); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	now, err := w.store.PeeringDBLinkOf(w.ctx, 1)
	if err != nil || now.Generation != before.Generation+1 {
		t.Fatalf("%+v, %v", now, err)
	}
	person, err := w.User(w.ctx, before.Sub)
	if err != nil || !person.In([]string{"as64500"}) {
		t.Errorf("%v, %v", person.Groups, err)
	}
}
