package peeringdb_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// browser is a person's browser that stops at the client's callback.
type browser struct {
	w     *world
	jar   *cookiejar.Jar
	trail []any
}

func (w *world) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w: w, jar: jar}
}

// step makes one request and notes it.
func (b *browser) step(method, address string, form url.Values) reply {
	b.w.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Forwarded-For", "203.0.113.1")
	for _, cookie := range b.jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	res, got := b.w.exchangeWith(r)
	b.jar.SetCookies(r.URL, res.Cookies())
	b.trail = append(b.trail, method+" "+r.URL.Path+" "+res.Status[:3])
	return got
}

// open goes to the authorization endpoint and does what the pages ask for,
// until it comes to the callback or no further. The trail is that of a person
// whose password and code are one page here, and two at PeeringDB.
func (b *browser) open(person string, changes ...string) (reply, url.Values) {
	b.w.t.Helper()
	b.trail = nil
	address := b.w.URL() + "/oauth2/authorize/?" + authorization(changes...).Encode()
	got := b.step(http.MethodGet, address, nil)
	for range 10 {
		location := got.Headers["location"]
		if strings.HasPrefix(location, callback) {
			parsed, _ := url.Parse(location)
			return got, parsed.Query()
		}
		last, _, _ := strings.Cut(strings.TrimPrefix(b.trail[len(b.trail)-1].(string), "GET "), " ")
		switch {
		case strings.HasPrefix(location, "/"):
			address = b.w.URL() + location
			got = b.step(http.MethodGet, address, nil)
		case got.Status == http.StatusOK && last == "/account/login/" && person != "":
			next, _ := url.Parse(address)
			b.trail = append(b.trail, "POST /account/login/ 200")
			got = b.step(http.MethodPost, b.w.URL()+"/account/login/", url.Values{"person": {person}, "next": {next.Query().Get("next")}})
		case got.Status == http.StatusOK && last == "/oauth2/authorize/":
			got = b.step(http.MethodPost, address, url.Values{"allow": {"Authorize"}})
		default:
			return got, nil
		}
	}
	b.w.t.Fatalf("led in circles: %v", b.trail)
	return got, nil
}

func replayPages(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	b := w.browser()
	b.open("ada")
	r.is(w, "ada: pages", b.trail)
	w.tokens("bob")
	b = w.browser()
	b.open("bob")
	b.open("bob")
	r.is(w, "authorization while a token lives", b.trail)
	b.open("bob", "approval_prompt", "force")
	r.is(w, "approval_prompt=force", b.trail)
	b.open("bob", "prompt", "login")
	r.is(w, "prompt=login", b.trail)

	w.pass(31 * time.Minute) // the session lives, the sign-in no longer counts
	got, _ := b.open("")
	r.is(w, "session there, oauth_session cookie gone", map[string]any{"trail": b.trail, "asks for a password": strings.Contains(got.text, "Who signs in?")})
}

func replayFaultyRequests(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	b := w.browser()
	b.open("bob")
	for name, scope := range map[string]string{"scope 'openid groups'": "openid groups", "scope ''": ""} {
		got, _ := b.open("bob", "scope", scope)
		r.same(w, name, got)
	}
	denied := b.step(http.MethodPost, w.URL()+"/oauth2/authorize/?"+authorization().Encode(), url.Values{"cancel": {"Cancel"}})
	r.is(w, "consent denied", landing(t, denied))
	for name, change := range map[string][]string{
		"authorize: redirect_uri unknown":    {"redirect_uri", "https://example.org/"},
		"authorize: redirect_uri other port": {"redirect_uri", strings.Replace(callback, "8080", "8081", 1)},
		"authorize: unknown client":          {"client_id", "unknown"},
	} {
		got, _ := b.open("bob", change...)
		got.Headers["cache-control"] = "" // of the page, which is not PeeringDB's
		r.same(w, name, got)
	}
	for name, change := range map[string][]string{
		"authorize: response_type token":      {"response_type", "token"},
		"authorize: response_type missing":    {"response_type", "-"},
		"authorize: plain challenge":          {"code_challenge_method", "plain"},
		"authorize: challenge method unknown": {"code_challenge_method", "S512"},
	} {
		got, _ := b.open("bob", change...)
		r.is(w, name, landing(t, got))
	}
}

