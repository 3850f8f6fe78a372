package identity_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peerage/identity"
	"peerage/store"
	"peerage/store/storetest"
)

func TestSignInWithPassword(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada", "admins", "noc")
	b := browser()
	v := w.signIn(&b, " ＡＤＡ ")
	if v.User.Sub != u.Sub || v.Session.ACR != identity.ACROneFactor || !slices.Equal(v.Session.AMR, []string{"pwd"}) {
		t.Errorf("signed in as %+v", v)
	}
	if !slices.Equal(v.User.Groups, []string{"admins", "noc"}) || !w.IsAdmin(v.User) {
		t.Errorf("groups %v", v.User.Groups)
	}
	if v.Session.IP != "192.0.2.1" || v.Session.UserAgent != "test" {
		t.Errorf("the session knows %q and %q", v.Session.IP, v.Session.UserAgent)
	}
	wantSame(t, "events", w.events(), []string{"user_create success", "group_member_add success", "group_member_add success", "login_success success"})
	w.dead("", "no cookie")
	w.dead(identity.NewSecret(), "another cookie")
}

func TestSignInSaysTheSameOfUnknownWrongAndDisabled(t *testing.T) {
	w := newWorld(t)
	w.person("ada")
	gone := w.person("gone")
	nobody, err := w.CreateUser(w.ctx, identity.NewUser{Username: "nopassword"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetDisabled(w.ctx, gone, true); err != nil {
		t.Fatal(err)
	}
	var compared int
	w.passwords.OnCompare(func() { compared++ })
	for _, c := range []struct{ what, name, password string }{
		{"wrong", "ada", "wrong horse"},
		{"unknown", "bob", password},
		{"no name can be like that", "no such/name", password},
		{"disabled", gone.Username, password},
		{"disabled and wrong", gone.Username, "wrong horse"},
		{"no password", nobody.Username, password},
	} {
		compared = 0
		secret, err := w.SignIn(w.ctx, browser(), c.name, c.password)
		if err != identity.ErrWrongCredentials || secret != "" {
			t.Errorf("%s: %q, %v; want %v itself", c.what, secret, err, identity.ErrWrongCredentials)
		}
		if compared != 1 {
			t.Errorf("%s: %d comparisons of passwords, want 1", c.what, compared)
		}
	}
	compared = 0
	w.signIn(new(browser()), "ada")
	if compared != 1 {
		t.Errorf("right: %d comparisons, want 1", compared)
	}
}

func TestSignInRehashesWhenParametersChange(t *testing.T) {
	w := newWorld(t)
	u := w.person("ada")
	old, err := identity.NewTestPasswords(t, 16, 1).Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.SetPassword(w.ctx, u.Sub, old, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.SignIn(w.ctx, browser(), "ada", "wrong horse"); err != identity.ErrWrongCredentials {
		t.Fatal(err)
	}
	if hash, _ := w.store.PasswordHash(w.ctx, u.Sub); hash != old {
		t.Error("a wrong password changed the hash")
	}
	w.signIn(new(browser()), "ada")
	fresh, err := w.store.PasswordHash(w.ctx, u.Sub)
	if err != nil || fresh == old {
		t.Fatalf("the hash is still %s, %v", fresh, err)
	}
	w.signIn(new(browser()), "ada")
	if again, _ := w.store.PasswordHash(w.ctx, u.Sub); again != fresh {
		t.Error("a hash of today's parameters was made anew")
	}
}

func TestAnswer(t *testing.T) {
	w := newWorld(t)
	_, secret := w.enrolled("ada")
	b, other := browser(), browser()
	w.half(b, "ada")
	if p, u, err := w.Pending(w.ctx, b); err != nil || !p.Challenged || u.Username != "ada" {
		t.Fatalf("Pending: %+v of %s, %v", p, u.Username, err)
	}
	_, err := w.Answer(w.ctx, b, w.wrongCode(secret))
	wantErr(t, "wrong code", err, identity.ErrWrongCode)
	_, err = w.Answer(w.ctx, other, w.code(secret))
	wantErr(t, "another browser", err, identity.ErrNoSignIn)
	_, err = w.Answer(w.ctx, identity.Browser{}, w.code(secret))
	wantErr(t, "a browser without cookie", err, identity.ErrNoSignIn)
	_, err = w.EnrolSignIn(w.ctx, b, w.code(secret))
	wantErr(t, "enrolling instead of answering", err, identity.ErrNoSignIn)
	session, err := w.Answer(w.ctx, b, " "+w.code(secret)[:3]+" "+w.code(secret)[3:])
	if err != nil {
		t.Fatalf("right code with spaces: %v", err)
	}
	v, err := w.Visitor(w.ctx, session)
	if err != nil || v.Session.ACR != identity.ACRTwoFactors || !slices.Equal(v.Session.AMR, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("%+v, %v", v.Session, err)
	}
	_, err = w.Answer(w.ctx, b, w.code(secret))
	wantErr(t, "answering again", err, identity.ErrNoSignIn)
	wantSame(t, "events", w.events(), []string{"user_create success", "mfa_challenge success", "mfa_failure failure", "mfa_success success", "login_success success"})
}

func TestHalfDoneSignInEnds(t *testing.T) {
	for _, c := range []struct {
		what string
		end  func(w *world, u identity.User) error
	}{
		{"too old", func(w *world, _ identity.User) error { w.clock.Advance(5 * time.Minute); return nil }},
		{"disabled", func(w *world, u identity.User) error { return w.SetDisabled(w.ctx, u, true) }},
		{"new password", func(w *world, u identity.User) error { return w.SetPassword(w.ctx, u, "another horse") }},
		{"reset", func(w *world, u identity.User) error { _, err := w.ResetMFA(w.ctx, u); return err }},
		{"factor removed", func(w *world, u identity.User) error { return w.store.RemoveTOTP(w.ctx, u.Sub) }},
		{"deleted", func(w *world, u identity.User) error { _, err := w.store.DeleteUser(w.ctx, u.Sub); return err }},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			u, secret := w.enrolled("ada")
			b := browser()
			w.half(b, "ada")
			if err := c.end(w, u); err != nil {
				t.Fatal(err)
			}
			_, err := w.Answer(w.ctx, b, w.code(secret))
			wantErr(t, "Answer", err, identity.ErrNoSignIn)
			_, _, err = w.Pending(w.ctx, b)
			wantErr(t, "Pending", err, identity.ErrNoSignIn)
		})
	}
}

func TestCodeCountsOnceOverReplicas(t *testing.T) {
	database := storetest.Engines()[0].Fresh(t)
	clock := storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	open := func() *store.Store {
		return storetest.Open(t, storetest.WithClock(clock), storetest.WithDatabase(database))
	}
	replicas := []*world{openWorld(t, open(), clock), openWorld(t, open(), clock)}
	_, secret := replicas[0].enrolled("ada")
	// Fewer sign-ins than the limit of wrong codes, which would hide the step.
	browsers := make([]identity.Browser, 8)
	for i := range browsers {
		browsers[i] = browser()
		replicas[i%2].half(browsers[i], "ada")
	}
	code := replicas[0].code(secret)
	var wins atomic.Int64
	var all sync.WaitGroup
	for i, b := range browsers {
		all.Go(func() {
			if _, err := replicas[i%2].Answer(replicas[i%2].ctx, b, code); err == nil {
				wins.Add(1)
			}
		})
	}
	all.Wait()
	if wins.Load() != 1 {
		t.Errorf("one code made %d sessions", wins.Load())
	}
	if n, err := replicas[1].store.CountSessions(t.Context()); n != 1 || err != nil {
		t.Errorf("%d sessions, %v", n, err)
	}
	replicas[0].nextStep()
	for i, w := range replicas {
		_, err := w.Answer(w.ctx, browsers[2+i], code)
		if err == nil {
			t.Errorf("replica %d takes the code later", i)
		}
	}
}

func TestParallelAnswersOfOneBrowserMakeOneSession(t *testing.T) {
	w := newWorld(t)
	u, secret := w.enrolled("ada")
	b := browser()
	w.half(b, "ada")
	code := w.code(secret)
	var wins atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if _, err := w.Answer(w.ctx, b, code); err == nil {
				wins.Add(1)
			}
		})
	}
	all.Wait()
	sessions, err := w.store.Sessions(w.ctx, u.Sub)
	if err != nil || wins.Load() != 1 || len(sessions) != 1 {
		t.Errorf("%d answers were right, %d sessions, %v", wins.Load(), len(sessions), err)
	}
}

