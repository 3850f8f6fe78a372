package peeringdb

import (
	"cmp"
	"slices"
	"strconv"
)

// Origins of affiliations. Only what PeeringDB said is ever taken away because
// PeeringDB says so no more.
const (
	OriginPeeringDB = "peeringdb"
	OriginAdmin     = "admin"
)

// Affiliation is a network that a person acts for here.
type Affiliation struct {
	ASN    uint32
	Name   string
	Perms  Perms
	Origin string
}

// Participants are the networks that take part in the exchange. The zero value
// is a list that is empty or was not loaded, and says nothing of anybody.
type Participants map[uint32]bool

// Policy is what the operator decides.
type Policy struct {
	// EnrolAny lets people in of whose networks none takes part.
	EnrolAny bool
	// AdminASN is the exchange's own network, 0 for none: it counts as one that
	// takes part.
	AdminASN uint32
}

// Refusal says why a person is not let in.
type Refusal string

// The refusals, in the order in which they are found.
const (
	Accepted         Refusal = ""
	RefusedUser      Refusal = "user_unverified"
	RefusedEmail     Refusal = "email_unverified"
	RefusedScope     Refusal = "networks_not_said"
	RefusedNoNetwork Refusal = "no_network"
)

// Facts is all that the affiliations of a person depend on.
type Facts struct {
	Profile      Profile
	Participants Participants
	OptedOut     map[uint32]bool
	// Current are all of the person's affiliations, of either origin.
	Current []Affiliation
	Policy  Policy
}

// Outcome is what follows. The changes count whether or not the person is let
// in: who is refused must not keep what they had.
type Outcome struct {
	// Add, Change and Remove are of origin peeringdb and sorted by ASN. Change
	// are those whose name or rights are others now.
	Add, Change, Remove []Affiliation
	Refusal             Refusal
	// Alone: no network is left to this person, by whatever origin. Who came by
	// PeeringDB alone has no business here any more.
	Alone bool
}

// Decide is a pure function: the order of networks does not matter, and only
// the profile of now counts.
func Decide(f Facts) Outcome {
	p := f.Profile
	if !p.HasNetworks {
		return Outcome{Refusal: RefusedScope} // not said is not none
	}
	had := map[uint32]Affiliation{}
	byHand := false
	for _, a := range f.Current {
		if a.Origin == OriginPeeringDB {
			had[a.ASN] = a
		} else {
			byHand = true
		}
	}
	eligible := f.eligible(had)
	o := Outcome{Alone: !byHand && f.alone(eligible)}
	switch {
	case !p.VerifiedUser:
		o.Refusal = RefusedUser
	case !p.VerifiedEmail:
		o.Refusal = RefusedEmail
	case len(eligible) == 0 && !byHand && !f.Policy.EnrolAny:
		o.Refusal = RefusedNoNetwork
	}
	if o.Refusal == RefusedUser || o.Refusal == RefusedEmail {
		eligible = nil
	}
	for asn, a := range eligible {
		old, there := had[asn]
		switch {
		case !there:
			o.Add = append(o.Add, a)
		case old != a:
			o.Change = append(o.Change, a)
		}
	}
	for asn, a := range had {
		if _, stays := eligible[asn]; !stays {
			o.Remove = append(o.Remove, a)
		}
	}
	for _, list := range [][]Affiliation{o.Add, o.Change, o.Remove} {
		slices.SortFunc(list, byASN)
	}
	return o
}

// eligible are the networks of the profile that take part and have not opted
// out. Where it is not known who takes part, nobody gains and nobody loses.
func (f Facts) eligible(had map[uint32]Affiliation) map[uint32]Affiliation {
	list := map[uint32]Affiliation{}
	for _, n := range f.Profile.Networks {
		takesPart := f.Participants[n.ASN] || n.ASN == f.Policy.AdminASN
		if len(f.Participants) == 0 {
			_, takesPart = had[n.ASN]
		}
		if takesPart && !f.OptedOut[n.ASN] {
			list[n.ASN] = Affiliation{ASN: n.ASN, Name: n.Name, Perms: n.Perms, Origin: OriginPeeringDB}
		}
	}
	return list
}

// alone tells whether no network is left. Without a list of participants only
// PeeringDB can say so; where anybody is let in, only a closed account is alone.
func (f Facts) alone(eligible map[uint32]Affiliation) bool {
	switch {
	case f.Policy.EnrolAny:
		return f.Profile.Closed()
	case len(f.Participants) == 0:
		return len(f.Profile.Networks) == 0
	}
	return len(eligible) == 0
}

func byASN(a, b Affiliation) int {
	return cmp.Or(cmp.Compare(a.ASN, b.ASN), cmp.Compare(a.Origin, b.Origin))
}

// Group is the group of everybody who is affiliated with a network.
func Group(asn uint32) string { return "as" + strconv.FormatUint(uint64(asn), 10) }

// AdminGroup is the group of those who may change the network at PeeringDB.
func AdminGroup(asn uint32) string { return Group(asn) + "-admin" }

// Groups are the groups that affiliations put a person into, each once; with
// admins also those of AdminGroup.
func Groups(affiliations []Affiliation, admins bool) []string {
	var list []string
	for _, a := range affiliations {
		list = append(list, Group(a.ASN))
		if admins && a.Perms.MayUpdate() {
			list = append(list, AdminGroup(a.ASN))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
