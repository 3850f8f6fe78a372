package local_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"peerage/identity"
	"peerage/identity/backendtest"
	"peerage/identity/local"
	"peerage/store"
	"peerage/store/storetest"
)

func harness(t *testing.T) (backendtest.Harness, *identity.Passwords) {
	t.Helper()
	clock := storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	s := storetest.Open(t, storetest.WithClock(clock))
	passwords := identity.NewPasswords(2)
	return backendtest.Harness{
		Backend: local.New(s, passwords, clock.Now), Store: s, Clock: clock,
		Person: func(t testing.TB, username, password string) {
			hash, err := passwords.Hash(password)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CreateUser(t.Context(), store.User{Sub: uuid.NewString(), Origin: identity.OriginLocal, Username: username}, hash, nil); err != nil {
				t.Fatal(err)
			}
		},
		Disable: func(t testing.TB, username string) {
			u, err := s.UserByName(t.Context(), username)
			if err == nil {
				_, err = s.SetDisabled(t.Context(), u.Sub, true)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	}, passwords
}

func TestContract(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backendtest.Harness {
		h, _ := harness(t)
		return h
	})
}

func TestLoginLetsNobodyInWithoutAPasswordOfOurs(t *testing.T) {
	h, passwords := harness(t)
	hash, err := passwords.Hash("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []struct{ username, origin, hash string }{
		{"none", identity.OriginLocal, ""},
		{"elsewhere", "remote", hash},
	} {
		if err := h.Store.CreateUser(t.Context(), store.User{Sub: u.username, Origin: u.origin, Username: u.username}, u.hash, nil); err != nil {
			t.Fatal(err)
		}
		for _, password := range []string{"correct horse", "", "x"} {
			if login, err := h.Backend.Login(t.Context(), u.username, password); err != identity.ErrWrongCredentials {
				t.Errorf("%s with %q: %+v, %v", u.username, password, login, err)
			}
		}
	}
}
