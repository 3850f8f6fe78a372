package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
	"peerage/store/storetest"
)

// verdict decides the same whatever there is.
func verdict(v store.PeeringDBVerdict) func(store.PeeringDBState) store.PeeringDBVerdict {
	return func(store.PeeringDBState) store.PeeringDBVerdict { return v }
}

func network(asn uint32) store.Affiliation {
	return store.Affiliation{ASN: asn, Name: fmt.Sprintf("Network %d", asn), Perms: 1}
}

// answer is a good answer of PeeringDB about a person, with a new token.
func (w world) answer(sub string, id int64, v store.PeeringDBVerdict) store.PeeringDBAnswer {
	return store.PeeringDBAnswer{Sub: sub, PeeringDBID: id, AccountName: "Ada Example", RefreshToken: []byte("token"), NextAt: w.clock.Now().Add(6 * time.Hour),
		Profile: store.User{Name: "Ada Example", Email: "ada@example.net", EmailVerified: true}, Decide: verdict(v)}
}

// linked is a person with a PeeringDB account and these networks by it.
func (w world) linked(t testing.TB, id int64, asns ...uint32) store.User {
	t.Helper()
	u := w.person(t)
	var v store.PeeringDBVerdict
	for _, asn := range asns {
		v.Add = append(v.Add, network(asn))
	}
	_, err := w.LinkPeeringDB(t.Context(), w.answer(u.Sub, id, v))
	want(t, err, nil)
	return u
}

// cameBy is a person who came by PeeringDB alone.
func (w world) cameBy(t testing.TB, id int64, asns ...uint32) store.User {
	t.Helper()
	var v store.PeeringDBVerdict
	for _, asn := range asns {
		v.Add = append(v.Add, network(asn))
	}
	change, err := w.SignUpPeeringDB(t.Context(), w.answer(w.name("sub"), id, v), slices.Values([]string{w.name("ada")}))
	want(t, err, nil)
	return change.User
}

// networks are a person's, as origin:asn.
func (w world) networks(t testing.TB, sub string) string {
	t.Helper()
	p, err := w.Person(t.Context(), sub)
	want(t, err, nil)
	list, err := w.Affiliations(t.Context(), sub)
	want(t, err, nil)
	if diff := cmp.Diff(list, p.Affiliations); diff != "" {
		t.Errorf("the two ways to read affiliations differ:\n%s", diff)
	}
	var words []string
	for _, a := range list {
		words = append(words, fmt.Sprintf("%s:%d", a.Origin, a.ASN))
	}
	return strings.Join(words, " ")
}

func TestAffiliationsByHandAndByPeeringDB(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		u := w.linked(t, 1, 64500, 64501)
		want(t, w.AddAffiliation(ctx, u.Sub, store.Affiliation{ASN: 64500, Name: "By\nhand"}), nil)
		want(t, w.AddAffiliation(ctx, u.Sub, network(64500)), store.ErrExists)
		want(t, w.AddAffiliation(ctx, "nobody", network(64500)), store.ErrNotFound)
		if got := w.networks(t, u.Sub); got != "admin:64500 peeringdb:64500 peeringdb:64501" {
			t.Errorf("networks %s", got)
		}
		change, err := w.PutPeeringDBAnswer(ctx, w.answer(u.Sub, 1, store.PeeringDBVerdict{Remove: []store.Affiliation{network(64500)},
			Change: []store.Affiliation{{ASN: 64501, Name: "Another name", Perms: 3}}, Alone: true}))
		want(t, err, nil)
		if change.Deactivated {
			t.Error("a local person was disabled for want of networks")
		}
		if got := w.networks(t, u.Sub); got != "admin:64500 peeringdb:64501" {
			t.Errorf("networks %s", got)
		}
		p, err := w.Person(ctx, u.Sub)
		want(t, err, nil)
		if a := p.Affiliations[1]; a.Name != "Another name" || a.Perms != 3 || p.Name != u.Name || p.Version <= u.Version || !p.CheckedAt.Equal(beginning) {
			t.Errorf("%+v", p)
		}
		news, err := w.AffiliationNews(ctx, u.Sub)
		want(t, err, nil)
		if len(news) != 4 {
			t.Errorf("the person is told %+v", news)
		}
		want(t, w.ForgetAffiliationNews(ctx, u.Sub), nil)
		_, err = w.RemoveAffiliation(ctx, u.Sub, 64500)
		want(t, err, nil)
		_, err = w.RemoveAffiliation(ctx, u.Sub, 64501)
		want(t, err, store.ErrNotFound)
		if news, err = w.AffiliationNews(ctx, u.Sub); err != nil || len(news) != 1 || news[0].Added {
			t.Errorf("the person is told %+v, %v", news, err)
		}
	})
}

