package identity

import (
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// NormalizeUsername makes variants of a name one name (NFKC, lower case,
// trimmed) before it reaches a backend or a throttle: otherwise each variant
// would have a count of wrong passwords of its own (CVE-2025-54998).
func NormalizeUsername(name string) string {
	return strings.TrimSpace(strings.ToLower(norm.NFKC.String(strings.TrimSpace(name))))
}

// The shape is a safe path segment, so that no name can leave its place in
// an OpenBao path either.
var (
	usernameShape = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]{0,62}[a-z0-9_])?$`)
	groupShape    = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.:/ -]{0,126}[A-Za-z0-9_])?$`)
	asGroup       = regexp.MustCompile(`^as[0-9]+(-admin)?$`)
	// affiliationGroup is what affiliations give: without a leading zero.
	affiliationGroup = regexp.MustCompile(`^as[1-9][0-9]{0,9}(-admin)?$`)
)

// CheckUsername tells whether a normalised name may be given to a person.
func CheckUsername(name string) error {
	if !usernameShape.MatchString(name) || strings.Contains(name, "..") {
		return fmt.Errorf("the user name %q must be 1 to 64 of a–z, 0–9, '_', '.' and '-', and begin and end with a letter, digit or '_'", name)
	}
	return nil
}

// CheckGroupName tells whether a local group may have this name. Names such
// as as64500 are kept for affiliations.
func CheckGroupName(name string) error {
	if !groupShape.MatchString(name) {
		return fmt.Errorf("the group name %q must be 1 to 128 letters, digits, '_', '.', ':', '/', '-' or spaces, and begin and end with a letter, digit or '_'", name)
	}
	if asGroup.MatchString(strings.ToLower(name)) {
		return fmt.Errorf("the group name %q is kept for affiliations from PeeringDB", name)
	}
	return nil
}

// CheckMembership tells whether people can be in a group of this name: a local
// one, or one that an affiliation gives.
func CheckMembership(name string) error {
	if affiliationGroup.MatchString(name) {
		return nil
	}
	return CheckGroupName(name)
}

// Emittable drops names that only affiliations may have: a group called
// as64500 that someone made by hand must not look like one.
func Emittable(groups []string) []string {
	kept := make([]string, 0, len(groups))
	for _, g := range groups {
		if !asGroup.MatchString(strings.ToLower(g)) {
			kept = append(kept, g)
		}
	}
	return kept
}
