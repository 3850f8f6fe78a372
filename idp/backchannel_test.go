package idp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"peerage/portal/portaltest"
)

// listener is a client's back-channel logout endpoint.
type listener struct {
	*httptest.Server
	mu     sync.Mutex
	tokens []string
	answer int
}

func newListener(t *testing.T) *listener {
	t.Helper()
	l := &listener{answer: http.StatusOK}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if r.Method != http.MethodPost || r.FormValue("logout") != "backchannel" {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		l.tokens = append(l.tokens, r.PostFormValue("logout_token"))
		w.WriteHeader(l.answer)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.tokens
	l.tokens = nil
	return taken
}

func (l *listener) answers(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = status
}

// client registers it; the address has a query, as Apache's does.
func (l *listener) client(id string) string {
	return fmt.Sprintf(`{"client_id":%q,"client_secret":"secret-of-%s","redirect_uris":["https://%s.example.net/cb"],"trusted":true,"backchannel_logout_uri":%q}`, id, id, id, l.URL+"/out?logout=backchannel")
}

// signedInAt signs somebody in and gives tokens to the clients.
func signedInAt(t *testing.T, site *portaltest.Site, name, scope string, clients ...string) (*portaltest.Browser, map[string]portaltest.Answer) {
	t.Helper()
	b := site.Browser()
	b.Submit(b.Get("/login"), "username", name, "password", portaltest.Password)
	answers := map[string]portaltest.Answer{}
	for _, id := range clients {
		back := "https://" + id + ".example.net/cb"
		page := b.Get(portaltest.Authorize(id, back, "scope", scope))
		answers[id] = site.Redeem(id, "secret-of-"+id, page.Query(t).Get("code"), back)
		if answers[id].Status != http.StatusOK {
			t.Fatalf("tokens for %s: %d %s", id, answers[id].Status, answers[id].Body)
		}
	}
	return b, answers
}

func deliver(t *testing.T, site *portaltest.Site) {
	t.Helper()
	if err := site.Provider.DeliverLogouts(t.Context()); err != nil {
		t.Fatalf("delivering: %v", err)
	}
}

// What a logout token must be (OIDC Back-Channel Logout section 2.4), checked
// with another library's key set.
func checkLogoutToken(t *testing.T, site *portaltest.Site, token, client, sub, sid string) {
	t.Helper()
	payload, err := oidc.NewRemoteKeySet(t.Context(), site.Issuer+"/.well-known/jwks.json").VerifySignature(t.Context(), token)
	if err != nil {
		t.Fatalf("the signature: %v", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if typ := parsed.Headers[0].ExtraHeaders[jose.HeaderType]; typ != "logout+jwt" {
		t.Errorf("typ is %v", typ)
	}
	events, _ := claims["events"].(map[string]any)
	if _, ok := events["http://schemas.openid.net/event/backchannel-logout"]; !ok || claims["nonce"] != nil || claims["jti"] == "" || claims["iss"] != site.Issuer || claims["aud"] != client || claims["sub"] != sub {
		t.Errorf("the logout token says %v", claims)
	}
	if got, _ := claims["sid"].(string); got != sid {
		t.Errorf("sid is %q, want %q", got, sid)
	}
}

func TestBackChannelLogout(t *testing.T) {
	wiki, chat := newListener(t), newListener(t)
	site := portaltest.New(t, portaltest.Options{Clients: "[" + wiki.client("wiki") + "," + chat.client("chat") + `,{"client_id":"deaf","client_secret":"secret-of-deaf","redirect_uris":["https://deaf.example.net/cb"],"trusted":true}]`})
	ada := site.AddUser("ada")
	sid := func(a portaltest.Answer) string {
		s, _ := idTokenClaims(t, a.Str("id_token"))["sid"].(string)
		return s
	}
	t.Run("sign-out tells who got tokens in this session", func(t *testing.T) {
		b, got := signedInAt(t, site, "ada", "openid", "wiki", "deaf")
		if sid(got["wiki"]) == "" || sid(got["deaf"]) != "" {
			t.Fatalf("sid is %q for the listening client and %q for the deaf one", sid(got["wiki"]), sid(got["deaf"]))
		}
		b.Submit(b.Get("/"), "logout", "yes")
		deliver(t, site)
		tokens := wiki.take()
		if len(tokens) != 1 || len(chat.take()) != 0 {
			t.Fatalf("wiki was told %d times", len(tokens))
		}
		checkLogoutToken(t, site, tokens[0], "wiki", ada.Sub, sid(got["wiki"]))
		deliver(t, site)
		if len(wiki.take()) != 0 {
			t.Fatal("wiki was told twice")
		}
		if len(site.Log.Events("backchannel_logout")) != 1 {
			t.Fatal("the event is missing")
		}
	})
	t.Run("the same person signing in again ends nothing", func(t *testing.T) {
		b, got := signedInAt(t, site, "ada", "openid", "wiki")
		site.Clock.Advance(time.Second)
		page := b.Get(portaltest.Authorize("wiki", "https://wiki.example.net/cb", "scope", "openid", "prompt", "login"))
		page = b.Submit(page, "username", "ada", "password", portaltest.Password)
		again := site.Redeem("wiki", "secret-of-wiki", page.Query(t).Get("code"), "https://wiki.example.net/cb")
		deliver(t, site)
		if len(wiki.take()) != 0 || sid(again) != sid(got["wiki"]) {
			t.Fatalf("sid %q became %q", sid(got["wiki"]), sid(again))
		}
	})
	t.Run("expiry", func(t *testing.T) {
		signedInAt(t, site, "ada", "openid", "chat")
		site.Clock.Advance(25 * time.Hour)
		if _, err := site.Directory.Expire(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		deliver(t, site)
		if len(chat.take()) != 1 {
			t.Fatal("an expired session was not told")
		}
		wiki.take()
	})
	t.Run("disabling tells clients whose session ended long ago", func(t *testing.T) {
		b, _ := signedInAt(t, site, "ada", "openid offline_access", "chat")
		b.Submit(b.Get("/"), "logout", "yes")
		deliver(t, site)
		chat.take() // the session's end; the refresh token lives on
		u, err := site.Directory.UserByName(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		if err := site.Directory.SetDisabled(t.Context(), u, true); err != nil {
			t.Fatal(err)
		}
		deliver(t, site)
		tokens := chat.take()
		if len(tokens) != 1 {
			t.Fatalf("chat was told %d times", len(tokens))
		}
		checkLogoutToken(t, site, tokens[0], "chat", ada.Sub, "")
		wiki.take()
		if err := site.Directory.SetDisabled(t.Context(), u, false); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("retried until told, then given up", func(t *testing.T) {
		wiki.answers(http.StatusInternalServerError)
		b, _ := signedInAt(t, site, "ada", "openid", "wiki")
		b.Submit(b.Get("/"), "logout", "yes")
		deliver(t, site)
		deliver(t, site) // not due yet
		if n := len(wiki.take()); n != 1 {
			t.Fatalf("told %d times at once", n)
		}
		wiki.answers(http.StatusNoContent)
		site.Clock.Advance(time.Minute)
		deliver(t, site)
		if n := len(wiki.take()); n != 1 {
			t.Fatalf("told %d times after a pause", n)
		}
		wiki.answers(http.StatusBadRequest)
		b, _ = signedInAt(t, site, "ada", "openid", "wiki")
		b.Submit(b.Get("/"), "logout", "yes")
		for range 20 {
			deliver(t, site)
			site.Clock.Advance(2 * time.Hour)
		}
		if n := len(wiki.take()); n != 10 {
			t.Fatalf("tried %d times", n)
		}
		last := site.Log.Events("backchannel_logout")
		if got := last[len(last)-1]; got["result"] != "failure" || !strings.Contains(fmt.Sprint(got["reason"]), "400") {
			t.Fatalf("the event says %v", got)
		}
	})
}

// A client whose address redirects, hangs up, answers a flood or leads where
// nobody may be called costs nothing but its own delivery.
func TestBackChannelLogoutToAddressesThatMisbehave(t *testing.T) {
	good := newListener(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, good.URL+"/out?logout=backchannel", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/flood", func(w http.ResponseWriter, _ *http.Request) {
		for range 1000 {
			if _, err := io.WriteString(w, strings.Repeat("x", 100<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/hang-up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	bad := httptest.NewServer(mux)
	defer bad.Close()
	addresses := map[string]string{"redirect": bad.URL + "/redirect", "flood": bad.URL + "/flood", "hangup": bad.URL + "/hang-up",
		"metadata": "http://169.254.169.254/latest", "closed": "http://127.0.0.1:1/"}
	var clients []string
	ids := []string{"good"}
	for id, address := range addresses {
		ids = append(ids, id)
		clients = append(clients, fmt.Sprintf(`{"client_id":%q,"client_secret":"secret-of-%s","redirect_uris":["https://%s.example.net/cb"],"trusted":true,"backchannel_logout_uri":%q}`, id, id, id, address))
	}
	site := portaltest.New(t, portaltest.Options{Clients: "[" + good.client("good") + "," + strings.Join(clients, ",") + "]"})
	site.AddUser("ada")
	b, _ := signedInAt(t, site, "ada", "openid", ids...)
	b.Submit(b.Get("/"), "logout", "yes")
	deliver(t, site)
	if n := len(good.take()); n != 1 {
		t.Fatalf("the good client was told %d times", n)
	}
	var warned []string
	for _, line := range site.Log.Lines("telling a client of a sign-out; it is tried again") {
		if strings.Contains(fmt.Sprint(line["msg"]), "telling a client of a sign-out") {
			warned = append(warned, fmt.Sprint(line["client"]))
		}
	}
	slices.Sort(warned)
	if got := strings.Join(warned, " "); got != "closed hangup metadata redirect" {
		t.Fatalf("not told: %s", got) // the flood answered 200; no more than a little of it was read
	}
}
