package main

import (
	"context"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity"
	"peerage/store"
)

// TestNamesOfNetworksAreRead: of those that take part, and of those that
// somebody acts for; one server reads them, with the key of the settings.
func TestNamesOfNetworksAreRead(t *testing.T) {
	pdb, err := lookalike.New(lookalike.Config{APIKeys: []string{"key-of-the-exchange"}})
	if err != nil {
		t.Fatal(err)
	}
	defer pdb.Close()
	server, _ := testServer(t, "PEERAGE_PEERINGDB=link", "PEERAGE_PEERINGDB_CLIENT_ID=peerage", "PEERAGE_PEERINGDB_CLIENT_SECRET=secret-of-peerage", "PEERAGE_PEERINGDB_URL="+pdb.URL(),
		"PEERAGE_PEERINGDB_API_URL="+pdb.URL()+"/api", "PEERAGE_PEERINGDB_API_KEY=key-of-the-exchange", "PEERAGE_PARTICIPANTS=64501")
	ctx := t.Context()
	u, err := server.directory.CreateUser(ctx, identity.NewUser{Username: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.directory.AddAffiliation(ctx, u, 64500, ""); err != nil {
		t.Fatal(err)
	}
	cache := server.publicData()
	cache.Sleep = func(context.Context, time.Duration) error { return nil }
	if err := cache.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	known, err := server.store.PublicNetworks(ctx)
	if err != nil || len(known) != 2 || known[64500].Name != "Example Networks" || known[64501].Name != "Example Transit" {
		t.Errorf("known are %+v (%v)", known, err)
	}
	list, err := server.store.Affiliations(ctx, u.Sub)
	if err != nil || len(list) != 1 || list[0].Name != "Example Networks" || list[0].Origin != store.AffiliationAdmin {
		t.Errorf("bob acts for %+v (%v)", list, err)
	}
	if pdb.Calls("/api/net") != 1 || pdb.Calls("/api/netixlan") != 1 {
		t.Errorf("asked %d times for names and %d times for ports", pdb.Calls("/api/net"), pdb.Calls("/api/netixlan"))
	}
}
