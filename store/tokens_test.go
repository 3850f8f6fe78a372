package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestAccessTokenLives(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		_, err := w.AccessToken(ctx, hash("unknown"))
		want(t, err, store.ErrNotFound)

		g := w.granted(t, true)
		w.clock.Advance(accessLifetime - time.Microsecond)
		w.alive(t, g.access(), true)
		w.clock.Advance(time.Microsecond)
		w.alive(t, g.access(), false)

		revoked, other := w.granted(t, true), w.granted(t, true)
		want(t, w.RevokeFamily(ctx, revoked.FamilyID), nil)
		w.alive(t, revoked.access(), false)
		w.alive(t, other.access(), true)
		want(t, w.RevokeFamily(ctx, "no such family"), nil)
	})
}

// One read tells whom a token speaks for, as they are now.
func TestAccessTokenSpeaksForThePersonOfNow(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		g := w.granted(t, true)
		want(t, w.CreateGroup(ctx, "noc"), nil)
		want(t, w.CreateGroup(ctx, "board"), nil)
		for _, group := range []string{"noc", "board"} {
			want(t, w.ChangeMembers(ctx, group, []string{g.Sub}, true), nil)
		}
		person, err := w.Person(ctx, g.Sub)
		want(t, err, nil)
		token, err := w.AccessToken(ctx, g.access())
		want(t, err, nil)
		if diff := cmp.Diff(person, token.Person); diff != "" || !slices.Equal(person.Groups, []string{"board", "noc"}) {
			t.Errorf("groups %q; whom the token speaks for (-want +got):\n%s", person.Groups, diff)
		}
		want(t, w.DeleteUser(ctx, g.Sub), nil)
		w.alive(t, g.access(), false)
	})
}

func TestAccessTokenOfAClientSpeaksForNobody(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		own := hash("a client's own")
		want(t, w.IssueClientToken(ctx, store.Family{ID: "own", ClientID: "app", ExpiresAt: beginning.Add(time.Minute)},
			store.Issue{AccessHash: own, AccessExpires: beginning.Add(time.Minute), Scopes: []string{"groups"}}), nil)
		token, err := w.AccessToken(ctx, own)
		want(t, err, nil)
		if token.Family.ClientID != "app" || token.Person.Sub != "" || token.Person.Groups != nil || !slices.Equal(token.Scopes, []string{"groups"}) {
			t.Errorf("the token is %+v", token)
		}
		want(t, w.RevokeFamily(ctx, "own"), nil)
		w.alive(t, own, false)
	})
}

func TestAccessTokenDiesWithItsFamily(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		c := w.issued(t)
		want(t, w.RedeemCode(t.Context(), c.Hash, c.ClientID, true, beginning.Add(time.Minute), w.tokens("short")), nil)
		w.clock.Advance(time.Minute)
		w.alive(t, hash("access short"), false)
	})
}

func TestFamilyAlive(t *testing.T) {
	for _, test := range []struct {
		name   string
		family store.Family
		alive  bool
	}{
		{"before its end", store.Family{ExpiresAt: beginning.Add(1)}, true},
		{"at its end", store.Family{ExpiresAt: beginning}, false},
		{"revoked", store.Family{ExpiresAt: beginning.Add(time.Hour), RevokedAt: beginning.Add(-time.Hour)}, false},
	} {
		if got := test.family.Alive(beginning); got != test.alive {
			t.Errorf("%s: alive is %v", test.name, got)
		}
	}
}

func TestRevokingKeepsTheFirstTime(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		g := w.granted(t, true)
		want(t, w.RevokeFamily(t.Context(), g.FamilyID), nil)
		w.clock.Advance(time.Hour)
		want(t, w.RevokeFamily(t.Context(), g.FamilyID), nil)
		token, err := w.RefreshToken(t.Context(), g.refresh())
		want(t, err, nil)
		if !token.Family.RevokedAt.Equal(beginning) {
			t.Fatalf("revoked at %v, want %v", token.Family.RevokedAt, beginning)
		}
	})
}
