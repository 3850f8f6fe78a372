package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
	"peerage/store/storetest"
)

// mirroring is a world that notes the changed consents of local people.
func mirroring(t testing.TB, w world) world {
	w.Store = w.replica(t, storetest.WithMirroredConsents("local"))
	return w
}

// changed takes what is due and says that it was told.
func (w world) changed(t testing.TB) (subs []string) {
	t.Helper()
	taken, err := w.TakeConsentChanges(t.Context(), 100, time.Minute)
	want(t, err, nil)
	for _, c := range taken {
		subs = append(subs, c.Sub)
		want(t, w.ConsentsMirrored(t.Context(), c), nil)
	}
	slices.Sort(subs)
	return subs
}

// allows is a consent of a person.
func (w world) allows(t testing.TB, sub, clientID string) {
	t.Helper()
	id, browser := w.request(t, clientID)
	want(t, w.SaveConsent(t.Context(), id, browser, store.Progress{}, sub, clientID, []string{"openid"}), nil)
}

// Whatever changes a consent is noted, once for each person, and of those
// people alone who are mirrored.
func TestChangedConsentsAreNoted(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, plain world) {
		ctx := t.Context()
		w := mirroring(t, plain)
		ada, bob := w.person(t).Sub, w.person(t).Sub
		elsewhere := store.User{Sub: "elsewhere", Origin: "peeringdb", Username: "elsewhere"}
		want(t, w.CreateUser(ctx, elsewhere, "", nil), nil)
		want(t, w.CreateClient(ctx, store.Client{ClientID: "app"}), nil)
		for _, sub := range []string{ada, bob, elsewhere.Sub} {
			w.allows(t, sub, "app")
		}
		w.allows(t, ada, "another")
		both := []string{ada, bob}
		slices.Sort(both)
		expect := func(what string, subs ...string) {
			t.Helper()
			if got := w.changed(t); !slices.Equal(got, subs) {
				t.Errorf("%s: noted %v, want %v", what, got, subs)
			}
		}
		expect("consents", both...)
		expect("nothing")
		want(t, w.RevokeConsent(ctx, ada, "another"), nil)
		expect("one taken back", ada)
		want(t, w.RevokeConsent(ctx, ada, "another"), store.ErrNotFound)
		expect("one that is not there")
		w.allowDevice(t, bob, "tv")
		expect("a device", bob)
		want(t, w.DeleteClient(ctx, "app"), nil)
		expect("a client is gone", both...)
		want(t, w.SignOutEverywhere(ctx, ada, false), nil)
		expect("signing out")
		want(t, w.SignOutEverywhere(ctx, ada, true), nil)
		expect("signing out, with consents", ada)
		plain.allows(t, ada, "app")
		expect("without a mirror")
		w.allows(t, ada, "app")
		want(t, w.DeleteUser(ctx, ada), nil)
		expect("the person is gone")
	})
}

// A change is taken by one replica, comes again until it was told, and one that
// comes while another is told is not lost.
func TestConsentChangesComeAgain(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, plain world) {
		ctx := t.Context()
		w := mirroring(t, plain)
		for range 12 {
			w.allows(t, w.person(t).Sub, "app")
		}
		other := w.replica(t)
		var mu sync.Mutex
		taken := map[string]store.ConsentChange{}
		together(8, func(i int) {
			for range 4 {
				list, err := []*store.Store{w.Store, other}[i%2].TakeConsentChanges(ctx, 2, time.Minute)
				if err != nil {
					t.Errorf("taking: %v", err)
				}
				mu.Lock()
				for _, c := range list {
					if taken[c.Sub].Sub != "" || c.Attempts != 1 || c.Changes != 1 {
						t.Errorf("took %+v", c)
					}
					taken[c.Sub] = c
				}
				mu.Unlock()
			}
		})
		if len(taken) != 12 {
			t.Fatalf("%d were taken", len(taken))
		}
		var later, again store.ConsentChange
		for _, c := range taken {
			switch {
			case later.Sub == "":
				later = c
				want(t, w.RetryConsents(ctx, c, time.Hour), nil)
			case again.Sub == "":
				again = c
				w.allows(t, c.Sub, "another")
				want(t, w.ConsentsMirrored(ctx, c), nil)
			default:
				want(t, w.ConsentsMirrored(ctx, c), nil)
			}
		}
		list, err := w.TakeConsentChanges(ctx, 100, time.Minute)
		want(t, err, nil)
		if diff := cmp.Diff([]store.ConsentChange{{Sub: again.Sub, Changes: 2, Attempts: 1}}, list); diff != "" {
			t.Errorf("changed meanwhile (-want +got):\n%s", diff)
		}
		w.clock.Advance(time.Minute)
		if got := w.changed(t); !slices.Equal(got, []string{again.Sub}) {
			t.Errorf("after the lease: %v", got)
		}
		w.clock.Advance(time.Hour)
		if list, err = w.TakeConsentChanges(ctx, 100, time.Minute); err != nil || len(list) != 1 || list[0].Sub != later.Sub || list[0].Attempts != 2 {
			t.Errorf("after the hour: %v, %v", list, err)
		}
	})
}

// What was allowed elsewhere is added for clients that are here, and never
// changes what was allowed here.
func TestImportConsents(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, plain world) {
		ctx := t.Context()
		w := mirroring(t, plain)
		for _, id := range []string{"app", "known"} {
			want(t, w.CreateClient(ctx, store.Client{ClientID: id}), nil)
		}
		_, err := w.SyncSystemClients(ctx, []store.Client{{ClientID: "system"}, {ClientID: "app"}})
		want(t, err, nil)
		sub := w.person(t).Sub
		w.allows(t, sub, "known")
		w.changed(t)
		var consents []store.Consent
		for i, id := range []string{"app", "gone", "known", "system"} {
			consents = append(consents, store.Consent{ClientID: id, Scopes: []string{"openid", fmt.Sprint(i)}, GrantedAt: beginning.Add(time.Duration(i-1) * time.Hour)})
		}
		added, err := w.ImportConsents(ctx, sub, consents)
		want(t, err, nil)
		if len(added) != 2 || added[0].ClientID != "app" || added[1].ClientID != "system" {
			t.Errorf("added %+v", added)
		}
		got, err := w.Consents(ctx, sub)
		want(t, err, nil)
		early := beginning.Add(-time.Hour)
		expected := []store.Consent{
			{Sub: sub, ClientID: "app", Scopes: []string{"openid", "0"}, GrantedAt: early, UpdatedAt: early},
			{Sub: sub, ClientID: "known", Scopes: []string{"openid"}, GrantedAt: beginning, UpdatedAt: beginning},
			{Sub: sub, ClientID: "system", Scopes: []string{"openid", "3"}, GrantedAt: beginning, UpdatedAt: beginning}, // not in the future
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("consents (-want +got):\n%s", diff)
		}
		added, err = w.ImportConsents(ctx, sub, consents)
		if want(t, err, nil); len(added) != 0 {
			t.Errorf("the second time added %+v", added)
		}
		if noted := w.changed(t); len(noted) != 0 {
			t.Errorf("what came from there was noted for there: %v", noted)
		}
	})
}
