package openbao

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

// fakeNode is a node that names another one as active.
type fakeNode struct {
	*httptest.Server
	leads  atomic.Pointer[fakeNode]
	served atomic.Int64
}

func newFakeNode(t *testing.T) *fakeNode {
	t.Helper()
	n := &fakeNode{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/sys/leader" {
			leader := n.leads.Load()
			fmt.Fprintf(w, `{"ha_enabled":true,"is_self":%t,"leader_address":%q}`, leader == n, leader.URL)
			return
		}
		n.served.Add(1)
		if leader := n.leads.Load(); leader != n {
			http.Redirect(w, r, leader.URL+r.URL.Path, http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprint(w, `{"data":{"ttl":7}}`)
	}))
	n.leads.Store(n)
	t.Cleanup(n.Close)
	return n
}

// Standbys answer reads too, and stale ones: everything goes to the active
// node, also after it changed, and after the configured one went away.
func TestActiveNode(t *testing.T) {
	one, other := newFakeNode(t), newFakeNode(t)
	now := time.Unix(1_800_000_000, 0)
	c := newTestClient(t, Config{Address: one.URL, Now: func() time.Time { return now }})
	look := func() {
		t.Helper()
		if state, err := c.lookUp(t.Context(), "t"); err != nil || state.TTL != 7 {
			t.Fatalf("looking up: %+v, %v", state, err)
		}
	}
	lead := func(n *fakeNode) {
		one.leads.Store(n)
		other.leads.Store(n)
	}
	served := func(wantOne, wantOther int64) {
		t.Helper()
		if gotOne, gotOther := one.served.Load(), other.served.Load(); gotOne != wantOne || gotOther != wantOther {
			t.Fatalf("served %d and %d, want %d and %d", gotOne, gotOther, wantOne, wantOther)
		}
	}
	look()
	served(1, 0)
	lead(other)
	now = now.Add(leaderEvery)
	look()
	served(1, 1)
	// Within the second: the old one sends away, and the new one is asked.
	lead(one)
	look()
	served(2, 2)
	lead(other)
	now = now.Add(leaderEvery)
	look()
	served(2, 3)
	one.Close()
	now = now.Add(leaderEvery)
	look()
	served(2, 4)
}

// An answer cannot bring tokens into the clear.
func TestLeaderCannotBeDowngraded(t *testing.T) {
	clear := newFakeNode(t)
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/sys/leader" {
			fmt.Fprintf(w, `{"is_self":false,"leader_address":%q}`, clear.URL)
			return
		}
		fmt.Fprint(w, `{"data":{"ttl":8}}`)
	}))
	defer node.Close()
	c := newTestClient(t, Config{Address: node.URL, CACert: certificate(node)})
	state, err := c.lookUp(t.Context(), "service")
	if err != nil || state.TTL != 8 || clear.served.Load() != 0 {
		t.Errorf("looked up %+v, %v; %d requests in clear", state, err, clear.served.Load())
	}
}

// A real cluster: asked at the standby, written by the active node, and read
// at once. Without a majority nobody signs in, and no password looks wrong.
func TestStandby(t *testing.T) {
	s := baotest.Start(t)
	s.Add(baotest.Person{Name: "ada"})
	standby := s.Join()
	c := newTestClient(t, Config{Address: standby.Addr, Timeout: 20 * time.Second})
	operator := s.Token("operator", `path "identity/entity/*" { capabilities = ["create", "read", "update"] }`)
	for i := range 50 {
		want := fmt.Sprint(i)
		if _, err := c.do(t.Context(), request{operation: "write", method: "POST", path: at("identity/entity/name/{}", "ada"), token: operator, body: map[string]any{"metadata": map[string]string{"n": want}}}); err != nil {
			t.Fatal(err)
		}
		got, err := c.do(t.Context(), request{operation: "read", method: "GET", path: at("identity/entity/name/{}", "ada"), token: operator})
		var entity struct{ Metadata map[string]string }
		if err == nil {
			err = got.decode(&entity)
		}
		if err != nil || entity.Metadata["n"] != want {
			t.Fatalf("read %q (%v) after writing %q", entity.Metadata["n"], err, want)
		}
	}
	standby.Stop()
	deadline := time.Now().Add(20 * time.Second)
	atLeader := newTestClient(t, Config{Address: s.Addr})
	for {
		_, err := atLeader.login(t.Context(), "userpass", "ada", baotest.DefaultPassword)
		if errors.Is(err, identity.ErrUnavailable) {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("without a majority: %v", err)
		}
	}
}
