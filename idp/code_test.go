package idp_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// In the library two of eight parallel exchanges of one code succeeded.
func TestParallelRedeem(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	form := grantForm("trusted", w.code(b, "trusted", "scope", offline))
	answers := make([]portaltest.Answer, 64)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = w.as("trusted", form) })
	}
	all.Wait()
	var won []portaltest.Answer
	for _, a := range answers {
		if a.Status == http.StatusOK {
			won = append(won, a)
			continue
		}
		wantOAuth(t, "a loser", a, http.StatusBadRequest, "invalid_grant")
	}
	if len(won) != 1 {
		t.Fatalf("%d of 64 exchanges of one code succeeded", len(won))
	}
	// The others were replays, so what the winner got is dead.
	if info := w.UserInfo(won[0].Str("access_token")); info.Status != http.StatusUnauthorized {
		t.Errorf("UserInfo after 63 replays: %d", info.Status)
	}
	w.calm()
}

func TestCodeReplayRevokesTokens(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	code := w.code(b, "web", "scope", offline)
	tokens := w.as("web", grantForm("web", code))
	refreshed := w.as("web", refreshForm(tokens.Str("refresh_token")))
	if tokens.Status != http.StatusOK || refreshed.Status != http.StatusOK {
		t.Fatalf("%d %s, %d %s", tokens.Status, tokens.Body, refreshed.Status, refreshed.Body)
	}
	untouched := w.tokens(b, "web", "scope", offline)
	wantOAuth(t, "replay", w.as("web", grantForm("web", code)), http.StatusBadRequest, "invalid_grant")
	for name, token := range map[string]string{"first": tokens.Str("access_token"), "refreshed": refreshed.Str("access_token")} {
		info := w.UserInfo(token)
		wantOAuth(t, "UserInfo with the "+name+" access token", info, http.StatusUnauthorized, "invalid_token")
	}
	wantOAuth(t, "refresh", w.as("web", refreshForm(refreshed.Str("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	if got := w.events("code_replay"); len(got) != 1 {
		t.Errorf("audit has %v for the replay", got)
	}
	if info := w.UserInfo(untouched.Str("access_token")); info.Status != http.StatusOK {
		t.Errorf("another authorization's token died too: %d", info.Status)
	}
}

func TestCodeExpires(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	code := w.code(b, "web")
	w.Clock.Advance(time.Minute + time.Second)
	wantOAuth(t, "after 61 s", w.as("web", grantForm("web", code)), http.StatusBadRequest, "invalid_grant")
	wantOAuth(t, "a code of nobody", w.as("web", grantForm("web", identity.NewSecret())), http.StatusBadRequest, "invalid_grant")
}

// A code or refresh token of one client is worth nothing to another
// (CVE-2026-55672).
func TestCrossClientCodeAndRefresh(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	clients := []string{"web", "other", "trusted", "spa"}
	for _, owner := range clients {
		for _, thief := range clients {
			if owner == thief {
				continue
			}
			what := owner + " to " + thief
			form := grantForm(owner, w.code(b, owner, "scope", offline))
			wantOAuth(t, "code of "+what, w.as(thief, form), http.StatusBadRequest, "invalid_grant")
			wantOAuth(t, "code of "+what+" after the theft", w.as(owner, form), http.StatusBadRequest, "invalid_grant")
			token := w.tokens(b, owner, "scope", offline).Str("refresh_token")
			wantOAuth(t, "refresh of "+what, w.as(thief, refreshForm(token)), http.StatusBadRequest, "invalid_grant")
			if a := w.as(owner, refreshForm(token)); a.Status != http.StatusOK {
				t.Errorf("%s: its own refresh gives %d %s afterwards", owner, a.Status, a.Body)
			}
		}
	}
}

// x/oauth2 without a fixed style tries Basic first and, refused, the body
// with the same code (clients: Gitea, Grafana).
func TestFailedClientAuthenticationDoesNotSpendTheCode(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	for _, client := range []string{"web", "post", "basic", "spa"} {
		code := w.code(b, client)
		form := grantForm(client, code)
		for what, answer := range map[string]portaltest.Answer{
			"wrong Basic":     w.Token(client, "wrong-secret", form),
			"wrong post":      w.Token("", "", with(form, "client_id", client, "client_secret", "wrong-secret")),
			"unknown client":  w.Token("nobody", "wrong-secret", form),
			"Basic and post":  w.Token(client, "wrong-secret", with(form, "client_id", client, "client_secret", "wrong-secret")),
			"two client ids":  w.Token("other", "other-secret", with(form, "client_id", client)),
			"no client":       w.Token("", "", form),
			"assertion":       w.Token("", "", with(form, "client_id", client, "client_assertion", "a.b.c", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")),
			"secret in query": w.Call(http.MethodPost, "/oauth2/token?client_id="+client+"&client_secret=web-secret", form, nil),
		} {
			if answer.Status < 400 || answer.Status >= 500 || answer.Str("error") == "invalid_grant" {
				t.Errorf("%s: %s gives %d %s", client, what, answer.Status, answer.Body)
			}
		}
		if answer := w.as(client, form); answer.Status != http.StatusOK {
			t.Errorf("%s: the right authentication with the same code gives %d %s", client, answer.Status, answer.Body)
		}
	}
	w.calm()
}

// social-auth sends Basic with the code and the secret in the body with the
// refresh; a method that was registered by name is enforced.
func TestClientAuthenticationMethods(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	for _, c := range []struct {
		client      string
		basic, post bool
	}{{"web", true, true}, {"basic", true, false}, {"post", false, true}} {
		secret := testClients[c.client].secret
		for _, byBasic := range []bool{true, false} {
			form := grantForm(c.client, w.code(b, c.client))
			send := func(form url.Values) portaltest.Answer {
				if byBasic {
					return w.Token(c.client, secret, form)
				}
				return w.Token("", "", with(form, "client_id", c.client, "client_secret", secret))
			}
			answer := send(form)
			if byBasic && c.basic || !byBasic && c.post {
				if answer.Status != http.StatusOK {
					t.Errorf("%s, Basic %v: %d %s", c.client, byBasic, answer.Status, answer.Body)
				}
				continue
			}
			wantOAuth(t, c.client+" by the other method", answer, http.StatusUnauthorized, "invalid_client")
			if got := answer.Header.Get("WWW-Authenticate"); got != `Basic realm="peerage", charset="UTF-8"` {
				t.Errorf("%s: WWW-Authenticate %q", c.client, got)
			}
		}
	}
	// A public client has no secret: an empty one by Basic is x/oauth2's probe.
	if a := w.Token("spa", "", grantForm("spa", w.code(b, "spa"))); a.Status != http.StatusOK {
		t.Errorf("public client by Basic without secret: %d %s", a.Status, a.Body)
	}
	wantOAuth(t, "public client with a secret", w.Token("spa", "anything", grantForm("spa", w.code(b, "spa"))), http.StatusUnauthorized, "invalid_client")
	wantOAuth(t, "confidential client without secret", w.Token("", "", grantForm("web", w.code(b, "web"), "client_id", "web")), http.StatusUnauthorized, "invalid_client")
	wantOAuth(t, "confidential client with empty secret", w.Token("web", "", grantForm("web", w.code(b, "web"))), http.StatusUnauthorized, "invalid_client")
}

func TestRefusedClientsAreTold401WithAChallenge(t *testing.T) {
	w := newWorld(t, `{"client_id":"off","client_secret":"off-secret","redirect_uris":["https://off.example.net/cb"],"disabled":true}`)
	form := grantForm("web", "whatever")
	header := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	for what, a := range map[string]portaltest.Answer{
		"unknown":          w.Token("nobody", "some-secret", form),
		"unknown, in body": w.Token("", "", with(form, "client_id", "nobody")),
		"wrong secret":     w.Token("web", "wrong-secret", form),
		"disabled":         w.Token("off", "off-secret", form),
		"bad escape":       w.Call(http.MethodPost, "/oauth2/token", form, func(r *http.Request) { r.SetBasicAuth("%zz", "x") }),
		"no client":        w.Token("", "", form),
		"not base64":       w.Call(http.MethodPost, "/oauth2/token", form, header("Basic !!!")),
		"another scheme":   w.Call(http.MethodPost, "/oauth2/token", form, header("Negotiate abc")),
	} {
		wantOAuth(t, what, a, http.StatusUnauthorized, "invalid_client")
		if a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", what)
		}
	}
	unknown, wrong := w.Token("nobody", "some-secret", form), w.Token("web", "wrong-secret", form)
	if unknown.Body != wrong.Body {
		t.Errorf("unknown client and wrong secret differ: %s, %s", unknown.Body, wrong.Body)
	}
}

func TestSecretRotation(t *testing.T) {
	w := newWorld(t)
	id := "rotated"
	old, oldHash := "the-old-secret", hashSecret("the-old-secret")
	fresh, freshHash := "the-new-secret", hashSecret("the-new-secret")
	c := stored(id, freshHash)
	c.OldSecretHash, c.OldSecretUntil = oldHash, w.Clock.Now().Add(time.Hour)
	if err := w.Store.CreateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := w.Clients.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	try := func(secret string) portaltest.Answer {
		return w.Token(id, secret, grantForm("web", "no such code"))
	}
	wantOAuth(t, "new secret", try(fresh), http.StatusBadRequest, "invalid_grant")
	wantOAuth(t, "old secret while it lives", try(old), http.StatusBadRequest, "invalid_grant")
	wantOAuth(t, "wrong secret", try("neither-of-them"), http.StatusUnauthorized, "invalid_client")
	w.Clock.Advance(time.Hour + time.Second)
	wantOAuth(t, "old secret afterwards", try(old), http.StatusUnauthorized, "invalid_client")
	wantOAuth(t, "new secret afterwards", try(fresh), http.StatusBadRequest, "invalid_grant")
}
