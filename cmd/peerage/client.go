package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"peerage/identity"
	"peerage/idp"
	"peerage/store"
)

type clientCommands struct {
	List         clientListCommand    `cmd:"" help:"List the clients of the store and of the settings."`
	Show         clientShowCommand    `cmd:"" help:"Show one client, without its secret."`
	Create       clientCreateCommand  `cmd:"" help:"Register a client; its secret is printed once."`
	Edit         clientEditCommand    `cmd:"" help:"Change a client: only what the flags name."`
	Disable      clientDisableCommand `cmd:"" help:"Switch a client off; its tokens are refused."`
	Enable       clientEnableCommand  `cmd:"" help:"Switch a disabled client on again."`
	RotateSecret clientRotateCommand  `cmd:"" name:"rotate-secret" help:"Give a client a new secret, printed once."`
	Delete       clientDeleteCommand  `cmd:"" help:"Delete a client; its tokens and consents die."`
	Import       clientImportCommand  `cmd:"" help:"Register the clients of a file."`
	Export       clientExportCommand  `cmd:"" help:"Print clients as JSON for import."`
	Recipe       clientRecipeCommand  `cmd:"" help:"Register a well-known application and print its configuration."`
}

// clientSecret is what programs get of a client that was made or has a new
// secret.
type clientSecret struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
}

type clientListCommand struct {
	JSON bool `name:"json" help:"Print one JSON array."`
}

// Run lists the clients.
func (c clientListCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	all, err := in.store.Clients(ctx, "")
	if err != nil {
		return fmt.Errorf("listing the clients: %w", err)
	}
	clients := make([]store.Client, 0, len(all))
	for _, client := range all {
		// One from the settings stands first and wins over a stored one.
		if n := len(clients); n > 0 && clients[n-1].ClientID == client.ClientID {
			continue
		}
		clients = append(clients, idp.WithoutSecrets(client))
	}
	if c.JSON {
		return printJSON(p.stdout, clients)
	}
	var rows [][]string
	for _, client := range clients {
		rows = append(rows, []string{client.ClientID, client.Name, kindOf(client), client.Source, yesNo(client.Disabled), strings.Join(client.AllowedGroups, ",")})
	}
	return printTable(p.stdout, []string{"CLIENT", "NAME", "KIND", "FROM", "DISABLED", "ALLOWED GROUPS"}, rows)
}

func kindOf(c store.Client) string {
	kind := "confidential"
	if c.TokenEndpointAuthMethod == "none" {
		kind = "public"
	}
	if c.ApplicationType == "native" {
		kind += ", native"
	}
	if c.Trusted {
		kind += ", trusted"
	}
	return kind
}

