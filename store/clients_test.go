package store_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func fullClient(id string) store.Client {
	pkce := false
	return store.Client{
		ClientID: id, Name: "App", Description: "An app", LogoURI: "https://app/logo", LaunchURI: "https://app/",
		ClientSecretHash: "sha256:00", OldSecretHash: "sha256:11", OldSecretUntil: beginning,
		TokenEndpointAuthMethod: "client_secret_basic", ApplicationType: "web",
		RedirectURIs: []string{"https://app/cb"}, PostLogoutRedirectURIs: []string{"https://app/"},
		GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, Scopes: []string{"openid"}, RequirePKCE: &pkce,
		IDTokenSignedResponseAlg: "ES256", AccessTokenFormat: "jwt", Audience: []string{"api"},
		AccessTokenTTL: store.Duration(15 * time.Minute), IDTokenTTL: store.Duration(time.Hour), RefreshTokenTTL: store.Duration(720 * time.Hour),
		Trusted: true, RequireMFA: true, Disabled: true, AllowedGroups: []string{"staff"},
		Roles: []store.Role{{Role: "admin", Groups: []string{"noc"}}}, Claims: map[string]string{"email": "userinfo"},
		GroupFilter: "^as", GroupPrefix: "ix-",
	}
}

func TestClientKeepsEveryField(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		c := fullClient("app")
		want(t, w.CreateClient(ctx, c), nil)
		want(t, w.CreateClient(ctx, c), store.ErrExists)
		got, err := w.Client(ctx, "app")
		want(t, err, nil)
		c.Source, c.Version, c.CreatedAt, c.UpdatedAt = store.SourceStore, 1, beginning, beginning
		if diff := cmp.Diff(c, got); diff != "" {
			t.Fatalf("client (-created +read):\n%s", diff)
		}
		_, err = w.Client(ctx, "unknown")
		want(t, err, store.ErrNotFound)
	})
}

func TestUpdateClientNeedsTheLatestVersion(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.CreateClient(ctx, fullClient("app")), nil)
		mine, err := w.Client(ctx, "app")
		want(t, err, nil)
		theirs := mine
		w.clock.Advance(time.Minute)
		theirs.Name = "theirs"
		want(t, w.UpdateClient(ctx, theirs), nil)
		mine.Name = "mine"
		want(t, w.UpdateClient(ctx, mine), store.ErrConflict)
		got, err := w.Client(ctx, "app")
		want(t, err, nil)
		if got.Name != "theirs" || got.Version != 2 || !got.UpdatedAt.Equal(w.clock.Now()) || !got.CreatedAt.Equal(beginning) {
			t.Fatalf("after the conflict: %+v", got)
		}
		want(t, w.DeleteClient(ctx, "app"), nil)
		want(t, w.UpdateClient(ctx, got), store.ErrConflict)
		want(t, w.DeleteClient(ctx, "app"), store.ErrNotFound)
	})
}

// holds gives a client all that it can have of a person.
func (w world) holds(t testing.TB, clientID string) (g granted, waiting issuedCode) {
	t.Helper()
	sub := w.person(t).Sub
	waiting = w.issuedTo(t, sub, clientID)
	g = granted{w.issuedTo(t, sub, clientID), w.name("held")}
	want(t, w.redeem(t.Context(), g.issuedCode, g.name, true), nil)
	id, browser := w.request(t, clientID)
	want(t, w.SaveConsent(t.Context(), id, browser, store.Progress{}, sub, clientID, []string{"openid"}), nil)
	return g, waiting
}

func (w world) holdsNothing(t testing.TB, g granted, waiting issuedCode) {
	t.Helper()
	w.alive(t, g.access(), false)
	_, err := w.RotateRefresh(t.Context(), g.refresh(), w.rotation(g.ClientID, w.name("late")))
	want(t, err, store.ErrNotFound)
	want(t, w.redeem(t.Context(), waiting, w.name("late"), true), store.ErrNotFound)
	_, err = w.Consent(t.Context(), g.Sub, g.ClientID)
	want(t, err, store.ErrNotFound)
	if n := w.rows(t, "SELECT COUNT(*) FROM requests WHERE client_id = $1", g.ClientID); n != 0 {
		t.Fatalf("%d requests of the client are left", n)
	}
}

