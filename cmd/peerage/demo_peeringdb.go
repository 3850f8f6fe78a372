package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerage/demo/peeringdb"
	"peerage/identity"
	"peerage/store"
)

const (
	demoPeeringDBListen = "127.0.0.1:8082"
	demoPeeringDBClient = "peerage-demo"
	// demoParticipants take part in the demo's exchange; Ken's networks do not.
	demoParticipants = "64500,64501,64502,64505,64506,64507,64508,64509,64510,65550"
	// demoCheck is when PeeringDB is asked about the linked people first.
	demoCheck = 5 * time.Minute
)

// demoMembers are the people of the demo who are linked to accounts of the
// look-alike with the same name.
var demoMembers = map[string]peeringdb.Affiliation{
	"chiara": {ASN: 64500, Perms: peeringdb.All, Sessions: peeringdb.All},
	"dario":  {ASN: 64501, Perms: peeringdb.Read, Sessions: peeringdb.Read},
}

// startPeeringDB starts the look-alike of PeeringDB: the linked members, and
// people who can sign up or are refused.
func (d *demoRun) startPeeringDB() (*peeringdb.Server, error) {
	people, _, _, err := peeringdb.Sample()
	if err != nil {
		return nil, err
	}
	people = slices.DeleteFunc(people, func(p peeringdb.Person) bool { return p.GivenName == "Ada" }) // the demo has its own
	for i, seed := range demoPeople {
		given, family, _ := strings.Cut(seed.name, " ")
		if member, ok := demoMembers[seed.username]; ok {
			people = slices.Insert(people, 0, peeringdb.Person{ID: 1001 + i, Username: seed.username, Note: "linked to " + seed.username + " of the demo", GivenName: given, FamilyName: family,
				Email: seed.username + "@example.net", VerifiedUser: true, VerifiedEmail: true, AMR: []string{"pwd", "otp", "mfa"}, Affiliations: []peeringdb.Affiliation{member}})
		}
	}
	config := peeringdb.Config{Listen: demoPeeringDBListen, People: people, Now: d.now,
		Clients: []peeringdb.Client{{ID: demoPeeringDBClient, Secret: d.secret, RedirectURIs: []string{d.issuer + "/login/peeringdb/callback"}}}}
	server, err := peeringdb.New(config)
	var taken *net.OpError
	if errors.As(err, &taken) {
		config.Listen = "127.0.0.1:0"
		server, err = peeringdb.New(config)
	}
	return server, err
}

// peeringDBSettings let people come in by the look-alike.
func (d *demoRun) peeringDBSettings() []string {
	return []string{"PEERAGE_PEERINGDB=signup", "PEERAGE_PEERINGDB_URL=" + d.peeringdb.URL(), "PEERAGE_PEERINGDB_API_URL=" + d.peeringdb.URL() + "/api",
		"PEERAGE_PEERINGDB_CLIENT_ID=" + demoPeeringDBClient, "PEERAGE_PEERINGDB_CLIENT_SECRET=" + d.secret, "PEERAGE_PARTICIPANTS=" + demoParticipants}
}

// adoptLinks gives the look-alike back the tokens of people whom an earlier run
// linked: it forgets them when it ends.
func (s *server) adoptLinks(ctx context.Context, pdb *peeringdb.Server) error {
	for _, account := range pdb.People() {
		link, err := s.store.PeeringDBLinkOf(ctx, int64(account.ID))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		var token []byte
		if err == nil {
			token, err = s.store.PeeringDBToken(ctx, link.Sub)
		}
		if err != nil {
			return fmt.Errorf("finding the link of %s of the look-alike of PeeringDB: %w", account.Username, err)
		}
		pdb.Adopt(demoPeeringDBClient, account.ID, string(token))
	}
	return nil
}

// linkDemo links the members to their accounts, as if they had done so before.
func (s *server) linkDemo(ctx context.Context, pdb *peeringdb.Server, u identity.User) error {
	account, ok := pdb.Person(u.Username)
	if _, member := demoMembers[u.Username]; !ok || !member {
		return nil
	}
	var add []store.Affiliation
	for _, a := range account.Affiliations {
		name, err := pdb.NetworkName(a.ASN)
		if err != nil {
			return err
		}
		add = append(add, store.Affiliation{ASN: uint32(a.ASN), Name: name, Perms: int64(a.Perms), Origin: store.AffiliationPeeringDB})
	}
	_, refresh := pdb.Grant(demoPeeringDBClient, u.Username)
	_, err := s.store.LinkPeeringDB(ctx, store.PeeringDBAnswer{Sub: u.Sub, PeeringDBID: int64(account.ID), AccountName: account.GivenName + " " + account.FamilyName,
		RefreshToken: []byte(refresh), NextAt: s.now().Add(demoCheck), Decide: func(store.PeeringDBState) store.PeeringDBVerdict { return store.PeeringDBVerdict{Add: add} }})
	if err != nil {
		return fmt.Errorf("linking %s to the look-alike of PeeringDB: %w", u.Username, err)
	}
	return nil
}

// demoAccount is somebody of the look-alike, for who reads the demo's JSON.
type demoAccount struct {
	Username string   `json:"username"`
	Note     string   `json:"note"`
	Networks []string `json:"networks"`
}

// peeringDBFacts say where the look-alike is and who is there.
func (d *demoRun) peeringDBFacts() map[string]any {
	accounts := []demoAccount{}
	for _, p := range d.peeringdb.People() {
		networks := []string{}
		for _, a := range p.Affiliations {
			networks = append(networks, "as"+strconv.FormatInt(a.ASN, 10))
		}
		accounts = append(accounts, demoAccount{Username: p.Username, Note: p.Note, Networks: networks})
	}
	return map[string]any{"url": d.peeringdb.URL(), "people": accounts}
}
