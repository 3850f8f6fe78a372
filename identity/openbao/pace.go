package openbao

import (
	"context"
	"sync"
	"time"
)

const (
	// leastPace is how long a refused sign-in takes at least. bcrypt at cost 10,
	// OpenBao's own, takes about half of it.
	leastPace = 150 * time.Millisecond
	// mostPace bounds what a slow server adds.
	mostPace = 2 * time.Second
)

// pace makes refused sign-ins take the same time, whether OpenBao compared a
// password or not. It follows how long OpenBao takes for that: on a busy
// machine more than usually, and a fixed time would show who did not wait.
type pace struct {
	mu   sync.Mutex
	seen [16]time.Duration // the last comparisons
	next int
}

func newPace() *pace { return &pace{} }

// saw notes how long a comparison took.
func (p *pace) saw(taken time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[p.next%len(p.seen)] = taken
	p.next++
}

// length is how long a refusal takes now: a quarter longer than the slowest of
// the last comparisons.
func (p *pace) length() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	slowest := leastPace
	for _, taken := range p.seen {
		slowest = max(slowest, taken+taken/4)
	}
	return min(slowest, mostPace)
}

// wait waits until a refusal that began then is due.
func (p *pace) wait(ctx context.Context, begun time.Time) {
	due := time.NewTimer(p.length() - time.Since(begun))
	defer due.Stop()
	select {
	case <-due.C:
	case <-ctx.Done():
	}
}
