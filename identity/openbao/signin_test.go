package openbao_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
	"peerage/store"
)

const password = "correct horse battery"

// user is a person as the Directory sees them.
func (s *site) user(name string) identity.User {
	s.t.Helper()
	row, err := s.store.UserByName(s.t.Context(), name)
	if err != nil {
		s.t.Fatalf("finding %s: %v", name, err)
	}
	u := identity.User{User: row}
	state, err := s.backend.State(s.t.Context(), u)
	if err != nil {
		s.t.Fatalf("State of %s: %v", name, err)
	}
	u.Groups, u.TOTP, u.Disabled = state.Groups, state.TOTP, state.Disabled
	return u
}

// login is a sign-in that must succeed.
func (s *site) login(name, password string) identity.Login {
	s.t.Helper()
	login, err := s.backend.Login(s.t.Context(), name, password)
	if err != nil {
		s.t.Fatalf("Login of %s: %v", name, err)
	}
	return login
}

func (s *site) wantErr(what string, err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// events counts the events of a name.
func (s *site) events(name string) []store.Event {
	s.t.Helper()
	s.audit.Flush()
	list, err := s.store.Events(s.t.Context(), store.EventFilter{Event: name, Limit: 100})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func TestFirstSignInTakesTheEntity(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	entity := s.add("ada", password, "noc", "admins", "as64500", "AS64501-admin")
	login := s.login("ADA", password)
	if login.Sub != entity || !strings.Contains(login.Sub, ".") {
		t.Errorf("sub is %s, the entity with its namespace %s", login.Sub, entity)
	}
	u := s.user("ada")
	if u.Origin != openbao.Origin || u.Name != "Somebody Called ada" || u.Email != "ada@example.net" || !u.EmailVerified || u.TOTP || u.Disabled {
		t.Errorf("the row is %+v", u)
	}
	if !slices.Equal(u.Groups, []string{"admins", "noc"}) {
		t.Errorf("groups %q: names of affiliations are not OpenBao's to give", u.Groups)
	}
	// Somebody whom nobody made an entity for gets one from OpenBao.
	s.bao.Do("POST", "auth/userpass/users/bob", map[string]any{"password": password})
	bob := s.login("bob", password)
	if found := s.bao.Do("GET", "identity/entity/id/"+bob.Sub, nil)["id"]; found != bob.Sub {
		t.Errorf("bob is %s, the entity %v", bob.Sub, found)
	}
	if b := s.user("bob"); b.Email != "" || b.EmailVerified || len(b.Groups) != 0 || b.Disabled {
		t.Errorf("bob is %+v", b)
	}
	// Later sign-ins take what was changed, and nothing that is no address.
	s.bao.Do("POST", "identity/entity/name/ada", map[string]any{"metadata": map[string]string{"name": "Ada New", "email": "not an address"}})
	s.login("ada", password)
	if u := s.user("ada"); u.Name != "Ada New" || u.Email != "" || u.EmailVerified || u.Sub != entity {
		t.Errorf("after a change the row is %+v", u)
	}
	// So does a request of a client, without a sign-in: at the latest the one after
	// a slow answer.
	s.bao.Do("POST", "identity/entity/name/ada", map[string]any{"metadata": map[string]string{"name": "Ada Newer", "email": "newer@example.net"}})
	for deadline := time.Now().Add(10 * time.Second); ; {
		s.clock.Advance(2 * time.Second)
		s.user("ada")
		row, err := s.store.User(t.Context(), entity)
		if err == nil && row.Name == "Ada Newer" && row.Email == "newer@example.net" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after requests the row is %+v, %v", row, err)
		}
	}
}

func TestMetadataKeysAndUnverifiedAddresses(t *testing.T) {
	s := newSite(t, baotest.Shared(t), func(p *openbao.People, _ *openbao.Bootstrap) {
		p.NameKey, p.EmailKey, p.EmailVerified = "display", "mail", false
	})
	s.bao.Add(baotest.Person{Name: "ada", Password: password, Metadata: map[string]string{"display": "Ada", "mail": "a@example.net", "name": "no", "email": "no@example.net"}})
	s.login("ada", password)
	if u := s.user("ada"); u.Name != "Ada" || u.Email != "a@example.net" || u.EmailVerified {
		t.Errorf("the row is %+v", u)
	}
}

// Parallel first sign-ins make one person.
func TestParallelFirstSignIns(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.bao.Accessor(baotest.Mount)
	s.bao.SetPassword(baotest.Mount, "ada", password)
	subs := make(chan string, 8)
	for range cap(subs) {
		go func() {
			login, err := s.backend.Login(t.Context(), "ada", password)
			if err != nil {
				t.Errorf("Login: %v", err)
			}
			subs <- login.Sub
		}()
	}
	first := <-subs
	for range cap(subs) - 1 {
		if sub := <-subs; sub != first {
			t.Errorf("one is %s, another %s", first, sub)
		}
	}
}

// Whoever can write aliases could make a user name another person: what the
// first one has at applications, by their sub or by their name, is not handed on.
func TestMovedAliasIsRefused(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password)
	mallory, _ := s.bao.Do("POST", "identity/entity/name/mallory", nil)["id"].(string)
	ada := s.login("ada", password).Sub
	s.user("ada")
	s.bao.Do("POST", "identity/entity-alias", map[string]any{"name": "ada", "mount_accessor": s.bao.Accessor(baotest.Mount), "canonical_id": mallory})
	login, err := s.backend.Login(t.Context(), "ada", password)
	s.wantErr("the name of another entity", err, identity.ErrWrongCredentials)
	if login.Sub != "" || login.Token != nil || err.Error() != identity.ErrWrongCredentials.Error() {
		t.Errorf("handed out %+v, said %q", login, err)
	}
	told := s.events("entity_mismatch")
	if len(told) != 1 || told[0].Sub != ada || told[0].Username != "ada" || told[0].Result != "failure" || !strings.Contains(told[0].Detail, mallory) {
		t.Errorf("the trail says %+v", told)
	}
	s.clock.Advance(6 * time.Second)
	if u := s.user("ada"); !u.Disabled {
		t.Error("who cannot sign in any more goes on")
	}
	if row, err := s.store.UserByName(t.Context(), "ada"); err != nil || row.Sub != ada {
		t.Errorf("the row is %+v, %v", row, err)
	}
	// The same for somebody whose second factor is outstanding.
	_, err = s.store.User(t.Context(), mallory)
	s.wantErr("mallory's row", err, store.ErrNotFound)
	s.bao.EnrolTOTP(s.method, mallory)
	_, err = s.backend.Login(t.Context(), "ada", password)
	s.wantErr("before the code", err, identity.ErrWrongCredentials)
}

