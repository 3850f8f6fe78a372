package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// leaseTTL is longer than the interval of any job that is done alone, so
	// that a job stays with its server. A server that dies is followed after
	// this and one interval, at the latest.
	leaseTTL = 90 * time.Second
	// leaseRenew is how often a job that takes long asks for more time. One
	// asking may fail; after two the lease may be another's.
	leaseRenew     = leaseTTL / 3
	releaseTimeout = 5 * time.Second
)

var errLeaseLost = errors.New("another server took the job over")

// newHolder names this process for leases: the host is for who reads the
// table, the rest tells a process from the one that ran there before.
func newHolder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + rand.Text()
}

// alone makes a job that runs in one server at a time: it does nothing while
// another one holds the lease of that name, and its context ends when the
// lease is lost.
func (s *server) alone(name string, job func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		held, err := s.store.Lease(ctx, name, s.holder, leaseTTL)
		if err != nil {
			return fmt.Errorf("taking the lease %s: %w", name, err)
		}
		if !held {
			return nil
		}
		ctx, lost := context.WithCancelCause(ctx)
		ended := make(chan struct{})
		go func() { s.renew(ctx, name, lost); close(ended) }()
		err = job(ctx)
		if errors.Is(context.Cause(ctx), errLeaseLost) {
			err = errors.Join(err, errLeaseLost)
		}
		lost(nil)
		<-ended
		return err
	}
}

// renew keeps a lease until ctx ends, and ends it when the lease is lost or
// may be: the store has not answered for so long.
func (s *server) renew(ctx context.Context, name string, lost context.CancelCauseFunc) {
	ticker := time.NewTicker(leaseRenew)
	defer ticker.Stop()
	kept := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asked := time.Now()
		held, err := s.renewOnce(ctx, name)
		switch {
		case held:
			kept = asked
		case err == nil, time.Since(kept)+leaseRenew >= leaseTTL:
			lost(errLeaseLost)
			return
		}
	}
}

func (s *server) renewOnce(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseRenew/2)
	defer cancel()
	return s.store.Lease(ctx, name, s.holder, leaseTTL)
}

// releaseLeases lets other servers go on with the jobs at once.
func (s *server) releaseLeases(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := s.store.ReleaseLeases(ctx, s.holder); err != nil {
		s.log.WarnContext(ctx, "giving back the leases of jobs: others wait until they run out", "error", err)
	}
}
