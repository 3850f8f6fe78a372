package peeringdb_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recording holds the answers of a PeeringDB 2.82.0 by the question's name.
type recording struct {
	t     *testing.T
	all   map[string]json.RawMessage
	asked map[string]bool
}

func readRecording(t *testing.T) recording {
	t.Helper()
	text, err := os.ReadFile("testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	r := recording{t: t, asked: map[string]bool{}}
	if err := json.Unmarshal(text, &r.all); err != nil {
		t.Fatal(err)
	}
	return r
}

// value is one recorded answer of any form.
func (r recording) value(name string) any {
	r.t.Helper()
	raw, ok := r.all[name]
	if !ok {
		r.t.Fatalf("nothing is recorded as %q", name)
	}
	r.asked[name] = true
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		r.t.Fatal(err)
	}
	return v
}

// headers that matter to whoever asks.
var headersThatMatter = []string{"content-type", "cache-control", "www-authenticate", "x-auth-status", "x-cached-response", "x-throttled-response",
	"x-ratelimit-limit", "retry-after", "location", "allow", "x-frame-options", "x-content-type-options"}

// same compares an answer with the recorded one.
func (r recording) same(w *world, name string, got reply) {
	r.t.Helper()
	var want reply
	text, _ := json.Marshal(r.value(name))
	if err := json.Unmarshal(text, &want); err != nil {
		r.t.Fatal(err)
	}
	if got.Status != want.Status {
		r.t.Errorf("%s: status %d, want %d (%s)", name, got.Status, want.Status, got.text)
	}
	for _, header := range headersThatMatter {
		if header == "retry-after" && want.Headers[header] == "47" { // what was left of the minute
			want.Headers[header] = "60"
		}
		if got.Headers[header] != want.Headers[header] {
			r.t.Errorf("%s: header %s is %q, want %q", name, header, got.Headers[header], want.Headers[header])
		}
	}
	if strings.HasPrefix(got.Headers["content-type"], "text/html") && got.Status != http.StatusUnauthorized && got.Headers["location"] == "" && len(got.text) > 100 {
		return // the words of a page are not promised
	}
	r.equal(w, name, got.Body, want.Body)
}

// equal compares bodies; what differs from run to run is made alike first.
func (r recording) equal(w *world, name string, got, want any) {
	r.t.Helper()
	if diff := cmp.Diff(normal(w, "", want), normal(w, "", got)); diff != "" {
		r.t.Errorf("%s (-recorded +look-alike):\n%s", name, diff)
	}
}

func (r recording) is(w *world, name string, got any) {
	r.t.Helper()
	r.equal(w, name, got, r.value(name))
}

// normal replaces addresses, times, tokens and keys; scopes and claim names
// are sets.
func normal(w *world, name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		all := map[string]any{}
		for key, one := range v {
			all[key] = normal(w, key, one)
		}
		return all
	case []any:
		all := []any{}
		for _, one := range v {
			all = append(all, normal(w, "", one))
		}
		if name == "claims_supported" || name == "oidc_claims_supported" {
			slices.SortFunc(all, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		}
		return all
	case string:
		if slices.Contains([]string{"code", "access_token", "refresh_token", "id_token", "kid", "n", "at_hash", "jti", "created", "updated", "rir_status_updated"}, name) {
			return "…"
		}
		return strings.NewReplacer("http://127.0.0.1:18600", "BASE", w.URL(), "BASE").Replace(v)
	case float64:
		if slices.Contains([]string{"iat", "exp", "auth_time"}, name) {
			return "…"
		}
	case int:
		return float64(v)
	}
	return v
}

// TestReplay asks the look-alike what PeeringDB was asked, and wants the same
// answers: a look-alike that is more obliging would hide our mistakes.
func TestReplay(t *testing.T) {
	r := readRecording(t)
	for name, replay := range map[string]func(*testing.T, recording){
		"metadata": replayMetadata, "token endpoint": replayTokenEndpoint, "refresh": replayRefresh, "three at once": replayRefreshThreeAtOnce,
		"revocation": replayRevocation, "people": replayPeople, "scopes": replayScopes, "clients": replayClientsAndAlgorithms, "dead tokens": replayDeadTokens,
		"remembered refusals": replayRememberedRefusals, "too many refusals": replayTooManyRefusals, "rate limit": replayRateLimit, "public data": replayPublicData,
		"pages": replayPages, "requests that fail": replayFaultyRequests, "prompts": replayPrompts, "affiliations": replayAffiliations, "closed account": replayClosedAccount,
	} {
		t.Run(name, func(t *testing.T) { replay(t, r) })
	}
	for name := range r.all {
		if _, reason := notReplayed[name]; !reason && !r.asked[name] {
			t.Errorf("the answer %q was not replayed", name)
		}
	}
}

