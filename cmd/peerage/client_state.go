package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"peerage/identity"
	"peerage/store"
)

type clientDisableCommand struct {
	ID string `arg:"" name:"id" help:"client_id."`
}

// Run disables a client.
func (c clientDisableCommand) Run(ctx context.Context, p *program) error {
	return setClientDisabled(ctx, p, c.ID, true)
}

type clientEnableCommand struct {
	ID string `arg:"" name:"id" help:"client_id."`
}

// Run enables a client.
func (c clientEnableCommand) Run(ctx context.Context, p *program) error {
	return setClientDisabled(ctx, p, c.ID, false)
}

// setClientDisabled switches a client off or on. Nothing of a disabled client
// is accepted: no request, no code and no token.
func setClientDisabled(ctx context.Context, p *program, id string, disabled bool) error {
	event, done, said := "client_enable", "enabled", "people can sign in to it again"
	if disabled {
		event, done, said = "client_disable", "disabled", "nobody can sign in to it, and its tokens are refused until it is enabled"
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	client, err := in.storedClient(ctx, id)
	if err != nil {
		return err
	}
	if client.Disabled == disabled {
		fmt.Fprintf(p.stdout, "%s is already %s\n", client.ClientID, done)
		return nil
	}
	client.Disabled = disabled
	if err := in.updateClient(ctx, client); err != nil {
		return err
	}
	in.clientEvent(ctx, event, client.ClientID)
	fmt.Fprintf(p.stdout, "%s %s; %s\n", done, client.ClientID, said)
	return nil
}

// updateClient stores a changed client unless somebody else changed it since
// it was read.
func (in *installation) updateClient(ctx context.Context, client store.Client) error {
	err := in.store.UpdateClient(ctx, client)
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("somebody else changed client %q at the same time; nothing was done, try again", client.ClientID)
	}
	if err != nil {
		return fmt.Errorf("changing client %q: %w", client.ClientID, err)
	}
	return nil
}

// clientUpdated records which fields of a client a command changed.
func (in *installation) clientUpdated(ctx context.Context, id, fields string) {
	in.event(ctx, identity.Event{Name: "client_update", Client: id, Detail: []slog.Attr{slog.String("fields", fields)}})
}
