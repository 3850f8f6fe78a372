package store_test

import (
	"fmt"
	"slices"
	"testing"

	"peerage/store"
	"peerage/store/storetest"
)

// guarded is w with a store that keeps an administrator.
func (w world) guarded(t testing.TB) world {
	t.Helper()
	w.Store = w.replica(t, storetest.WithAdminGroup("admins"))
	return w
}

// Whatever takes the last administrator away is refused and changes nothing.
func TestLastAdministratorStays(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		w = w.guarded(t)
		// While there is none, nothing is kept.
		nobody := w.person(t)
		want(t, w.SetDisabled(ctx, nobody.Sub, true), nil)
		last := w.person(t, "admins")
		off := w.person(t, "admins")
		want(t, w.SetDisabled(ctx, off.Sub, true), nil) // disabled ones do not count
		for name, change := range map[string]func() error{
			"disable": func() error { return w.SetDisabled(ctx, last.Sub, true) },
			"delete":  func() error { return w.DeleteUser(ctx, last.Sub) },
			"demote":  func() error { return w.ChangeMembers(ctx, "admins", []string{last.Sub}, false) },
			"edit": func() error {
				_, err := w.EditUser(ctx, store.UserEdit{Sub: last.Sub, Name: "New name"})
				return err
			},
			"delete the group": func() error { return w.DeleteGroup(ctx, "admins") },
		} {
			if err := change(); err != store.ErrLastAdministrator {
				t.Errorf("%s: %v", name, err)
			}
		}
		u, err := w.User(ctx, last.Sub)
		want(t, err, nil)
		if u.Disabled || u.Name != last.Name || u.Version != 1 {
			t.Fatalf("a refused change left %+v", u)
		}
		want(t, w.DeleteUser(ctx, off.Sub), nil)
		want(t, w.SetDisabled(ctx, last.Sub, false), nil) // enabling takes nobody away
		other := w.person(t, "admins")
		want(t, w.DeleteUser(ctx, last.Sub), nil)
		want(t, w.DeleteUser(ctx, other.Sub), store.ErrLastAdministrator)
	})
}

// Two administrators who take each other away at the same moment: each alone
// would leave the other.
func TestTwoAdministratorsTakeEachOtherAway(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		replicas := []world{w.guarded(t), w.guarded(t)}
		for round := range 6 {
			a, b := w.person(t, "admins"), w.person(t, "admins")
			errs := make([]error, 2)
			together(2, func(i int) {
				sub := []string{b.Sub, a.Sub}[i]
				switch round % 3 {
				case 0:
					errs[i] = replicas[i].DeleteUser(t.Context(), sub)
				case 1:
					errs[i] = replicas[i].SetDisabled(t.Context(), sub, true)
				default:
					errs[i] = replicas[i].ChangeMembers(t.Context(), "admins", []string{sub}, false)
				}
			})
			if n := w.rows(t, "SELECT COUNT(*) FROM group_members m JOIN users u ON u.sub = m.sub WHERE m.group_name = 'admins' AND u.disabled = FALSE"); n != 1 {
				t.Fatalf("round %d leaves %d administrators (%v)", round, n, errs)
			}
			if (errs[0] == store.ErrLastAdministrator) == (errs[1] == store.ErrLastAdministrator) {
				t.Fatalf("round %d: %v", round, errs)
			}
			if _, err := w.Writer().ExecContext(t.Context(), "DELETE FROM users"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestEditUser(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.CreateGroup(ctx, "noc"), nil)
		want(t, w.CreateGroup(ctx, "ops"), nil)
		ana := w.person(t, "noc")
		edit := store.UserEdit{Sub: ana.Sub, Version: 1, Name: "Ana New", Email: "new@example.net", EmailVerified: true, Groups: []string{"ops", "ops"}}
		change, err := w.EditUser(ctx, edit)
		want(t, err, nil)
		if got := fmt.Sprint(change.Before.Email, change.Fields, change.Joined, change.Parted); got != ana.Email+"[name email email_verified] [ops] [noc]" {
			t.Errorf("changed %s", got)
		}
		u, err := w.User(ctx, ana.Sub)
		want(t, err, nil)
		if u.Name != "Ana New" || u.Email != "new@example.net" || !u.EmailVerified || u.Version == 1 {
			t.Fatalf("%+v", u)
		}
		// Whoever has seen an older version is told, and overwrites nothing.
		_, err = w.EditUser(ctx, edit)
		want(t, err, store.ErrConflict)
		edit.Version = u.Version
		change, err = w.EditUser(ctx, edit)
		want(t, err, nil)
		if !change.Empty() {
			t.Errorf("the same again changed %+v", change)
		}
		// Every way to change a person counts.
		for i, f := range []func() error{
			func() error { return w.SetDisabled(ctx, ana.Sub, true) },
			func() error { return w.ChangeMembers(ctx, "noc", []string{ana.Sub}, true) },
			func() error { return w.ChangeMembers(ctx, "ops", []string{ana.Sub}, false) },
			func() error { return w.DeleteGroup(ctx, "noc") },
		} {
			before, err := w.User(ctx, ana.Sub)
			want(t, err, nil)
			want(t, f(), nil)
			if after, err := w.User(ctx, ana.Sub); err != nil || after.Version == before.Version {
				t.Errorf("change %d leaves version %d, %v", i, after.Version, err)
			}
		}
		edit.Version, edit.Groups = 0, []string{"missing"}
		_, err = w.EditUser(ctx, edit)
		want(t, err, store.ErrNotFound)
		edit.Sub = "nobody"
		_, err = w.EditUser(ctx, edit)
		want(t, err, store.ErrNotFound)
	})
}

