package identity_test

import (
	"encoding/base32"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/identity"
)

// RFC 6238 appendix B, SHA-1; the last six of its eight digits are the
// six-digit code (RFC 4226 section 5.3 takes the number modulo 10^d).
var rfc6238 = []struct {
	seconds int64
	eight   string
}{
	{59, "94287082"},
	{1111111109, "07081804"},
	{1111111111, "14050471"},
	{1234567890, "89005924"},
	{2000000000, "69279037"},
	{20000000000, "65353130"},
}

func rfcSecret() string { return base32.StdEncoding.EncodeToString([]byte("12345678901234567890")) }

func TestCheckCodeAgreesWithRFC6238(t *testing.T) {
	for _, v := range rfc6238 {
		code := v.eight[2:]
		step, ok := identity.CheckCode(rfcSecret(), code, time.Unix(v.seconds, 0))
		if !ok || step != v.seconds/30 {
			t.Errorf("at %d the code %s: step %d, %v; want step %d", v.seconds, code, step, ok, v.seconds/30)
		}
	}
}

func TestCheckCodeAllowsOneStepOfSkew(t *testing.T) {
	const at, code = 1111111109, "081804" // the last second of its step
	own := int64(at / 30)
	for _, c := range []struct {
		steps int64
		ok    bool
	}{{-2, false}, {-1, true}, {0, true}, {1, true}, {2, false}} {
		step, ok := identity.CheckCode(rfcSecret(), code, time.Unix((own+c.steps)*30, 0))
		if ok != c.ok {
			t.Errorf("%d steps off: %v, want %v", c.steps, ok, c.ok)
		}
		if ok && step != own {
			t.Errorf("%d steps off: the code belongs to step %d, want %d", c.steps, step, own)
		}
	}
}

func TestCheckCodeShapes(t *testing.T) {
	now := time.Unix(1111111109, 0)
	for _, code := range []string{"081804", "081 804", " 081804 ", "0 8 1 8 0 4", "081804\n", "081804\u00a0"} {
		if _, ok := identity.CheckCode(rfcSecret(), code, now); !ok {
			t.Errorf("%q is refused", code)
		}
	}
	for _, code := range []string{"", "81804", "0081804", "08180", "07081804", "０８１８０４", "٠٨١٨٠٤", "081-804", "+81804", "0x1804", "081\x00804",
		"081804;", "abcdef", strings.Repeat("0", 1<<20)} {
		if _, ok := identity.CheckCode(rfcSecret(), code, now); ok {
			t.Errorf("%.20q is accepted", code)
		}
	}
	if _, ok := identity.CheckCode("not base32!", "081804", now); ok {
		t.Error("a broken secret accepts a code")
	}
}

func TestNewTOTPSecretIs160Bits(t *testing.T) {
	one, other := identity.NewTOTPSecret(), identity.NewTOTPSecret()
	raw, err := base32.StdEncoding.DecodeString(one)
	if err != nil || len(raw) != 20 {
		t.Errorf("%q: %d bytes, %v", one, len(raw), err)
	}
	if one == other {
		t.Error("two secrets are one")
	}
}

func TestTOTPURL(t *testing.T) {
	text := identity.TOTPURL("Example: IX & Co", "ada", "ABC")
	if strings.Contains(text, "+") {
		t.Errorf("%s: some apps show the + of a space", text)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Example  IX & Co:ada" {
		t.Errorf("%s: %s %s %q", text, u.Scheme, u.Host, u.Path)
	}
	for key, want := range map[string]string{"secret": "ABC", "issuer": "Example  IX & Co", "algorithm": "SHA1", "digits": "6", "period": "30"} {
		if got := u.Query().Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}

func FuzzCheckCode(f *testing.F) {
	f.Add("081804", int64(1111111109))
	f.Add("０８１８０４", int64(0))
	f.Add("", int64(-40))
	f.Fuzz(func(t *testing.T, code string, seconds int64) {
		step, ok := identity.CheckCode(rfcSecret(), code, time.Unix(seconds, 0))
		if !ok {
			return
		}
		if digits := strings.ReplaceAll(strings.TrimSpace(code), " ", ""); len(digits) != 6 {
			t.Errorf("%q is accepted", code)
		}
		if distance := step - seconds/30; distance < -1 || distance > 1 {
			t.Errorf("%q is of step %d, %d steps away", code, step, distance)
		}
	})
}