// An alias that moves between password and code does not sign in as anybody.
func TestAliasMovesBeforeTheCode(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	ada := s.add("ada", password)
	secret := s.bao.EnrolTOTP(s.method, ada)
	login := s.login("ada", password)
	for name, waits := range map[string][]byte{"bob": login.Challenge, "ada": []byte("{}"), "": login.Challenge} {
		_, err := s.backend.Answer(t.Context(), name, waits, baotest.Code(secret, time.Now()))
		s.wantErr("another's challenge as "+name, err, identity.ErrNoSignIn)
	}
	// The entity is deleted, and its account signs in as a new one.
	s.bao.Do("DELETE", "identity/entity/id/"+ada, nil)
	answer, err := s.backend.Answer(t.Context(), "ada", login.Challenge, baotest.Code(secret, time.Now()))
	if err == nil || answer.Token != nil {
		t.Errorf("a deleted entity answers: %+v, %v", answer, err)
	}
	s.clock.Advance(6 * time.Second)
	if u := s.user("ada"); !u.Disabled {
		t.Error("a deleted entity is somebody")
	}
	_, err = s.backend.Login(t.Context(), "ada", password)
	s.wantErr("the account of another entity", err, identity.ErrWrongCredentials)
}

// Only people who exist can be locked, and OpenBao says so in a millisecond.
func TestRefusalsTakeOneTime(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password)
	s.add("locked", password)
	for range 5 {
		s.bao.Call("", "POST", "auth/userpass/login/locked", map[string]any{"password": "wrong"})
	}
	s.add("disabled", password)
	s.bao.Do("POST", "identity/entity/name/disabled", map[string]any{"disabled": true})
	for what, typed := range map[string][2]string{
		"wrong": {"ada", "wrong"}, "unknown": {"nobody", "wrong"}, "locked": {"locked", password}, "disabled": {"disabled", password},
		"a path": {"../ada", password}, "endless": {"ada", strings.Repeat("a", 73)}, "no password": {"ada", ""},
	} {
		begun := time.Now()
		_, err := s.backend.Login(t.Context(), typed[0], typed[1])
		taken := time.Since(begun)
		if !errors.Is(err, identity.ErrWrongCredentials) || err.Error() != identity.ErrWrongCredentials.Error() {
			t.Errorf("%s: said %v", what, err)
		}
		if denied := errors.Is(err, identity.ErrDenied); denied != (what == "locked" || what == "disabled") {
			t.Errorf("%s: the trail is told denied=%v", what, denied)
		}
		if taken < 150*time.Millisecond {
			t.Errorf("%s: answered after %s", what, taken)
		}
	}
}

