package backendtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/store"
)

func testPassword(t *testing.T, h Harness) {
	h.Person(t, "ada", password)
	for _, c := range []struct{ what, username, password string }{
		{"wrong password", "ada", "correct horsE"},
		{"empty password", "ada", ""},
		{"an endless password", "ada", strings.Repeat("a", 1<<16)},
		{"unknown name", "bob", password},
		{"a name that is a path", "../ada", password},
		{"another spelling, which the Directory resolves", "ADA/", password},
		{"empty name", "", password},
	} {
		login, err := h.Backend.Login(t.Context(), c.username, c.password)
		want(t, c.what, err, identity.ErrWrongCredentials)
		if login.Sub != "" || login.Token != nil || login.Challenge != nil {
			t.Errorf("%s: handed out %+v", c.what, login)
		}
	}
	login := h.login(t, "ada")
	if login.Sub == "" || len(login.Challenge) > 0 {
		t.Errorf("a right password without a factor: %+v", login)
	}
}

func testFirstSignIn(t *testing.T, h Harness) {
	h.Person(t, "ada", password)
	first := h.login(t, "ada")
	row, err := h.Store.User(t.Context(), first.Sub)
	if err != nil {
		t.Fatalf("the person has no row after the first login: %v", err)
	}
	if row.Username != "ada" || row.Origin != h.Backend.Origin() {
		t.Errorf("the row is %s of %s", row.Username, row.Origin)
	}
	if again := h.login(t, "ada"); again.Sub != first.Sub {
		t.Errorf("the second login is of %s, the first of %s", again.Sub, first.Sub)
	}
}

func testEnrolment(t *testing.T, h Harness) {
	u := h.known(t, "ada")
	if u.TOTP {
		t.Fatal("a new person has a second factor")
	}
	secret, err := h.Backend.NewTOTP(t.Context(), u)
	if err != nil || secret == "" {
		t.Fatalf("NewTOTP: %q, %v", secret, err)
	}
	if err := h.Store.PutPendingTOTP(t.Context(), u.Sub, []byte(secret), nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	if h.user(t, "ada").TOTP || len(h.login(t, "ada").Challenge) > 0 {
		t.Error("a secret that was never proved counts already")
	}
	if next := h.enrol(t, u); next == secret {
		t.Error("two enrolments share a secret")
	}
	if !h.user(t, "ada").TOTP || len(h.login(t, "ada").Challenge) == 0 {
		t.Error("the second factor does not count")
	}
	if _, err := h.Store.PendingTOTP(t.Context(), u.Sub); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the enrolment still waits: %v", err)
	}
	if err := h.Backend.ActivateTOTP(t.Context(), h.user(t, "ada"), 0); err == nil {
		t.Error("activating without an enrolment works")
	}
}

func testCode(t *testing.T, h Harness) {
	secret := h.enrol(t, h.known(t, "ada"))
	login := h.login(t, "ada")
	if len(login.Challenge) == 0 || login.Token != nil {
		t.Fatalf("the password alone gives %+v", login)
	}
	for _, code := range []string{h.wrong(t, secret), "", "12345", "０８１８０４"} {
		answer, err := h.Backend.Answer(t.Context(), "ada", login.Challenge, code)
		want(t, "code "+code, err, identity.ErrWrongCode)
		if answer.Token != nil || answer.Sub != "" {
			t.Errorf("code %q: handed out %+v", code, answer)
		}
	}
	answer, err := h.Backend.Answer(t.Context(), "ada", login.Challenge, h.code(t, secret))
	if err != nil || answer.Sub != login.Sub || len(answer.Challenge) > 0 {
		t.Errorf("the right code after wrong ones: %+v, %v", answer, err)
	}
}

func testCodeOnce(t *testing.T, h Harness) {
	secret := h.enrol(t, h.known(t, "ada"))
	one, other := h.login(t, "ada"), h.login(t, "ada")
	code := h.code(t, secret)
	if _, err := h.Backend.Answer(t.Context(), "ada", one.Challenge, code); err != nil {
		t.Fatalf("the first use: %v", err)
	}
	_, err := h.Backend.Answer(t.Context(), "ada", other.Challenge, code)
	want(t, "the second use", err, identity.ErrWrongCode)
	h.Clock.Advance(30 * time.Second)
	_, err = h.Backend.Answer(t.Context(), "ada", other.Challenge, code)
	want(t, "within the skew", err, identity.ErrWrongCode)
	if _, err = h.Backend.Answer(t.Context(), "ada", other.Challenge, h.code(t, secret)); err != nil {
		t.Errorf("the next code: %v", err)
	}
}

