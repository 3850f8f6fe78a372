package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestIssueCodeFinishesRequestOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		session, _ := w.signedIn(t, w.person(t).Sub)
		id, browser := w.request(t, "app")
		var issued atomic.Int64
		together(16, func(i int) {
			name := w.name("code")
			code := store.Code{Hash: hash(name), FamilyID: name, ClientID: "app", Sub: session.Sub, SessionID: session.ID, Grant: "{}"}
			switch err := w.IssueCode(ctx, id, browser, code, codeLifetime); err {
			case nil:
				issued.Add(1)
			case store.ErrNotFound:
			default:
				t.Errorf("tab %d: %v", i, err)
			}
		})
		if n := issued.Load(); n != 1 {
			t.Fatalf("16 tabs of one request got %d codes, want 1", n)
		}
		if n := w.rows(t, "SELECT COUNT(*) FROM codes"); n != 1 {
			t.Fatalf("%d codes are stored, want 1", n)
		}
	})
}

func TestIssueCodeNeedsSessionOfThePerson(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		for name, spoil := range map[string]func(t *testing.T, c *store.Code, secret []byte){
			"the session ended": func(t *testing.T, _ *store.Code, secret []byte) {
				_, err := w.EndSession(ctx, secret)
				want(t, err, nil)
			},
			"the person was disabled":      func(t *testing.T, c *store.Code, _ []byte) { want(t, w.SetDisabled(ctx, c.Sub, true), nil) },
			"it is another one's session":  func(t *testing.T, c *store.Code, _ []byte) { c.Sub = w.person(t).Sub },
			"there never was such session": func(_ *testing.T, c *store.Code, _ []byte) { c.SessionID = "none" },
		} {
			t.Run(name, func(t *testing.T) {
				session, secret := w.signedIn(t, w.person(t).Sub)
				id, browser := w.request(t, "app")
				c := store.Code{Hash: hash(id), FamilyID: id, ClientID: "app", Sub: session.Sub, SessionID: session.ID, Grant: "{}"}
				spoil(t, &c, secret)
				want(t, w.IssueCode(ctx, id, browser, c, codeLifetime), store.ErrRevoked)
				_, err := w.Code(ctx, c.Hash)
				want(t, err, store.ErrNotFound)
				// Nothing happened: the person may sign in again and go on.
				_, err = w.Request(ctx, id, browser)
				want(t, err, nil)
			})
		}
		c := w.issued(t)
		want(t, w.IssueCode(ctx, "no such request", hash("b"), c.Code, codeLifetime), store.ErrNotFound)
	})
}

func TestRedeemCodeGivesTokens(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		c := w.issued(t)
		want(t, w.redeem(ctx, c, "first", true), nil)
		token, err := w.AccessToken(ctx, hash("access first"))
		want(t, err, nil)
		person, err := w.Person(ctx, c.Sub)
		want(t, err, nil)
		expected := store.AccessToken{
			Person: person,
			Family: store.Family{
				ID: c.FamilyID, ClientID: c.ClientID, Sub: c.Sub, SessionID: c.SessionID, Offline: true, Grant: c.Grant,
				CreatedAt: beginning, ExpiresAt: beginning.Add(refreshLifetime),
			},
			Scopes: []string{"openid", "profile"}, CreatedAt: beginning, ExpiresAt: beginning.Add(accessLifetime),
		}
		if diff := cmp.Diff(expected, token); diff != "" {
			t.Fatalf("access token (-want +got):\n%s", diff)
		}
		refresh, err := w.RefreshToken(ctx, hash("refresh first"))
		want(t, err, nil)
		if diff := cmp.Diff(store.RefreshToken{Hash: hash("refresh first"), Family: expected.Family, CreatedAt: beginning, ExpiresAt: beginning.Add(refreshLifetime)}, refresh); diff != "" {
			t.Fatalf("refresh token (-want +got):\n%s", diff)
		}
		used, err := w.Code(ctx, c.Hash)
		want(t, err, nil)
		c.CreatedAt, c.ExpiresAt, c.UsedAt = beginning, beginning.Add(codeLifetime), beginning
		if diff := cmp.Diff(c.Code, used); diff != "" {
			t.Fatalf("code (-want +got):\n%s", diff)
		}
	})
}

func TestRedeemCodeWithoutRefreshToken(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		c := w.issued(t)
		issue := w.tokens("online")
		refresh := issue.RefreshHash
		issue.RefreshHash = nil
		want(t, w.RedeemCode(t.Context(), c.Hash, c.ClientID, false, beginning.Add(time.Hour), issue), nil)
		w.alive(t, issue.AccessHash, true)
		_, err := w.RefreshToken(t.Context(), refresh)
		want(t, err, store.ErrNotFound)
		if n := w.rows(t, "SELECT COUNT(*) FROM refresh_tokens"); n != 0 {
			t.Fatalf("%d refresh tokens, want none", n)
		}
	})
}