// landing is the query of the callback.
func landing(t *testing.T, got reply) map[string]any {
	t.Helper()
	parsed, err := url.Parse(got.Headers["location"])
	if err != nil || !strings.HasPrefix(got.Headers["location"], callback) {
		t.Fatalf("went to %q", got.Headers["location"])
	}
	all := map[string]any{}
	for name := range parsed.Query() {
		all[name] = parsed.Query().Get(name)
	}
	return all
}

// replayPrompts: prompt=none is a fault of PeeringDB, never login_required.
func replayPrompts(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	b := w.browser()
	got := b.step(http.MethodGet, w.URL()+"/oauth2/authorize/?"+authorization("prompt", "none", "state", "s").Encode(), nil)
	want := r.value("prompt=none, nobody signed in").(map[string]any)
	location, _ := want["headers"].(map[string]any)["location"].(string)
	if got.Status != http.StatusFound || !strings.HasPrefix(location, "/account/login/?next=") || !strings.HasPrefix(got.Headers["location"], "/account/login/?next=") {
		t.Errorf("prompt=none without a session: %d to %q", got.Status, got.Headers["location"])
	}
	b.step(http.MethodPost, w.URL()+"/account/login/", url.Values{"person": {"bob"}})
	for _, name := range []string{"authorize: prompt=none, no consent yet", "prompt=none, consent not given", "prompt=none, consent given"} {
		if name == "prompt=none, consent given" {
			w.tokens("bob")
		}
		got, _ := b.open("bob", "prompt", "none")
		r.same(w, name, got)
	}
}

func replayAffiliations(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	token := w.tokens("carol").field("access_token")
	see := func(name string) {
		t.Helper()
		var list []any
		for _, one := range networksOf(w.profile(token)) {
			list = append(list, one)
		}
		if list == nil {
			list = []any{}
		}
		r.is(w, name, list)
	}
	see("carol before")
	w.EndAffiliation("carol", 64500)
	see("carol after her affiliation ended, same access token")
	w.ChangeNetwork(64502, deleted)
	see("carol after a network was deleted")
	w.EndAffiliation("carol", 64501)
	see("carol after a network moved to another organisation")
	w.Affiliate("carol", 64500, 3)
	if got := networksOf(w.profile(token)); !slices.Equal(got, []string{"64500:3"}) {
		t.Errorf("a new affiliation gives %v", got)
	}
}

func replayClosedAccount(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	first := w.tokens("carol")
	w.Change("carol", func(p *person) { p.VerifiedEmail = false; p.Affiliations = nil })
	body := w.profile(first.field("access_token")).Body.(map[string]any)
	r.is(w, "carol after her e-mail lapsed", map[string]any{"verified_user": body["verified_user"], "verified_email": body["verified_email"]})
	w.Change("carol", func(p *person) { p.Inactive = true })
	r.same(w, "carol inactive: /profile/v1", w.profile(first.field("access_token")))
	second := w.refresh(first.field("refresh_token"))
	r.same(w, "carol inactive: refresh", second)
	b := w.browser()
	b.open("carol")
	refused := b.step(http.MethodPost, w.URL()+"/account/login/", url.Values{"person": {"carol"}})
	r.same(w, "carol inactive: sign-in", refused)

	w.CloseAccount("carol")
	r.same(w, "carol closed her account: /profile/v1", w.profile(second.field("access_token")))
	r.same(w, "carol closed her account: userinfo", w.get("/oauth2/userinfo/", "Authorization", "Bearer "+second.field("access_token")))
	third := w.refresh(second.field("refresh_token"))
	r.same(w, "carol closed her account: refresh", third)
	w.Remove("carol")
	r.same(w, "carol deleted: /profile/v1", w.profile(third.field("access_token")))
	r.same(w, "carol deleted: refresh", w.refresh(third.field("refresh_token")))
}
