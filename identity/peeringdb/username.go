package peeringdb

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxUsername is the longest user name.
const maxUsername = 64

// reservedNames look like somebody who speaks for the exchange.
var reservedNames = []string{"admin", "administrator", "abuse", "hostmaster", "ix", "ixp", "noc", "nobody", "peerage", "peering", "peeringdb",
	"postmaster", "root", "security", "support", "system", "sysadmin", "webmaster"}

// Usernames gives the user names for a new person, the nicest first, without
// end: IXP Manager's rule (lower case, a dot for what may not stand in a name,
// 2, 3, … behind a name that is taken), made safe. Accents are dropped before.
func Usernames(p Profile) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		base := username(p.Name)
		if base == "" {
			base = "pdb-" + strconv.FormatInt(p.ID, 10)
		}
		if !slices.Contains(reservedNames, base) && !yield(base) {
			return
		}
		for n := 2; ; n++ {
			suffix := strconv.Itoa(n)
			if !yield(cut(base, maxUsername-len(suffix)) + suffix) {
				return
			}
		}
	}
}

func username(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(norm.NFKD.String(name)) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			b.WriteRune(r)
		default:
			if s := b.String(); s != "" && !strings.HasSuffix(s, ".") {
				b.WriteByte('.')
			}
		}
	}
	return cut(b.String(), maxUsername)
}

// cut bounds a name and leaves no dot or dash at its ends.
func cut(name string, most int) string {
	return strings.Trim(name[:min(len(name), most)], ".-")
}
