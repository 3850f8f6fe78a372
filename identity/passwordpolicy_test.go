package identity_test

import (
	"errors"
	"strings"
	"testing"

	"peerage/identity"
)

func TestCheckPassword(t *testing.T) {
	for _, c := range []struct {
		username, password string
		want               error
	}{
		{"ada", "", identity.ErrPasswordTooShort},
		{"ada", "elevenchars", identity.ErrPasswordTooShort},
		{"ada", "twelve chars", nil},
		{"ada", "äöüäöüäöüäö", identity.ErrPasswordTooShort}, // characters count, not bytes
		{"ada", "äöüäöüäöüäöü", nil},
		{"ada", "éàçéàç éàçéàç", nil},
		{"ada", "all lower case and no digit", nil},
		{"ada", strings.Repeat("x1 ", 341) + "!", nil},
		{"ada", strings.Repeat("x1 ", 341) + "!!", identity.ErrPasswordTooLong},
		{"ada", "password1234", identity.ErrPasswordBreached},
		{"ada", "PASSWORD1234", identity.ErrPasswordBreached},
		{"ada", "xx ada yy zz ww", identity.ErrPasswordHasName},
		{"ada", "xx ADA yy zz ww", identity.ErrPasswordHasName},
		{"Ada", "xx ａｄａ yy zz ww", identity.ErrPasswordHasName}, // NFKC: full width
		{"ada", "xx a d a yy zz ww", nil},
		{"ad", "the ad of two letters", nil},
		{"", "nobody has no name", nil},
	} {
		if err := identity.CheckPassword(c.username, c.password); !errors.Is(err, c.want) {
			t.Errorf("CheckPassword(%q, %.20q…) = %v, want %v", c.username, c.password, err, c.want)
		}
	}
}

func TestPasswordStrength(t *testing.T) {
	for password, want := range map[string]identity.Strength{
		"twelve chars":                   identity.StrengthFair,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": identity.StrengthFair,
		"abcdefghijklmnopqrstuvwxyz":     identity.StrengthFair,
		"01234567890123456789":           identity.StrengthFair,
		"xyxyxyxyxyxyxyxyxyxyxyxyxyxy":   identity.StrengthFair,
		"a blue lighthouse":              identity.StrengthGood,
		"correct horse battery staple":   identity.StrengthStrong,
	} {
		if got := identity.PasswordStrength(password); got != want {
			t.Errorf("PasswordStrength(%q) = %s, want %s", password, got, want)
		}
	}
}

// What CheckPassword refuses changes nothing, whichever way it comes.
func TestDirectoryRefusesAWeakPassword(t *testing.T) {
	w := newWorld(t)
	if _, err := w.CreateUser(w.ctx, identity.NewUser{Username: "bob", Password: "password1234"}); !errors.Is(err, identity.ErrPasswordBreached) {
		t.Errorf("CreateUser: %v", err)
	}
	if _, err := w.UserByName(w.ctx, "bob"); err == nil {
		t.Error("the person was made all the same")
	}
	ada := w.person("ada")
	if err := w.SetPassword(w.ctx, ada, "short"); !errors.Is(err, identity.ErrPasswordTooShort) {
		t.Errorf("SetPassword: %v", err)
	}
	if _, err := w.SignIn(w.ctx, identity.Browser{}, "ada", password); err != nil {
		t.Errorf("the old password: %v", err)
	}
}
