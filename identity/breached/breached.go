// Package breached knows the passwords that attackers try first: those of at
// least MinLength characters among the million most common ones of public
// breaches. It asks nobody: a fingerprint of each is embedded.
package breached

//go:generate go run ./generate -o passwords.bin $PASSWORD_LIST

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MinLength is how many characters a password has at least that the filter
// knows. Shorter ones are refused for their length.
const MinLength = 12

// size is how many bytes of a SHA-256 are kept of each password: with some
// 45,000 of them about one honest password in 25 million is refused for nothing.
const size = 5

//go:embed passwords.bin
var embedded []byte

// Contains tells whether a password is one of the most common ones, in any
// letter case.
func Contains(password string) bool { return find(embedded, password) }

// Len is how many passwords the filter knows.
func Len() int { return len(embedded) / size }

func find(filter []byte, password string) bool {
	wanted := fingerprint(password)
	n := len(filter) / size
	at := func(i int) []byte { return filter[i*size : (i+1)*size] }
	i := sort.Search(n, func(i int) bool { return bytes.Compare(at(i), wanted) >= 0 })
	return i < n && bytes.Equal(at(i), wanted)
}

// Build makes the filter of a list. Passwords shorter than MinLength and
// repetitions are left out.
func Build(passwords []string) []byte {
	var all [][]byte
	for _, p := range passwords {
		if utf8.RuneCountInString(p) >= MinLength {
			all = append(all, fingerprint(p))
		}
	}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(slices.CompactFunc(all, bytes.Equal), nil)
}

// Verify is an error unless the filter knows every password of the list that
// is long enough: a filter that forgets one is worth nothing.
func Verify(filter []byte, passwords []string) error {
	for _, p := range passwords {
		if utf8.RuneCountInString(p) >= MinLength && !find(filter, p) {
			return fmt.Errorf("the filter forgot %q", p)
		}
	}
	return nil
}

// fingerprint makes all spellings of a password one: attackers try capitals too.
func fingerprint(password string) []byte {
	sum := sha256.Sum256([]byte(strings.ToLower(norm.NFKC.String(password))))
	return sum[:size]
}