func TestRedeemCodeOnceInParallel(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		c := w.issued(t)
		replicas := []world{w, w}
		replicas[1].Store = w.replica(t)
		names := make([]string, 64)
		errs := make([]error, 64)
		together(64, func(i int) {
			names[i] = w.name("parallel")
			errs[i] = replicas[i%2].redeem(ctx, c, names[i], true)
		})
		winner := ""
		for i, err := range errs {
			switch {
			case err == nil && winner == "":
				winner = names[i]
			case err == nil:
				t.Fatalf("%s and %s both redeemed the code", winner, names[i])
			default:
				want(t, err, store.ErrReplayed)
			}
		}
		if winner == "" {
			t.Fatal("nobody redeemed the code")
		}
		if n := w.rows(t, "SELECT COUNT(*) FROM access_tokens"); n != 1 {
			t.Fatalf("%d access tokens are stored, want 1", n)
		}
		w.alive(t, hash("access "+winner), false)
		_, err := w.RotateRefresh(ctx, hash("refresh "+winner), w.rotation(c.ClientID, "after"))
		want(t, err, store.ErrRevoked)
	})
}

func TestReplayRevokesTheFamily(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		g, other := w.granted(t, true), w.granted(t, true)
		w.clock.Advance(2 * codeLifetime) // a replay is one after the code's expiry too
		want(t, w.redeem(t.Context(), g.issuedCode, "thief", true), store.ErrReplayed)
		w.alive(t, g.access(), false)
		w.alive(t, hash("access thief"), false)
		w.alive(t, other.access(), true)
		want(t, w.redeem(t.Context(), g.issuedCode, "again", true), store.ErrReplayed)
	})
}

func TestRedeemCodeRefuses(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		for _, test := range []struct {
			name     string
			spoil    func(t *testing.T, c *issuedCode)
			expected error
		}{
			{"an unknown code", func(_ *testing.T, c *issuedCode) { c.Hash = hash("unknown") }, store.ErrNotFound},
			{"another client", func(_ *testing.T, c *issuedCode) { c.ClientID = "thief" }, store.ErrNotFound},
			{"an expired code", func(*testing.T, *issuedCode) { w.clock.Advance(codeLifetime) }, store.ErrNotFound},
			{"a burned code", func(t *testing.T, c *issuedCode) { want(t, w.BurnCode(ctx, c.Hash), nil) }, store.ErrReplayed},
			{"a disabled person", func(t *testing.T, c *issuedCode) {
				want(t, w.SetDisabled(ctx, c.Sub, true), nil)
			}, store.ErrNotFound},
			{"a deleted person", func(t *testing.T, c *issuedCode) { want(t, w.DeleteUser(ctx, c.Sub), nil) }, store.ErrNotFound},
			{"a person who signed out everywhere", func(t *testing.T, c *issuedCode) {
				want(t, w.SignOutEverywhere(ctx, c.Sub, false), nil)
			}, store.ErrNotFound},
			{"a person with a new password", func(t *testing.T, c *issuedCode) {
				want(t, w.SetPassword(ctx, c.Sub, "hash", c.SessionID), nil)
			}, store.ErrNotFound},
			{"an ended session", func(t *testing.T, c *issuedCode) {
				_, err := w.EndSession(ctx, c.sessionSecret)
				want(t, err, nil)
			}, store.ErrRevoked},
		} {
			t.Run(test.name, func(t *testing.T) {
				c := w.issued(t)
				test.spoil(t, &c)
				name := w.name("refused")
				want(t, w.redeem(ctx, c, name, false), test.expected)
				w.alive(t, hash("access "+name), false)
			})
		}
	})
}

// Disabling ends sessions and codes; were one left behind, the operations
// look at the person themselves.
func TestCodesCheckThePersonThemselves(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		c := w.issued(t)
		id, browser := w.request(t, c.ClientID)
		if _, err := w.Writer().ExecContext(ctx, "UPDATE users SET disabled = TRUE WHERE sub = $1", c.Sub); err != nil {
			t.Fatal(err)
		}
		want(t, w.redeem(ctx, c, "refused", true), store.ErrRevoked)
		c.Code.Hash, c.FamilyID = hash("another"), "another"
		want(t, w.IssueCode(ctx, id, browser, c.Code, codeLifetime), store.ErrRevoked)
	})
}

func TestWrongClientDoesNotSpendTheCode(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		c := w.issued(t)
		stolen := c
		stolen.ClientID = "thief"
		want(t, w.redeem(t.Context(), stolen, "stolen", true), store.ErrNotFound)
		want(t, w.redeem(t.Context(), c, "rightful", true), nil)
	})
}

// OIDC Back-Channel Logout section 2.7: what has offline_access outlives the
// session; a code that promises it does too.
func TestOfflineCodeOutlivesItsSession(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		c := w.issued(t)
		_, err := w.EndSession(t.Context(), c.sessionSecret)
		want(t, err, nil)
		want(t, w.redeem(t.Context(), c, "offline", true), nil)
		w.alive(t, hash("access offline"), true)
	})
}

func TestBurningASpentCodeChangesNothing(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		g := w.granted(t, true)
		w.clock.Advance(time.Second)
		want(t, w.BurnCode(t.Context(), g.Hash), nil)
		c, err := w.Code(t.Context(), g.Hash)
		want(t, err, nil)
		if !c.UsedAt.Equal(beginning) {
			t.Fatalf("used at %v, want %v", c.UsedAt, beginning)
		}
		w.alive(t, g.access(), true)
	})
}
