package idp

import (
	"crypto/rand"
	"strings"
	"unicode"
)

// userCodeLetters are easy to tell apart and spell no words (RFC 8628 section
// 6.1).
const (
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 8
)

// newUserCode draws each letter with the same chance: bytes that would favour
// the first letters are drawn again.
func newUserCode() string {
	const fair = 256 - 256%len(userCodeLetters)
	code := make([]byte, 0, userCodeLength)
	var drawn [16]byte
	for len(code) < userCodeLength {
		rand.Read(drawn[:])
		for _, b := range drawn {
			if int(b) < fair && len(code) < userCodeLength {
				code = append(code, userCodeLetters[int(b)%len(userCodeLetters)])
			}
		}
	}
	return string(code)
}

// ShowUserCode writes a user code as people read it: XXXX-XXXX.
func ShowUserCode(code string) string {
	return code[:userCodeLength/2] + "-" + code[userCodeLength/2:]
}

// ReadUserCode takes a user code as people type it: case, spaces and dashes do
// not matter. ok is false for what no user code looks like.
func ReadUserCode(typed string) (code string, ok bool) {
	if len(typed) > 64 {
		return "", false
	}
	code = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, typed)
	return code, len(code) == userCodeLength && strings.Trim(code, userCodeLetters) == ""
}
