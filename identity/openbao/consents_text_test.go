package openbao

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"peerage/store"
)

func TestPortalConsentsAreRead(t *testing.T) {
	given := time.Date(2026, 4, 2, 21, 49, 32, 0, time.UTC)
	all := []string{"openid", "profile", "email", "groups"}
	for _, c := range []struct {
		text    string
		want    []store.Consent
		ignored int
	}{
		{`{}`, nil, 0},
		{`{"grafana":["openid","profile","email","groups"],"mas":["openid"]}`, []store.Consent{{ClientID: "grafana", Scopes: all}, {ClientID: "mas", Scopes: []string{"openid"}}}, 0},
		{`{"grafana":{"scopes":["groups","openid"],"granted_at":"2026-04-02T21:49:32Z"}}`, []store.Consent{{ClientID: "grafana", Scopes: []string{"openid", "groups"}, GrantedAt: given}}, 0},
		{`{"grafana":{"scopes":"openid profile","granted_at":1775166572.25}}`, []store.Consent{{ClientID: "grafana", Scopes: []string{"openid", "profile"}, GrantedAt: given}}, 0},
		{`{"grafana":{"scopes":["openid"],"granted_at":"last year"}}`, []store.Consent{{ClientID: "grafana", Scopes: []string{"openid"}}}, 0},
		{`{"grafana":"openid"}`, []store.Consent{{ClientID: "grafana", Scopes: []string{"openid"}}}, 0},
		// More than Loop Portal could be allowed is nothing that it was.
		{`{"grafana":["openid","offline_access","networks"]}`, []store.Consent{{ClientID: "grafana", Scopes: []string{"openid"}}}, 0},
		{`{"a":true,"b":null,"c":[],"d":["offline_access"],"e":[1],"f":{"scopes":7},"":["openid"],"g":["openid"]}`, []store.Consent{{ClientID: "g", Scopes: []string{"openid"}}}, 7},
	} {
		got, ignored, err := portalConsents(c.text)
		if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" || ignored != c.ignored || err != nil {
			t.Errorf("%s: ignored %d, %v, (-want +got):\n%s", c.text, ignored, err, diff)
		}
	}
	for _, text := range []string{"x", "null", "[]", `["grafana"]`, `"grafana"`, `{"grafana":["openid"]`} {
		if got, _, err := portalConsents(text); err == nil || strings.Contains(err.Error(), "grafana") {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	many := map[bool]string{}
	for i := range 100 {
		many[true] += fmt.Sprintf(`,"c%d":["openid"]`, i)
	}
	if got, ignored, err := portalConsents("{" + many[true][1:] + "}"); len(got) != maxPortalConsents || ignored != 100-maxPortalConsents || err != nil {
		t.Errorf("of a hundred: %d, ignored %d, %v", len(got), ignored, err)
	}
}

// What is mirrored is what Loop Portal reads, and what we do; of too much, what
// is used stays.
func TestMirroredConsentsFitIntoAValue(t *testing.T) {
	var consents []store.Consent
	begun := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for i := range 30 {
		c := store.Consent{ClientID: fmt.Sprintf("client%02d", i), Scopes: []string{"openid", "profile", "email", "groups"}, GrantedAt: begun.Add(time.Duration(i) * time.Hour)}
		if i == 3 {
			c.LastUsedAt = begun.Add(1000 * time.Hour)
		}
		consents = append(consents, c)
		text, left := mirrored(consents)
		if len(text) > maxValue {
			t.Fatalf("%d consents make %d bytes", i+1, len(text))
		}
		back, ignored, err := portalConsents(text)
		if err != nil || ignored != 0 || len(back)+left != len(consents) || left > 0 && len(back) < 9 {
			t.Fatalf("%s: %d left, read back %d, ignored %d, %v", text, left, len(back), ignored, err)
		}
		if !strings.Contains(text, c.ClientID) || i >= 3 && !strings.Contains(text, "client03") {
			t.Errorf("after %d the newest or the used one is left out: %s", i+1, text)
		}
	}
	if text, left := mirrored(nil); text != "" || left != 0 {
		t.Errorf("no consents are %q", text)
	}
	huge := store.Consent{ClientID: strings.Repeat("c", 600), Scopes: []string{"openid"}}
	if text, left := mirrored([]store.Consent{huge, {ClientID: "a", Scopes: []string{"openid"}}}); text != `{"a":["openid"]}` || left != 1 {
		t.Errorf("beside one that never fits: %q, %d", text, left)
	}
}
