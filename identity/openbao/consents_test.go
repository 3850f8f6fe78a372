package openbao_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
	"peerage/store"
)

// mirroring is a service credential that may write consents.
func mirroring(_ *openbao.People, bootstrap *openbao.Bootstrap) {
	bootstrap.People, bootstrap.MirrorConsents = false, true
}

// client registers an application.
func (s *site) client(id string) {
	s.t.Helper()
	if err := s.store.CreateClient(s.t.Context(), store.Client{ClientID: id}); err != nil {
		s.t.Fatal(err)
	}
}

// allow is a person's consent, as a page records it.
func (s *site) allow(sub, client string, scopes ...string) error {
	id := client + sub
	r := store.Request{ID: id, ClientID: client, BrowserHash: []byte(sub)}
	if _, err := s.store.CreateRequest(s.t.Context(), r, time.Hour); err != nil {
		return err
	}
	return s.store.SaveConsent(s.t.Context(), id, []byte(sub), store.Progress{DecidedBy: sub}, sub, client, scopes)
}

// metadata is what OpenBao holds of an entity, as root sees it.
func (s *site) metadata(entity string) map[string]any {
	s.t.Helper()
	metadata, _ := s.bao.Do("GET", "identity/entity/id/"+entity, nil)["metadata"].(map[string]any)
	return metadata
}

