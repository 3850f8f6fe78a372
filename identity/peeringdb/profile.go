// Package peeringdb speaks to PeeringDB as an OAuth 2.0 client, reads what it
// says of a person, and decides what follows from that.
package peeringdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Perms are a person's rights on a network, as the bits that PeeringDB's code
// returns. Its documentation has them the other way round, which would let
// every member of an organisation delete.
type Perms int64

// The rights. Whoever is affiliated may read.
const (
	PermRead   Perms = 1
	PermUpdate Perms = 2
	PermCreate Perms = 4
	PermDelete Perms = 8

	permAll = PermRead | PermUpdate | PermCreate | PermDelete
)

// MayUpdate tells whether the person may change the network at PeeringDB.
func (p Perms) MayUpdate() bool { return p&PermUpdate != 0 }

// Bounds of what is taken from a profile.
const (
	maxName     = 128 // characters of a name
	maxNetworks = 5000
	maxMethods  = 16
)

// Profile is what PeeringDB says of a person, made harmless: names hold no
// control or bidi characters, numbers are in their ranges.
type Profile struct {
	// ID is PeeringDB's own key of the account: the only thing to link by.
	ID                          int64
	Name, GivenName, FamilyName string
	// Email is "" when there is none, or none that could be one.
	Email         string
	VerifiedUser  bool
	VerifiedEmail bool
	// HasNetworks is false when PeeringDB did not say: that is no empty list.
	HasNetworks bool
	// Networks are sorted by ASN, which is unique.
	Networks []Network
	// Dropped counts entries that are no networks (no ASN, a reserved one, …).
	Dropped int
	// AMR is how the person signed in there (RFC 8176), empty when not said.
	AMR []string
}

// Network is one that a person is affiliated with.
type Network struct {
	ASN   uint32
	Name  string
	Perms Perms
}

// Closed tells a closed account by its shape: PeeringDB goes on answering for
// it, without a name, an address or a network.
func (p Profile) Closed() bool { return p.HasNetworks && !p.VerifiedUser && len(p.Networks) == 0 }

// ParseProfile reads the answer of the profile endpoint. Entries that are no
// networks are dropped and counted; an answer that is no profile is an error.
func ParseProfile(body []byte) (Profile, error) {
	var raw struct {
		ID            json.RawMessage `json:"id"`
		Name          json.RawMessage `json:"name"`
		GivenName     json.RawMessage `json:"given_name"`
		FamilyName    json.RawMessage `json:"family_name"`
		Email         json.RawMessage `json:"email"`
		VerifiedUser  json.RawMessage `json:"verified_user"`
		VerifiedEmail json.RawMessage `json:"verified_email"`
		Networks      json.RawMessage `json:"networks"`
		AMR           json.RawMessage `json:"amr"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return Profile{}, fmt.Errorf("reading a profile: %w", err)
	}
	id, err := strconv.ParseInt(string(raw.ID), 10, 64)
	if err != nil || id <= 0 {
		return Profile{}, errors.New("reading a profile: it has no id")
	}
	p := Profile{ID: id, Name: name(raw.Name), GivenName: name(raw.GivenName), FamilyName: name(raw.FamilyName),
		Email: address(raw.Email), VerifiedUser: isTrue(raw.VerifiedUser), VerifiedEmail: isTrue(raw.VerifiedEmail)}
	if p.Name == "" {
		p.Name = clean(p.GivenName + " " + p.FamilyName)
	}
	if p.Email == "" {
		p.VerifiedEmail = false // null although the scope was granted: a closed account
	}
	if raw.AMR != nil {
		p.AMR = methods(raw.AMR)
	}
	if err := p.readNetworks(raw.Networks); err != nil {
		return Profile{}, fmt.Errorf("reading a profile: %w", err)
	}
	return p, nil
}

// readNetworks: absent and null are not said (the scope was refused); anything
// but a list is no profile.
func (p *Profile) readNetworks(raw json.RawMessage) error {
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return fmt.Errorf("its networks: %w", err)
	}
	if len(entries) > maxNetworks {
		return fmt.Errorf("it has more than %d networks", maxNetworks)
	}
	p.HasNetworks = true
	byASN := map[uint32]Network{}
	for _, entry := range entries {
		n, ok := parseNetwork(entry)
		if !ok {
			p.Dropped++
			continue
		}
		if twin, there := byASN[n.ASN]; there {
			// The same whatever their order: the smaller rights, the first name.
			p.Dropped++
			n.Perms &= twin.Perms
			n.Name = min(n.Name, twin.Name)
		}
		byASN[n.ASN] = n
	}
	for _, n := range byASN {
		p.Networks = append(p.Networks, n)
	}
	slices.SortFunc(p.Networks, func(a, b Network) int { return int(int64(a.ASN) - int64(b.ASN)) })
	return nil
}

func parseNetwork(entry json.RawMessage) (Network, bool) {
	var raw struct {
		Name  json.RawMessage `json:"name"`
		ASN   json.RawMessage `json:"asn"`
		Perms json.RawMessage `json:"perms"`
	}
	if err := json.Unmarshal(entry, &raw); err != nil {
		return Network{}, false
	}
	asn, ok := ParseASN(string(raw.ASN))
	if !ok {
		return Network{}, false
	}
	perms, err := strconv.ParseInt(string(raw.Perms), 10, 64)
	if err != nil || perms < 0 {
		perms = 0
	}
	return Network{ASN: asn, Name: name(raw.Name), Perms: Perms(perms) & permAll}, true
}

// ParseASN reads an AS number in decimal digits, without leading zeros. Those
// that no network can have (0, AS_TRANS, the last of 16 and of 32 bits) are none:
// RFC 7607, RFC 6793, RFC 7300.
func ParseASN(text string) (uint32, bool) {
	if text == "" || text[0] < '1' || text[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 23456 || n == 65535 || n == 4294967295 {
		return 0, false
	}
	return uint32(n), true
}

func isTrue(raw json.RawMessage) bool { return string(raw) == "true" }

// name is a JSON string made harmless, "" for anything else.
func name(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return clean(s)
}

func clean(s string) string { return CleanName(s, maxName) }

// CleanName takes out what forges lines and hides text, joins spaces and bounds
// the length, in characters. What pages escape (<, &) stays.
func CleanName(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), unicode.Is(unicode.Co, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > most {
		s = strings.TrimSpace(string(runes[:most]))
	}
	return s
}

// address is a bare mail address, "" for anything else.
func address(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil || len(s) > 254 || s != clean(s) {
		return ""
	}
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return ""
	}
	return s
}

// methods are the values of an amr claim, as they may stand in ours.
func methods(raw json.RawMessage) []string {
	var list []string
	if json.NewDecoder(bytes.NewReader(raw)).Decode(&list) != nil {
		return nil
	}
	var kept []string
	for _, m := range list {
		if isMethod(m) && !slices.Contains(kept, m) && len(kept) < maxMethods {
			kept = append(kept, m)
		}
	}
	return kept
}

func isMethod(m string) bool {
	return m != "" && len(m) <= 16 && !strings.ContainsFunc(m, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' })
}