// What a backend has of a person replaces what is here, and nothing else.
func TestPutProfile(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.CreateGroup(ctx, "noc"), nil)
		ana := w.person(t, "noc")
		want(t, w.PutProfile(ctx, store.User{Sub: ana.Sub, Name: "Ana New", Email: "zulu@example.net", EmailVerified: true, Disabled: true}), nil)
		u, err := w.Person(ctx, ana.Sub)
		want(t, err, nil)
		if u.Name != "Ana New" || u.Email != "zulu@example.net" || !u.EmailVerified || u.Username != ana.Username || u.Disabled || len(u.Groups) != 1 || u.Version == ana.Version {
			t.Errorf("%+v in %v", u.User, u.Groups)
		}
		found, err := w.FindUsers(ctx, store.UserFilter{Text: "zulu", Limit: 2})
		want(t, err, nil)
		if len(found) != 1 {
			t.Errorf("by the new address %d people are found", len(found))
		}
		want(t, w.PutProfile(ctx, store.User{Sub: "nobody"}), store.ErrNotFound)
	})
}

func TestFindUsers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.CreateGroup(ctx, "noc"), nil)
		for _, u := range []store.User{
			{Username: "ada", Name: "Ada Example", Email: "Ada@Example.net"},
			{Username: "bengt.berg", Name: "Bengt Berg", Email: "bb@nordic.example", Disabled: true},
			{Username: "chiara", Name: "Chiara Conti", Email: "ex@conti.example", Origin: "peeringdb"},
			{Username: "dario", Name: "Dario DÍAZ Éxample", Email: ""},
		} {
			u.Sub = "sub-" + u.Username
			if u.Origin == "" {
				u.Origin = "local"
			}
			groups := []string(nil)
			if u.Username < "c" {
				groups = []string{"noc"}
			}
			want(t, w.CreateUser(ctx, u, "", groups), nil)
		}
		want(t, w.PutPendingTOTP(ctx, "sub-ada", []byte("secret"), nil, 60e9), nil)
		want(t, w.ActivateTOTP(ctx, "sub-ada", 1), nil)
		for _, test := range []struct {
			filter store.UserFilter
			want   string
		}{
			{store.UserFilter{}, "[ada bengt.berg chiara dario]"},
			{store.UserFilter{Text: "exa"}, "[ada bengt.berg chiara]"},
			{store.UserFilter{Text: "éx"}, "[dario]"},
			{store.UserFilter{Text: "  ADA@ex "}, "[ada]"},
			{store.UserFilter{Text: "díaz dario"}, "[dario]"},
			{store.UserFilter{Text: "bengt.b"}, "[bengt.berg]"},
			{store.UserFilter{Text: "berg beng"}, "[bengt.berg]"},
			{store.UserFilter{Text: "ngt"}, "[]"},
			{store.UserFilter{Text: "ada%"}, "[]"},
			{store.UserFilter{Text: "exa", State: store.UsersActive}, "[ada chiara]"},
			{store.UserFilter{State: store.UsersDisabled}, "[bengt.berg]"},
			{store.UserFilter{State: store.UsersWithoutFactor}, "[bengt.berg chiara dario]"},
			{store.UserFilter{Origin: "peeringdb"}, "[chiara]"},
			{store.UserFilter{Group: "noc"}, "[ada bengt.berg]"},
			{store.UserFilter{Group: "noc", Text: "conti"}, "[]"},
			{store.UserFilter{Limit: 1, Offset: 2}, "[chiara]"},
			{store.UserFilter{Text: "e", Limit: 2}, "[chiara ada]"},
			{store.UserFilter{Text: "e", Limit: 2, Offset: 2}, "[bengt.berg]"},
		} {
			if test.filter.Limit == 0 {
				test.filter.Limit = 10
			}
			list, err := w.FindUsers(ctx, test.filter)
			want(t, err, nil)
			names := []string{}
			for _, u := range list {
				names = append(names, u.Username)
			}
			if got := fmt.Sprint(names); got != test.want {
				t.Errorf("%+v: %s, want %s", test.filter, got, test.want)
			}
		}
		// A new name is found, the old one no more; a deleted person is not.
		_, err := w.EditUser(ctx, store.UserEdit{Sub: "sub-ada", Name: "Augusta King", Email: "ada@example.net"})
		want(t, err, nil)
		for text, n := range map[string]int{"augusta": 1, "ada": 1} {
			if list, err := w.FindUsers(ctx, store.UserFilter{Text: text, Limit: 10}); err != nil || len(list) != n {
				t.Errorf("%s: %d people, %v", text, len(list), err)
			}
		}
		want(t, w.DeleteUser(ctx, "sub-ada"), nil)
		if list, err := w.FindUsers(ctx, store.UserFilter{Text: "augusta", Limit: 10}); err != nil || len(list) != 0 {
			t.Errorf("a deleted person is found: %v, %v", list, err)
		}
	})
}

