package peeringdb

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// The rights of a person over a network, as PeeringDB's code returns them (its
// documentation draws them in another order).
const (
	Read   = 1
	Update = 2
	Create = 4
	Delete = 8
	All    = Read | Update | Create | Delete
)

// Person is an account at the look-alike.
type Person struct {
	ID            int    `json:"id"`
	Username      string `json:"username"`
	Note          string `json:"note"` // what there is to see with this person
	GivenName     string `json:"given_name"`
	FamilyName    string `json:"family_name"`
	Email         string `json:"email"` // empty is answered as null
	VerifiedUser  bool   `json:"verified_user"`
	VerifiedEmail bool   `json:"verified_email"`
	// AMR is how the person signs in. Who has a confirmed address and nothing
	// beyond "pwd" is led to set up a second factor and comes no further.
	AMR          []string      `json:"amr"`
	Affiliations []Affiliation `json:"affiliations"`
	// Inactive people cannot sign in; their tokens go on working.
	Inactive bool `json:"inactive,omitempty"`
	// Profile, when set, is answered for /profile/v1 as it is, whatever the
	// scopes: for answers that PeeringDB itself would not give.
	Profile json.RawMessage `json:"-"`

	lastLogin int64 // seconds since 1970, of any sign-in
}

// Affiliation is what a person may do for one network.
type Affiliation struct {
	ASN   int64 `json:"asn"`
	Perms int   `json:"perms"`
	// Sessions is manage_peering_sessions; a plain member has Read.
	Sessions int `json:"manage_peering_sessions"`
}

// Network is one of the look-alike's networks.
type Network struct {
	ID     int    `json:"id"`
	ASN    int64  `json:"asn"`
	Name   string `json:"name"`
	OrgID  int    `json:"org_id"`
	Status string `json:"status"` // ok, pending or deleted
}

// Port is a network's presence at an exchange (netixlan).
type Port struct {
	ID          int     `json:"id"`
	NetID       int     `json:"net_id"`
	IXID        int     `json:"ix_id"`
	IXLanID     int     `json:"ixlan_id"`
	Name        string  `json:"name"` // of the exchange
	ASN         int64   `json:"asn"`
	Speed       int     `json:"speed"` // Mbit/s
	IPv4        *string `json:"ipaddr4"`
	IPv6        *string `json:"ipaddr6"`
	IsRSPeer    bool    `json:"is_rs_peer"`
	Operational bool    `json:"operational"`
}

//go:embed data.json
var sampleData []byte

type sample struct {
	Networks []Network `json:"networks"`
	People   []Person  `json:"people"`
	Ports    []Port    `json:"ports"`
}

// hostingNetworks belong to one organisation: Ivan has all of them.
const hostingNetworks = 200

// Sample reads the people, networks and ports that the look-alike has when
// nothing else is asked for.
func Sample() ([]Person, []Network, []Port, error) {
	var all sample
	if err := json.Unmarshal(sampleData, &all); err != nil {
		return nil, nil, nil, fmt.Errorf("reading the look-alike's data: %w", err)
	}
	ivan := slices.IndexFunc(all.People, func(p Person) bool { return p.Username == "ivan" })
	for i := range hostingNetworks {
		n := Network{ID: 16 + i, ASN: 4200000000 + int64(i), Name: fmt.Sprintf("Hosting Group %03d", i), OrgID: 7, Status: "ok"}
		all.Networks = append(all.Networks, n)
		all.People[ivan].Affiliations = append(all.People[ivan].Affiliations, Affiliation{ASN: n.ASN, Perms: All, Sessions: All})
	}
	return all.People, all.Networks, all.Ports, nil
}

func (s *Server) populate(c Config) error {
	people, networks, ports, err := Sample()
	if err != nil {
		return err
	}
	if c.People != nil {
		people = c.People
	}
	if c.Networks != nil {
		networks = c.Networks
	}
	if c.Ports != nil {
		ports = c.Ports
	}
	for _, p := range people {
		s.people = append(s.people, p.clone())
	}
	for _, n := range networks {
		s.networks = append(s.networks, &n)
	}
	s.ports = ports
	return nil
}

func (p Person) clone() *Person {
	p.AMR, p.Affiliations = slices.Clone(p.AMR), slices.Clone(p.Affiliations)
	return &p
}

