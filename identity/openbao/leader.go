package openbao

import (
	"context"
	"net/url"
	"sync"
	"time"
)

const (
	// leaderEvery is how long an answer about the active node holds. A node
	// that was active goes on serving reads as a standby, and stale ones.
	leaderEvery = time.Second
	// leaderTimeout bounds the question, so that the call itself has time left.
	leaderTimeout = 500 * time.Millisecond
)

// leader knows the active node: the one that was configured, or the one that
// it names.
type leader struct {
	configured *url.URL
	clock      func() time.Time

	asking sync.Mutex // held while one request asks for all

	mu     sync.Mutex
	active *url.URL
	asked  time.Time // zero: ask at once
}

func newLeader(configured *url.URL, now func() time.Time) *leader {
	return &leader{configured: configured, clock: now, active: configured}
}

// now gives the active node, asked for anew when the last answer is old.
func (l *leader) now(ctx context.Context, c *Client) *url.URL {
	if active, fresh := l.known(); fresh {
		return active
	}
	l.asking.Lock()
	defer l.asking.Unlock()
	active, fresh := l.known()
	if fresh {
		return active
	}
	ctx, cancel := context.WithTimeout(ctx, leaderTimeout)
	defer cancel()
	named, err := c.askLeader(ctx, l.configured)
	if err != nil && *active != *l.configured {
		// The configured node is away; the one that led may know.
		named, err = c.askLeader(ctx, active)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = l.clock()
	if err == nil {
		l.active = named
	}
	return l.active
}

func (l *leader) known() (active *url.URL, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	age := l.clock().Sub(l.asked)
	return l.active, !l.asked.IsZero() && age >= 0 && age < leaderEvery
}

// doubt makes the next request ask.
func (l *leader) doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = time.Time{}
}

// askLeader asks a node which one is active. A node that leads, or knows of no
// leader, is itself the answer.
func (c *Client) askLeader(ctx context.Context, node *url.URL) (*url.URL, error) {
	got, err := c.send(ctx, node, request{operation: "leader", method: "GET", path: at("sys/leader"), root: true})
	if err != nil {
		return nil, err
	}
	var says struct {
		IsSelf  bool   `json:"is_self"`
		Address string `json:"leader_address"`
	}
	if err := got.decode(&says); err != nil {
		return nil, err
	}
	if says.IsSelf || says.Address == "" {
		return node, nil
	}
	named, err := checkAddress(says.Address)
	if err != nil || node.Scheme == "https" && named.Scheme != "https" {
		return node, nil // tokens are not sent in clear because an answer said so
	}
	return named, nil
}