func TestTwoRightCodesAtOnceMakeOneSession(t *testing.T) {
	w := newWorld(t)
	u, secret := w.enrolled("ada")
	b := browser()
	w.half(b, "ada")
	codes := []string{codeAt(t, secret, w.clock.Now()), codeAt(t, secret, w.clock.Now().Add(30*time.Second))}
	var all sync.WaitGroup
	for _, code := range codes {
		all.Go(func() { w.Answer(w.ctx, b, code) })
	}
	all.Wait()
	if sessions, err := w.store.Sessions(w.ctx, u.Sub); err != nil || len(sessions) != 1 {
		t.Errorf("%d sessions, %v", len(sessions), err)
	}
}

func TestRequireMFA(t *testing.T) {
	for _, c := range []struct {
		who           string
		member, admin bool // must enrol
	}{
		{identity.RequireMFAOff, false, false},
		{identity.RequireMFAAdmins, false, true},
		{identity.RequireMFAAll, true, true},
	} {
		t.Run(c.who, func(t *testing.T) {
			w := newWorld(t, requireMFA(c.who))
			w.person("member")
			w.person("admin", "admins")
			for name, must := range map[string]bool{"member": c.member, "admin": c.admin} {
				b := browser()
				secret, err := w.SignIn(w.ctx, b, name, password)
				if err != nil || (secret == "") != must {
					t.Errorf("%s: session %v, %v", name, secret != "", err)
				}
				p, _, err := w.Pending(w.ctx, b)
				if must && (err != nil || p.Challenged) {
					t.Errorf("%s: %+v, %v", name, p, err)
				}
			}
		})
	}
}

func TestGroupsLikeAffiliationsAreNeverEmitted(t *testing.T) {
	w := newWorld(t)
	// Neither by a name that came into the store another way, nor by its case.
	u := w.person("ada", "as64500", "AS64501", "as64500-noc", "noc")
	if !slices.Equal(u.Groups, []string{"as64500-noc", "noc"}) {
		t.Errorf("groups %v", u.Groups)
	}
	if u.In([]string{"as64500", "AS64501"}) || !u.In([]string{"x", "noc"}) || u.In(nil) {
		t.Error("In disagrees")
	}
	b := browser()
	if v := w.signIn(&b, "ada"); !slices.Equal(v.User.Groups, u.Groups) {
		t.Errorf("the visitor's groups %v", v.User.Groups)
	}
	if err := w.store.DeleteGroup(w.ctx, "noc"); err != nil {
		t.Fatal(err)
	}
	if v := w.visitor(b); v.User.In([]string{"noc"}) {
		t.Error("a group that is gone is still given")
	}
}