type clientShowCommand struct {
	ID   string `arg:"" name:"id" help:"client_id."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Run shows one client.
func (c clientShowCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	client, err := in.client(ctx, c.ID)
	if err != nil {
		return err
	}
	client = idp.WithoutSecrets(client)
	if c.JSON {
		return printJSON(p.stdout, client)
	}
	return printPairs(p.stdout, pairsOf(client))
}

// pairsOf is all that is known of a client, for people. What is absent has its
// default.
func pairsOf(client store.Client) [][2]string {
	var roles, claims []string
	for _, role := range client.Roles {
		roles = append(roles, role.Role+" = "+strings.Join(role.Groups, ", "))
	}
	for _, claim := range slices.Sorted(maps.Keys(client.Claims)) {
		claims = append(claims, claim+" = "+client.Claims[claim])
	}
	return [][2]string{{"client_id", client.ClientID}, {"name", client.Name}, {"description", client.Description},
		{"kind", kindOf(client)}, {"from", client.Source}, {"disabled", yesNo(client.Disabled)},
		{"redirect_uris", strings.Join(client.RedirectURIs, "\n")}, {"post_logout_redirect_uris", strings.Join(client.PostLogoutRedirectURIs, "\n")},
		{"backchannel_logout_uri", client.BackchannelLogoutURI}, {"launch_uri", client.LaunchURI},
		{"token_endpoint_auth_method", client.TokenEndpointAuthMethod}, {"jwks_uri", client.JWKSURI}, {"jwks", string(client.JWKS)},
		{"scopes", strings.Join(client.Scopes, " ")}, {"grant_types", strings.Join(client.GrantTypes, " ")},
		{"require_pkce", yesNo(client.RequirePKCE == nil || *client.RequirePKCE)}, {"require_pushed_authorization_requests", yes(client.RequirePAR)},
		{"require_mfa", yesNo(client.RequireMFA)}, {"allowed_groups", strings.Join(client.AllowedGroups, ", ")},
		{"roles", strings.Join(roles, "\n")}, {"claims", strings.Join(claims, "\n")}, {"group_filter", client.GroupFilter}, {"group_prefix", client.GroupPrefix},
		{"id_token_signed_response_alg", client.IDTokenSignedResponseAlg}, {"userinfo_signed_response_alg", client.UserInfoSignedResponseAlg},
		{"access_token_format", client.AccessTokenFormat}, {"audience", strings.Join(client.Audience, ", ")},
		{"access_token_ttl", life(client.AccessTokenTTL)}, {"id_token_ttl", life(client.IDTokenTTL)}, {"refresh_token_ttl", life(client.RefreshTokenTTL)},
		{"created", shownTime(client.CreatedAt)}, {"changed", shownTime(client.UpdatedAt)}}
}

// yes is for what is worth a line only when it is so.
func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

// life is how long tokens live, empty for that of the settings.
func life(d store.Duration) string {
	if d == 0 {
		return ""
	}
	return time.Duration(d).String()
}

// client finds a client by its id, for commands.
func (in *installation) client(ctx context.Context, id string) (store.Client, error) {
	client, err := in.store.Client(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return client, fmt.Errorf("there is no client %q; peerage client list shows which there are", id)
	}
	if err != nil {
		return client, fmt.Errorf("reading client %q: %w", id, err)
	}
	return client, nil
}

// storedClient finds a client that commands may change.
func (in *installation) storedClient(ctx context.Context, id string) (store.Client, error) {
	client, err := in.client(ctx, id)
	if err == nil && client.Source == store.SourceSettings {
		err = fmt.Errorf("client %q comes from the settings (PEERAGE_CLIENTS) and is changed there", id)
	}
	return client, err
}

func (in *installation) clientEvent(ctx context.Context, name, id string) {
	in.event(ctx, identity.Event{Name: name, Client: id})
}

type clientDeleteCommand struct {
	ID string `arg:"" name:"id" help:"client_id."`
}

// Run deletes a client.
func (c clientDeleteCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	client, err := in.storedClient(ctx, c.ID)
	if err != nil {
		return err
	}
	if err := in.store.DeleteClient(ctx, client.ClientID); err != nil {
		return fmt.Errorf("deleting client %q: %w", c.ID, err)
	}
	in.clientEvent(ctx, "client_delete", client.ClientID)
	fmt.Fprintf(p.stdout, "deleted %s; its tokens and consents are dead\n", client.ClientID)
	return nil
}

type clientRotateCommand struct {
	ID      string        `arg:"" name:"id" help:"client_id."`
	KeepOld time.Duration `placeholder:"24h" help:"How long the old secret still works; not at all when absent."`
	JSON    bool          `name:"json" help:"Print one JSON object."`
}

// Run gives a client a new secret.
func (c clientRotateCommand) Run(ctx context.Context, p *program) error {
	if c.KeepOld < 0 {
		return usagef("--keep-old must not be negative")
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	client, err := in.storedClient(ctx, c.ID)
	if err != nil {
		return err
	}
	if method := client.TokenEndpointAuthMethod; method == "none" {
		return fmt.Errorf("client %q is public and has no secret", c.ID)
	} else if !idp.NeedsSecret(method) {
		return fmt.Errorf("client %q authenticates by %s and has no secret", c.ID, method)
	}
	secret := idp.RotateSecret(&client, c.KeepOld, in.now())
	if err := in.updateClient(ctx, client); err != nil {
		return err
	}
	in.clientEvent(ctx, "client_secret_rotate", client.ClientID)
	if c.JSON {
		return printJSON(p.stdout, clientSecret{client.ClientID, secret})
	}
	fmt.Fprintf(p.stdout, "client_id:     %s\nclient_secret: %s\n", client.ClientID, secret)
	if c.KeepOld > 0 {
		fmt.Fprintf(p.stdout, "next: put the new secret into the application before %s; it is not shown again\n", shownTime(client.OldSecretUntil))
		return nil
	}
	fmt.Fprintln(p.stdout, "next: put the new secret into the application; the old one is dead, and this one is not shown again")
	return nil
}
