package breached_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"peerage/identity/breached"
)

func TestContains(t *testing.T) {
	for _, c := range []struct {
		password string
		want     bool
	}{
		{"password1234", true},
		{"PassWord1234", true},
		{"ｐassword1234", true}, // another spelling of the same letters
		{"123456789012", true},
		{"qwertyuiop123", true},
		{"passwordpassword", true},
		{"1q2w3e4r5t6y", true},
		{"aaaaaaaaaaaa", true},
		{"administrator", true},
		{"justinbieber", true},
		{"password1234 ", false},
		{"correct horse battery staple", false},
		{"three boats pass the lighthouse", false},
		{"", false},
		{"password", false}, // too short for the filter, and for the rule
	} {
		if got := breached.Contains(c.password); got != c.want {
			t.Errorf("Contains(%q) = %v", c.password, got)
		}
	}
}

func TestEmbeddedFilterIsWhole(t *testing.T) {
	if n := breached.Len(); n < 40_000 {
		t.Errorf("the filter knows %d passwords only", n)
	}
}

// A random password is hardly ever refused: 300,000 of them meet the filter at
// most once with a probability of 99.99 %.
func TestFilterHardlyEverRefusesAnHonestPassword(t *testing.T) {
	wrong := 0
	for range 300_000 {
		if breached.Contains(rand.Text()) {
			wrong++
		}
	}
	if wrong > 1 {
		t.Errorf("%d of 300,000 random passwords are refused", wrong)
	}
}

// A filter made of a list knows every password of it that is long enough, in
// whatever order and however often they stand there, and no other.
func TestBuildForgetsNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(rapid.StringN(0, 30, -1)).Draw(t, "list")
		filter := breached.Build(append(list, list...))
		if err := breached.Verify(filter, list); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(list)
		if string(breached.Build(list)) != string(filter) {
			t.Fatal("the order of the list changes the filter")
		}
	})
}

func TestVerifyFindsWhatWasForgotten(t *testing.T) {
	list := []string{"three boats pass", "by the lighthouse"}
	filter := breached.Build(list[:1])
	if err := breached.Verify(filter, list); err == nil || !strings.Contains(err.Error(), "lighthouse") {
		t.Errorf("Verify: %v", err)
	}
	if err := breached.Verify(filter, []string{"short"}); err != nil {
		t.Errorf("a password that is too short for the filter: %v", err)
	}
}
