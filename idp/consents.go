package idp

import (
	"context"
	"errors"

	"peerage/identity"
	"peerage/store"
)

// ErrNoConsent: the person allowed that client nothing.
var ErrNoConsent = errors.New("there is no such consent")

// Consents lists what a person allowed applications, by client.
func (p *Provider) Consents(ctx context.Context, u identity.User) ([]store.Consent, error) {
	return p.store.Consents(ctx, u.Sub)
}

// RevokeConsent takes back what a person allowed a client: its codes and tokens
// for them die at once, and it is told that they are signed out.
func (p *Provider) RevokeConsent(ctx context.Context, u identity.User, clientID string) error {
	err := p.store.RevokeConsent(ctx, u.Sub, clientID)
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoConsent // who asked may have made the id up: it is no label and no event
	}
	if err != nil {
		return err
	}
	p.countConsent("revoke")
	p.directory.Audit.Event(ctx, identity.Event{Name: "consent_revoke", User: u.Username, Sub: u.Sub, Client: clientID, Result: "success"})
	return nil
}