// Few people without a second factor are looked for in another way than many;
// the list is the same.
func TestPeopleWithoutFactorFewAndMany(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		protected := func(n int) {
			sub := fmt.Sprintf("sub-%03d", n)
			want(t, w.AddPasskey(ctx, store.Passkey{ID: []byte(sub), Sub: sub, Credential: []byte("{}")}), nil)
		}
		list := func(f store.UserFilter) (names []string) {
			f.State, f.Limit = store.UsersWithoutFactor, 3
			people, err := w.FindUsers(ctx, f)
			want(t, err, nil)
			for _, u := range people {
				names = append(names, u.Username)
			}
			return names
		}
		for n := range 510 {
			want(t, w.CreateUser(ctx, store.User{Sub: fmt.Sprintf("sub-%03d", n), Origin: "local", Username: fmt.Sprintf("person%03d", 509-n)}, "", nil), nil)
		}
		protected(509)
		for _, many := range []string{"many", "few"} {
			if got := list(store.UserFilter{}); !slices.Equal(got, []string{"person001", "person002", "person003"}) {
				t.Errorf("%s: the first three are %v", many, got)
			}
			if got := list(store.UserFilter{Offset: 3, Origin: "local", Text: "person00"}); !slices.Equal(got, []string{"person004", "person005", "person006"}) {
				t.Errorf("%s: the next three are %v", many, got)
			}
			if got := list(store.UserFilter{Group: "admins"}); len(got) != 0 {
				t.Errorf("%s: of the administrators: %v", many, got)
			}
			for n := 480; n < 500 && many == "many"; n++ {
				protected(n) // 489 are left
			}
		}
	})
}
