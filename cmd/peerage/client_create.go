package main

import (
	"context"
	"errors"
	"fmt"

	"peerage/idp"
	"peerage/store"
)

type clientCreateCommand struct {
	ID            string   `arg:"" name:"id" help:"client_id."`
	Name          string   `help:"Name as people know it, such as \"Grafana\"."`
	RedirectURI   []string `name:"redirect-uri" sep:"none" placeholder:"URI" help:"Address that answers go to, exactly as the application sends it; may be given several times."`
	Public        bool     `help:"The application cannot keep a secret (browser, desktop, command line)."`
	Native        bool     `help:"It runs on people's own machines: loopback addresses may have any port."`
	Trusted       bool     `help:"It is ours: people are not asked for consent."`
	Scope         []string `sep:"none" placeholder:"SCOPE" help:"Scope that it may ask for; may be given several times. All when absent."`
	AllowedGroup  []string `sep:"none" placeholder:"GROUP" help:"Group whose members may use it; may be given several times. Everybody when absent."`
	GrantType     []string `sep:"none" placeholder:"GRANT" help:"authorization_code, refresh_token, client_credentials or urn:ietf:params:oauth:grant-type:device_code; may be given several times. The first two when absent."`
	NoRequirePKCE bool     `name:"no-require-pkce" help:"Accept requests without PKCE, for old applications that have a secret."`
	JSON          bool     `name:"json" help:"Print one JSON object with client_id and client_secret."`
}

// Run registers a client.
func (c clientCreateCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	client, secret := c.client()
	if err := idp.CheckClient(client); err != nil {
		return fmt.Errorf("the client %q cannot be registered:\n%w", c.ID, err)
	}
	if old, err := in.store.Client(ctx, c.ID); err == nil {
		return fmt.Errorf("there is already a client %q (from the %s)", old.ClientID, old.Source)
	} else if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("reading client %q: %w", c.ID, err)
	}
	in.warnOfGroups(ctx, p, c.ID, c.AllowedGroup)
	if err := in.store.CreateClient(ctx, client); err != nil {
		return fmt.Errorf("registering client %q: %w", c.ID, err)
	}
	in.clientEvent(ctx, "client_create", client.ClientID)
	if c.JSON {
		return printJSON(p.stdout, clientSecret{client.ClientID, secret})
	}
	return c.tell(p, in.settings, secret)
}

// client is the registration that the flags describe, and its secret in clear.
func (c clientCreateCommand) client() (client store.Client, secret string) {
	client = store.Client{ClientID: c.ID, Name: c.Name, RedirectURIs: c.RedirectURI, Trusted: c.Trusted, Scopes: c.Scope,
		AllowedGroups: c.AllowedGroup, GrantTypes: c.GrantType}
	if c.Native {
		client.ApplicationType = "native"
	}
	if c.NoRequirePKCE {
		client.RequirePKCE = new(bool)
	}
	if c.Public {
		client.TokenEndpointAuthMethod = "none"
		return client, ""
	}
	secret, client.ClientSecretHash = idp.NewClientSecret()
	return client, secret
}

func (c clientCreateCommand) tell(p *program, s Settings, secret string) error {
	fmt.Fprintf(p.stdout, "client_id:     %s\n", c.ID)
	if secret != "" {
		fmt.Fprintf(p.stdout, "client_secret: %s\n", secret)
	}
	issuer := s.Issuer
	if issuer == "" {
		issuer = "(PEERAGE_ISSUER of the server)"
	}
	fmt.Fprintf(p.stdout, "issuer:        %s\n", issuer)
	if secret == "" {
		fmt.Fprintln(p.stdout, "next: put these into the application")
		return nil
	}
	_, err := fmt.Fprintln(p.stdout, "next: put these into the application; the secret is not shown again")
	return err
}
