package identity_test

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"peerage/identity"
)

func TestNormalizeUsername(t *testing.T) {
	for _, c := range []struct{ typed, want string }{
		{"ada", "ada"},
		{"ADA", "ada"},
		{" ada\t", "ada"},
		{"ada\u00a0", "ada"},
		{"\u3000ada\u2003", "ada"},
		{"ＡＤＡ", "ada"}, // full-width
		{"𝒶𝒹𝒶", "ada"}, // mathematical script
		{"ⓐⓓⓐ", "ada"}, // circled
		{"\u212Aim", "kim"},
		{"ofﬁce", "office"},
		{"e\u0301va", "\u00e9va"},
		{"", ""},
		{" \t\n", ""},
	} {
		if got := identity.NormalizeUsername(c.typed); got != c.want {
			t.Errorf("NormalizeUsername(%q) = %q, want %q", c.typed, got, c.want)
		}
	}
}

func FuzzNormalizeUsername(f *testing.F) {
	for _, seed := range []string{"ada", " ＡＤＡ ", "İstanbul", "\xff\xfe", "ς", "ﷺ", "\u00a8 ada", "a\u0345", "ẞ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		name := identity.NormalizeUsername(typed)
		if again := identity.NormalizeUsername(name); again != name {
			t.Errorf("%q becomes %q and then %q: it would count twice", typed, name, again)
		}
		if identity.CheckUsername(name) == nil && identity.NormalizeUsername(strings.ToUpper(name)) != name {
			t.Errorf("the upper case of %q is another name", name)
		}
	})
}

func TestCheckUsername(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, name := range []string{"a", "ada", "ada.lovelace", "ada-1", "_svc", "0", "a--b", long} {
		if err := identity.CheckUsername(name); err != nil {
			t.Errorf("CheckUsername(%q) = %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a..b", "-a", "a-", ".a", "a.", "Ada", "a b", "a/b", `a\b`, "a@b", "a%2fb", "ada\n", "\nada", "a\x00b",
		"ａda", "é", "a\u200bb", "a\u202eb", long + "a", "../../sys/auth"} {
		if err := identity.CheckUsername(name); err == nil {
			t.Errorf("CheckUsername(%q) accepts it", name)
		}
	}
}

func TestCheckGroupName(t *testing.T) {
	for _, name := range []string{"a", "admins", "Network Operators", "team/noc", "urn:x:y", "as", "as64500x", "xas64500", strings.Repeat("g", 128)} {
		if err := identity.CheckGroupName(name); err != nil {
			t.Errorf("CheckGroupName(%q) = %v", name, err)
		}
	}
	for _, name := range []string{"", " a", "a ", "-a", "a,b", "a\nb", "admins\n", "a\x00", "é", "as1", "as64500", "AS64500", "aS64500", "ａs64500", strings.Repeat("g", 129)} {
		if err := identity.CheckGroupName(name); err == nil {
			t.Errorf("CheckGroupName(%q) accepts it", name)
		}
	}
}

func FuzzCheckUsername(f *testing.F) {
	for _, seed := range []string{"ada", "a..b", "../x", "a/b", "a\n", "ａ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if identity.CheckUsername(name) != nil {
			return
		}
		if len(name) > 64 || strings.Contains(name, "..") || strings.ContainsAny(name, "/\\%?# \n\r\x00") || name[0] == '.' {
			t.Errorf("%q is no safe path segment", name)
		}
		if identity.NormalizeUsername(name) != name || !norm.NFKC.IsNormalString(name) {
			t.Errorf("%q is accepted and not normal", name)
		}
	})
}

// TestCheckMembership: an application may be for the members of a network.
func TestCheckMembership(t *testing.T) {
	for name, fine := range map[string]bool{"noc": true, "as64500": true, "as64500-admin": true, "AS64500": false, "as064500": false, "as64500-root": true, "as64500\n": false, "a'; rm": false} {
		if err := identity.CheckMembership(name); (err == nil) != fine {
			t.Errorf("CheckMembership(%q) = %v", name, err)
		}
	}
}

func FuzzCheckGroupName(f *testing.F) {
	for _, seed := range []string{"admins", "as64500", "AS1", "a b", "a\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if identity.CheckGroupName(name) != nil {
			return
		}
		if len(name) > 128 || strings.TrimSpace(name) != name || strings.ContainsAny(name, ",\n\r\x00\"") {
			t.Errorf("%q is accepted", name)
		}
		if number, found := strings.CutPrefix(strings.ToLower(name), "as"); found && number != "" && strings.Trim(number, "0123456789") == "" {
			t.Errorf("%q looks like an affiliation", name)
		}
	})
}
