package store_test

import (
	"bytes"
	"testing"
	"time"

	"peerage/store"
)

// rotation spends a token of the client for tokens called name.
func (w world) rotation(clientID, name string) store.Rotation {
	return store.Rotation{ClientID: clientID, Issue: w.tokens(name), Answer: []byte("answer " + name), Grace: grace}
}

func (w world) rotate(t testing.TB, refresh []byte, clientID, name string) []byte {
	t.Helper()
	answer, err := w.RotateRefresh(t.Context(), refresh, w.rotation(clientID, name))
	want(t, err, nil)
	return answer
}

func (w world) reused(t testing.TB, refresh []byte, clientID string) {
	t.Helper()
	_, err := w.RotateRefresh(t.Context(), refresh, w.rotation(clientID, w.name("thief")))
	want(t, err, store.ErrReused)
}

func TestRotateRefreshHandsOutASuccessor(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		g := w.granted(t, true)
		w.clock.Advance(time.Hour)
		if answer := w.rotate(t, g.refresh(), g.ClientID, "second"); answer != nil {
			t.Fatalf("the first use got an earlier answer %q", answer)
		}
		w.alive(t, hash("access second"), true)
		spent, err := w.RefreshToken(t.Context(), g.refresh())
		want(t, err, nil)
		if !spent.SpentAt.Equal(w.clock.Now()) || !bytes.Equal(spent.SuccessorHash, hash("refresh second")) || string(spent.Answer) != "answer second" {
			t.Fatalf("spent token: %+v", spent)
		}
		successor, err := w.RefreshToken(t.Context(), hash("refresh second"))
		want(t, err, nil)
		if !successor.SpentAt.IsZero() || successor.Family.ID != g.FamilyID {
			t.Fatalf("successor: %+v", successor)
		}
		w.rotate(t, hash("refresh second"), g.ClientID, "third")
		w.alive(t, hash("access third"), true)
	})
}

func TestRotateRefreshOnceInParallel(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		g := w.granted(t, true)
		replicas := []*store.Store{w.Store, w.replica(t)}
		names, answers, errs := make([]string, 64), make([][]byte, 64), make([]error, 64)
		together(64, func(i int) {
			names[i] = w.name("parallel")
			answers[i], errs[i] = replicas[i%2].RotateRefresh(ctx, g.refresh(), w.rotation(g.ClientID, names[i]))
		})
		winner := ""
		for i := range 64 {
			want(t, errs[i], nil)
			if answers[i] == nil {
				if winner != "" {
					t.Fatalf("%s and %s both rotated", winner, names[i])
				}
				winner = names[i]
			}
		}
		if winner == "" {
			t.Fatal("nobody rotated")
		}
		for i, answer := range answers {
			if names[i] != winner && string(answer) != "answer "+winner {
				t.Errorf("%s got %q, want the answer of %s", names[i], answer, winner)
			}
		}
		if n := w.rows(t, "SELECT COUNT(*) FROM refresh_tokens WHERE spent_at IS NULL"); n != 1 {
			t.Fatalf("%d live refresh tokens, want 1", n)
		}
		if n := w.rows(t, "SELECT COUNT(*) FROM refresh_tokens"); n != 2 {
			t.Fatalf("%d refresh tokens, want the spent one and its successor", n)
		}
		w.alive(t, hash("access "+winner), true)
	})
}

func TestGraceOfASpentRefreshToken(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		for _, test := range []struct {
			name     string
			between  func(t *testing.T, g granted, r *store.Rotation)
			expected error
			dies     bool
		}{
			{"a repeat within it gets the same answer", func(*testing.T, granted, *store.Rotation) { w.clock.Advance(grace - time.Microsecond) }, nil, false},
			{"it ends", func(*testing.T, granted, *store.Rotation) { w.clock.Advance(grace) }, store.ErrReused, true},
			{"it ends with the successor's first use", func(t *testing.T, g granted, _ *store.Rotation) {
				w.rotate(t, hash("refresh next "+g.name), g.ClientID, w.name("third"))
			}, store.ErrReused, true},
			{"another scope is no repeat", func(_ *testing.T, _ granted, r *store.Rotation) { r.Scope = "openid" }, store.ErrReused, true},
			{"another client finds nothing and does no harm", func(_ *testing.T, _ granted, r *store.Rotation) { r.ClientID = "thief" }, store.ErrNotFound, false},
			{"a revoked family has none", func(t *testing.T, g granted, _ *store.Rotation) {
				want(t, w.RevokeFamily(ctx, g.FamilyID), nil)
			}, store.ErrRevoked, true},
			{"a disabled person has none", func(t *testing.T, g granted, _ *store.Rotation) {
				want(t, w.SetDisabled(ctx, g.Sub, true), nil)
			}, store.ErrRevoked, true},
			{"a withdrawn consent ends it", func(t *testing.T, g granted, _ *store.Rotation) {
				id, browser := w.request(t, g.ClientID)
				want(t, w.SaveConsent(ctx, id, browser, store.Progress{}, g.Sub, g.ClientID, nil), nil)
				want(t, w.RevokeConsent(ctx, g.Sub, g.ClientID), nil)
			}, store.ErrRevoked, true},
		} {
			t.Run(test.name, func(t *testing.T) {
				g := w.granted(t, true)
				w.rotate(t, g.refresh(), g.ClientID, "next "+g.name)
				r := w.rotation(g.ClientID, w.name("repeat"))
				test.between(t, g, &r)
				answer, err := w.RotateRefresh(ctx, g.refresh(), r)
				want(t, err, test.expected)
				if test.expected == nil && string(answer) != "answer next "+g.name {
					t.Fatalf("answer %q is not the first one", answer)
				}
				if test.expected != nil && answer != nil {
					t.Fatalf("a refusal came with the answer %q", answer)
				}
				w.alive(t, hash("access next "+g.name), !test.dies)
				w.alive(t, r.Issue.AccessHash, false)
			})
		}
	})
}

