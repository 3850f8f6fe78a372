package idp_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// A hint counts only when one of our keys signed it with its own algorithm,
// as an ID token (RFC 8725): of bob's hint in ada's browser prompt=none makes
// login_required, of one that does not count a code.
func TestHintAlgorithms(t *testing.T) {
	w := newWorld(t)
	b := w.signedIn(w.person("ada"), identity.ACROneFactor)
	bob := w.person("bob")
	claims := func(change ...string) map[string]any {
		c := map[string]any{"iss": w.Issuer, "sub": bob.Sub, "aud": "trusted", "exp": w.Clock.Now().Add(time.Hour).Unix()}
		for i := 0; i < len(change); i += 2 {
			if delete(c, change[i]); change[i+1] != "" {
				c[change[i]] = change[i+1]
			}
		}
		return c
	}
	genuine := w.sign(claims(), "JWT")
	parts := strings.Split(genuine, ".")
	var header map[string]string
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(raw, &header) != nil {
		t.Fatal("the header cannot be read")
	}
	kid := header["kid"]
	hs256 := func() string {
		// The public key as an HMAC secret.
		signed := encode(`{"alg":"HS256","typ":"JWT","kid":"`+kid+`"}`) + "." + parts[1]
		key, _ := ourKey().Public().(interface{ Bytes() ([]byte, error) })
		secret, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	list := claims()
	list["aud"] = []string{"trusted", "web"}
	for what, c := range map[string]struct {
		hint   string
		counts bool
	}{
		"genuine":             {genuine, true},
		"expired":             {w.sign(map[string]any{"iss": w.Issuer, "sub": bob.Sub, "aud": "trusted", "exp": w.Clock.Now().Add(-time.Hour).Unix()}, "JWT"), true},
		"alg none":            {encode(`{"alg":"none"}`) + "." + parts[1] + ".", false},
		"alg none, kid":       {encode(`{"alg":"none","kid":"`+kid+`"}`) + "." + parts[1] + "." + parts[2], false},
		"HS256 by public key": {hs256(), false},
		"RS256 for an EC key": {encode(`{"alg":"RS256","kid":"`+kid+`"}`) + "." + parts[1] + "." + parts[2], false},
		"no kid":              {encode(`{"alg":"ES256"}`) + "." + parts[1] + "." + parts[2], false},
		"unknown kid":         {encode(`{"alg":"ES256","kid":"x"}`) + "." + parts[1] + "." + parts[2], false},
		"own key in header":   {encode(`{"alg":"ES256","jwk":{"kty":"EC"}}`) + "." + parts[1] + "." + parts[2], false},
		"other claims":        {parts[0] + "." + encode(`{"iss":"`+w.Issuer+`","sub":"`+bob.Sub+`","aud":"trusted","exp":9999999999}`) + "." + parts[2], false},
		"an access token":     {w.sign(claims(), "at+jwt"), false},
		"a logout token":      {w.sign(claims(), "logout+jwt"), false},
		"another issuer":      {w.sign(claims("iss", w.Issuer+"/"), "JWT"), false},
		"no issuer":           {w.sign(claims("iss", ""), "JWT"), false},
		"no subject":          {w.sign(claims("sub", ""), "JWT"), false},
		"no audience":         {w.sign(claims("aud", ""), "JWT"), false},
		"no end":              {w.sign(claims("exp", ""), "JWT"), false},
		"two audiences":       {w.sign(list, "JWT"), false},
		"another client's":    {w.sign(claims("aud", "web"), "JWT"), false},
	} {
		want := "code"
		if c.counts {
			want = "login_required"
		}
		if got := w.leads(b.Get(authorize("trusted", "prompt", "none", "id_token_hint", c.hint)), "trusted"); got != want {
			t.Errorf("%s: leads to %s, want %s", what, got, want)
		}
	}
	w.calm()
}

// Two replicas share codes and refresh tokens: one redeem wins over both, and
// all refreshes at once get one answer.
func TestReplicas(t *testing.T) {
	o := portaltest.Options{Clients: clientsJSON(), Database: filepath.Join(t.TempDir(), "peerage.db")}
	one := &world{portaltest.New(t, o), t}
	o.Clock = one.Clock
	two := &world{portaltest.New(t, o), t}
	b := one.signedIn(one.person("ada"), identity.ACROneFactor)
	token := one.tokens(b, "trusted", "scope", offline).Str("refresh_token")
	form := grantForm("trusted", one.code(b, "trusted"))
	refreshed, redeemed := make([]portaltest.Answer, 16), make([]portaltest.Answer, 16)
	var all sync.WaitGroup
	for i := range refreshed {
		w := []*world{one, two}[i%2]
		all.Go(func() { refreshed[i] = w.as("trusted", refreshForm(token)) })
		all.Go(func() { redeemed[i] = w.as("trusted", form) })
	}
	all.Wait()
	wins := 0
	for i := range refreshed {
		if refreshed[i].Str("refresh_token") == "" || refreshed[i].Str("refresh_token") != refreshed[0].Str("refresh_token") {
			t.Errorf("refresh %d: %d %s", i, refreshed[i].Status, refreshed[i].Body)
		}
		if redeemed[i].Str("access_token") != "" {
			wins++
		}
	}
	if wins != 1 {
		t.Errorf("%d redeems of one code succeeded", wins)
	}
	one.calm()
	two.calm()
}