func testParallelAnswers(t *testing.T, h Harness) {
	secret := h.enrol(t, h.known(t, "ada"))
	code := h.code(t, secret)
	wins := parallel(16, func() error {
		login, err := h.Backend.Login(t.Context(), "ada", password)
		if err != nil {
			t.Errorf("Login: %v", err)
			return err
		}
		_, err = h.Backend.Answer(t.Context(), "ada", login.Challenge, code)
		return err
	})
	if wins != 1 {
		t.Errorf("one code let %d in", wins)
	}
}

func testAnswerWithoutFactor(t *testing.T, h Harness) {
	u := h.known(t, "ada")
	secret := h.enrol(t, u)
	login := h.login(t, "ada")
	if err := h.Backend.RemoveTOTP(t.Context(), h.user(t, "ada")); err != nil {
		t.Fatal(err)
	}
	_, err := h.Backend.Answer(t.Context(), "ada", login.Challenge, h.code(t, secret))
	want(t, "the factor was removed meanwhile", err, identity.ErrNoSignIn)
	_, err = h.Backend.Answer(t.Context(), "nobody", login.Challenge, "123456")
	want(t, "nobody's challenge", err, identity.ErrNoSignIn)
}

// confirm gives back what a right answer brings.
func (h Harness) confirm(t *testing.T, u identity.User, password, code string) error {
	t.Helper()
	login, err := h.Backend.Confirm(t.Context(), u, password, code)
	if err == nil && len(login.Challenge) > 0 {
		t.Error("Confirm leaves a code outstanding")
	}
	if err == nil && len(login.Token) > 0 {
		want(t, "SignOut", h.Backend.SignOut(t.Context(), login.Token), nil)
	}
	return err
}

func testConfirmPassword(t *testing.T, h Harness) {
	u := h.known(t, "ada")
	if askPassword, askCode := h.Backend.ConfirmFields(u); !askPassword || askCode {
		t.Errorf("without a factor Confirm asks: password %v, code %v", askPassword, askCode)
	}
	if err := h.confirm(t, u, password, ""); err != nil {
		t.Errorf("right: %v", err)
	}
	want(t, "wrong", h.confirm(t, u, "wrong horse", ""), identity.ErrWrongCredentials)
	want(t, "empty", h.confirm(t, u, "", ""), identity.ErrWrongCredentials)
	want(t, "a code instead", h.confirm(t, u, "", "123456"), identity.ErrWrongCredentials)
	h.enrol(t, u)
	if err := h.confirm(t, u, password, ""); err == nil {
		t.Error("the password alone confirms who enrolled meanwhile")
	}
}

func testConfirmCode(t *testing.T, h Harness) {
	secret := h.enrol(t, h.known(t, "ada"))
	u := h.user(t, "ada")
	askPassword, askCode := h.Backend.ConfirmFields(u)
	if !askCode {
		t.Fatal("with a factor Confirm asks for no code")
	}
	given := ""
	if askPassword {
		given = password
		want(t, "wrong password", h.confirm(t, u, "wrong horse", h.code(t, secret)), identity.ErrWrongCredentials)
	}
	want(t, "wrong", h.confirm(t, u, given, h.wrong(t, secret)), identity.ErrWrongCode)
	want(t, "empty", h.confirm(t, u, given, ""), identity.ErrWrongCode)
	want(t, "the password alone", h.confirm(t, u, password, ""), identity.ErrWrongCode)
	code := h.code(t, secret)
	if wins := parallel(16, func() error { return h.confirm(t, u, given, code) }); wins != 1 {
		t.Errorf("one code confirmed %d times", wins)
	}
}

func testRemove(t *testing.T, h Harness) {
	secret := h.enrol(t, h.known(t, "ada"))
	for range 2 { // twice is no error
		if err := h.Backend.RemoveTOTP(t.Context(), h.user(t, "ada")); err != nil {
			t.Fatal(err)
		}
	}
	if h.user(t, "ada").TOTP || len(h.login(t, "ada").Challenge) > 0 {
		t.Error("the removed factor still counts")
	}
	if again := h.enrol(t, h.user(t, "ada")); again == secret {
		t.Error("the new enrolment has the old secret")
	}
}