func TestReuseRevokesTheWholeFamilyAndNoOther(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		g, other := w.granted(t, true), w.granted(t, true)
		w.rotate(t, g.refresh(), g.ClientID, "second")
		w.clock.Advance(grace)
		w.reused(t, g.refresh(), g.ClientID)
		for _, name := range []string{g.name, "second"} {
			w.alive(t, hash("access "+name), false)
			_, err := w.RotateRefresh(t.Context(), hash("refresh "+name), w.rotation(g.ClientID, w.name("later")))
			want(t, err, store.ErrRevoked)
		}
		w.alive(t, other.access(), true)
		w.rotate(t, other.refresh(), other.ClientID, "still")
	})
}

func TestRotateRefreshRefuses(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		for _, test := range []struct {
			name     string
			spoil    func(t *testing.T, g *granted, r *store.Rotation)
			expected error
		}{
			{"an unknown token", func(_ *testing.T, g *granted, _ *store.Rotation) { g.name = "unknown" }, store.ErrNotFound},
			{"another client's token", func(_ *testing.T, _ *granted, r *store.Rotation) { r.ClientID = "thief" }, store.ErrNotFound},
			{"a revoked family", func(t *testing.T, g *granted, _ *store.Rotation) {
				want(t, w.RevokeFamily(ctx, g.FamilyID), nil)
			}, store.ErrRevoked},
			{"a disabled person", func(t *testing.T, g *granted, _ *store.Rotation) {
				if _, err := w.Writer().ExecContext(ctx, "UPDATE users SET disabled = TRUE WHERE sub = $1", g.Sub); err != nil {
					t.Fatal(err)
				}
			}, store.ErrRevoked},
			{"a person who was disabled and enabled again", func(t *testing.T, g *granted, _ *store.Rotation) {
				want(t, w.SetDisabled(ctx, g.Sub, true), nil)
				want(t, w.SetDisabled(ctx, g.Sub, false), nil)
			}, store.ErrRevoked},
			{"a deleted person", func(t *testing.T, g *granted, _ *store.Rotation) { want(t, w.DeleteUser(ctx, g.Sub), nil) }, store.ErrNotFound},
			{"an expired family", func(*testing.T, *granted, *store.Rotation) { w.clock.Advance(refreshLifetime) }, store.ErrRevoked},
		} {
			t.Run(test.name, func(t *testing.T) {
				g := w.granted(t, true)
				r := w.rotation(g.ClientID, w.name("refused"))
				test.spoil(t, &g, &r)
				answer, err := w.RotateRefresh(ctx, g.refresh(), r)
				want(t, err, test.expected)
				if answer != nil {
					t.Fatalf("a refusal came with the answer %q", answer)
				}
				w.alive(t, r.Issue.AccessHash, false)
			})
		}
	})
}

func TestRefreshTokenExpiresBeforeItsFamily(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		c := w.issued(t)
		want(t, w.RedeemCode(t.Context(), c.Hash, c.ClientID, true, beginning.Add(2*refreshLifetime), w.tokens("old")), nil)
		w.clock.Advance(refreshLifetime)
		_, err := w.RotateRefresh(t.Context(), hash("refresh old"), w.rotation(c.ClientID, "late"))
		want(t, err, store.ErrNotFound)
	})
}

func TestRefreshTokenDiesWithItsFamily(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		c := w.issued(t)
		want(t, w.RedeemCode(t.Context(), c.Hash, c.ClientID, true, beginning.Add(time.Hour), w.tokens("old")), nil)
		w.clock.Advance(time.Hour)
		_, err := w.RotateRefresh(t.Context(), hash("refresh old"), w.rotation(c.ClientID, "late"))
		want(t, err, store.ErrRevoked)
	})
}
