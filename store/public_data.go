package store

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// PublicNetwork is what PeeringDB says of a network to everybody.
type PublicNetwork struct {
	ASN uint32
	// Name is "" when PeeringDB does not know the network.
	Name string
	// ReadAt is when the network was read, PortsAt when its ports were (zero: not
	// yet).
	ReadAt, PortsAt time.Time
}

// PublicPort is a network's presence at an exchange, as PeeringDB has it.
type PublicPort struct {
	ID   int64 // PeeringDB's, of the presence
	ASN  uint32
	IXID int64 // PeeringDB's, of the exchange
	// Speed is in Mbit/s.
	Speed int64
	// IPv4 and IPv6 are zero when there is none.
	IPv4, IPv6  netip.Addr
	Operational bool
}

const publicNetworkColumns = "asn, name, read_at, ports_at"

func publicNetworkFields(n *PublicNetwork) []any {
	return []any{&n.ASN, &n.Name, stamp{&n.ReadAt}, stamp{&n.PortsAt}}
}

func publicPortFields(p *PublicPort) []any {
	return []any{&p.ID, &p.ASN, &p.IXID, &p.Speed, address{&p.IPv4}, address{&p.IPv6}, &p.Operational}
}

// PublicNetwork finds what is known of a network; ErrNotFound: it was not
// asked for yet.
func (s *Store) PublicNetwork(ctx context.Context, asn uint32) (PublicNetwork, error) {
	return one(s.read(ctx), publicNetworkFields, "SELECT "+publicNetworkColumns+" FROM public_networks WHERE asn = $1", int64(asn))
}

// PublicNetworks is all that is known of networks, by ASN.
func (s *Store) PublicNetworks(ctx context.Context) (map[uint32]PublicNetwork, error) {
	list, err := many(s.read(ctx), publicNetworkFields, "SELECT "+publicNetworkColumns+" FROM public_networks")
	if err != nil {
		return nil, err
	}
	all := make(map[uint32]PublicNetwork, len(list))
	for _, n := range list {
		all[n.ASN] = n
	}
	return all, nil
}

// PublicPorts lists the presences of a network by exchange and address.
func (s *Store) PublicPorts(ctx context.Context, asn uint32) ([]PublicPort, error) {
	return many(s.read(ctx), publicPortFields, "SELECT id, asn, ix_id, speed, ipv4, ipv6, operational FROM public_ports WHERE asn = $1 ORDER BY ix_id, ipv4, ipv6, id", int64(asn))
}

// NetworksOfPeople lists the networks that somebody acts for.
func (s *Store) NetworksOfPeople(ctx context.Context) ([]uint32, error) {
	return many(s.read(ctx), func(asn *uint32) []any { return []any{asn} }, "SELECT DISTINCT asn FROM affiliations ORDER BY asn")
}

// PutPublicNetworks keeps the names of the networks that were asked for; those
// without a name are kept as not known. Networks that were given by hand
// without a name get it.
func (s *Store) PutPublicNetworks(ctx context.Context, asked []uint32, names map[uint32]string) error {
	return s.tx(ctx, "put_public_networks", func(q *Queries) error {
		for _, asn := range asked {
			if err := q.must(`INSERT INTO public_networks (asn, name, read_at) VALUES ($1, $2, $3)
				ON CONFLICT (asn) DO UPDATE SET name = excluded.name, read_at = excluded.read_at`, int64(asn), names[asn], at(q.now)); err != nil {
				return err
			}
			if names[asn] == "" {
				continue
			}
			if err := q.must("UPDATE affiliations SET name = $1 WHERE asn = $2 AND origin = $3 AND name = ''", names[asn], int64(asn), AffiliationAdmin); err != nil {
				return err
			}
		}
		return nil
	})
}

// PutPublicPorts replaces the ports of the networks that were asked for, which
// are known already; ports of others are left out.
func (s *Store) PutPublicPorts(ctx context.Context, asked []uint32, ports []PublicPort) error {
	return s.tx(ctx, "put_public_ports", func(q *Queries) error {
		for _, asn := range asked {
			if err := q.must("DELETE FROM public_ports WHERE asn = $1", int64(asn)); err != nil {
				return err
			}
			if err := q.must("UPDATE public_networks SET ports_at = $1 WHERE asn = $2", at(q.now), int64(asn)); err != nil {
				return err
			}
		}
		for _, p := range ports {
			if !slices.Contains(asked, p.ASN) {
				continue
			}
			if err := q.putPublicPort(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// putPublicPort takes a presence over that belonged to another network when
// that one was read.
func (q *Queries) putPublicPort(p PublicPort) error {
	return q.must(`INSERT INTO public_ports (id, asn, ix_id, speed, ipv4, ipv6, operational) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO UPDATE SET asn = excluded.asn, ix_id = excluded.ix_id, speed = excluded.speed,
		ipv4 = excluded.ipv4, ipv6 = excluded.ipv6, operational = excluded.operational`,
		p.ID, int64(p.ASN), p.IXID, p.Speed, addressText(p.IPv4), addressText(p.IPv6), p.Operational)
}

// address scans a column of an address; ” is none.
type address struct{ a *netip.Addr }

// Scan implements sql.Scanner.
func (s address) Scan(v any) (err error) {
	text, ok := v.(string)
	switch {
	case !ok:
		return fmt.Errorf("an address column holds %T", v)
	case text == "":
		*s.a = netip.Addr{}
		return nil
	}
	*s.a, err = netip.ParseAddr(text)
	return err
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// DropPublicNetworks forgets networks that were last read before then: nobody
// has asked for them since.
func (s *Store) DropPublicNetworks(ctx context.Context, before time.Time) error {
	return s.tx(ctx, "drop_public_networks", func(q *Queries) error {
		return q.must("DELETE FROM public_networks WHERE read_at < $1", at(before))
	})
}