// name is first and last name with a space between, also when both are empty.
func (p *Person) name() string { return p.GivenName + " " + p.FamilyName }

func (p *Person) hasSecondFactor() bool {
	return slices.ContainsFunc(p.AMR, func(method string) bool { return method != "pwd" })
}

// Person returns one person as they are now.
func (s *Server) Person(username string) (Person, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.named(username); p != nil {
		return *p.clone(), true
	}
	return Person{}, false
}

// People lists everybody.
func (s *Server) People() []Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Person
	for _, p := range s.people {
		all = append(all, *p.clone())
	}
	return all
}

// NetworkName finds the name of a network.
func (s *Server) NetworkName(asn int64) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.network(asn); n != nil {
		return n.Name, nil
	}
	return "", fmt.Errorf("the look-alike of PeeringDB has no AS%d", asn)
}

// Add makes an account, with the next free id when it has none.
func (s *Server) Add(p Person) Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ID == 0 {
		for _, other := range s.people {
			p.ID = max(p.ID, other.ID+1)
		}
	}
	s.people = append(s.people, p.clone())
	return p
}

// Change edits a person; unknown names are a fault of the caller.
func (s *Server) Change(username string, edit func(*Person)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.named(username)
	if p == nil {
		panic("peeringdb: nobody is called " + username)
	}
	edit(p)
}

// Affiliate lets a person act for a network, or changes what they may do.
func (s *Server) Affiliate(username string, asn int64, perms int) {
	s.Change(username, func(p *Person) {
		p.Affiliations = append(without(p.Affiliations, asn), Affiliation{ASN: asn, Perms: perms, Sessions: perms})
	})
}

// EndAffiliation takes a network from a person, in force with tokens that are
// out already.
func (s *Server) EndAffiliation(username string, asn int64) {
	s.Change(username, func(p *Person) { p.Affiliations = without(p.Affiliations, asn) })
}

func without(list []Affiliation, asn int64) []Affiliation {
	return slices.DeleteFunc(slices.Clone(list), func(a Affiliation) bool { return a.ASN == asn })
}

// CloseAccount is what a person does at PeeringDB. It ends no token: the
// profile goes on answering, emptied.
func (s *Server) CloseAccount(username string) {
	s.Change(username, func(p *Person) {
		p.GivenName, p.FamilyName, p.Email, p.VerifiedUser, p.VerifiedEmail, p.Affiliations, p.Inactive = "", "", "", false, false, nil, true
	})
}

// Remove deletes a person with all tokens, as only staff can.
func (s *Server) Remove(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.named(username)
	if p == nil {
		return
	}
	s.people = slices.DeleteFunc(s.people, func(other *Person) bool { return other == p })
	for token, a := range s.access {
		if a.person == p.ID {
			delete(s.access, token)
		}
	}
	for token, t := range s.refresh {
		if t.person == p.ID {
			delete(s.refresh, token)
		}
	}
}

// ChangeNetwork edits a network, for everybody who has it.
func (s *Server) ChangeNetwork(asn int64, edit func(*Network)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.network(asn); n != nil {
		edit(n)
	}
}

// named finds a person; s.mu is held.
func (s *Server) named(username string) *Person {
	return s.personWhere(func(p *Person) bool { return strings.EqualFold(p.Username, username) })
}

func (s *Server) byID(id int) *Person {
	return s.personWhere(func(p *Person) bool { return p.ID == id })
}

func (s *Server) personWhere(is func(*Person) bool) *Person {
	if i := slices.IndexFunc(s.people, is); i >= 0 {
		return s.people[i]
	}
	return nil
}

func (s *Server) network(asn int64) *Network {
	if i := slices.IndexFunc(s.networks, func(n *Network) bool { return n.ASN == asn }); i >= 0 {
		return s.networks[i]
	}
	return nil
}

// networkClaims lists the live networks of a person in the stored order, which
// promises nothing.
func (s *Server) networkClaims(p *Person, sessions bool) []map[string]any {
	list := []map[string]any{}
	for _, a := range p.Affiliations {
		n := s.network(a.ASN)
		if n == nil || n.Status != "ok" {
			continue
		}
		claim := map[string]any{"id": n.ID, "name": n.Name, "asn": n.ASN, "perms": a.Perms}
		if sessions {
			claim["manage_peering_sessions"] = a.Sessions
		}
		list = append(list, claim)
	}
	return list
}
