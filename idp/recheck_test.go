package idp_test

import (
	"net/http"
	"testing"

	"peerage/identity"
	"peerage/portal/portaltest"
	"peerage/store"
)

// What changed since the person agreed stops every grant (CVE-2026-43983):
// each change with each grant. Clients act on the very words: Gitea disables
// an account on invalid_grant with status 400 alone.
func TestGrantsAskAgain(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"gated", "asks"} {
		c := stored(id, hashSecret("stored-secret"))
		c.Trusted = id == "gated"
		if c.Trusted {
			c.AllowedGroups = []string{"noc"}
		}
		if err := w.Store.CreateClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Clients.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	edit := func(t *testing.T, id string, change func(*store.Client)) {
		t.Helper()
		c, err := w.Store.Client(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := w.Store.UpdateClient(ctx, c); err != nil {
			t.Fatal(err)
		}
		if err := w.Clients.Reload(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what, client string
		change       func(*testing.T, identity.User) error
		undo         func(*testing.T, identity.User)
		// clientGone: the answer is about the client, not the person.
		clientGone bool
		// tells: UserInfo still answers (an access token lives for minutes).
		tells bool
	}{
		{what: "disabled", client: "asks", change: func(_ *testing.T, u identity.User) error { return w.Directory.SetDisabled(ctx, u, true) }},
		{what: "deleted", client: "asks", change: func(_ *testing.T, u identity.User) error { _, err := w.Store.DeleteUser(ctx, u.Sub); return err }},
		{what: "consent revoked", client: "asks", change: func(_ *testing.T, u identity.User) error { return w.Store.RevokeConsent(ctx, u.Sub, "asks") }},
		{what: "signed out everywhere", client: "asks", change: func(_ *testing.T, u identity.User) error {
			_, err := w.Store.SignOutEverywhere(ctx, u.Sub, false)
			return err
		}},
		{what: "new password", client: "asks", change: func(_ *testing.T, u identity.User) error {
			return w.Directory.SetPassword(ctx, u, "another battery staple")
		}},
		{what: "factor reset", client: "asks", change: func(_ *testing.T, u identity.User) error {
			_, err := w.Directory.ResetMFA(ctx, u)
			return err
		}},
		{what: "group lost", client: "gated", change: func(_ *testing.T, u identity.User) error {
			return w.Store.ChangeMembers(ctx, "noc", []string{u.Sub}, false)
		}},
		{what: "access narrowed", client: "asks", change: func(t *testing.T, _ identity.User) error {
			edit(t, "asks", func(c *store.Client) { c.AllowedGroups = []string{"staff"} })
			return nil
		}, undo: func(t *testing.T, _ identity.User) { edit(t, "asks", func(c *store.Client) { c.AllowedGroups = nil }) }},
		{what: "require_mfa turned on", client: "asks", tells: true, change: func(t *testing.T, _ identity.User) error {
			edit(t, "asks", func(c *store.Client) { c.RequireMFA = true })
			return nil
		}, undo: func(t *testing.T, _ identity.User) { edit(t, "asks", func(c *store.Client) { c.RequireMFA = false }) }},
		{what: "made an administrator", client: "asks", tells: true, change: func(_ *testing.T, u identity.User) error {
			return w.Store.ChangeMembers(ctx, "admins", []string{u.Sub}, true)
		}},
		{what: "client disabled", client: "asks", clientGone: true, change: func(t *testing.T, _ identity.User) error {
			edit(t, "asks", func(c *store.Client) { c.Disabled = true })
			return nil
		}, undo: func(t *testing.T, _ identity.User) { edit(t, "asks", func(c *store.Client) { c.Disabled = false }) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := w.on(t)
			u := w.person(string(rune('a'+len(c.what)))+c.what[:2], "noc")
			b := w.signedIn(u, identity.ACROneFactor)
			code := func() string {
				page := b.Get(portaltest.Authorize(c.client, testClients["web"].callback, "scope", offline))
				if page.Left == "" {
					page = b.Submit(page, "decision", "allow")
				}
				return page.Query(t).Get("code")
			}
			token := func(form map[string][]string) portaltest.Answer { return w.Token(c.client, "stored-secret", form) }
			tokens := token(grantForm("web", code()))
			// Spent within the grace: its answer must not come again either.
			spent := token(grantForm("web", code())).Str("refresh_token")
			if a := token(refreshForm(spent)); a.Status != http.StatusOK {
				t.Fatalf("the refresh before gives %d %s", a.Status, a.Body)
			}
			waiting := code()
			if tokens.Status != http.StatusOK || waiting == "" || tokens.Str("refresh_token") == "" {
				t.Fatalf("before: %d %s, code %q", tokens.Status, tokens.Body, waiting)
			}
			if err := c.change(t, u); err != nil {
				t.Fatal(err)
			}
			if c.undo != nil {
				defer c.undo(t, u)
			}
			status, word := http.StatusBadRequest, "invalid_grant"
			if c.clientGone {
				status, word = http.StatusUnauthorized, "invalid_client"
			}
			wantOAuth(t, "code", token(grantForm("web", waiting)), status, word)
			wantOAuth(t, "refresh", token(refreshForm(tokens.Str("refresh_token"))), status, word)
			wantOAuth(t, "repeated refresh", token(refreshForm(spent)), status, word)
			if info := w.UserInfo(tokens.Str("access_token")); !c.tells {
				wantOAuth(t, "UserInfo", info, http.StatusUnauthorized, "invalid_token")
			} else if info.Status != http.StatusOK {
				t.Errorf("UserInfo: %d %s", info.Status, info.Body)
			}
		})
	}
	w.calm()
}