func TestOneAccountForOnePerson(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		u, other := w.linked(t, 1), w.person(t)
		_, err := w.LinkPeeringDB(ctx, w.answer(other.Sub, 1, store.PeeringDBVerdict{}))
		want(t, err, store.ErrExists)
		_, err = w.LinkPeeringDB(ctx, w.answer(u.Sub, 2, store.PeeringDBVerdict{}))
		want(t, err, store.ErrExists)
		_, err = w.LinkPeeringDB(ctx, w.answer(u.Sub, 1, store.PeeringDBVerdict{}))
		want(t, err, nil)
		_, err = w.PutPeeringDBAnswer(ctx, w.answer(u.Sub, 2, store.PeeringDBVerdict{}))
		want(t, err, store.ErrNotFound)
		want(t, w.SetDisabled(ctx, other.Sub, true), nil)
		_, err = w.LinkPeeringDB(ctx, w.answer(other.Sub, 3, store.PeeringDBVerdict{}))
		want(t, err, store.ErrNotFound)
		link, err := w.PeeringDBLinkOf(ctx, 1)
		want(t, err, nil)
		if link.Sub != u.Sub || link.Generation != 2 {
			t.Errorf("%+v", link)
		}
		token, removed, err := w.UnlinkPeeringDB(ctx, u.Sub)
		want(t, err, nil)
		if string(token) != "token" || len(removed) != 0 {
			t.Errorf("token %q, %v", token, removed)
		}
		_, _, err = w.UnlinkPeeringDB(ctx, u.Sub)
		want(t, err, store.ErrNotFound)
	})
}

func TestUnlinkingTakesWhatPeeringDBGave(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		u := w.linked(t, 1, 64500)
		want(t, w.AddAffiliation(t.Context(), u.Sub, network(64501)), nil)
		_, removed, err := w.UnlinkPeeringDB(t.Context(), u.Sub)
		want(t, err, nil)
		if got := w.networks(t, u.Sub); got != "admin:64501" || len(removed) != 1 {
			t.Errorf("networks %s, removed %v", got, removed)
		}
	})
}

func TestSignUpTakesANameThatNobodyHasOrHad(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		names := slices.Values([]string{"ada", "ada2", "ada3"})
		want(t, w.CreateUser(ctx, store.User{Sub: "local", Origin: "local", Username: "ada"}, "", nil), nil)
		want(t, w.AddEvents(ctx, []store.Event{{ID: "1", Time: beginning, Event: "user_delete", Username: "ada2", Result: "success"}}), nil)
		change, err := w.SignUpPeeringDB(ctx, w.answer("new", 1, store.PeeringDBVerdict{Add: []store.Affiliation{network(64500)}}), names)
		want(t, err, nil)
		if u := change.User; u.Username != "ada3" || u.Origin != store.OriginPeeringDB || u.Email != "ada@example.net" || !u.EmailVerified {
			t.Errorf("%+v", u)
		}
		_, err = w.PasswordHash(ctx, "new")
		want(t, err, store.ErrNotFound)
		_, err = w.SignUpPeeringDB(ctx, w.answer("newer", 2, store.PeeringDBVerdict{}), names)
		want(t, err, store.ErrExists)
		_, err = w.SignUpPeeringDB(ctx, w.answer("again", 1, store.PeeringDBVerdict{}), slices.Values([]string{"ada4"}))
		want(t, err, store.ErrExists)
		// Who is refused is not made.
		refused, err := w.SignUpPeeringDB(ctx, w.answer("refused", 5, store.PeeringDBVerdict{Refusal: "no_network"}), slices.Values([]string{"ada5"}))
		want(t, err, nil)
		_, err = w.User(ctx, "refused")
		want(t, err, store.ErrNotFound)
		if refused.Refusal != "no_network" {
			t.Errorf("refused as %q", refused.Refusal)
		}
	})
}

