package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// NewSecret makes 256 random bits as 43 characters of base64url: the value of
// a cookie, a code, a token. Only its Hash is ever stored.
func NewSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Hash is what the store keeps of a secret. A plain SHA-256 is enough for 256
// random bits, and looking up by hash takes the comparison out of the clock's sight.
func Hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
