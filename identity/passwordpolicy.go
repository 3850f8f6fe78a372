package identity

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"peerage/identity/breached"
)

const (
	// MinPassword is how many characters a new password has at least.
	MinPassword = breached.MinLength
	// MaxPassword is how many bytes a password has at most: hashing has no use
	// for more, an attacker has.
	MaxPassword = 1024
	// minNameInPassword: a user name of one or two letters is in every second
	// sentence and helps nobody to guess.
	minNameInPassword = 3
)

// Why a new password is not acceptable. There is no rule about its characters:
// such rules make passwords worse (NIST SP 800-63B section 5.1.1.2).
var (
	ErrPasswordTooShort = errors.New("the password needs at least 12 characters")
	ErrPasswordTooLong  = errors.New("the password may have at most 1024 bytes")
	// ErrPasswordOverBytes comes from backends that hash with bcrypt, which looks
	// at 72 bytes alone.
	ErrPasswordOverBytes = errors.New("the password may have at most 72 bytes: letters beyond a to z count for two or more")
	ErrPasswordHasName   = errors.New("the password must not contain the user name")
	ErrPasswordBreached  = errors.New("the password is among the most common ones of public breaches, which attackers try first")
)

// CheckPassword tells whether a person of that name may choose a new password:
// nil or one of the errors above. Nobody else is asked about the password.
func CheckPassword(username, password string) error {
	switch {
	case utf8.RuneCountInString(password) < MinPassword:
		return ErrPasswordTooShort
	case len(password) > MaxPassword:
		return ErrPasswordTooLong
	case containsName(password, username):
		return ErrPasswordHasName
	case breached.Contains(password):
		return ErrPasswordBreached
	}
	return nil
}

func containsName(password, username string) bool {
	name := NormalizeUsername(username)
	return utf8.RuneCountInString(name) >= minNameInPassword &&
		strings.Contains(strings.ToLower(norm.NFKC.String(password)), name)
}

// Strength says how well a password that CheckPassword accepts withstands guessing.
type Strength string

// The strengths, from what just passes to what nobody guesses.
const (
	StrengthFair   Strength = "fair"
	StrengthGood   Strength = "good"
	StrengthStrong Strength = "strong"
)

// PasswordStrength estimates from length and variety alone: what a stranger who
// knows nothing of the person has to try.
func PasswordStrength(password string) Strength {
	seen := map[rune]bool{}
	steps := 0 // characters that follow from the one before: aaaa, 1234, dcba
	var last rune
	for _, r := range password {
		if d := r - last; last != 0 && d >= -1 && d <= 1 {
			steps++
		}
		seen[r], last = true, r
	}
	switch n := utf8.RuneCountInString(password) - steps; {
	case n >= 20 && len(seen) >= 10:
		return StrengthStrong
	case n >= 15 && len(seen) >= 8:
		return StrengthGood
	}
	return StrengthFair
}
