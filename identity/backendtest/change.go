package backendtest

import (
	"testing"
	"time"

	"peerage/identity"
	"peerage/store"
)

const another = "another horse"

// session opens a session of a person, as the Directory does.
func (h Harness) session(t *testing.T, sub, id string) {
	t.Helper()
	s := store.Session{ID: id, Sub: sub, ACR: identity.ACROneFactor, AMR: []string{"pwd"}, AuthTime: h.Clock.Now(), FactorAt: h.Clock.Now(), ExpiresAt: h.Clock.Now().Add(time.Hour)}
	if err := h.Store.CreateSession(t.Context(), s, identity.Hash("secret "+id), nil); err != nil {
		t.Fatal(err)
	}
}

// alive tells whether a session is.
func (h Harness) alive(t *testing.T, id string) bool {
	t.Helper()
	alive, err := h.Store.SessionAlive(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return alive
}

func testChangePassword(t *testing.T, h Harness) {
	u := h.known(t, "ada")
	if has, err := h.Backend.HasPassword(t.Context(), u); !has || err != nil {
		t.Errorf("HasPassword: %v, %v", has, err)
	}
	h.session(t, u.Sub, "this one")
	h.session(t, u.Sub, "another browser")
	for what, current := range map[string]string{"wrong": "wrong horse", "empty": "", "the new one": another} {
		_, err := h.Backend.ChangePassword(t.Context(), u, identity.PasswordChange{Current: current, New: another, Keep: "this one"})
		want(t, what, err, identity.ErrWrongCredentials)
	}
	h.login(t, "ada")
	if !h.alive(t, "another browser") {
		t.Fatal("a wrong password ended a session")
	}
	changed, err := h.Backend.ChangePassword(t.Context(), u, identity.PasswordChange{Current: password, New: another, Keep: "this one"})
	if err != nil {
		t.Fatalf("the right password: %v", err)
	}
	if len(changed.Ended) != 1 || changed.Ended[0].ID != "another browser" {
		t.Errorf("ended %+v", changed.Ended)
	}
	if !h.alive(t, "this one") || h.alive(t, "another browser") {
		t.Error("the wrong session lives on")
	}
	if h.Lives != nil && !h.Lives(changed.Token) {
		t.Error("the session that goes on has no living token")
	}
	_, err = h.Backend.Login(t.Context(), "ada", password)
	want(t, "the old password", err, identity.ErrWrongCredentials)
	if _, err := h.Backend.Login(t.Context(), "ada", another); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func testChangePasswordWithCode(t *testing.T, h Harness) {
	secret := h.enrol(t, h.known(t, "ada"))
	u := h.user(t, "ada")
	change := func(current, code string) error {
		_, err := h.Backend.ChangePassword(t.Context(), u, identity.PasswordChange{Current: current, Code: code, New: another})
		return err
	}
	code := h.code(t, secret)
	want(t, "without code", change(password, ""), identity.ErrWrongCode)
	want(t, "wrong code", change(password, h.wrong(t, secret)), identity.ErrWrongCode)
	want(t, "wrong password, right code", change("wrong horse", code), identity.ErrWrongCredentials)
	want(t, "both wrong", change("wrong horse", h.wrong(t, secret)), identity.ErrWrongCredentials)
	if err := change(password, code); err != nil {
		t.Errorf("the code that stood beside a wrong password: %v", err)
	}
	login, err := h.Backend.Login(t.Context(), "ada", another)
	if err != nil || len(login.Challenge) == 0 {
		t.Fatalf("the new password: %+v, %v", login, err)
	}
	_, err = h.Backend.Answer(t.Context(), "ada", login.Challenge, code)
	want(t, "the code of the change", err, identity.ErrWrongCode)
}

func testParallelChanges(t *testing.T, h Harness) {
	secret := h.enrol(t, h.known(t, "ada"))
	u, code := h.user(t, "ada"), h.code(t, secret)
	wins := parallel(8, func() error {
		_, err := h.Backend.ChangePassword(t.Context(), u, identity.PasswordChange{Current: password, Code: code, New: another})
		return err
	})
	if wins != 1 {
		t.Errorf("one code changed the password %d times", wins)
	}
}
