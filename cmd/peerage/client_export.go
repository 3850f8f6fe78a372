package main

import (
	"context"
	"encoding/json"
	"fmt"

	"peerage/idp"
	"peerage/store"
)

type clientExportCommand struct {
	IDs              []string `arg:"" optional:"" name:"id" help:"client_id; all clients of the store when absent."`
	WithSecretHashes bool     `help:"With the hashes of the secrets, so that the applications keep theirs. Without, import gives new ones."`
}

// Run prints clients as a JSON list that import reads.
func (c clientExportCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	clients, err := c.clients(ctx, in)
	if err != nil {
		return err
	}
	for i := range clients {
		if !c.WithSecretHashes {
			clients[i] = idp.WithoutSecrets(clients[i])
		}
	}
	encoder := json.NewEncoder(p.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(clients)
}

// clients are those that are asked for. Clients of the settings stand there as
// JSON already, and the store does not know their secrets.
func (c clientExportCommand) clients(ctx context.Context, in *installation) ([]store.Client, error) {
	if len(c.IDs) == 0 {
		clients, err := in.store.Clients(ctx, store.SourceStore)
		if err != nil {
			return nil, fmt.Errorf("listing the clients: %w", err)
		}
		return clients, nil
	}
	var clients []store.Client
	for _, id := range c.IDs {
		client, err := in.client(ctx, id)
		if err != nil {
			return nil, err
		}
		if client.Source == store.SourceSettings {
			return nil, fmt.Errorf("client %q comes from the settings (PEERAGE_CLIENTS) and is exported there", id)
		}
		clients = append(clients, client)
	}
	return clients, nil
}
