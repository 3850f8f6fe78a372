package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"peerage/identity"
	"peerage/identity/peeringdb"
	"peerage/store"
)

type userAffiliationCommands struct {
	Add    userAffiliationAddCommand    `cmd:"" help:"Let a person act for a network, whatever PeeringDB says."`
	Remove userAffiliationRemoveCommand `cmd:"" help:"Take back a network that was given by hand."`
}

type userAffiliationAddCommand struct {
	Name    string `arg:"" help:"User name."`
	ASN     string `arg:"" name:"asn" help:"AS number, such as 64500 or AS64500."`
	Network string `help:"Name of the network, as people know it."`
}

// Run gives a person a network.
func (c userAffiliationAddCommand) Run(ctx context.Context, p *program) error {
	asn, err := parseASN(c.ASN)
	if err != nil {
		return err
	}
	return p.withUser(ctx, c.Name, func(in *installation, u identity.User) error {
		err := in.directory.AddAffiliation(ctx, u, asn, c.Network)
		if errors.Is(err, store.ErrExists) {
			fmt.Fprintf(p.stdout, "%s acts for AS%d already, by hand\n", u.Username, asn)
			return nil
		}
		if err != nil {
			return fmt.Errorf("giving AS%d to %s: %w", asn, u.Username, err)
		}
		fmt.Fprintf(p.stdout, "%s acts for AS%d; they are in the group %s\n", u.Username, asn, peeringdb.Group(asn))
		return nil
	})
}

type userAffiliationRemoveCommand struct {
	Name string `arg:"" help:"User name."`
	ASN  string `arg:"" name:"asn" help:"AS number, such as 64500 or AS64500."`
}

// Run takes a network back.
func (c userAffiliationRemoveCommand) Run(ctx context.Context, p *program) error {
	asn, err := parseASN(c.ASN)
	if err != nil {
		return err
	}
	return p.withUser(ctx, c.Name, func(in *installation, u identity.User) error {
		err := in.directory.RemoveAffiliation(ctx, u, asn)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("AS%d was not given to %s by hand; what PeeringDB says goes only by a PeeringDB opt-out", asn, u.Username)
		}
		if err != nil {
			return fmt.Errorf("taking AS%d from %s: %w", asn, u.Username, err)
		}
		fmt.Fprintf(p.stdout, "took AS%d from %s\n", asn, u.Username)
		return nil
	})
}

// parseASN reads an AS number as people write it.
func parseASN(text string) (uint32, error) {
	digits := text
	if len(text) > 2 && strings.EqualFold(text[:2], "as") {
		digits = text[2:]
	}
	asn, ok := peeringdb.ParseASN(digits)
	if !ok {
		return 0, usagef("%q is not an AS number that a network can have", text)
	}
	return asn, nil
}
