package identity_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"peerage/identity"
	"peerage/store"
)

// Whoever is signed out everywhere, disabled or deleted leaves no credential at
// the backend.
func TestAdministratorEndsCredentialsOfTheBackend(t *testing.T) {
	for name, end := range map[string]func(*world, identity.User) error{
		"sign out": func(w *world, u identity.User) error { return w.SignOutEverywhere(w.ctx, u, true) },
		"disable":  func(w *world, u identity.User) error { return w.SetDisabled(w.ctx, u, true) },
		"delete":   func(w *world, u identity.User) error { return w.DeleteUser(w.ctx, u) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRemote()
			w := newRemoteWorld(t, r)
			r.add("ada", password)
			for range 2 {
				b := browser()
				w.signIn(&b, "ada")
			}
			b := browser()
			v := w.signIn(&b, "ada")
			if r.living() != 3 {
				t.Fatalf("%d credentials live before", r.living())
			}
			if err := end(w, v.User); err != nil {
				t.Fatal(err)
			}
			w.dead(b.Session, name)
			if r.living() != 0 {
				t.Errorf("%d credentials live on", r.living())
			}
		})
	}
}

// Who was locked out by guesses comes in at once after an administrator has
// unlocked them; the guesser's address stays counted.
func TestUnlockForgetsWrongAttempts(t *testing.T) {
	w := newWorld(t)
	ada, secret := w.enrolled("ada")
	for range 12 {
		w.ctx = from("192.0.2.7")(t.Context())
		if _, err := w.SignIn(w.ctx, browser(), "ada", "wrong"); err == nil {
			t.Fatal("a wrong password signs in")
		}
	}
	w.ctx = from("192.0.2.1")(t.Context())
	if _, err := w.SignIn(w.ctx, browser(), "ada", password); !isThrottled(err) {
		t.Fatalf("after guesses: %v", err)
	}
	if err := w.Unlock(w.ctx, ada); err != nil {
		t.Fatal(err)
	}
	b := browser()
	w.half(b, "ada")
	for range 10 {
		if _, err := w.Answer(w.ctx, b, w.wrongCode(secret)); err == nil {
			t.Fatal("a wrong code counts")
		}
	}
	if _, err := w.Answer(w.ctx, b, w.code(secret)); !isThrottled(err) {
		t.Fatalf("after guesses of codes: %v", err)
	}
	if err := w.Unlock(w.ctx, ada); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Answer(w.ctx, b, w.code(secret)); err != nil {
		t.Errorf("after unlocking: %v", err)
	}
}

// Every event of an administrator's act says who it was and whom it was done
// to; what somebody does to themselves does not.
func TestEventsNameTheAdministrator(t *testing.T) {
	w := newWorld(t)
	ada, root := w.person("ada"), w.person("root", "admins")
	acting := identity.WithActor(w.ctx, "root")
	for _, u := range []identity.User{ada, root} {
		if _, err := w.EditUser(acting, u, identity.Edit{Name: "Name of " + u.Username, Groups: u.Groups}); err != nil {
			t.Fatal(err)
		}
	}
	w.audit.Flush()
	rows, err := w.store.Events(w.ctx, store.EventFilter{Event: "user_update"})
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v, %v", rows, err)
	}
	for _, row := range rows {
		want := "fields=name"
		if row.Username == "ada" {
			want += " by=root"
		}
		if row.Detail != want {
			t.Errorf("%s: %q, want %q", row.Username, row.Detail, want)
		}
	}
}

func TestReadPeople(t *testing.T) {
	for name, test := range map[string]struct{ file, want, fault string }{
		"plain":             {"username,name,email,groups\nada,Ada,ada@example.net,noc;ops\n", "2 ada", ""},
		"byte order mark":   {"\xef\xbb\xbfusername\r\nada\r\n", "2 ada", ""},
		"other order":       {"Groups, Username\n noc ; ops , ADA \n", "2 ada", ""},
		"a name of lines":   {"username,name\nada,\"a\nb\"\nbob,\n", "2 ada 4 bob", ""},
		"a stray quote":     {"username,name\nada,A \"x\nbob,Bob\n", "2  3 bob", ""},
		"too many fields":   {"username\nada,x\n", "2 ada", ""},
		"only a first line": {"username\n", "", ""},
		"empty":             {"", "", "empty"},
		"no user name":      {"name\nAda\n", "", "first line"},
		"twice":             {"username,username\na,b\n", "", "not understood"},
		"other column":      {"username,password\na,b\n", "", `"password" is not understood`},
		"not UTF-8":         {"username\n\xe9va\n", "", "UTF-8"},
		"too long":          {"username\n" + strings.Repeat("a", identity.MaxPeopleFile), "", "bytes"},
		"too many":          {"username\n" + strings.Repeat("a\n", identity.MaxPeople+1), "", "people"},
	} {
		rows, err := identity.ReadPeople(strings.NewReader(test.file))
		if test.fault != "" {
			if err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var got []string
		for _, row := range rows {
			got = append(got, strconv.Itoa(row.Row)+" "+row.Username)
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, %v; want %q", name, strings.Join(got, " "), err, test.want)
		}
	}
}

// A dry run finds what a real run finds, and changes nothing.
func TestImportTriesWhatItDoes(t *testing.T) {
	w := newWorld(t)
	w.person("taken", "noc")
	rows, err := identity.ReadPeople(strings.NewReader("username,name,email,groups\nada,Ada,ada@example.net,noc\ntaken\nADA\nb b,,,\nbob,,nonsense,\ncarol,,,none\ndora,\"\x07\",,\neve,,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[bool]string{true: "valid failed failed failed failed failed failed valid", false: "created failed failed failed failed failed failed created"}
	before := len(w.events())
	for _, dry := range []bool{true, false} {
		results, err := w.Import(w.ctx, rows, dry)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range results {
			got = append(got, r.Result)
			if (r.Result == identity.ImportFailed) != (r.Error != "") {
				t.Errorf("line %d: %s, but %q", r.Row, r.Result, r.Error)
			}
		}
		if strings.Join(got, " ") != want[dry] {
			t.Errorf("dry %v: %s", dry, got)
		}
		if made := len(w.events()) - before; dry && made != 0 {
			t.Errorf("a dry run left %d events", made)
		}
	}
	if _, err := w.SignIn(context.WithoutCancel(w.ctx), browser(), "ada", ""); err == nil {
		t.Error("somebody without a password comes in without one")
	}
}

// A name that turns text around or hides in it is shown as another.
func TestNamesAreOfWhatIsShown(t *testing.T) {
	for name, fine := range map[string]bool{
		"": true, "Ada Example": true, "محمد": true, "می\u200cخواهم": true, "Zoë \u0301": true, "李": true, strings.Repeat("é", identity.MaxName): true,
		strings.Repeat("é", identity.MaxName+1): false, "Ada\nroot": false, "Ada\x00": false, "\x7f": false, "\xff": false, "\u202eada": false, "\u2066ada": false,
		"ad\u200ba": false, "\ufeffada": false, "ada\u2028root": false, "ad\u00ada": false,
	} {
		if err := identity.CheckName(name); (err == nil) != fine {
			t.Errorf("%+q: %v", name, err)
		}
	}
}