// Step 9: who came by PeeringDB alone and has no network left is disabled at
// once, with all they have open, and let in again when a network comes back.
func TestWithoutNetworksIsDisabled(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		u := w.cameBy(t, 1, 64500)
		w.signedIn(t, u.Sub)
		gone := store.PeeringDBVerdict{Remove: []store.Affiliation{network(64500)}, Refusal: "no_network", Alone: true}
		change, err := w.PutPeeringDBAnswer(ctx, w.answer(u.Sub, 1, gone))
		want(t, err, nil)
		if !change.Deactivated || len(change.Ended) != 1 || !change.User.Disabled {
			t.Fatalf("%+v", change)
		}
		forget, err := w.PeopleToForget(ctx, beginning, 10)
		want(t, err, nil)
		if len(forget) != 1 || forget[0].Sub != u.Sub {
			t.Errorf("to forget: %+v", forget)
		}
		back := store.PeeringDBVerdict{Add: []store.Affiliation{network(64501)}}
		if change, err = w.PutPeeringDBAnswer(ctx, w.answer(u.Sub, 1, back)); err != nil || !change.Reactivated || change.User.Disabled {
			t.Fatalf("%+v, %v", change, err)
		}
		// Whom an administrator disabled stays so, and is not deleted.
		want(t, w.SetDisabled(ctx, u.Sub, true), nil)
		for _, v := range []store.PeeringDBVerdict{{Alone: true}, {}} {
			if change, err = w.PutPeeringDBAnswer(ctx, w.answer(u.Sub, 1, v)); err != nil || change.Reactivated || !change.User.Disabled {
				t.Fatalf("%+v, %v", change, err)
			}
		}
		if forget, err = w.PeopleToForget(ctx, beginning.Add(time.Hour), 10); err != nil || len(forget) != 0 {
			t.Errorf("to forget: %+v, %v", forget, err)
		}
	})
}

func TestTheLastAdministratorIsNotDisabledForWantOfNetworks(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		w.Store = w.replica(t, storetest.WithAdminGroup("admins"))
		u := w.cameBy(t, 1, 64500)
		want(t, w.ChangeMembers(ctx, "admins", []string{u.Sub}, true), nil)
		change, err := w.PutPeeringDBAnswer(ctx, w.answer(u.Sub, 1, store.PeeringDBVerdict{Remove: []store.Affiliation{network(64500)}, Alone: true}))
		want(t, err, nil)
		if change.Deactivated || w.networks(t, u.Sub) != "" {
			t.Errorf("%+v", change)
		}
	})
}

func TestOptOutTakesANetworkFromEverybodyAtOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		a, b := w.linked(t, 1, 64500, 64501), w.linked(t, 2, 64501)
		want(t, w.AddAffiliation(ctx, b.Sub, network(64500)), nil)
		taken, err := w.OptOut(ctx, 64500)
		want(t, err, nil)
		if len(taken) != 1 || taken[0].Sub != a.Sub || taken[0].Username != a.Username {
			t.Errorf("taken from %+v", taken)
		}
		_, err = w.OptOut(ctx, 64500)
		want(t, err, store.ErrExists)
		if w.networks(t, a.Sub) != "peeringdb:64501" || w.networks(t, b.Sub) != "admin:64500 peeringdb:64501" {
			t.Errorf("networks %s, %s", w.networks(t, a.Sub), w.networks(t, b.Sub))
		}
		var told store.PeeringDBState
		again := w.answer(a.Sub, 1, store.PeeringDBVerdict{})
		again.Decide = func(s store.PeeringDBState) store.PeeringDBVerdict {
			told = s
			return store.PeeringDBVerdict{}
		}
		_, err = w.PutPeeringDBAnswer(ctx, again)
		want(t, err, nil)
		if !told.OptedOut[64500] || told.OptedOut[64501] || len(told.Affiliations) != 1 {
			t.Errorf("decided from %+v", told)
		}
		want(t, w.OptIn(ctx, 64500), nil)
		want(t, w.OptIn(ctx, 64500), store.ErrNotFound)
	})
}

const (
	checkLease = 2 * time.Minute
	checkPace  = 3 * time.Second
)

func TestAFlowBelongsToItsBrowserOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		flow := store.PeeringDBFlow{Purpose: store.FlowLink, Sub: "sub", SessionID: "session", Request: "request", Back: "/back", Secrets: []byte("secret"), Again: true}
		want(t, w.PutPeeringDBFlow(ctx, hash("state"), hash("browser"), flow, time.Minute), nil)
		_, err := w.TakePeeringDBFlow(ctx, hash("state"), hash("another browser"))
		want(t, err, store.ErrNotFound)
		got, err := w.TakePeeringDBFlow(ctx, hash("state"), hash("browser"))
		want(t, err, nil)
		if diff := cmp.Diff(flow, got); diff != "" {
			t.Errorf("flow (-want +got):\n%s", diff)
		}
		_, err = w.TakePeeringDBFlow(ctx, hash("state"), hash("browser"))
		want(t, err, store.ErrNotFound)
		want(t, w.PutPeeringDBFlow(ctx, hash("old"), hash("browser"), flow, time.Minute), nil)
		w.clock.Advance(time.Minute)
		_, err = w.TakePeeringDBFlow(ctx, hash("old"), hash("browser"))
		want(t, err, store.ErrNotFound)
		_, _, err = w.DeleteExpired(ctx, 10, idle)
		want(t, err, nil)
		if n := w.rows(t, "SELECT COUNT(*) FROM peeringdb_flows"); n != 0 {
			t.Errorf("%d flows are left", n)
		}
	})
}