// notReplayed are the recorded answers that a look-alike need not give.
var notReplayed = map[string]string{
	"ada: cookies":                       "attributes of a browser's cookies",
	"person heidi: no token":             "the words of a page; where she ends is tested",
	"person ivan: id_token bytes":        "the size depends on how JSON is spaced",
	"client hs256: signed with":          "what PeeringDB stores",
	"lifetimes":                          "read in the database; the lifetimes are tested",
	"api ix":                             "not asked by anybody",
	"api net pending by id":              "a nested organisation, not asked by anybody",
	"api more than 150 ASNs":             "compared by count",
	"429: headers":                       "compared with the answer itself",
	"profile with a good token: headers": "compared with the answer itself",
}

func replayMetadata(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	for _, path := range []string{"/oauth2/.well-known/openid-configuration", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
		"/oauth2/.well-known/jwks.json", "/oauth2/authorize", "/oauth2/token", "/oauth2/logout/", "/oauth2/device-authorization/"} {
		r.same(w, "GET "+path, w.get(path))
	}
	r.same(w, "POST /oauth2/token without slash", w.post("/oauth2/token", form()))
	r.same(w, "/profile/v1/ with slash", w.get("/profile/v1/"))
}

func replayTokenEndpoint(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	landed := w.signIn("ada")
	r.is(w, "ada: redirect", map[string]any{"code": landed.Get("code"), "state": landed.Get("state")})
	code := landed.Get("code")
	r.same(w, "token: PKCE verifier missing", w.post("/oauth2/token/", exchange(code, "code_verifier", "-")))
	r.same(w, "token: PKCE verifier wrong (same code)", w.post("/oauth2/token/", exchange(code, "code_verifier", strings.Repeat("wrong", 10))))
	r.same(w, "token: client_secret_id", w.post("/oauth2/token/", exchange(code, "client_secret", "-")))
	// One refusal was remembered: the next ones are not looked at.
	r.same(w, "token: wrong secret", w.post("/oauth2/token/", exchange(code, "client_secret", "wrong")))
	r.same(w, "token: unknown client", w.post("/oauth2/token/", exchange(code, "client_id", "unknown")))
	r.same(w, "token: no client", w.post("/oauth2/token/", exchange(code, "client_id", "-", "client_secret", "-")))
	w.Forget()
	r.same(w, "token: client_secret_none", w.post("/oauth2/token/", exchange(code, "client_id", "-", "client_secret", "-")))
	w.Forget()
	r.same(w, "token: client_secret_basic", w.post("/oauth2/token/", exchange(code), "Authorization", basic("upstream-peerage", "right-secret")))
	w.Forget()
	r.same(w, "token: redirect_uri differs", w.post("/oauth2/token/", exchange(code, "redirect_uri", callback+"/other")))
	good := w.post("/oauth2/token/", exchange(code))
	r.same(w, "token: good", good)
	header, claims := claimsOf(t, good.field("id_token"))
	r.is(w, "id_token", map[string]any{"header": header, "claims": claims})

	token := good.field("access_token")
	r.same(w, "/profile/v1", w.profile(token))
	r.is(w, "/profile/v1?pretty", w.get("/profile/v1?pretty", "Authorization", "Bearer "+token).text[:len(r.value("/profile/v1?pretty").(string))])
	r.same(w, "userinfo", w.get("/oauth2/userinfo/", "Authorization", "Bearer "+token))
	r.same(w, "introspect by the client", w.post("/oauth2/introspect/", form("token", token)))
	r.same(w, "code replayed", w.post("/oauth2/token/", exchange(code)))
	r.is(w, "/profile/v1 after the replay", w.profile(token).Status)
}

