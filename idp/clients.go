package idp

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"peerage/store"
)

// Clients is the registry in memory: those of the settings, and those of the
// store, read again when any process changes them.
type Clients struct {
	store *store.Store
	log   *slog.Logger
	mu    sync.Mutex // one reader of the store at a time
	now   atomic.Pointer[clientSet]
}

type clientSet struct {
	system []store.Client
	byID   map[string]*Client
	// origins of all clients' redirect addresses, for CORS preflight.
	origins map[string]bool
}

// NewClients reads the registry. system are the clients of the settings;
// their faults were told by ParseClients. Only the server that owns those
// settings calls SetSystem.
func NewClients(ctx context.Context, s *store.Store, log *slog.Logger) (*Clients, error) {
	c := &Clients{store: s, log: log}
	c.now.Store(&clientSet{})
	return c, c.Reload(ctx)
}

// SetSystem puts the clients of the settings in force. Those that earlier
// settings held and these do not are forgotten, with their tokens.
func (c *Clients) SetSystem(ctx context.Context, system []store.Client) error {
	forgotten, err := c.store.SyncSystemClients(ctx, system)
	if err != nil {
		return fmt.Errorf("recording the clients of the settings: %w", err)
	}
	for _, id := range forgotten {
		c.log.InfoContext(ctx, "client is no longer in the settings; its tokens are dead", "client", id)
	}
	return c.load(ctx, func(*clientSet) []store.Client { return system })
}

// Reload reads the stored clients again.
func (c *Clients) Reload(ctx context.Context) error {
	return c.load(ctx, func(old *clientSet) []store.Client { return old.system })
}

func (c *Clients) load(ctx context.Context, system func(*clientSet) []store.Client) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	stored, err := c.store.Clients(ctx, store.SourceStore)
	if err != nil {
		return fmt.Errorf("reading the clients: %w", err)
	}
	set := &clientSet{system: system(c.now.Load()), byID: map[string]*Client{}, origins: map[string]bool{}}
	for _, s := range stored {
		set.byID[s.ClientID] = newClient(s)
	}
	for _, s := range set.system {
		s.Source = store.SourceSettings
		set.byID[s.ClientID] = newClient(s) // the settings win
	}
	for _, client := range set.byID {
		for _, o := range client.origins {
			set.origins[o] = true
		}
	}
	c.now.Store(set)
	return nil
}

// Client finds an enabled client.
func (c *Clients) Client(id string) (*Client, bool) {
	client, ok := c.now.Load().byID[id]
	if !ok || client.Disabled {
		return nil, false
	}
	return client, true
}

// unknownClient labels the clients that are not registered.
const unknownClient = "unknown"

// Label is a client's id if it is registered, else "unknown": metrics must
// not grow with what strangers send.
func (c *Clients) Label(id string) string {
	if _, ok := c.now.Load().byID[id]; ok {
		return id
	}
	return unknownClient
}

// ForUser lists the applications a person may open, by name.
func (c *Clients) ForUser(allowed func(*Client) bool) []*Client {
	var list []*Client
	for _, client := range c.now.Load().byID {
		if !client.Disabled && allowed(client) {
			list = append(list, client)
		}
	}
	slices.SortFunc(list, func(a, b *Client) int {
		if n := strings.Compare(strings.ToLower(a.DisplayName()), strings.ToLower(b.DisplayName())); n != 0 {
			return n
		}
		return strings.Compare(a.ClientID, b.ClientID)
	})
	return list
}

func (c *Clients) knowsOrigin(o string) bool { return c.now.Load().origins[o] }

// Count is the number of registered clients, disabled ones too.
func (c *Clients) Count() int { return len(c.now.Load().byID) }
