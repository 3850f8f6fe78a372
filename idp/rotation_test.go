package idp_test

import (
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
	"peerage/store"
)

// keysOf lists the kids of an algorithm by state.
func keysOf(t *testing.T, site *portaltest.Site, alg string) map[string][]string {
	t.Helper()
	rows, err := site.Store.PublicKeys(t.Context())
	if err != nil {
		t.Fatalf("listing the keys: %v", err)
	}
	by := map[string][]string{}
	for _, row := range rows {
		if row.Alg == alg {
			by[row.State] = append(by[row.State], row.KID)
		}
	}
	return by
}

func published(t *testing.T, site *portaltest.Site, kid string) bool {
	t.Helper()
	return strings.Contains(site.Call("GET", "/.well-known/jwks.json", nil, nil).Body, kid)
}

func TestRotationPublishesADayBeforeItSigns(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{})
	before := keysOf(t, site, "ES256")
	rotated, err := site.Keys.Rotate(t.Context(), "ES256", false)
	if err != nil {
		t.Fatalf("rotating: %v", err)
	}
	if got := rotated.At.Sub(site.Clock.Now()); got <= 23*time.Hour || got > 24*time.Hour {
		t.Fatalf("a key made just now signs in %s", got)
	}
	if !published(t, site, rotated.KID) {
		t.Fatal("the next key is not published")
	}
	keep := func() {
		t.Helper()
		if err := site.Keys.Keep(t.Context(), site.Directory.Audit); err != nil {
			t.Fatalf("keeping the keys: %v", err)
		}
	}
	site.Clock.Advance(23 * time.Hour)
	keep()
	if now := keysOf(t, site, "ES256"); now[store.KeyActive][0] != before[store.KeyActive][0] {
		t.Fatal("it signs before it was published for a day")
	}
	site.Clock.Advance(time.Hour)
	keep()
	now := keysOf(t, site, "ES256")
	if now[store.KeyActive][0] != rotated.KID || now[store.KeyRetired][0] != before[store.KeyActive][0] || len(now[store.KeyNext]) != 1 {
		t.Fatalf("after a day: %v", now)
	}
	if !published(t, site, before[store.KeyActive][0]) {
		t.Fatal("the retired key left the key set while its tokens live")
	}
	site.Clock.Advance(25 * time.Hour)
	keep()
	if published(t, site, before[store.KeyActive][0]) {
		t.Fatal("the retired key is published for ever")
	}
	if len(site.Log.Events("key_rotate")) != 1 {
		t.Fatal("the rotation has no event")
	}
}

func TestRotationNowPromotesAndTwoReplicasAgree(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{})
	if err := site.Keys.Prepare(t.Context()); err != nil {
		t.Fatalf("preparing: %v", err)
	}
	next := keysOf(t, site, "EdDSA")[store.KeyNext][0]
	rotated, err := site.Keys.Rotate(t.Context(), "EdDSA", true)
	if err != nil || rotated.KID != next || rotated.At.After(site.Clock.Now()) {
		t.Fatalf("rotating now gives %+v, %v", rotated, err)
	}
	if now := keysOf(t, site, "EdDSA"); now[store.KeyActive][0] != next || len(now[store.KeyNext]) != 1 {
		t.Fatalf("the keys are %v", now)
	}
	if _, err := site.Keys.Rotate(t.Context(), "HS256", true); err == nil {
		t.Fatal("HS256 was rotated")
	}
}

func TestOldKeysAreReplacedByThemselves(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{})
	if err := site.Keys.Prepare(t.Context()); err != nil {
		t.Fatalf("preparing: %v", err)
	}
	active := keysOf(t, site, "ES256")[store.KeyActive][0]
	site.Clock.Advance(91 * 24 * time.Hour)
	if err := site.Keys.Keep(t.Context(), site.Directory.Audit); err != nil {
		t.Fatalf("keeping: %v", err)
	}
	if now := keysOf(t, site, "ES256"); now[store.KeyActive][0] == active {
		t.Fatal("a key of 91 days still signs")
	}
}

func TestRetiringALeakedKey(t *testing.T) {
	site := portaltest.New(t, portaltest.Options{})
	active := keysOf(t, site, "ES256")[store.KeyActive][0]
	if err := site.Keys.Retire(t.Context(), active, false); err == nil || !strings.Contains(err.Error(), "rotate ES256 first") {
		t.Fatalf("retiring the only key that clients know gives %v", err)
	}
	if err := site.Keys.Retire(t.Context(), active, true); err != nil {
		t.Fatalf("retiring a leaked key: %v", err)
	}
	if published(t, site, active) {
		t.Fatal("the leaked key is still published")
	}
	if now := keysOf(t, site, "ES256"); len(now[store.KeyActive]) != 1 || now[store.KeyActive][0] == active {
		t.Fatalf("after retiring: %v", now)
	}
	if err := site.Keys.Retire(t.Context(), "nobody", true); err == nil {
		t.Fatal("an unknown key was retired")
	}
}