func testSetPassword(t *testing.T, h Harness) {
	u := h.known(t, "ada")
	session := store.Session{ID: "s", Sub: u.Sub, ACR: identity.ACROneFactor, AMR: []string{"pwd"}, AuthTime: h.Clock.Now(), FactorAt: h.Clock.Now(), ExpiresAt: h.Clock.Now().Add(time.Hour)}
	if err := h.Store.CreateSession(t.Context(), session, identity.Hash("secret"), nil); err != nil {
		t.Fatal(err)
	}
	if err := h.Backend.SetPassword(t.Context(), u, "another horse"); err != nil {
		t.Fatal(err)
	}
	_, err := h.Backend.Login(t.Context(), "ada", password)
	want(t, "the old password", err, identity.ErrWrongCredentials)
	if _, err := h.Backend.Login(t.Context(), "ada", "another horse"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if alive, err := h.Store.SessionAlive(t.Context(), "s"); alive || err != nil {
		t.Errorf("the session lives on: %v, %v", alive, err)
	}
}

func testDisabled(t *testing.T, h Harness) {
	h.known(t, "ada")
	h.Disable(t, "ada")
	_, err := h.Backend.Login(t.Context(), "ada", password)
	want(t, "right password", err, identity.ErrWrongCredentials)
	_, wrong := h.Backend.Login(t.Context(), "ada", "wrong horse")
	want(t, "wrong password", wrong, identity.ErrWrongCredentials)
	if err != nil && wrong != nil && err.Error() != wrong.Error() {
		t.Errorf("the words differ: %q and %q", err, wrong)
	}
	if !h.user(t, "ada").Disabled {
		t.Error("the person counts as enabled")
	}
}

func testToken(t *testing.T, h Harness) {
	if h.Lives == nil {
		t.Skip("the backend hands out no tokens")
	}
	h.Person(t, "ada", password)
	login := h.login(t, "ada")
	if len(login.Token) == 0 || !login.Expires.After(h.Clock.Now()) || !h.Lives(login.Token) {
		t.Fatalf("handed out %+v", login)
	}
	for range 2 { // giving it back twice is no error
		if err := h.Backend.SignOut(t.Context(), login.Token); err != nil {
			t.Fatal(err)
		}
	}
	if h.Lives(login.Token) {
		t.Error("the token lives on")
	}
}

func testUnavailable(t *testing.T, h Harness) {
	if h.Break == nil {
		t.Skip("the backend cannot fail apart from the store")
	}
	u := h.known(t, "ada")
	secret := h.enrol(t, u)
	u = h.user(t, "ada")
	login := h.login(t, "ada")
	h.Break(true)
	_, err := h.Backend.Login(t.Context(), "ada", password)
	want(t, "Login", err, identity.ErrUnavailable)
	_, err = h.Backend.Login(t.Context(), "nobody", password)
	want(t, "Login of nobody", err, identity.ErrUnavailable)
	_, err = h.Backend.Answer(t.Context(), "ada", login.Challenge, h.code(t, secret))
	want(t, "Answer", err, identity.ErrUnavailable)
	want(t, "Confirm", h.confirm(t, u, password, h.code(t, secret)), identity.ErrUnavailable)
	_, err = h.Backend.NewTOTP(t.Context(), u)
	want(t, "NewTOTP", err, identity.ErrUnavailable)
	want(t, "RemoveTOTP", h.Backend.RemoveTOTP(t.Context(), u), identity.ErrUnavailable)
	want(t, "SetPassword", h.Backend.SetPassword(t.Context(), u, "another horse"), identity.ErrUnavailable)
	_, err = h.Backend.ChangePassword(t.Context(), u, identity.PasswordChange{Current: password, Code: h.code(t, secret), New: "another horse"})
	want(t, "ChangePassword", err, identity.ErrUnavailable)
	h.Break(false)
	if _, err := h.Backend.Answer(t.Context(), "ada", login.Challenge, h.code(t, secret)); err != nil {
		t.Errorf("the challenge did not outlive the pause: %v", err)
	}
}

func testForgotten(t *testing.T, h Harness) {
	if h.Forget == nil {
		t.Skip("the backend keeps no challenges")
	}
	secret := h.enrol(t, h.known(t, "ada"))
	login := h.login(t, "ada")
	h.Forget()
	_, err := h.Backend.Answer(t.Context(), "ada", login.Challenge, h.code(t, secret))
	want(t, "a challenge that died", err, identity.ErrNoSignIn)
}
