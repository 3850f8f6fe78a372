package idp_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/idp"
	"peerage/portal/portaltest"
)

const sizeLine = "a person's groups make the session of an application larger than a cookie"

// Somebody is in so many groups that a proxy's cookie grows too large: the log
// says so before the browser does, once a day for each client and person, and
// not where a filter holds the groups back.
func TestTooManyGroupsAreToldOf(t *testing.T) {
	const back = "https://web.example.net/cb"
	client := func(id, more string) string {
		return `{"client_id":"` + id + `","client_secret":"a secret","redirect_uris":["` + back + `"],"trusted":true` + more + `}`
	}
	w := newWorld(t, client("proxy", `,"claims":{"groups":"id_token"}`), client("filtered", `,"claims":{"groups":"id_token"},"group_filter":"^noc$"`), client("reader", ""))
	groups := []string{"noc"}
	for i := range 100 {
		groups = append(groups, fmt.Sprintf("peering-coordinators-of-site-%03d", i))
		if err := w.Store.CreateGroup(t.Context(), groups[len(groups)-1]); err != nil {
			t.Fatal(err)
		}
	}
	ada, bob := w.person("ada", groups...), w.person("bob", groups[:3]...)
	signIn := func(u identity.User, client string) portaltest.Answer {
		t.Helper()
		page := w.signedIn(u, identity.ACROneFactor).Get(portaltest.Authorize(client, back))
		tokens := w.Redeem(client, "a secret", page.Query(t).Get("code"), back)
		if info := w.UserInfo(tokens.Str("access_token")); tokens.Status != http.StatusOK || info.Status != http.StatusOK {
			t.Fatalf("%s at %s: %d %s, %d %s", u.Username, client, tokens.Status, tokens.Body, info.Status, info.Body)
		}
		return tokens
	}
	told := 0
	expect := func(what string, more int) (last map[string]any) {
		t.Helper()
		lines := w.Log.Lines(sizeLine)
		if len(lines) != told+more {
			t.Fatalf("%s: %d lines more, want %d", what, len(lines)-told, more)
		}
		if told = len(lines); told == 0 {
			return nil
		}
		return lines[told-1]
	}
	signIn(bob, "proxy")
	signIn(bob, "reader")
	signIn(ada, "filtered")
	expect("few groups, or a filter", 0)

	tokens := signIn(ada, "proxy")
	line := expect("many groups in the ID token", 1)
	if line["level"] != "WARN" || line["client"] != "proxy" || line["user"] != "ada" || line["where"] != "ID token" || line["groups"] != float64(101) ||
		!strings.Contains(fmt.Sprint(line["next"]), "group_filter") {
		t.Errorf("the line says %v", line)
	}
	// What oauth2-proxy would put into its cookie, without compression.
	kept := tokens.Str("id_token") + tokens.Str("access_token") + strings.Join(groups, `","`)
	if got, want := line["bytes"].(float64), float64(base64.StdEncoding.EncodedLen(len(kept))); got < want || got > want+100 {
		t.Errorf("the line says %v bytes, the cookie has about %v", got, want)
	}
	signIn(ada, "proxy")
	expect("the same person at the same client", 0)
	signIn(ada, "reader")
	if line = expect("many groups in UserInfo", 1); line["client"] != "reader" || line["where"] != "UserInfo" {
		t.Errorf("the line says %v", line)
	}
	w.Clock.Advance(24 * time.Hour)
	signIn(ada, "proxy")
	expect("a day later", 1)
}

func TestSessionSize(t *testing.T) {
	claims := func(n int) map[string]any {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("group-%04d", i) // 13 bytes each in JSON, with quotes and comma
		}
		return map[string]any{"sub": "ada", "groups": list}
	}
	for _, c := range []struct {
		name     string
		size     idp.SessionSize
		tooLarge bool
	}{
		{"no groups", idp.SizeOfUserInfo(map[string]any{"sub": "ada"}), false},
		{"an empty list", idp.SizeOfUserInfo(claims(0)), false},
		{"a large token without groups", idp.SizeOfIDToken(nil, strings.Repeat("x", 5000), "y"), false},
		{"just small enough", idp.SizeOfUserInfo(claims(157)), false},
		{"just too large", idp.SizeOfUserInfo(claims(158)), true},
		{"large with the token", idp.SizeOfIDToken(claims(100), strings.Repeat("x", 1800), "y"), true},
	} {
		if c.size.TooLarge() != c.tooLarge {
			t.Errorf("%s: %+v is too large: %t", c.name, c.size, c.size.TooLarge())
		}
	}
}
