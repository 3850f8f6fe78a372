package peeringdb_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"peerage/identity/peeringdb"
)

// says is a verified person's profile with networks, "64500" or "64500:3" each.
func says(t testing.TB, networks ...string) peeringdb.Profile {
	t.Helper()
	return peeringdb.Profile{ID: 4711, Name: "Ada Example", Email: "ada@example.net", VerifiedUser: true, VerifiedEmail: true, HasNetworks: true, Networks: nets(t, networks...)}
}

func nets(t testing.TB, list ...string) (networks []peeringdb.Network) {
	t.Helper()
	for _, text := range list {
		number, perms, _ := strings.Cut(text, ":")
		asn, ok := peeringdb.ParseASN(number)
		if !ok {
			t.Fatalf("%q is no ASN", number)
		}
		n := peeringdb.Network{ASN: asn, Name: "AS" + number, Perms: peeringdb.PermRead}
		if perms != "" {
			n.Perms = peeringdb.Perms(perms[0] - '0')
		}
		networks = append(networks, n)
	}
	return networks
}

func taking(asns ...uint32) peeringdb.Participants {
	p := peeringdb.Participants{}
	for _, asn := range asns {
		p[asn] = true
	}
	return p
}

func has(t testing.TB, origin string, list ...string) (a []peeringdb.Affiliation) {
	t.Helper()
	for _, n := range nets(t, list...) {
		a = append(a, peeringdb.Affiliation{ASN: n.ASN, Name: n.Name, Perms: n.Perms, Origin: origin})
	}
	return a
}

// shown is an outcome in words: +added ~changed -removed, the refusal, alone.
func shown(o peeringdb.Outcome) string {
	var words []string
	for _, change := range []struct {
		sign string
		list []peeringdb.Affiliation
	}{{"+", o.Add}, {"~", o.Change}, {"-", o.Remove}} {
		for _, a := range change.list {
			words = append(words, change.sign+peeringdb.Group(a.ASN))
		}
	}
	if o.Refusal != "" {
		words = append(words, string(o.Refusal))
	}
	if o.Alone {
		words = append(words, "alone")
	}
	return strings.Join(words, " ")
}