// Whoever allowed something at Loop Portal is not asked again: from the first
// sign-in on it stands here, for the applications that are here.
func TestConsentsOfLoopPortalAreTakenOver(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.client("grafana")
	s.client("wiki")
	consents := map[string]string{
		"ada":   `{"grafana":["openid","profile","offline_access"],"gone":["openid"],"wiki":{"scopes":["openid","groups"],"granted_at":"2026-04-02T21:49:32+00:00"}}`,
		"bob":   `{"grafana":`,
		"carol": "",
	}
	for name, text := range consents {
		s.bao.Add(baotest.Person{Name: name, Password: password, Metadata: map[string]string{"email": name + "@example.net", "oidc_consents": text}})
	}
	if err := s.backend.TakeEverybodyIn(t.Context()); err != nil { // a row alone is no sign-in
		t.Fatal(err)
	}
	for name := range consents {
		for range 2 {
			s.login(name, password)
		}
	}
	got, err := s.store.Consents(t.Context(), s.user("ada").Sub)
	if err != nil || len(got) != 2 || got[0].ClientID != "grafana" || !slices.Equal(got[0].Scopes, []string{"openid", "profile"}) || !got[0].GrantedAt.Equal(s.clock.Now().Truncate(time.Microsecond)) ||
		got[1].ClientID != "wiki" || got[1].GrantedAt.Month() != time.April {
		t.Errorf("ada allowed %+v, %v", got, err)
	}
	if events := s.events("consent_grant"); len(events) != 2 {
		t.Errorf("%d events", len(events))
	}
	for _, name := range []string{"bob", "carol"} {
		if got, err := s.store.Consents(t.Context(), s.user(name).Sub); len(got) != 0 || err != nil {
			t.Errorf("%s allowed %v, %v", name, got, err)
		}
	}
	// What is here counts from then on: a consent that was taken back stays so.
	ada := s.user("ada").Sub
	if err := s.store.CreateSession(t.Context(), store.Session{ID: "ada's", Sub: ada, AuthTime: s.clock.Now(), FactorAt: s.clock.Now(), ExpiresAt: s.clock.Now().Add(time.Hour)}, []byte("secret"), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.store.RevokeConsent(t.Context(), ada, "grafana"); err != nil {
		t.Fatal(err)
	}
	s.login("ada", password)
	if got, err := s.store.Consents(t.Context(), ada); len(got) != 1 || err != nil {
		t.Errorf("after the second sign-in ada allowed %v, %v", got, err)
	}
	// Nobody asked for a mirror.
	if err := s.backend.MirrorConsents(t.Context()); err != nil {
		t.Error(err)
	}
	if got := s.metadata(ada)["oidc_consents"]; got != consents["ada"] {
		t.Errorf("OpenBao was told %v", got)
	}
}

// 32 consents at once, while other metadata of the same person changes too:
// none is lost, by either side, and no key of anybody else.
func TestParallelConsentsLoseNothing(t *testing.T) {
	s := newSite(t, baotest.Shared(t), func(_ *openbao.People, bootstrap *openbao.Bootstrap) { bootstrap.MirrorConsents = true })
	entity := s.bao.Add(baotest.Person{Name: "ada", Password: password, Metadata: map[string]string{"name": "Ada", "office": "north", "oidc_consents": `{"old":["openid"]}`}})
	s.login("ada", password)
	names := "abcdefghijklmnopqrstuvwxyzABCDEF"
	for _, c := range names {
		s.client(string(c))
	}
	backends := []*openbao.Backend{s.backend, s.at(s.bao.Addr), s.at(s.bao.Addr)}
	var all sync.WaitGroup
	for i, c := range names {
		all.Go(func() {
			if err := s.allow(entity, string(c), "openid"); err != nil {
				t.Errorf("allowing %c: %v", c, err)
			}
			if err := backends[i%len(backends)].MirrorConsents(t.Context()); err != nil {
				t.Errorf("mirroring: %v", err)
			}
		})
	}
	ada := s.user("ada")
	all.Go(func() {
		if err := backends[1].SetProfile(t.Context(), ada, "Ada Example", "ada@example.net"); err != nil {
			t.Errorf("changing the name: %v", err)
		}
	})
	all.Wait()
	s.clock.Advance(2 * time.Minute) // what could not be told meanwhile is due
	if err := s.backend.MirrorConsents(t.Context()); err != nil {
		t.Error(err)
	}
	metadata := s.metadata(entity)
	var told map[string][]string
	if err := json.Unmarshal([]byte(fmt.Sprint(metadata["oidc_consents"])), &told); err != nil || len(told) != len(names) {
		t.Errorf("OpenBao was told of %d: %v, %v", len(told), metadata["oidc_consents"], err)
	}
	if metadata["office"] != "north" || metadata["name"] != "Ada Example" || metadata["email"] != "ada@example.net" {
		t.Errorf("the metadata is %v", metadata)
	}
	if due, err := s.store.ConsentChangesDue(t.Context()); due || err != nil {
		t.Errorf("something is due still, %v", err)
	}
	for _, c := range names {
		if err := s.store.RevokeConsent(t.Context(), entity, string(c)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.backend.MirrorConsents(t.Context()); err != nil {
		t.Error(err)
	}
	if got, there := s.metadata(entity)["oidc_consents"]; there {
		t.Errorf("after all was taken back OpenBao holds %v", got)
	}
}

// A consent is given although OpenBao is away, or refuses; it is told later.
func TestConsentsAreMirroredWhenOpenBaoIsBack(t *testing.T) {
	s := newHastySite(t, baotest.Shared(t), mirroring)
	entity := s.add("ada", password)
	s.login("ada", password)
	s.client("grafana")
	s.proxy.Hang()
	if err := s.allow(entity, "grafana", "openid", "groups"); err != nil {
		t.Fatal(err)
	}
	if err := s.backend.MirrorConsents(t.Context()); err != nil {
		t.Error(err)
	}
	s.proxy.Resume()
	if got := s.metadata(entity)["oidc_consents"]; got != nil {
		t.Fatalf("OpenBao was told %v", got)
	}
	s.bao.Do("DELETE", "sys/policies/acl/portal-consents", nil)
	for range 3 { // and not every second
		if err := s.backend.MirrorConsents(t.Context()); err != nil {
			t.Error(err)
		}
	}
	s.clock.Advance(5 * time.Second)
	if err := s.backend.MirrorConsents(t.Context()); err != nil || s.doubts.Load() != 1 {
		t.Errorf("without the right: %v, refused %d times", err, s.doubts.Load())
	}
	s.credential() // an operator bootstraps again
	s.clock.Advance(10 * time.Second)
	if err := s.backend.MirrorConsents(t.Context()); err != nil {
		t.Error(err)
	}
	if got := s.metadata(entity)["oidc_consents"]; got != `{"grafana":["openid","groups"]}` {
		t.Errorf("OpenBao was told %v", got)
	}

	// Of somebody who is gone nobody needs to be told.
	if err := s.allow(entity, "grafana2", "openid"); err != nil {
		t.Fatal(err)
	}
	s.bao.Do("DELETE", "identity/entity/id/"+entity, nil)
	if err := s.backend.MirrorConsents(t.Context()); err != nil {
		t.Error(err)
	}
	s.clock.Advance(24 * time.Hour)
	if due, err := s.store.ConsentChangesDue(t.Context()); due || err != nil {
		t.Errorf("something is due still, %v", err)
	}
}
