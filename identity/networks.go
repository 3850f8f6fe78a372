package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"peerage/identity/peeringdb"
	"peerage/store"
)

// PeeringDB is what an operator decides about people who come by PeeringDB.
type PeeringDB struct {
	// Client speaks to it; nil lets nobody link or come in.
	Client *peeringdb.Client
	// SignUp: who is not known yet is made a person.
	SignUp bool
	// Participants are the networks that take part in the exchange, now.
	Participants func() peeringdb.Participants
	Policy       peeringdb.Policy
	// AdminGroups: who may change a network is in as<ASN>-admin too.
	AdminGroups bool
	// RequireMFA asks for a second factor of ours where PeeringDB asked for none.
	RequireMFA bool
	// Refresh is the time between two checks of a person, MaxAge how long a good
	// answer counts, Retention how long a person who lost all networks is kept.
	Refresh, MaxAge, Retention time.Duration
}

func (p PeeringDB) withDefaults() PeeringDB {
	p.Refresh = cmp.Or(p.Refresh, 6*time.Hour)
	p.MaxAge = cmp.Or(p.MaxAge, 72*time.Hour)
	p.Retention = cmp.Or(p.Retention, 720*time.Hour)
	if p.Participants == nil {
		p.Participants = func() peeringdb.Participants { return nil }
	}
	return p
}

// PeeringDBOffered tells whether people can link and sign in by PeeringDB.
func (d *Directory) PeeringDBOffered() bool { return d.peeringdb.Client != nil }

// addNetworks gives a person their networks and the groups of these. What
// PeeringDB said too long ago counts no more.
func (d *Directory) addNetworks(u *User, p store.Person) {
	old := d.now().Sub(p.CheckedAt) > d.peeringdb.MaxAge
	for _, a := range p.Affiliations {
		if a.Origin == store.AffiliationPeeringDB && old {
			u.Suspended = true
			continue
		}
		u.Networks = append(u.Networks, peeringdb.Affiliation{ASN: a.ASN, Name: a.Name, Perms: peeringdb.Perms(a.Perms), Origin: a.Origin})
		for _, g := range peeringdb.Groups(u.Networks[len(u.Networks)-1:], d.peeringdb.AdminGroups) {
			u.Memberships = append(u.Memberships, Membership{g, a.Origin})
		}
	}
	// PeeringDB's word on a network says more than an administrator's.
	slices.SortStableFunc(u.Networks, func(a, b peeringdb.Affiliation) int {
		return cmp.Or(cmp.Compare(a.ASN, b.ASN), -strings.Compare(a.Origin, b.Origin))
	})
	u.Networks = slices.CompactFunc(u.Networks, func(a, b peeringdb.Affiliation) bool { return a.ASN == b.ASN })
}

// administersHere tells whether a session makes an administrator of somebody
// who may change the exchange's own network: two factors must have been given in it.
func (d *Directory) administersHere(u User, s store.Session) bool {
	asn := d.peeringdb.Policy.AdminASN
	return asn != 0 && ACRSatisfies(s.ACR, ACRTwoFactors) && slices.ContainsFunc(u.Networks, func(a peeringdb.Affiliation) bool {
		return a.ASN == asn && a.Origin == peeringdb.OriginPeeringDB && a.Perms.MayUpdate()
	})
}

// AddAffiliation gives a person a network by hand. Without a name it gets
// PeeringDB's, at once or when that is read. store.ErrExists: they have it
// already by hand.
func (d *Directory) AddAffiliation(ctx context.Context, u User, asn uint32, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if strings.TrimSpace(name) == "" {
		n, err := d.store.PublicNetwork(ctx, asn)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		name = n.Name
	}
	if err := d.store.AddAffiliation(ctx, u.Sub, store.Affiliation{ASN: asn, Name: strings.TrimSpace(name), Perms: int64(peeringdb.PermRead)}); err != nil {
		return err
	}
	d.affiliationEvent(ctx, "affiliation_added", u.User, asn, store.AffiliationAdmin)
	return nil
}

// RemoveAffiliation takes a network away that was given by hand. store.ErrNotFound:
// none was.
func (d *Directory) RemoveAffiliation(ctx context.Context, u User, asn uint32) error {
	if _, err := d.store.RemoveAffiliation(ctx, u.Sub, asn); err != nil {
		return err
	}
	d.affiliationEvent(ctx, "affiliation_removed", u.User, asn, store.AffiliationAdmin)
	return nil
}

func (d *Directory) affiliationEvent(ctx context.Context, name string, u store.User, asn uint32, origin string) {
	d.personEvent(ctx, name, User{User: u}, slog.String("asn", fmt.Sprint(asn)), slog.String("origin", origin))
}

func (d *Directory) settingEvent(ctx context.Context, change string, asn uint32) {
	d.Audit.Event(ctx, Event{Name: "settings_change", Result: resultSuccess,
		Detail: []slog.Attr{slog.String("setting", "peeringdb "+change), slog.String("asn", fmt.Sprint(asn))}})
}
