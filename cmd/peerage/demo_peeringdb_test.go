package main

import (
	"os"
	"testing"
	"time"

	lookalike "peerage/demo/peeringdb"
	"peerage/identity"
	"peerage/identity/peeringdb"
)

// linkedByDemo is a server whose demo linked chiara at a look-alike.
func linkedByDemo(t *testing.T, pairs ...string) (*server, identity.User) {
	t.Helper()
	s := testSettings(t, pairs...)
	server, err := newServer(t.Context(), s, serverOptions{log: newLogger(t.Output(), s), now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.close() })
	u, err := server.directory.CreateUser(t.Context(), identity.NewUser{Username: "chiara", Name: "Chiara Conti", Email: "chiara@example.net", Password: "one-factor-is-not-enough"})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.linkDemo(t.Context(), demoLookalike(t), u); err != nil {
		t.Fatal(err)
	}
	return server, u
}

func demoLookalike(t *testing.T) *lookalike.Server {
	t.Helper()
	pdb, err := lookalike.New(lookalike.Config{Clients: []lookalike.Client{{ID: demoPeeringDBClient, Secret: "s", RedirectURIs: []string{"https://id.example.net/login/peeringdb/callback"}}},
		People: []lookalike.Person{{ID: 1002, Username: "chiara", VerifiedUser: true, VerifiedEmail: true, Email: "chiara@example.net", Affiliations: []lookalike.Affiliation{demoMembers["chiara"]}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pdb.Close() })
	return pdb
}

// Whom an earlier run of the demo linked can be checked by the next one.
func TestDemoKeepsLinks(t *testing.T) {
	server, u := linkedByDemo(t)
	next := demoLookalike(t)
	if err := server.adoptLinks(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	token, err := server.store.PeeringDBToken(t.Context(), u.Sub)
	if err != nil {
		t.Fatal(err)
	}
	client := peeringdb.NewClient(peeringdb.Config{ClientID: demoPeeringDBClient, ClientSecret: "s"}.Endpoints(next.URL()), nil, time.Now)
	tokens, err := client.Refresh(t.Context(), string(token))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := client.Profile(t.Context(), tokens.Access); err != nil || p.ID != 1002 || len(p.Networks) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

// Participants that changed are in force for everybody as soon as the pace allows,
// and not at everybody's next turn.
func TestNewParticipantsCheckEverybody(t *testing.T) {
	path := t.TempDir() + "/participants"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("64500\n")
	server, u := linkedByDemo(t, "PEERAGE_PARTICIPANTS=@"+path)
	due := func() bool {
		t.Helper()
		link, err := server.store.PeeringDBLink(t.Context(), u.Sub)
		if err != nil {
			t.Fatal(err)
		}
		return !link.NextAt.After(time.Now())
	}
	for _, c := range []struct {
		text string
		due  bool
	}{{"64500 # the same\n", false}, {"none\n", false}, {"64500\n64501\n", true}} {
		write(c.text)
		server.reloadParticipants(t.Context())
		if due() != c.due {
			t.Errorf("after reading %q people are due: %t", c.text, due())
		}
	}
}
