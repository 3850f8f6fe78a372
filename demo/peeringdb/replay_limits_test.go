package peeringdb_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

func replayScopes(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	for _, scope := range []string{"'openid'", "'profile'", "'openid profile email'", "'openid networks'", "'profile networks'", "None"} {
		w.pass(time.Minute)
		asked := strings.Trim(scope, "'")
		if scope == "None" {
			asked = "-"
		}
		name := "scope " + scope + ": "
		got := w.tokens("bob", "scope", asked)
		body := map[string]any{"keys": keysOf(got)}
		for _, key := range []string{"expires_in", "token_type", "scope"} {
			body[key] = got.Body.(map[string]any)[key]
		}
		r.is(w, name+"token", body)
		if token := got.field("id_token"); token != "" {
			_, claims := claimsOf(t, token)
			claims["nonce"] = "n"
			r.is(w, name+"id_token", claims)
		}
		r.same(w, name+"/profile/v1", w.profile(got.field("access_token")))
		r.same(w, name+"userinfo", w.get("/oauth2/userinfo/", "Authorization", "Bearer "+got.field("access_token")))
	}
}

func replayClientsAndAlgorithms(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	for _, id := range []string{"noalgorithm", "hs256", "public"} {
		name := "client " + id + ": "
		secret := "right-secret"
		if id == "public" {
			secret = "-"
		}
		with := w.post("/oauth2/token/", exchange(w.signIn("bob", "client_id", id).Get("code"), "client_id", id, "client_secret", secret))
		r.same(w, name+"openid", with)
		r.same(w, name+"without openid", w.post("/oauth2/token/", exchange(w.signIn("bob", "client_id", id, "scope", "profile networks").Get("code"), "client_id", id, "client_secret", secret)))
		if token := with.field("id_token"); token != "" {
			header, _ := claimsOf(t, token)
			r.is(w, name+"id_token", header)
		}
	}
}

func replayDeadTokens(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	token := w.tokens("ada").field("access_token")
	w.pass(10 * time.Hour)
	r.same(w, "/profile/v1 with no token", w.get("/profile/v1"))
	r.same(w, "/profile/v1 with garbage", w.profile("garbage"))
	r.same(w, "/profile/v1 with Basic", w.get("/profile/v1", "Authorization", basic("x", "y")))
	r.same(w, "/profile/v1?access_token=", w.get("/profile/v1?access_token="+token))
	r.same(w, "/profile/v1 with an expired token", w.profile(token))
	r.same(w, "userinfo with an expired token", w.get("/oauth2/userinfo/", "Authorization", "Bearer "+token))
}

func replayRememberedRefusals(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	first, refused := w.tokens("ada"), form("client_secret", "wrong", "grant_type", "refresh_token", "refresh_token", "x")
	first = w.refresh(first.field("refresh_token"))
	r.is(w, "remembered: right secret", first.Status)
	r.same(w, "remembered: wrong secret", w.post("/oauth2/token/", refused))
	again := w.refresh(first.field("refresh_token"))
	r.same(w, "remembered: right secret at once", again)
	r.is(w, "remembered: header", again.Headers["x-cached-response"])
	other := w.post("/oauth2/token/", form("grant_type", "refresh_token", "refresh_token", first.field("refresh_token")), "X-Forwarded-For", "198.51.100.2")
	r.is(w, "remembered: right secret, another address", other.Status)
	r.is(w, "remembered: profile from that address with a good token", w.profile(other.field("access_token")).Status)
	var asked []any
	for second := 16; second <= 76; second += 15 {
		w.pass(15 * time.Second)
		asked = append(asked, fmt.Sprintf("%d s: %d", second, w.refresh(other.field("refresh_token")).Status))
	}
	r.is(w, "remembered: asked every 15 s", asked)
	w.pass(61 * time.Second)
	r.is(w, "remembered: after 61 s of silence", w.refresh(other.field("refresh_token")).Status)
}

func replayTooManyRefusals(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	token := w.tokens("ada").field("refresh_token")
	for i := range 11 {
		got := w.post("/oauth2/token/", form(), "Authorization", basic("upstream-peerage", "right-secret"))
		if i == 0 {
			r.same(w, "basic, right secret", got)
		}
		if got.Status != http.StatusUnauthorized {
			t.Fatalf("refusal %d was %d", i+1, got.Status)
		}
	}
	r.same(w, "429 after 11 refusals", w.post("/oauth2/token/", form(), "Authorization", basic("upstream-peerage", "right-secret")))
	r.same(w, "429: token endpoint, right secret", w.refresh(token))
	w.pass(71 * time.Second)
	if got := w.refresh(token); got.Status != http.StatusOK {
		t.Errorf("after a minute the address still gets %d", got.Status)
	}
}

func replayRateLimit(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	first := w.tokens("ada")
	w.Forget()
	for i := range 120 {
		if got := w.profile(first.field("access_token")); got.Status != http.StatusOK {
			t.Fatalf("answer %d was %d", i+1, got.Status)
		}
	}
	r.same(w, "profile with a good token: answer 121 within a minute", w.profile(first.field("access_token")))
	r.same(w, "then a refresh from that address", w.refresh(first.field("refresh_token")))
	r.is(w, "then the key set from that address", w.get("/oauth2/.well-known/jwks.json").Status)
	r.is(w, "then /api/net from that address", w.get("/api/net?asn__in=64500").Status)
	w.pass(time.Minute)
	if got := w.refresh(first.field("refresh_token")); got.Status != http.StatusOK {
		t.Errorf("a minute later: %d", got.Status)
	}
}

func replayPublicData(t *testing.T, r recording) {
	w := newWorld(t)
	r.t = t
	key := []string{"Authorization", "Api-Key right-key"}
	for name, path := range map[string]string{
		"api net by asn":                 "/api/net?asn__in=64500,64502",
		"api net fields":                 "/api/net?asn__in=64500&fields=id,asn,name,status,org_id,updated",
		"api netixlan":                   "/api/netixlan?ix_id=1",
		"api net deleted by id":          "/api/net/5",
		"api net since":                  "/api/net?asn__in=64500,64504&fields=asn,status&since=1",
		"api net, pending one by ASN":    "/api/net?asn=64503",
		"api net, one of a list pending": "/api/net?asn__in=64503,64512",
		"api unknown field":              "/api/net?asn__in=abc",
	} {
		r.same(w, name, w.get(path, key...))
	}
	var many []string
	for asn := range 204 {
		many = append(many, fmt.Sprint(64496+asn))
	}
	got := w.get("/api/net?fields=asn&asn__in="+strings.Join(many, ","), key...)
	if list := got.Body.(map[string]any)["data"].([]any); got.Status != http.StatusOK || len(list) != 11 {
		t.Errorf("204 ASNs in one question: %d, %d networks, want 11", got.Status, len(list))
	}
	r.same(w, "api basic auth", w.get("/api/net", "Authorization", basic("bob", "y")))
	r.same(w, "api wrong key", w.get("/api/net", "Authorization", "Api-Key wrong"))
	w.Forget()
	for range 20 {
		if got := w.get("/api/net?asn__in=64500"); got.Status != http.StatusOK {
			t.Fatalf("an anonymous request got %d", got.Status)
		}
	}
	r.same(w, "api anonymous request 21", w.get("/api/net?asn__in=64500"))
}
