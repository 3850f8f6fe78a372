package portal_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal"
	"peerage/portal/portaltest"
	"peerage/store"
)

const fresh = "blue boats pass the lighthouse"

// change sends the form of /identity/password.
func change(b *portaltest.Browser, current, password, repeat, code string) *portaltest.Page {
	form := url.Values{"current_password": {current}, "new_password": {password}, "repeat_password": {repeat}}
	if code != "" {
		form.Set("code", code)
	}
	return b.Once(http.MethodPost, "/identity/password", form, nil)
}

// What only a backend elsewhere refuses has words of its own.
func TestPasswordFaultsOfABackend(t *testing.T) {
	for err, want := range map[error]string{identity.ErrPasswordOverBytes: "password_too_long", identity.ErrNotGranted: "not_allowed", identity.ErrUnavailable: ""} {
		code, words := portal.PasswordFault(fmt.Errorf("setting a password: %w", err))
		if code != want || (want != "") != (words.Key != "") {
			t.Errorf("%v is %q with the words %q, want %q", err, code, words.Key, want)
		}
	}
}

// Every fault stands beside its field, changes nothing and gives no password back.
func TestPasswordFormFaults(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	secret := w.AddTOTP(w.AddUser("carol"))
	w.leaks.keep("password that was typed", fresh)
	const current = portaltest.Password
	for _, c := range []struct {
		what, who                       string
		current, password, repeat, code string
		want, field, says               string
	}{
		{"wrong current password", "bob", "wrong horse battery", fresh, fresh, "", "422 wrong_credentials", "current_password", "The password is wrong."},
		{"no current password", "bob", "", fresh, fresh, "", "422 wrong_credentials", "current_password", "The password is wrong."},
		{"repeated otherwise", "bob", current, fresh, fresh + "!", "", "422 password_repeat", "repeat_password", "It is not the same as above."},
		{"not repeated", "bob", current, fresh, "", "", "422 password_repeat", "repeat_password", "It is not the same as above."},
		{"too short", "bob", current, "elevenchars", "elevenchars", "", "422 password_too_short", "new_password", "It needs at least 12 characters."},
		{"empty", "bob", current, "", "", "", "422 password_too_short", "new_password", "It needs at least"},
		{"too long", "bob", current, strings.Repeat("long ", 205), strings.Repeat("long ", 205), "", "422 password_too_long", "new_password", "at most 1024"},
		{"breached", "bob", current, "Password1234", "Password1234", "", "422 password_breached", "new_password", "attackers try first"},
		{"the user name in it", "bob", current, "here lives Bob alone", "here lives Bob alone", "", "422 password_has_name", "new_password", "contain your user name"},
		{"short and repeated otherwise", "bob", current, "short", "other", "", "422 password_too_short", "repeat_password", "It is not the same as above."},
		{"wrong code", "carol", current, fresh, fresh, "000000", "422 wrong_code", "code", "This code is wrong"},
		{"no code", "carol", current, fresh, fresh, "", "422 wrong_code", "code", "This code is wrong"},
		{"wrong password and code", "carol", "wrong horse battery", fresh, fresh, "000000", "422 wrong_credentials", "current_password", "The password is wrong."},
	} {
		t.Run(c.what, func(t *testing.T) {
			code := ""
			if c.who == "carol" {
				code = secret
			}
			b := w.signedIn(t, c.who, code)
			page := change(b, c.current, c.password, c.repeat, c.code)
			if got := outcome(page); got != c.want {
				t.Fatalf("%s, want %s", got, c.want)
			}
			if !strings.Contains(page.Body, c.says) || !strings.Contains(page.Body, `href="#`+c.field+`"`) || !strings.Contains(page.Body, `id="`+c.field+`-fault"`) {
				t.Errorf("%q does not stand beside %s:\n%s", c.says, c.field, page.Body)
			}
			for _, form := range page.Forms {
				for name := range form.Fields {
					if name != "username" && form.Fields.Get(name) != "" {
						t.Errorf("%s comes back as %q", name, form.Fields.Get(name))
					}
				}
			}
			if b.Get("/identity").URL.Path != "/identity" {
				t.Error("the session has gone")
			}
			w.Clock.Advance(16 * time.Minute) // else the next one is throttled
		})
	}
	if _, err := w.Directory.SignIn(t.Context(), identity.Browser{}, "bob", current); err != nil {
		t.Errorf("bob's password has changed: %v", err)
	}
	if got := metric(t, w.Site, "peerage_password_change_total", "result", "success"); got != 0 {
		t.Errorf("%v changes succeeded", got)
	}
}

