package identity_test

import (
	"testing"
)

// TestNetworkGivenByHandGetsItsName from what PeeringDB tells everybody.
func TestNetworkGivenByHandGetsItsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.store.PutPublicNetworks(w.ctx, []uint32{64500, 64501}, map[uint32]string{64500: "Example Networks"}); err != nil {
		t.Fatal(err)
	}
	u := w.person("bob")
	for asn, given := range map[uint32]string{64500: "", 64501: "", 64502: "By hand"} {
		if err := w.AddAffiliation(w.ctx, u, asn, given); err != nil {
			t.Fatal(err)
		}
	}
	want := map[uint32]string{64500: "Example Networks", 64501: "", 64502: "By hand"}
	for _, n := range w.again(u).Networks {
		if n.Name != want[n.ASN] {
			t.Errorf("AS%d is called %q, want %q", n.ASN, n.Name, want[n.ASN])
		}
		delete(want, n.ASN)
	}
	if len(want) != 0 {
		t.Errorf("not given: %v", want)
	}
}