func replayRefresh(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	first := w.tokens("ada")
	second := w.refresh(first.field("refresh_token"))
	r.same(w, "refresh", second)
	header, claims := claimsOf(t, second.field("id_token"))
	r.is(w, "refresh: id_token", map[string]any{"header": header, "claims": claims})
	r.is(w, "refresh: /profile/v1 amr", w.profile(second.field("access_token")).Body.(map[string]any)["amr"])
	r.is(w, "refresh: old access token", w.profile(first.field("access_token")).Status)
	r.same(w, "refresh: old refresh token again", w.refresh(first.field("refresh_token")))
	r.is(w, "refresh: new access token after that", w.profile(second.field("access_token")).Status)
	if got := w.Reused(); got != 1 {
		t.Errorf("%d tokens were spent twice, want 1", got)
	}

	narrow := w.refresh(second.field("refresh_token"), "scope", "openid profile")
	r.same(w, "refresh: fewer scopes", narrow)
	r.is(w, "refresh: fewer scopes: profile keys", keysOf(w.profile(narrow.field("access_token"))))
	still := w.refresh(narrow.field("refresh_token"))
	r.same(w, "refresh: then without scope", still)
	if got := w.refresh(still.field("refresh_token"), "scope", allScopes); got.Status != http.StatusBadRequest {
		t.Errorf("scopes came back: %d %s", got.Status, got.text)
	}
	r.same(w, "refresh: garbage", w.refresh("garbage"))
	w.Forget()
	r.same(w, "refresh: with basic", w.post("/oauth2/token/", form("grant_type", "refresh_token", "refresh_token", still.field("refresh_token")),
		"Authorization", basic("upstream-peerage", "right-secret")))
}

func replayRefreshThreeAtOnce(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	first := w.tokens("ada")
	replies := make(chan reply, 3)
	for range cap(replies) {
		go func() { replies <- w.refresh(first.field("refresh_token")) }()
	}
	var outcomes []any
	for range cap(replies) {
		got := <-replies
		if got.Status == http.StatusOK {
			r.is(w, "refresh: what those tokens see", []any{w.profile(got.field("access_token")).Status})
			outcomes = append(outcomes, "200 ['"+strings.Join(keyNames(got), "', '")+"']")
		} else {
			outcomes = append(outcomes, "400 ['error']")
		}
	}
	want := r.value("refresh: three at once").([]any)
	order := func(a, b any) int { return strings.Compare(a.(string), b.(string)) }
	slices.SortFunc(want, order)
	slices.SortFunc(outcomes, order)
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("three refreshes at once (-recorded +look-alike):\n%s", diff)
	}
}

func replayRevocation(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	one := w.tokens("ada")
	r.same(w, "revoke: without client", w.post("/oauth2/revoke_token/", form("token", one.field("refresh_token"), "client_id", "-", "client_secret", "-")))
	w.Forget()
	r.same(w, "revoke: refresh token", w.post("/oauth2/revoke_token/", form("token", one.field("refresh_token"))))
	r.same(w, "revoke: then /profile/v1", w.profile(one.field("access_token")))
	r.same(w, "revoke: then refresh", w.refresh(one.field("refresh_token")))
	r.same(w, "revoke: unknown token", w.post("/oauth2/revoke_token/", form("token", "unknown")))
	two := w.tokens("ada")
	r.same(w, "revoke: access token", w.post("/oauth2/revoke_token/", form("token", two.field("access_token"))))
	for range 2 { // for ever
		two = w.refresh(two.field("refresh_token"))
		r.same(w, "revoke: access token, then refresh", two)
		w.Forget()
		if got := w.profile(two.field("access_token")); got.Status != http.StatusForbidden || got.Headers["x-auth-status"] != "authenticated" {
			t.Errorf("the profile of a token without scopes is %d %v", got.Status, got.Headers)
		}
	}
}

func replayPeople(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	for name := range r.all {
		person, ok := strings.CutPrefix(name, "person ")
		person, profile := strings.CutSuffix(person, ": /profile/v1")
		if !ok || !profile || person == "ivan" {
			continue
		}
		w.pass(time.Minute)
		r.same(w, name, w.profile(w.tokens(person).field("access_token")))
	}
	ivan := w.profile(w.tokens("ivan").field("access_token"))
	networks := ivan.Body.(map[string]any)["networks"].([]any)
	want := r.value("person ivan: /profile/v1").(map[string]any)
	r.equal(w, "ivan", map[string]any{"networks": float64(len(networks)), "first": networks[0]}, map[string]any{"networks": want["networks"], "first": want["first"]})
	if to, err := w.Authorize(t.Context(), w.URL()+"/oauth2/authorize/?"+authorization().Encode(), "heidi"); err == nil || !strings.Contains(err.Error(), "/account/two_factor/: 200") {
		t.Errorf("heidi without a second factor came to %q (%v)", to, err)
	}
}

func keyNames(r reply) []string {
	var names []string
	for name := range r.Body.(map[string]any) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func keysOf(r reply) []any {
	var all []any
	for _, name := range keyNames(r) {
		all = append(all, name)
	}
	return all
}