// Whoever guesses is stopped by us before OpenBao locks the person for
// everything else that uses it. Names that nobody has are stopped alike.
func TestOwnLimitComesBeforeTheLock(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password)
	for _, name := range []string{"ada", "nobody"} {
		for range 4 {
			_, err := s.backend.Login(t.Context(), name, "wrong")
			s.wantErr(name, err, identity.ErrWrongCredentials)
		}
		var throttled *identity.ThrottledError
		if _, err := s.backend.Login(t.Context(), name, password); !errors.As(err, &throttled) || throttled.Wait <= 0 {
			t.Errorf("the fifth try at %s: %v", name, err)
		}
	}
	if answer := s.bao.Call("", "POST", "auth/userpass/login/ada", map[string]any{"password": password}); answer.Status != 200 {
		t.Errorf("ada is locked at OpenBao: %d", answer.Status)
	}
	s.clock.Advance(15 * time.Minute)
	s.login("ada", password)
}

// OpenBao forgets wrong passwords a quarter of an hour after the last one: who
// guesses slowly is stopped too.
func TestSlowGuessesDoNotLock(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password)
	for range 4 {
		_, err := s.backend.Login(t.Context(), "ada", "wrong")
		s.wantErr("a guess", err, identity.ErrWrongCredentials)
		s.clock.Advance(14 * time.Minute)
	}
	var throttled *identity.ThrottledError
	if _, err := s.backend.Login(t.Context(), "ada", "wrong"); !errors.As(err, &throttled) {
		t.Errorf("the fifth guess: %v", err)
	}
	if answer := s.bao.Call("", "POST", "auth/userpass/login/ada", map[string]any{"password": password}); answer.Status != 200 {
		t.Errorf("ada is locked at OpenBao: %d", answer.Status)
	}
}

// Neither a right password nor a right code makes OpenBao forget the wrong
// passwords of somebody with a second factor, so we do not either.
func TestRightCodesDoNotClearOpenBaosCount(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	secret := s.bao.EnrolTOTP(s.method, s.add("ada", password))
	wrong := func() {
		t.Helper()
		_, err := s.backend.Login(t.Context(), "ada", "wrong")
		s.wantErr("a wrong password", err, identity.ErrWrongCredentials)
	}
	for range 3 {
		wrong()
	}
	login := s.login("ada", password)
	if _, err := s.backend.Answer(t.Context(), "ada", login.Challenge, baotest.Code(secret, time.Now())); err != nil {
		t.Fatalf("Answer: %v", err)
	}
	wrong()
	var throttled *identity.ThrottledError
	if _, err := s.backend.Login(t.Context(), "ada", "wrong"); !errors.As(err, &throttled) {
		t.Errorf("the fifth wrong password: %v", err)
	}
	direct := func(password string) int {
		return s.bao.Call("", "POST", "auth/userpass/login/ada", map[string]any{"password": password}).Status
	}
	if status := direct(password); status != 200 {
		t.Errorf("ada is locked at OpenBao: %d", status)
	}
	direct("wrong") // one more, and she is
	if status := direct(password); status != 403 {
		t.Errorf("OpenBao forgot: %d", status)
	}
}
