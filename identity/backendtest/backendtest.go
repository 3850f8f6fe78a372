// Package backendtest is the contract that every identity backend passes.
package backendtest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"peerage/identity"
	"peerage/store"
	"peerage/store/storetest"
)

// Harness is a backend with what a test needs to put people behind it.
type Harness struct {
	Backend identity.Backend
	// Store is the store that the backend stands on.
	Store *store.Store
	// Clock is the clock of backend and store.
	Clock *storetest.Clock
	// Person makes a person of the backend who can sign in with the password.
	Person func(t testing.TB, username, password string)
	// Disable lets a person in no more.
	Disable func(t testing.TB, username string)
	// Break makes the backend answer nothing, or answer again. Nil: it cannot
	// fail apart from the store.
	Break func(broken bool)
	// Lives tells whether a token that a login handed out is still good. Nil:
	// the backend hands out none.
	Lives func(token []byte) bool
	// Forget makes the backend forget its challenges. Nil: it keeps none.
	Forget func()
}

const password = "correct horse"

// Run runs the contract; fresh makes an empty backend for each test.
func Run(t *testing.T, fresh func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, h Harness)
	}{
		{"password", testPassword},
		{"first sign-in makes a row", testFirstSignIn},
		{"enrolment", testEnrolment},
		{"code", testCode},
		{"a code counts once", testCodeOnce},
		{"one of parallel answers wins", testParallelAnswers},
		{"an answer without a factor", testAnswerWithoutFactor},
		{"confirm with the password", testConfirmPassword},
		{"confirm with a code", testConfirmCode},
		{"remove the factor", testRemove},
		{"new password", testSetPassword},
		{"change of the password", testChangePassword},
		{"change of the password with a code", testChangePasswordWithCode},
		{"one of parallel changes wins", testParallelChanges},
		{"disabled", testDisabled},
		{"token", testToken},
		{"accounts", testAccounts},
		{"unavailable", testUnavailable},
		{"forgotten challenge", testForgotten},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, fresh(t)) })
	}
}

// user is a person as the Directory sees them.
func (h Harness) user(t testing.TB, username string) identity.User {
	t.Helper()
	row, err := h.Store.UserByName(t.Context(), username)
	if err != nil {
		t.Fatalf("finding %s: %v", username, err)
	}
	u := identity.User{User: row}
	state, err := h.Backend.State(t.Context(), u)
	if err != nil {
		t.Fatalf("State of %s: %v", username, err)
	}
	u.Groups, u.TOTP, u.Disabled = state.Groups, state.TOTP, row.Disabled || state.Disabled
	return u
}

// known makes a person and signs them in once, so that they have a row.
func (h Harness) known(t testing.TB, username string) identity.User {
	t.Helper()
	h.Person(t, username, password)
	h.login(t, username)
	return h.user(t, username)
}

func (h Harness) login(t testing.TB, username string) identity.Login {
	t.Helper()
	login, err := h.Backend.Login(t.Context(), username, password)
	if err != nil {
		t.Fatalf("Login of %s: %v", username, err)
	}
	return login
}

// enrol gives a person a second factor as the Directory does.
func (h Harness) enrol(t testing.TB, u identity.User) (secret string) {
	t.Helper()
	secret, err := h.Backend.NewTOTP(t.Context(), u)
	if err != nil {
		t.Fatalf("NewTOTP: %v", err)
	}
	if err := h.Store.PutPendingTOTP(t.Context(), u.Sub, []byte(secret), nil, 10*time.Minute); err != nil {
		t.Fatalf("PutPendingTOTP: %v", err)
	}
	step, ok := identity.CheckCode(secret, h.code(t, secret), h.Clock.Now())
	if !ok {
		t.Fatalf("the secret %q makes no code", secret)
	}
	if err := h.Backend.ActivateTOTP(t.Context(), u, step); err != nil {
		t.Fatalf("ActivateTOTP: %v", err)
	}
	h.Clock.Advance(time.Minute) // past the step that the enrolment used
	return secret
}

func (h Harness) code(t testing.TB, secret string) string {
	t.Helper()
	code, err := totp.GenerateCodeCustom(secret, h.Clock.Now(), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		t.Fatalf("making a code: %v", err)
	}
	return code
}

// wrong is a code that is not right now.
func (h Harness) wrong(t testing.TB, secret string) string {
	t.Helper()
	for _, code := range []string{"000000", "111111", "222222", "333333"} {
		if _, ok := identity.CheckCode(secret, code, h.Clock.Now()); !ok {
			return code
		}
	}
	t.Fatal("four codes of one secret are right at once")
	return ""
}

func want(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want %v", what, err, target)
	}
}

// parallel runs f n times at once and counts who had no error.
func parallel(n int, f func() error) (wins int) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for range n {
		all.Go(func() {
			if f() == nil {
				mu.Lock()
				defer mu.Unlock()
				wins++
			}
		})
	}
	all.Wait()
	return wins
}
