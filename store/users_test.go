package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

func TestUserIsFoundAsCreated(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.CreateGroup(ctx, "noc"), nil)
		u := store.User{
			Sub: "s1", Origin: "local", Username: "ana", Name: "Ana Example", GivenName: "Ana", FamilyName: "Example",
			Email: "ana@example.net", EmailVerified: true, NeedsLink: true,
		}
		want(t, w.CreateUser(ctx, u, "phc", []string{"noc", "admins"}), nil)
		u.CreatedAt, u.UpdatedAt, u.Version = beginning, beginning, 1
		for name, find := range map[string]func() (store.User, error){
			"by subject": func() (store.User, error) { return w.User(ctx, "s1") },
			"by name":    func() (store.User, error) { return w.UserByName(ctx, "ana") },
		} {
			got, err := find()
			want(t, err, nil)
			if diff := cmp.Diff(u, got); diff != "" {
				t.Errorf("%s (-created +found):\n%s", name, diff)
			}
		}
		_, err := w.User(ctx, "ana")
		want(t, err, store.ErrNotFound)
		_, err = w.UserByName(ctx, "s1")
		want(t, err, store.ErrNotFound)
		groups, err := w.GroupsOf(ctx, "s1")
		want(t, err, nil)
		if diff := cmp.Diff([]string{"admins", "noc"}, groups); diff != "" {
			t.Fatalf("groups (-want +got):\n%s", diff)
		}
	})
}

func TestUserNamesAreUniqueOverOrigins(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.CreateUser(ctx, store.User{Sub: "s1", Origin: "local", Username: "ana"}, "", nil), nil)
		want(t, w.CreateUser(ctx, store.User{Sub: "s2", Origin: "openbao", Username: "ana"}, "phc", nil), store.ErrExists)
		want(t, w.CreateUser(ctx, store.User{Sub: "s1", Origin: "local", Username: "ben"}, "", nil), store.ErrExists)
		// All or nothing: a missing group leaves no person behind.
		want(t, w.CreateUser(ctx, store.User{Sub: "s3", Origin: "local", Username: "cleo"}, "phc", []string{"admins", "missing"}), store.ErrNotFound)
		list, err := w.Users(ctx, 10, 0)
		want(t, err, nil)
		if len(list) != 1 || list[0].Sub != "s1" {
			t.Fatalf("people %+v", list)
		}
	})
}

func TestListOfUsers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		for _, name := range []string{"cleo", "ana", "ben"} {
			want(t, w.CreateUser(t.Context(), store.User{Sub: "s-" + name, Username: name}, "", nil), nil)
		}
		for _, test := range []struct {
			limit, offset int
			expected      []string
		}{{10, 0, []string{"ana", "ben", "cleo"}}, {2, 0, []string{"ana", "ben"}}, {2, 2, []string{"cleo"}}, {2, 3, nil}} {
			list, err := w.Users(t.Context(), test.limit, test.offset)
			want(t, err, nil)
			var got []string
			for _, u := range list {
				got = append(got, u.Username)
			}
			if diff := cmp.Diff(test.expected, got); diff != "" {
				t.Errorf("%d after %d (-want +got):\n%s", test.limit, test.offset, diff)
			}
		}
	})
}

// signedUp is a person with one of everything that a sign-out can end.
type signedUp struct {
	granted
	waiting       issuedCode
	browser, link []byte
	session       []byte
}

func (w world) signedUp(t testing.TB) signedUp {
	t.Helper()
	ctx := t.Context()
	var p signedUp
	p.granted, p.waiting = w.holds(t, w.name("client"))
	p.browser, p.link = hash(w.name("browser")), hash(w.name("link"))
	want(t, w.PutPendingTOTP(ctx, p.Sub, []byte("secret"), nil, time.Minute), nil)
	want(t, w.ActivateTOTP(ctx, p.Sub, 1), nil)
	if _, err := w.Writer().ExecContext(ctx, "INSERT INTO links (token_hash, sub, purpose, email, created_at, expires_at) SELECT $1, sub, $3, email, 0, $4 FROM users WHERE sub = $2",
		p.link, p.Sub, store.PurposeFactor, w.clock.Now().Add(time.Hour).UnixMicro()); err != nil {
		t.Fatal(err)
	}
	w.putSignIn(t, p.browser, store.SignIn{Sub: p.Sub}, time.Minute)
	p.session = p.sessionSecret
	return p
}