// The rows of the field's edge cases (E), of IXP Manager's algorithm (step) and
// of what a real PeeringDB was seen to do (P) that this function decides.
func TestDecide(t *testing.T) {
	user, mail, both := says(t, "64500"), says(t, "64500"), says(t, "64500")
	user.VerifiedUser, mail.VerifiedEmail, both.VerifiedUser, both.VerifiedEmail = false, false, false, false
	refused := says(t)
	refused.HasNetworks = false
	closed := peeringdb.Profile{ID: 4711, HasNetworks: true}
	here := taking(64500, 64501, 64502)
	ours := func(list ...string) []peeringdb.Affiliation { return has(t, peeringdb.OriginPeeringDB, list...) }
	byHand := func(list ...string) []peeringdb.Affiliation { return has(t, peeringdb.OriginAdmin, list...) }
	for _, c := range []struct {
		name  string
		facts peeringdb.Facts
		want  string
	}{
		{"E1 an unverified user is refused", peeringdb.Facts{Profile: user, Participants: here}, "user_unverified"},
		{"E1 an unverified user who was known keeps the account and no groups", peeringdb.Facts{Profile: user, Participants: here, Current: ours("64500")}, "-as64500 user_unverified"},
		{"E1 an unverified e-mail address, likewise", peeringdb.Facts{Profile: mail, Participants: here, Current: ours("64500")}, "-as64500 email_unverified"},
		{"E2 networks not said changes nothing", peeringdb.Facts{Profile: refused, Participants: here, Current: ours("64500")}, "networks_not_said"},
		{"E3 no network removes first and refuses then", peeringdb.Facts{Profile: says(t), Participants: here, Current: ours("64500", "64501")}, "-as64500 -as64501 no_network alone"},
		{"E3 no network, and anybody is let in", peeringdb.Facts{Profile: says(t), Participants: here, Current: ours("64500"), Policy: peeringdb.Policy{EnrolAny: true}}, "-as64500"},
		{"E4 none takes part", peeringdb.Facts{Profile: says(t, "65000"), Participants: here}, "no_network alone"},
		{"E4 none takes part, and anybody is let in", peeringdb.Facts{Profile: says(t, "65000"), Participants: here, Policy: peeringdb.Policy{EnrolAny: true}}, ""},
		{"E5 nobody knows who takes part: nobody new comes in", peeringdb.Facts{Profile: says(t, "64500")}, "no_network"},
		{"E5 nobody knows who takes part: nobody gains, nobody loses", peeringdb.Facts{Profile: says(t, "64500", "64501"), Current: ours("64500")}, ""},
		{"E5 nobody knows who takes part: what PeeringDB takes away goes", peeringdb.Facts{Profile: says(t, "64501"), Current: ours("64500")}, "-as64500 no_network"},
		{"E5 nobody knows who takes part: with any, in without groups", peeringdb.Facts{Profile: says(t, "64500"), Policy: peeringdb.Policy{EnrolAny: true}}, ""},
		{"E10 one of two affiliations ended", peeringdb.Facts{Profile: says(t, "64501"), Participants: here, Current: ours("64500", "64501")}, "-as64500"},
		{"E11 the number went to another network's organisation", peeringdb.Facts{Profile: says(t, "64502"), Participants: here, Current: ours("64501")}, "+as64502 -as64501"},
		{"E15 the exchange's own network counts as one that takes part", peeringdb.Facts{Profile: says(t, "64999:3"), Participants: here, Policy: peeringdb.Policy{AdminASN: 64999}}, "+as64999"},
		{"E15 it is nobody's while the setting is off", peeringdb.Facts{Profile: says(t, "64999:3"), Participants: here}, "no_network alone"},
		{"E17 only what takes part counts", peeringdb.Facts{Profile: says(t, "64500", "65000", "65001"), Participants: here}, "+as64500"},
		{"step 1 and 3 removals run although the person is refused", peeringdb.Facts{Profile: says(t, "65000"), Participants: here, Current: ours("64500")}, "-as64500 no_network alone"},
		{"step 2 the user is named before the address", peeringdb.Facts{Profile: both, Participants: here}, "user_unverified"},
		{"step 7 the first of the list may opt out too", peeringdb.Facts{Profile: says(t, "64500", "64501"), Participants: here, OptedOut: map[uint32]bool{64500: true}, Current: ours("64500")}, "+as64501 -as64500"},
		{"step 7 what an administrator gave stays", peeringdb.Facts{Profile: says(t), Participants: here, Current: append(ours("64500"), byHand("64501")...)}, "-as64500"},
		{"step 7 who departed loses it", peeringdb.Facts{Profile: says(t, "64500", "64501"), Participants: taking(64501), Current: ours("64500", "64501")}, "-as64500"},
		{"step 8 another name or right is taken over", peeringdb.Facts{Profile: says(t, "64500:3"), Participants: here, Current: ours("64500:1")}, "~as64500"},
		{"step 9 nobody is alone whom an administrator gave a network", peeringdb.Facts{Profile: says(t), Participants: here, Current: byHand("64501")}, ""},
		{"step 15 nothing changed", peeringdb.Facts{Profile: says(t, "64500"), Participants: here, Current: ours("64500")}, ""},
		{"P5 a closed account goes on answering", peeringdb.Facts{Profile: closed, Participants: here, Current: ours("64500")}, "-as64500 user_unverified alone"},
		{"P5 a closed account where anybody is let in", peeringdb.Facts{Profile: closed, Participants: here, Current: ours("64500"), Policy: peeringdb.Policy{EnrolAny: true}}, "-as64500 user_unverified alone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := shown(peeringdb.Decide(c.facts)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	list := append(has(t, peeringdb.OriginPeeringDB, "64500:1", "64501:3", "64502:4"), has(t, peeringdb.OriginAdmin, "64500:1")...)
	for _, c := range []struct {
		name   string
		admins bool
		want   []string
	}{
		{"step 8 everybody is a viewer", false, []string{"as64500", "as64501", "as64502"}},
		{"step 8 the right to update, when the operator says so", true, []string{"as64500", "as64501", "as64501-admin", "as64502"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, peeringdb.Groups(list, c.admins)); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

var anyASN = rapid.SampledFrom([]uint32{64500, 64501, 64502, 64503, 64504})

func anyAffiliations(t *rapid.T) (list []peeringdb.Affiliation) {
	for _, origin := range []string{peeringdb.OriginPeeringDB, peeringdb.OriginAdmin} {
		for _, asn := range rapid.SliceOfNDistinct(anyASN, 0, 5, rapid.ID[uint32]).Draw(t, origin) {
			list = append(list, peeringdb.Affiliation{ASN: asn, Name: "old", Perms: peeringdb.PermRead, Origin: origin})
		}
	}
	return list
}

func anyProfile(t *rapid.T, label string) peeringdb.Profile {
	p := peeringdb.Profile{ID: 1, VerifiedUser: rapid.Bool().Draw(t, label+" user"), VerifiedEmail: rapid.Bool().Draw(t, label+" address"), HasNetworks: true}
	for _, asn := range rapid.SliceOfNDistinct(anyASN, 0, 5, rapid.ID[uint32]).Draw(t, label+" networks") {
		p.Networks = append(p.Networks, peeringdb.Network{ASN: asn, Name: "new", Perms: peeringdb.Perms(rapid.IntRange(0, 15).Draw(t, label+" perms"))})
	}
	return p
}

// after is what a person has once an outcome is put into effect.
func after(current []peeringdb.Affiliation, o peeringdb.Outcome) []peeringdb.Affiliation {
	same := func(list []peeringdb.Affiliation, a peeringdb.Affiliation) bool {
		return slices.ContainsFunc(list, func(b peeringdb.Affiliation) bool { return a.ASN == b.ASN && a.Origin == b.Origin })
	}
	left := slices.DeleteFunc(slices.Clone(current), func(a peeringdb.Affiliation) bool { return same(o.Remove, a) || same(o.Change, a) })
	left = append(append(left, o.Add...), o.Change...)
	slices.SortFunc(left, func(a, b peeringdb.Affiliation) int {
		return strings.Compare(peeringdb.Group(a.ASN)+a.Origin, peeringdb.Group(b.ASN)+b.Origin)
	})
	return left
}

func TestDecideProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := peeringdb.Facts{Profile: anyProfile(t, "profile"), Current: anyAffiliations(t), Participants: taking(rapid.SliceOf(anyASN).Draw(t, "participants")...),
			OptedOut: taking(rapid.SliceOf(anyASN).Draw(t, "opted out")...), Policy: peeringdb.Policy{EnrolAny: rapid.Bool().Draw(t, "any")}}
		o := peeringdb.Decide(f)

		shuffled := f
		shuffled.Profile.Networks, shuffled.Current = slices.Clone(f.Profile.Networks), slices.Clone(f.Current)
		seed := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		seed.Shuffle(len(shuffled.Profile.Networks), func(i, j int) {
			n := shuffled.Profile.Networks
			n[i], n[j] = n[j], n[i]
		})
		seed.Shuffle(len(shuffled.Current), func(i, j int) {
			c := shuffled.Current
			c[i], c[j] = c[j], c[i]
		})
		if diff := cmp.Diff(o, peeringdb.Decide(shuffled)); diff != "" {
			t.Fatalf("the order of networks matters:\n%s", diff)
		}

		for _, list := range [][]peeringdb.Affiliation{o.Add, o.Change, o.Remove} {
			for _, a := range list {
				if a.Origin != peeringdb.OriginPeeringDB {
					t.Fatalf("touches %+v, which an administrator gave", a)
				}
			}
		}

		left := after(f.Current, o)
		for _, a := range left {
			if a.Origin == peeringdb.OriginPeeringDB && (f.OptedOut[a.ASN] || len(f.Participants) > 0 && !f.Participants[a.ASN]) {
				t.Fatalf("keeps as%d, which opted out or takes no part", a.ASN)
			}
			if a.Origin == peeringdb.OriginPeeringDB && !(f.Profile.VerifiedUser && f.Profile.VerifiedEmail) {
				t.Fatalf("keeps as%d of a person who is not verified", a.ASN)
			}
		}
		if len(f.Participants) == 0 && len(o.Add) > 0 {
			t.Fatalf("somebody gains %v while it is not known who takes part", o.Add)
		}

		settled := f
		settled.Current = left
		if again := peeringdb.Decide(settled); len(again.Add)+len(again.Change)+len(again.Remove) > 0 {
			t.Fatalf("the same profile changes something again: %+v", again)
		}

		// Only the last good profile counts, where it is known who takes part.
		if len(f.Participants) > 0 {
			between := f
			between.Profile = anyProfile(t, "another")
			between.Current = after(f.Current, peeringdb.Decide(between))
			if diff := cmp.Diff(left, after(between.Current, peeringdb.Decide(peeringdb.Facts{Profile: f.Profile, Participants: f.Participants, OptedOut: f.OptedOut,
				Current: between.Current, Policy: f.Policy})), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("what PeeringDB said in between matters:\n%s", diff)
			}
		}
	})
}
