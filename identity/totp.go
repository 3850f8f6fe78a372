package identity

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

const (
	totpPeriod = 30 // seconds, RFC 6238 section 4.1
	totpSkew   = 1  // steps before and after, RFC 6238 section 5.2
)

// NewTOTPSecret makes a base32 secret of 160 bits (RFC 4226 section 4, R6).
func NewTOTPSecret() string {
	var b [20]byte
	rand.Read(b[:])
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}

// CheckCode compares a code with a secret and returns the time step that it
// belongs to, which the caller must claim: a code counts once (RFC 6238
// section 5.2). Spaces are how apps show codes and do not matter.
func CheckCode(secret, code string, now time.Time) (step int64, ok bool) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
		return 0, false
	}
	current := now.Unix() / totpPeriod
	for s := current - totpSkew; s <= current+totpSkew; s++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(s), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		// No early exit: the time does not tell which step was right.
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// LastStep is the newest time step whose code would be right now, from a clock
// that is ahead of ours.
func LastStep(now time.Time) int64 { return now.Unix()/totpPeriod + totpSkew }

// totpURL is what the QR code holds (otpauth, as authenticator apps read it).
func totpURL(issuer, username, secret string) string {
	issuer = strings.ReplaceAll(issuer, ":", " ") // the label's separator
	label := url.PathEscape(issuer) + ":" + url.PathEscape(username)
	q := url.Values{"secret": {secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {fmt.Sprint(totpPeriod)}}
	// Apps read %20 but not every app reads + as a space.
	return "otpauth://totp/" + label + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}
