package backendtest

import (
	"errors"
	"slices"
	"testing"

	"peerage/identity"
	"peerage/store"
)

// testAccounts is the life of a person whom an administrator makes.
func testAccounts(t *testing.T, h Harness) {
	ctx := t.Context()
	if err := h.Backend.Granted(ctx); err != nil {
		t.Fatalf("Granted: %v", err)
	}
	has := func(want bool) {
		t.Helper()
		if got, err := h.Backend.HasAccount(ctx, "fresh"); got != want || err != nil {
			t.Errorf("HasAccount = %v, %v, want %v", got, err, want)
		}
	}
	has(false)
	n := identity.NewUser{Username: "fresh", Name: "Fresh Example", Email: "fresh@example.net", Password: password}
	account, err := h.Backend.NewAccount(ctx, n)
	if err != nil || account.Sub == "" {
		t.Fatalf("NewAccount: %+v, %v", account, err)
	}
	row := store.User{Sub: account.Sub, Origin: h.Backend.Origin(), Username: n.Username, Name: n.Name, Email: n.Email, EmailVerified: true}
	if err := h.Store.CreateUser(ctx, row, account.PasswordHash, nil); err != nil {
		t.Fatal(err)
	}
	has(true)
	if _, err := h.Backend.NewAccount(ctx, n); !errors.Is(err, store.ErrExists) {
		t.Errorf("a second account of that name: %v, want ErrExists", err)
	}
	if login := h.login(t, "fresh"); login.Sub != account.Sub {
		t.Errorf("the new person signs in as %s, want %s", login.Sub, account.Sub)
	}
	u := h.user(t, "fresh")
	if u.Name != n.Name || u.Email != n.Email || !u.EmailVerified {
		t.Errorf("after the first sign-in the row is %+v", u.User)
	}
	if err := h.Backend.SetProfile(ctx, u, "", "new@example.net"); err != nil {
		t.Errorf("SetProfile: %v", err)
	}
	h.testKeptOut(t, u)
	roll, err := h.Backend.Roll(ctx)
	if err != nil || slices.Contains(roll.TOTP, u.Sub) || slices.Contains(roll.Locked, u.Username) {
		t.Errorf("Roll = %+v, %v", roll, err)
	}
	for range 2 {
		if err := h.Backend.RemoveAccount(ctx, u); err != nil {
			t.Errorf("RemoveAccount: %v", err)
		}
	}
	if _, err := h.Store.DeleteUser(ctx, u.Sub); err != nil {
		t.Fatal(err)
	}
	has(false)
	if _, err := h.Backend.Login(ctx, "fresh", password); !errors.Is(err, identity.ErrWrongCredentials) {
		t.Errorf("who was deleted: %v", err)
	}
}

// testKeptOut disables a person, at the backend and in the store, and lets them
// in again.
func (h Harness) testKeptOut(t *testing.T, u identity.User) {
	t.Helper()
	for _, disabled := range []bool{true, false} {
		if err := h.Backend.SetDisabled(t.Context(), u, disabled); err != nil {
			t.Errorf("SetDisabled(%v): %v", disabled, err)
		}
		if _, err := h.Store.SetDisabled(t.Context(), u.Sub, disabled); err != nil {
			t.Fatal(err)
		}
		if got := h.user(t, u.Username); got.Disabled != disabled {
			t.Errorf("disabled is %v, want %v", got.Disabled, disabled)
		}
		_, err := h.Backend.Login(t.Context(), u.Username, password)
		if disabled != errors.Is(err, identity.ErrWrongCredentials) || !disabled && err != nil {
			t.Errorf("a sign-in with disabled = %v: %v", disabled, err)
		}
	}
	if err := h.Backend.Unlock(t.Context(), u); err != nil {
		t.Errorf("Unlock: %v", err)
	}
	if err := h.Backend.SignOutEverywhere(t.Context(), u); err != nil {
		t.Errorf("SignOutEverywhere: %v", err)
	}
}