func TestDeletedClientLosesEverything(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		want(t, w.CreateClient(t.Context(), store.Client{ClientID: "app"}), nil)
		g, waiting := w.holds(t, "app")
		other, _ := w.holds(t, "other")
		want(t, w.DeleteClient(t.Context(), "app"), nil)
		w.holdsNothing(t, g, waiting)
		w.alive(t, other.access(), true)
	})
}

func TestSystemClientsFollowTheSettings(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		sync := func(expected []string, clients ...store.Client) {
			t.Helper()
			forgotten, err := w.SyncSystemClients(ctx, clients)
			want(t, err, nil)
			if diff := cmp.Diff(expected, forgotten); diff != "" {
				t.Fatalf("forgotten (-want +got):\n%s", diff)
			}
		}
		sync(nil, fullClient("app"), store.Client{ClientID: "gone"}, store.Client{ClientID: "moved"})
		if n := w.rows(t, "SELECT COUNT(*) FROM clients WHERE document LIKE '%sha256%'"); n != 0 {
			t.Fatal("a secret of the settings lies in the database")
		}
		stays, _ := w.holds(t, "app")
		gone, waiting := w.holds(t, "gone")
		moved, _ := w.holds(t, "moved")
		want(t, w.CreateClient(ctx, store.Client{ClientID: "moved", Name: "stored"}), nil)

		// The settings win over a stored client of the same id.
		c, err := w.Client(ctx, "moved")
		want(t, err, nil)
		if c.Source != store.SourceSettings {
			t.Fatalf("client %+v is not that of the settings", c)
		}
		sync([]string{"gone", "moved"}, fullClient("app"))
		w.alive(t, stays.access(), true)
		w.holdsNothing(t, gone, waiting)
		w.alive(t, moved.access(), true) // still registered, in the store
		if c, err = w.Client(ctx, "moved"); err != nil || c.Name != "stored" {
			t.Fatalf("the stored client: %+v, %v", c, err)
		}
		_, err = w.Client(ctx, "gone")
		want(t, err, store.ErrNotFound)
		// An unchanged one keeps its version, a changed one gets another.
		version := func(expected int64) {
			t.Helper()
			if c, err := w.Client(ctx, "app"); err != nil || c.Version != expected {
				t.Fatalf("version %d (%v), want %d", c.Version, err, expected)
			}
		}
		version(1)
		sync(nil, store.Client{ClientID: "app", Name: "renamed"})
		version(2)
		// System clients cannot be changed or deleted by command or page.
		want(t, w.DeleteClient(ctx, "app"), store.ErrNotFound)
		want(t, w.UpdateClient(ctx, store.Client{ClientID: "app", Version: 2}), store.ErrConflict)
	})
}

func TestListOfClientsBySource(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		_, err := w.SyncSystemClients(ctx, []store.Client{{ClientID: "b"}, {ClientID: "c"}})
		want(t, err, nil)
		want(t, w.CreateClient(ctx, store.Client{ClientID: "a"}), nil)
		want(t, w.CreateClient(ctx, store.Client{ClientID: "c"}), nil)
		for source, expected := range map[string]string{
			"":                   "a/store b/settings c/settings c/store",
			store.SourceSettings: "b/settings c/settings",
			store.SourceStore:    "a/store c/store",
		} {
			list, err := w.Clients(ctx, source)
			want(t, err, nil)
			var got []string
			for _, c := range list {
				got = append(got, c.ClientID+"/"+c.Source)
			}
			if strings.Join(got, " ") != expected {
				t.Errorf("source %q: %v, want %s", source, got, expected)
			}
		}
	})
}

func TestDurationAsText(t *testing.T) {
	for text, valid := range map[string]bool{`"15m"`: true, `"1h30m"`: true, `"0s"`: true, `"-1m"`: false, `"15"`: false, `""`: false, `15`: false} {
		var d store.Duration
		if err := json.Unmarshal([]byte(text), &d); (err == nil) != valid {
			t.Errorf("%s: error %v, valid is %v", text, err, valid)
		}
	}
	b, err := json.Marshal(store.Client{ClientID: "app", AccessTokenTTL: store.Duration(15 * time.Minute)})
	if err != nil || string(b) != `{"client_id":"app","access_token_ttl":"15m0s"}` {
		t.Fatalf("%s, %v", b, err)
	}
}