// The story of a stolen password: the person changes it, and every other
// browser, code and token that was had with it is dead at once, while the
// browser that changed it goes on under a new secret.
func TestPasswordChangeEndsEverythingElse(t *testing.T) {
	w := newFlows(t)
	secret := w.AddTOTP(w.AddUser("carol"))
	mine, thief := w.signedIn(t, "carol", secret), w.signedIn(t, "carol", secret)
	stolen := consented(t, w, thief, "grafana", callback, "openid offline_access")
	own := consented(t, w, mine, "grafana", callback, "openid offline_access")
	waiting := code(t, thief.Get(portaltest.Authorize("grafana", callback, "scope", "openid")), callback)
	half := w.Browser()
	half.Submit(half.Get("/login"), "username", "carol", "password", portaltest.Password)
	before := cookie(t, mine, "peerage")
	w.leaks.keep("password that was typed", fresh)
	w.skipEvents()

	page := mine.Get("/identity/password")
	page = mine.Submit(page, "current_password", portaltest.Password, "new_password", fresh, "repeat_password", fresh, "code", w.Code(secret))
	if page.URL.Path != "/identity" || page.Status != http.StatusOK || !strings.Contains(page.Body, "Your password is changed.") || !strings.Contains(page.Body, "It is a strong one.") {
		t.Fatalf("the change leads to %s (%s)", page.URL, outcome(page))
	}
	w.happened(t, "password_change success carol", "session_revoke success carol")
	if cookie(t, mine, "peerage") == before {
		t.Error("the session's secret has not changed")
	}
	if page := thief.Get("/identity"); page.URL.Path != "/login" {
		t.Error("the other browser is still signed in")
	}
	if page := half.Get("/login/totp"); page.URL.Path == "/login/totp" {
		t.Error("a sign-in that began with the old password goes on")
	}
	for what, tokens := range map[string]portaltest.Answer{"thief": stolen, "own": own} {
		if got := w.Refresh("grafana", "grafana-secret", tokens.Str("refresh_token")); got.Str("error") != "invalid_grant" {
			t.Errorf("%s: the refresh token gives %d %s", what, got.Status, got.Body)
		}
		if got := w.UserInfo(tokens.Str("access_token")); got.Status != http.StatusUnauthorized {
			t.Errorf("%s: the access token gives %d", what, got.Status)
		}
	}
	if got := w.Redeem("grafana", "grafana-secret", waiting, callback); got.Str("error") != "invalid_grant" {
		t.Errorf("a code from before gives %d %s", got.Status, got.Body)
	}
	if page := w.Browser().Get("/login"); outcome(w.Browser().Submit(page, "username", "carol", "password", portaltest.Password)) != "422 wrong_credentials" {
		t.Error("the old password still opens the account")
	}
	if got := metric(t, w.Site, "peerage_password_change_total", "result", "success"); got != 1 {
		t.Errorf("%v changes are counted", got)
	}
}

// Whoever sits at a forgotten session guesses no faster than at the sign-in,
// and the guesses of both count together.
func TestGuessingTheCurrentPasswordIsThrottled(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	for i := range 5 {
		if got := outcome(change(b, "wrong horse battery", fresh, fresh, "")); got != "422 wrong_credentials" {
			t.Fatalf("guess %d: %s", i, got)
		}
	}
	page := change(b, portaltest.Password, fresh, fresh, "")
	if got := outcome(page); got != "429 throttled" || page.Header.Get("Retry-After") == "" {
		t.Errorf("the sixth gives %s, Retry-After %q", got, page.Header.Get("Retry-After"))
	}
	other := w.Browser()
	if got := outcome(other.Submit(other.Get("/login"), "username", "bob", "password", portaltest.Password)); got != "429 throttled" {
		t.Errorf("a sign-in meanwhile gives %s", got)
	}
	w.Clock.Advance(time.Minute)
	if got := outcome(change(b, portaltest.Password, fresh, fresh, "")); got != "303 /identity?done=password_changed_strong" {
		t.Errorf("after the wait: %s", got)
	}
}

// A code is worth too much to be spent on a wrong password, and counts once.
func TestPasswordChangeSpendsACodeOnce(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	secret := w.AddTOTP(w.AddUser("carol"))
	b := w.signedIn(t, "carol", secret)
	now := w.Code(secret)
	if got := outcome(change(b, "wrong horse battery", fresh, fresh, now)); got != "422 wrong_credentials" {
		t.Fatalf("a wrong password: %s", got)
	}
	if got := outcome(change(b, portaltest.Password, fresh, fresh, now)); got != "303 /identity?done=password_changed_strong" {
		t.Fatalf("the same code with the right password: %s", got)
	}
	if got := outcome(change(b, fresh, fresh+" again", fresh+" again", now)); got != "422 wrong_code" {
		t.Errorf("the code once more: %s", got)
	}
}

// Who has no password of ours is told so, and nothing is tried.
func TestPasswordOfSomebodyElse(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	u := store.User{Sub: "sub-dora", Origin: "peeringdb", Username: "dora"}
	if err := w.Store.CreateUser(t.Context(), u, "", nil); err != nil {
		t.Fatal(err)
	}
	s := store.Session{ID: "dora", Sub: u.Sub, ACR: identity.ACROneFactor, AMR: []string{"pwd"}, AuthTime: w.Clock.Now(), FactorAt: w.Clock.Now(), ExpiresAt: w.Clock.Now().Add(time.Hour)}
	secret := identity.NewSecret()
	if err := w.Store.CreateSession(t.Context(), s, identity.Hash(secret), nil); err != nil {
		t.Fatal(err)
	}
	b.Client.Jar.SetCookies(mustParse(t, w.Issuer), []*http.Cookie{{Name: "peerage", Value: secret, Path: "/"}})
	for _, page := range []*portaltest.Page{b.Get("/identity/password"), change(b, "x", fresh, fresh, "")} {
		if !strings.Contains(page.Body, "You sign in with PeeringDB") || strings.Contains(page.Body, "current_password") {
			t.Errorf("%s:\n%s", outcome(page), page.Body)
		}
	}
	if got := outcome(change(b, "x", fresh, fresh, "")); got != "422 not_allowed" {
		t.Errorf("a change gives %s", got)
	}
	if body := b.Get("/identity").Body; strings.Contains(body, "Change my password") {
		t.Error("the profile offers to change it")
	}
}
