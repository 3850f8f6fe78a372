package openbao_test

import (
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
	"peerage/store"
)

const another = "another horse battery"

// direct is a sign-in at OpenBao itself.
func (s *site) direct(name, password string) []byte {
	s.t.Helper()
	token, _ := s.bao.Call("", "POST", "auth/userpass/login/"+name, map[string]any{"password": password}).Auth["client_token"].(string)
	if token == "" {
		s.t.Fatalf("%s cannot sign in at OpenBao", name)
	}
	return []byte(token)
}

// Whoever changes a password because somebody else knows it ends what that
// one has: tokens of peerage and of OpenBao itself, which would live on.
func TestPasswordChangeEndsEveryToken(t *testing.T) {
	s := newSite(t, baotest.Shared(t), withoutPeople)
	s.add("ada", password)
	bob := s.add("adam", password)
	stolen, others := s.direct("ada", password), s.direct("adam", password)
	session := s.login("ada", password)
	now := s.clock.Now()
	err := s.store.CreateSession(t.Context(), store.Session{ID: "this one", Sub: session.Sub, ACR: identity.ACROneFactor, AuthTime: now, FactorAt: now, ExpiresAt: now.Add(time.Hour), BackendToken: session.Token}, identity.Hash("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := s.backend.ChangePassword(t.Context(), s.user("ada"), identity.PasswordChange{Current: password, New: another, Keep: "this one"})
	if err != nil {
		t.Fatalf("by the person's own right: %v", err)
	}
	if s.lives(stolen) || s.lives(session.Token) || !s.lives(changed.Token) || !changed.Expires.After(now) {
		t.Errorf("the stolen token lives: %v, the old one: %v, the new one: %v", s.lives(stolen), s.lives(session.Token), s.lives(changed.Token))
	}
	if !s.lives(others) {
		t.Errorf("the token of %s, whose name begins alike, has ended", bob)
	}
	s.login("ada", another)
}

// bcrypt looks at 72 bytes: a longer password would be as good as its beginning,
// and OpenBao answers it by an internal error.
func TestPasswordsAreBoundedInBytes(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password)
	s.login("ada", password)
	u := s.user("ada")
	for _, long := range []string{strings.Repeat("a", 73), strings.Repeat("ä", 37)} {
		_, err := s.backend.ChangePassword(t.Context(), u, identity.PasswordChange{Current: password, New: long})
		s.wantErr("a change to "+long, err, identity.ErrPasswordOverBytes)
		s.wantErr("setting "+long, s.backend.SetPassword(t.Context(), u, long), identity.ErrPasswordOverBytes)
	}
	longest := strings.Repeat("ä", 36)
	if _, err := s.backend.ChangePassword(t.Context(), u, identity.PasswordChange{Current: password, New: longest}); err != nil {
		t.Fatalf("72 bytes: %v", err)
	}
	s.login("ada", longest)
	_, err := s.backend.Login(t.Context(), "ada", longest+"x")
	s.wantErr("a password that goes on", err, identity.ErrWrongCredentials)
}

// Without the operator's grant peerage cannot set passwords, says so, and
// changes nothing.
func TestSettingPasswordsMustBeGranted(t *testing.T) {
	s := newSite(t, baotest.Shared(t), withoutPeople)
	s.add("ada", password)
	token := s.login("ada", password).Token
	s.wantErr("SetPassword", s.backend.SetPassword(t.Context(), s.user("ada"), another), identity.ErrNotGranted)
	if s.doubts.Load() != 0 {
		t.Error("the service credential is doubted for what was not granted")
	}
	if !s.lives(token) {
		t.Error("the person was signed out")
	}
	s.login("ada", password)
	// People whose accounts were not given portal-user cannot change theirs.
	s.bao.Add(baotest.Person{Name: "bob", Password: password})
	s.login("bob", password)
	_, err := s.backend.ChangePassword(t.Context(), s.user("bob"), identity.PasswordChange{Current: password, New: another})
	s.wantErr("bob's change", err, identity.ErrNotGranted)
	s.login("bob", password)
}

// Who forgot their password has probably tried until OpenBao locked them.
func TestSetPasswordUnlocks(t *testing.T) {
	s := newSite(t, baotest.Shared(t))
	s.add("ada", password)
	token := s.login("ada", password).Token
	for range 4 {
		_, err := s.backend.Login(t.Context(), "ada", "wrong")
		s.wantErr("a wrong password", err, identity.ErrWrongCredentials)
	}
	s.bao.Call("", "POST", "auth/userpass/login/ada", map[string]any{"password": "wrong"})
	if answer := s.bao.Call("", "POST", "auth/userpass/login/ada", map[string]any{"password": password}); answer.Status != 403 {
		t.Fatalf("ada is not locked: %d", answer.Status)
	}
	if err := s.backend.SetPassword(t.Context(), s.user("ada"), another); err != nil {
		t.Fatalf("SetPassword: %v", err)
	}
	s.login("ada", another)
	if s.lives(token) {
		t.Error("the token of before lives on")
	}
}
