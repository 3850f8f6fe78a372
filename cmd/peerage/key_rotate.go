package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"peerage/identity"
	"peerage/idp"
)

type keyRotateCommand struct {
	Alg  string `default:"RS256" enum:"RS256,ES256,EdDSA" help:"Algorithm of the key: RS256, ES256 or EdDSA."`
	Now  bool   `help:"Sign with the next key at once, although clients may not have seen it."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

type rotatedJSON struct {
	KID string    `json:"kid"`
	Alg string    `json:"alg"`
	At  time.Time `json:"active_at"`
}

// Run replaces the active key of an algorithm.
func (c keyRotateCommand) Run(ctx context.Context, p *program) error {
	in, ring, err := p.openKeys(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	rotated, err := ring.Rotate(ctx, c.Alg, c.Now)
	if err != nil {
		return err
	}
	in.event(ctx, identity.Event{Name: "key_rotate", Detail: idp.KeyDetail(rotated.Alg, rotated.KID)})
	if c.JSON {
		return printJSON(p.stdout, rotatedJSON{rotated.KID, rotated.Alg, rotated.At.UTC()})
	}
	if rotated.At.After(p.now()) {
		fmt.Fprintf(p.stdout, "%s is published and signs %s tokens from %s on, when it has been published for a day\n", rotated.KID, rotated.Alg, shownTime(rotated.At))
		fmt.Fprintln(p.stdout, "next: nothing; the running server does it. --now would do it at once")
		return nil
	}
	fmt.Fprintf(p.stdout, "%s signs %s tokens now\n", rotated.KID, rotated.Alg)
	if rotated.PublishedFor < 24*time.Hour {
		fmt.Fprintln(p.stdout, "clients that keep an older key set refuse new tokens until they look again: kube-apiserver for up to a minute, oauth4webapi and openid-client for up to five, social-auth (NetBox) may take a day")
	}
	return nil
}

type keyRetireCommand struct {
	KID string `arg:"" name:"kid" help:"Key to take out of use; peerage key list shows them."`
	Now bool   `help:"It leaked: take it out of the key set at once. What it signed is refused from then on."`
}

// Run takes a key out of use.
func (c keyRetireCommand) Run(ctx context.Context, p *program) error {
	in, ring, err := p.openKeys(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	err = ring.Retire(ctx, c.KID, c.Now)
	if errors.Is(err, idp.ErrUnknownKey) {
		return fmt.Errorf("%w; peerage key list shows which there are", err)
	}
	if err != nil {
		return err
	}
	in.event(ctx, identity.Event{Name: "key_retire", Detail: idp.KeyDetail("", c.KID)})
	if c.Now {
		fmt.Fprintf(p.stdout, "%s is out of the key set; tokens that it signed are refused as soon as clients look again\n", c.KID)
		return nil
	}
	fmt.Fprintf(p.stdout, "%s signs nothing any more and stays published until all that it signed has expired\n", c.KID)
	return nil
}

// openKeys opens the installation with its key ring; it needs the secret key.
func (p *program) openKeys(ctx context.Context) (*installation, *idp.KeyRing, error) {
	in, err := p.open(ctx, "PEERAGE_SECRET_KEY")
	if err != nil {
		return nil, nil, err
	}
	ring, err := idp.NewKeyRing(ctx, in.store, in.now, in.log)
	if err != nil {
		in.close()
		return nil, nil, err
	}
	return in, ring, nil
}
