package store_test

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/store"
)

var sameAddress = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestPublicNetworks(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		_, err := w.PublicNetwork(ctx, 64500)
		want(t, err, store.ErrNotFound)
		want(t, w.PutPublicNetworks(ctx, []uint32{64500, 4294967294, 64503}, map[uint32]string{64500: "Example Networks", 4294967294: "Large"}), nil)
		w.clock.Advance(time.Hour)
		want(t, w.PutPublicNetworks(ctx, []uint32{64500}, map[uint32]string{64500: "Renamed"}), nil)
		all, err := w.PublicNetworks(ctx)
		want(t, err, nil)
		expected := map[uint32]store.PublicNetwork{
			64500:      {ASN: 64500, Name: "Renamed", ReadAt: beginning.Add(time.Hour)},
			64503:      {ASN: 64503, ReadAt: beginning},
			4294967294: {ASN: 4294967294, Name: "Large", ReadAt: beginning},
		}
		if diff := cmp.Diff(expected, all); diff != "" {
			t.Error(diff)
		}
		want(t, w.DropPublicNetworks(ctx, beginning.Add(time.Minute)), nil)
		all, err = w.PublicNetworks(ctx)
		want(t, err, nil)
		if got := slices.Collect(maps.Keys(all)); !slices.Equal(got, []uint32{64500}) {
			t.Errorf("left over are %v", got)
		}
	})
}

func TestPublicPortsAreReplaced(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		want(t, w.PutPublicNetworks(ctx, []uint32{64500, 64501}, nil), nil)
		ports := []store.PublicPort{
			{ID: 2, ASN: 64500, IXID: 1, Speed: 10000, IPv4: netip.MustParseAddr("192.0.2.11")},
			{ID: 1, ASN: 64500, IXID: 1, Speed: 400000, IPv4: netip.MustParseAddr("192.0.2.10"), IPv6: netip.MustParseAddr("2001:db8:1::10"), Operational: true},
			{ID: 3, ASN: 64501, IXID: 2, Speed: 1000},
		}
		want(t, w.PutPublicPorts(ctx, []uint32{64500, 64501}, ports), nil)
		got, err := w.PublicPorts(ctx, 64500)
		want(t, err, nil)
		if diff := cmp.Diff([]store.PublicPort{ports[1], ports[0]}, got, sameAddress); diff != "" {
			t.Error(diff)
		}
		// The presence moves to the other network, and one that nobody asked for is
		// left out.
		w.clock.Advance(time.Hour)
		moved := store.PublicPort{ID: 1, ASN: 64501, IXID: 1, Speed: 400000}
		want(t, w.PutPublicPorts(ctx, []uint32{64501}, []store.PublicPort{moved, {ID: 9, ASN: 64999, IXID: 1}}), nil)
		got, err = w.PublicPorts(ctx, 64501)
		want(t, err, nil)
		if diff := cmp.Diff([]store.PublicPort{moved}, got, sameAddress); diff != "" {
			t.Error(diff)
		}
		n, err := w.PublicNetwork(ctx, 64501)
		want(t, err, nil)
		if !n.PortsAt.Equal(beginning.Add(time.Hour)) {
			t.Errorf("the ports were read at %s", n.PortsAt)
		}
		if got, err = w.PublicPorts(ctx, 64999); err != nil || len(got) != 0 {
			t.Errorf("ports of a network that nobody asked for: %v, %v", got, err)
		}
	})
}

func TestNetworksOfPeople(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, w world) {
		ctx := t.Context()
		one, two := w.person(t), w.person(t)
		for _, u := range []store.User{one, two} {
			want(t, w.AddAffiliation(ctx, u.Sub, store.Affiliation{ASN: 4294967294}), nil)
		}
		want(t, w.AddAffiliation(ctx, two.Sub, store.Affiliation{ASN: 64500}), nil)
		got, err := w.NetworksOfPeople(ctx)
		want(t, err, nil)
		if !slices.Equal(got, []uint32{64500, 4294967294}) {
			t.Errorf("people act for %v", got)
		}
		// What was given without a name gets the one that PeeringDB knows.
		want(t, w.AddAffiliation(ctx, one.Sub, store.Affiliation{ASN: 64500, Name: "As the operator calls it"}), nil)
		want(t, w.PutPublicNetworks(ctx, []uint32{64500, 4294967294}, map[uint32]string{64500: "Example Networks"}), nil)
		for u, name := range map[string]string{one.Sub: "As the operator calls it", two.Sub: "Example Networks"} {
			list, err := w.Affiliations(ctx, u)
			want(t, err, nil)
			if len(list) != 2 || list[0].ASN != 64500 || list[0].Name != name || list[1].Name != "" {
				t.Errorf("the networks are %+v", list)
			}
		}
	})
}
