package idp

import (
	"strings"
	"testing"
)

func TestReadUserCode(t *testing.T) {
	for typed, want := range map[string]string{
		"BCDF-GHJK": "BCDFGHJK", "bcdfghjk": "BCDFGHJK", " b c d f\tg h j k\n": "BCDFGHJK", "BCDF—GHJK": "BCDFGHJK", "BC-DF-GH-JK": "BCDFGHJK",
		"": "", "BCDF-GHJ": "", "BCDF-GHJKL": "", "BCDF-GHJA": "", "BCDF.GHJK": "", "BCDF-GHJ\u212a": "", "BCDFGHJK\x00": "", "ﾂCDFGHJK": "",
		"\xff\xfe": "", strings.Repeat(" ", 60) + "BCDFGHJK": "",
	} {
		code, ok := ReadUserCode(typed)
		if ok != (want != "") || ok && code != want {
			t.Errorf("%q reads as %q, %v; want %q", typed, code, ok, want)
		}
	}
}

// Each letter comes as often as each other at each place.
func TestUserCodesAreEvenlyDrawn(t *testing.T) {
	const draws = 20000
	var counts [userCodeLength][256]int
	seen := map[string]bool{}
	for range draws {
		code := newUserCode()
		if read, ok := ReadUserCode(ShowUserCode(code)); !ok || read != code {
			t.Fatalf("%q cannot be read again", code)
		}
		seen[code] = true
		for i := range code {
			counts[i][code[i]]++
		}
	}
	if len(seen) < draws-10 {
		t.Errorf("only %d of %d codes differ", len(seen), draws)
	}
	// Of the 20 letters each is expected 1000 times, with a deviation of 31;
	// bytes taken modulo 20 would favour some by 8 %.
	chi := 0.0
	for i := range counts {
		for _, letter := range userCodeLetters {
			d := float64(counts[i][letter] - draws/20)
			chi += d * d / (draws / 20)
		}
	}
	// 152 degrees of freedom, standard deviation 17.4: six of them.
	if chi > 152+6*17.4 {
		t.Errorf("chi squared %.0f: the letters are not drawn evenly", chi)
	}
}
