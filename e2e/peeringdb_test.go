package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peerage/demo/peeringdb"
)

// newPeeringDBServer prepares a server that lets people in by a look-alike of
// PeeringDB; AS64500 and AS64501 take part in the exchange. People are checked
// as often as the pace allows.
func newPeeringDBServer(t *testing.T) (*server, *peeringdb.Server) {
	t.Helper()
	pdb, err := peeringdb.New(peeringdb.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pdb.Close() })
	s := newServer(t, "PEERAGE_PEERINGDB=signup", "PEERAGE_PEERINGDB_URL="+pdb.URL(), "PEERAGE_PEERINGDB_API_URL="+pdb.URL()+"/api",
		"PEERAGE_PEERINGDB_CLIENT_ID=peerage", "PEERAGE_PEERINGDB_CLIENT_SECRET=secret-of-peerage", "PEERAGE_PARTICIPANTS=64500,64501", "PEERAGE_PEERINGDB_REFRESH=1s")
	pdb.Register(peeringdb.Client{ID: "peerage", Secret: "secret-of-peerage", RedirectURIs: []string{s.Issuer + "/login/peeringdb/callback"}})
	return s, pdb
}

// throughPeeringDB goes from the sign-in page to PeeringDB, as one of its
// people, and allows what is asked there.
func throughPeeringDB(ctx context.Context, t *testing.T, pdb, name string) {
	t.Helper()
	waitTitle(ctx, t, "Sign in")
	click(ctx, t, `form[action^="/login/peeringdb"] button`)
	waitURL(ctx, t, pdb+"/account/login/")
	click(ctx, t, `button[name="person"][value="`+name+`"]`)
	waitURL(ctx, t, pdb+"/oauth2/authorize/")
	click(ctx, t, `button[name="allow"]`)
}

// TestPeeringDBStory: somebody signs up by PeeringDB, sees their networks, gets
// into an application for members of AS64500, and out of it soon after the
// affiliation ended at PeeringDB. Without any network the account ends.
func TestPeeringDBStory(t *testing.T) {
	once(t)
	needs(t, "oauth2-proxy", filepath.Join(root, ".cache", "clients", "oauth2-proxy"))
	address := freeAddress(t)
	s, pdb := newPeeringDBServer(t)
	s.start(t)
	p := startProxy(t, s, address, "as64500")
	ctx := newBrowser(t)
	visit(ctx, t, p.Self+"/graphs")
	throughPeeringDB(ctx, t, pdb.URL(), "carol")
	waitTitle(ctx, t, "Allow")
	press(ctx, t, "decision", "allow")
	waitURL(ctx, t, p.Self+"/graphs")
	for _, want := range []string{`"user":"carol.several"`, "as64500", "as64501"} {
		if told := bodyText(ctx); !strings.Contains(told, want) || strings.Contains(told, "as64502") { // which does not take part
			t.Errorf("the application is not told %s: %s", want, told)
		}
	}
	visit(ctx, t, s.Issuer+"/identity/peeringdb")
	waitTitle(ctx, t, "PeeringDB")
	shows(ctx, t, "Carol Several", "AS64500 Example Networks", "AS64501 Example Transit")

	pdb.EndAffiliation("carol", 64500)
	awaitPage(ctx, t, p.Self+"/graphs", "the end of access", func(text string) bool { return strings.Contains(text, "403") })
	visit(ctx, t, s.Issuer+"/")
	shows(ctx, t, "Your networks have changed", "AS64500 Example Networks was removed")

	pdb.EndAffiliation("carol", 64501)
	awaitPage(ctx, t, s.Issuer+"/identity", "the end of the account", func(text string) bool { return strings.Contains(text, "Sign in with PeeringDB") })
	var user struct{ Disabled bool }
	s.runJSON(t, &user, "user", "show", "carol.several", "--json")
	if !user.Disabled {
		t.Error("somebody whom PeeringDB gave no network is still enabled")
	}
	if pdb.Reused() != 0 {
		t.Errorf("%d tokens were spent twice", pdb.Reused())
	}
}

// awaitPage opens a page again and again until its text is right.
func awaitPage(ctx context.Context, t *testing.T, address, what string, right func(text string) bool) {
	t.Helper()
	for begun := time.Now(); ; <-time.After(200 * time.Millisecond) {
		visit(ctx, t, address)
		text := bodyText(ctx)
		if right(text) {
			return
		}
		if time.Since(begun) > 2*pageDeadline {
			t.Fatalf("waiting for %s: %s shows\n%s", what, address, text)
		}
	}
}

// TestPeeringDBRefusals: everybody who is refused is told why.
func TestPeeringDBRefusals(t *testing.T) {
	once(t)
	s, pdb := newPeeringDBServer(t)
	s.start(t)
	ctx := newBrowser(t)
	for name, fault := range map[string]string{
		"dave": "peeringdb_user_unverified", "erin": "peeringdb_email_unverified", "frank": "peeringdb_no_network", "ken": "peeringdb_no_network",
	} {
		visit(ctx, t, s.Issuer+"/login")
		throughPeeringDB(ctx, t, pdb.URL(), name)
		waitFault(ctx, t, fault)
		forget(ctx, t)
	}
	// Saying no at PeeringDB makes no account either.
	visit(ctx, t, s.Issuer+"/login")
	click(ctx, t, `form[action^="/login/peeringdb"] button`)
	waitURL(ctx, t, pdb.URL()+"/account/login/")
	click(ctx, t, `button[name="person"][value="bob"]`)
	waitURL(ctx, t, pdb.URL()+"/oauth2/authorize/")
	click(ctx, t, `button[name="cancel"]`)
	waitFault(ctx, t, "access_denied")
	var people []struct{ Username string }
	s.runJSON(t, &people, "user", "list", "--json")
	if len(people) != 0 {
		t.Errorf("refused people got accounts: %+v", people)
	}
	pdb.Break(peeringdb.Down, "/oauth2/token/")
	visit(ctx, t, s.Issuer+"/login")
	click(ctx, t, `form[action^="/login/peeringdb"] button`)
	waitURL(ctx, t, pdb.URL()+"/oauth2/authorize/")
	click(ctx, t, `button[name="allow"]`)
	waitFault(ctx, t, "peeringdb_unavailable")
}
