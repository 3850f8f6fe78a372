package publicdata

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"peerage/store"
)

const (
	// freshFor is how long what was read counts: names hardly ever change.
	freshFor = 24 * time.Hour
	// keptFor is how long a network is remembered that nobody wants any more.
	keptFor = 90 * day
	day     = 24 * time.Hour

	// between is the time that PeeringDB asks for between two questions.
	between = 2 * time.Second
	// portsAtOnce: a large network is at hundreds of exchanges.
	portsAtOnce = 50
)

// settingRest holds until when PeeringDB is left alone, for every server and
// over a restart.
const settingRest = "peeringdb_public_rest"

// Cache keeps the public data of networks in the store. Its Refresh must run
// in one server at a time.
type Cache struct {
	Store  *store.Store
	Client *Client
	Now    func() time.Time
	// Wanted lists the networks that matter.
	Wanted func(ctx context.Context) ([]uint32, error)
	// Sleep waits between two questions; by default until the time has gone by.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Refresh reads what is missing or old, a question every two seconds, and
// stops when PeeringDB refuses; what it does not answer stays as it was.
func (c *Cache) Refresh(ctx context.Context) error {
	if rest, err := c.Resting(ctx); err != nil || c.Now().Before(rest) {
		return err
	}
	wanted, err := c.Wanted(ctx)
	if err != nil {
		return fmt.Errorf("listing the networks that matter: %w", err)
	}
	known, err := c.Store.PublicNetworks(ctx)
	if err != nil {
		return fmt.Errorf("reading what is known of networks: %w", err)
	}
	err = c.read(ctx, wanted, known)
	var rest *RestError
	if errors.As(err, &rest) && ctx.Err() == nil { // a server that stops says nothing of PeeringDB
		if kept := c.Store.PutSetting(context.WithoutCancel(ctx), settingRest, c.Now().Add(rest.Wait).UTC().Format(time.RFC3339)); kept != nil {
			return errors.Join(err, fmt.Errorf("recording PeeringDB's rest: %w", kept))
		}
	}
	if err != nil {
		return err
	}
	return c.Store.DropPublicNetworks(ctx, c.Now().Add(-keptFor))
}

// Resting is until when PeeringDB is left alone, zero for not at all.
func (c *Cache) Resting(ctx context.Context) (time.Time, error) {
	text, err := c.Store.Setting(ctx, settingRest)
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("reading PeeringDB's rest: %w", err)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading PeeringDB's rest: %w", err)
	}
	return at, nil
}

// read asks for names first: they are what people see.
func (c *Cache) read(ctx context.Context, wanted []uint32, known map[uint32]store.PublicNetwork) error {
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	old := c.Now().Add(-freshFor)
	due := func(at func(store.PublicNetwork) time.Time) (asns []uint32) {
		for _, asn := range wanted {
			if asn != 0 && !at(known[asn]).After(old) {
				asns = append(asns, asn)
			}
		}
		return asns
	}
	p := &pacer{cache: c}
	if err := p.inParts(ctx, due(func(n store.PublicNetwork) time.Time { return n.ReadAt }), MaxASNs, c.readNames); err != nil {
		return err
	}
	return p.inParts(ctx, due(func(n store.PublicNetwork) time.Time { return n.PortsAt }), portsAtOnce, c.readPorts)
}

func (c *Cache) readNames(ctx context.Context, asns []uint32) error {
	names, err := c.Client.Names(ctx, asns)
	if errors.Is(err, errTooLarge) && len(asns) == 1 {
		return &RestError{Reason: "net: the answer for one network is too large", Wait: minuteRest}
	}
	if err != nil {
		return err
	}
	return c.Store.PutPublicNetworks(ctx, asns, names)
}

func (c *Cache) readPorts(ctx context.Context, asns []uint32) error {
	ports, err := c.Client.Ports(ctx, asns)
	if errors.Is(err, errTooLarge) && len(asns) == 1 {
		ports, err = nil, nil // it counts as read, so that it is not asked for every minute
	}
	if err != nil {
		return err
	}
	return c.Store.PutPublicPorts(ctx, asns, ports)
}

// pacer keeps the time between the questions of one Refresh.
type pacer struct {
	cache *Cache
	asked bool
}

// inParts asks for some networks at a time, for fewer when the answer is too
// large.
func (p *pacer) inParts(ctx context.Context, asns []uint32, most int, ask func(context.Context, []uint32) error) error {
	for len(asns) > 0 {
		part := asns[:min(most, len(asns))]
		if p.asked {
			if err := p.cache.sleep(ctx, between); err != nil {
				return err
			}
		}
		p.asked = true
		err := ask(ctx, part)
		switch {
		case errors.Is(err, errTooLarge) && len(part) > 1:
			most = len(part) / 2
			continue
		case err != nil:
			return err
		}
		asns = asns[len(part):]
	}
	return nil
}

func (c *Cache) sleep(ctx context.Context, d time.Duration) error {
	if c.Sleep != nil {
		return c.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