// signedOut checks what an end of everything must leave.
func (w world) signedOut(t testing.TB, p signedUp) {
	t.Helper()
	ctx := t.Context()
	w.alive(t, p.access(), false)
	if _, err := w.RotateRefresh(ctx, p.refresh(), w.rotation(p.ClientID, w.name("late"))); err != store.ErrRevoked && err != store.ErrNotFound {
		t.Fatalf("refreshing: %v", err)
	}
	want(t, w.redeem(ctx, p.waiting, w.name("late"), true), store.ErrNotFound)
	_, err := w.Session(ctx, p.session, idle)
	want(t, err, store.ErrNotFound)
	_, err = w.SignIn(ctx, p.browser)
	want(t, err, store.ErrNotFound)
	_, err = w.Link(ctx, p.link, store.PurposeFactor)
	want(t, err, store.ErrNotFound)
}

func (w world) untouched(t testing.TB, p signedUp) {
	t.Helper()
	w.alive(t, p.access(), true)
	_, err := w.Session(t.Context(), p.session, idle)
	want(t, err, nil)
	_, err = w.SignIn(t.Context(), p.browser)
	want(t, err, nil)
	_, err = w.Link(t.Context(), p.link, store.PurposeFactor)
	want(t, err, nil)
}

func TestDisablingEndsEverythingAtOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p, other := w.signedUp(t), w.signedUp(t)
		want(t, w.SetDisabled(ctx, p.Sub, true), nil)
		w.signedOut(t, p)
		w.untouched(t, other)
		u, err := w.User(ctx, p.Sub)
		want(t, err, nil)
		if !u.Disabled || !u.TOTP {
			t.Fatalf("disabled %v, factor kept %v", u.Disabled, u.TOTP)
		}
		want(t, w.SetDisabled(ctx, p.Sub, false), nil)
		w.signedOut(t, p)
		want(t, w.SetDisabled(ctx, "nobody", true), store.ErrNotFound)
	})
}

func TestSignOutEverywhere(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		keeps, forgets, other := w.signedUp(t), w.signedUp(t), w.signedUp(t)
		want(t, w.SignOutEverywhere(ctx, keeps.Sub, false), nil)
		want(t, w.SignOutEverywhere(ctx, forgets.Sub, true), nil)
		w.signedOut(t, keeps)
		w.signedOut(t, forgets)
		w.untouched(t, other)
		_, err := w.Consent(ctx, keeps.Sub, keeps.ClientID)
		want(t, err, nil)
		_, err = w.Consent(ctx, forgets.Sub, forgets.ClientID)
		want(t, err, store.ErrNotFound)
	})
}

func TestDeletedUserLeavesOnlyEvents(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		p, other := w.signedUp(t), w.signedUp(t)
		want(t, w.SetPassword(ctx, p.Sub, "phc", p.SessionID), nil)
		want(t, w.ChangeMembers(ctx, "admins", []string{p.Sub}, true), nil)
		want(t, w.AddEvents(ctx, []store.Event{{ID: "e", Time: beginning, Event: "login", Sub: p.Sub}}), nil)
		want(t, w.DeleteUser(ctx, p.Sub), nil)
		w.signedOut(t, p)
		w.untouched(t, other)
		for _, table := range []string{"users", "credentials", "factors", "group_members", "links", "signins", "sessions", "consents", "codes", "families"} {
			if n := w.rows(t, "SELECT COUNT(*) FROM "+table+" WHERE sub = $1", p.Sub); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
		if n := w.rows(t, "SELECT COUNT(*) FROM events WHERE sub = $1", p.Sub); n != 1 {
			t.Fatalf("%d events are left, want 1", n)
		}
		want(t, w.DeleteUser(ctx, p.Sub), store.ErrNotFound)
	})
}
