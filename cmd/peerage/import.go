package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"peerage/identity"
	"peerage/idp"
	"peerage/store"
)

type importCommands struct {
	LoopPortal importLoopPortalCommand `cmd:"" name:"loop-portal" help:"Take over Loop Portal's issuer, signing key and clients. A second run changes nothing."`
}

type importLoopPortalCommand struct {
	EnvFile        string   `name:"env-file" placeholder:"FILE" help:"Loop Portal's environment, as systemd or Docker reads it; - is standard input. Without it, the environment of this process."`
	PortalDatabase string   `name:"portal-database" placeholder:"FILE" help:"Loop Portal's SQLite database, for the clients that people made there. It is only read."`
	LeaveColumn    []string `name:"leave-column" sep:"none" placeholder:"COLUMN" help:"Column of its table of clients that means nothing to peerage; may be given several times."`
	LeaveClient    []string `name:"leave-client" sep:"none" placeholder:"ID" help:"Client that is not taken over; may be given several times."`
	DryRun         bool     `help:"Tell what would be done, and change nothing."`
	JSON           bool     `name:"json" help:"Print one JSON object."`
}

// Words for what becomes of one thing.
const (
	takenCreated   = "created"
	takenValid     = "valid" // it would be created
	takenUnchanged = "unchanged"
	takenConflict  = "conflict"
	takenFailed    = "failed"
	takenLeft      = "left" // as --leave-client says
)

// takenOver is one thing of the other provider.
type takenOver struct {
	What   string `json:"what"` // issuer, signing_key or client
	Name   string `json:"name"`
	From   string `json:"from"`
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"`
	// create does it, nil for what is only looked at.
	create func(context.Context) error
	// withoutPKCE tells of a client that it may leave PKCE out.
	withoutPKCE bool
}

func (t takenOver) faulty() bool { return t.Result == takenConflict || t.Result == takenFailed }

// takeover is what scripts read.
type takeover struct {
	DryRun bool        `json:"dry_run"`
	Items  []takenOver `json:"items"`
	// Next are lines of what is left to do by hand.
	Next []string `json:"next"`
}

// Run looks at everything first: while one thing cannot be taken over, nothing
// is.
func (c importLoopPortalCommand) Run(ctx context.Context, p *program) error {
	old, err := c.read(ctx, p)
	if err != nil {
		return err
	}
	in, ring, err := p.openKeys(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	t := takeover{DryRun: c.DryRun, Items: []takenOver{in.takeIssuer(old)}}
	if key, ok := in.takeKey(ring, old); ok {
		t.Items = append(t.Items, key)
	}
	clients, err := in.takeClients(ctx, old, c.LeaveClient)
	if err != nil {
		return err
	}
	t.Items = append(t.Items, clients...)
	t.Next = old.next(in.settings, clients)
	faulty := 0
	for _, item := range t.Items {
		if item.faulty() {
			faulty++
		}
	}
	if faulty == 0 && !c.DryRun {
		err = t.act(ctx)
	}
	if printed := t.print(p.stdout, c.JSON); printed != nil {
		return printed
	}
	switch {
	case err != nil:
		return err
	case faulty > 0:
		return fmt.Errorf("%d of %d cannot be taken over; nothing was changed (--leave-client leaves a client out)", faulty, len(t.Items))
	}
	return nil
}

// act does what was planned. It stops at the first fault; run again, it goes on
// from there.
func (t *takeover) act(ctx context.Context) error {
	for i := range t.Items {
		item := &t.Items[i]
		if item.create == nil {
			continue
		}
		if err := item.create(ctx); err != nil {
			item.Result, item.Detail = takenFailed, inOneLine(err)
			return fmt.Errorf("taking over the %s %s: %w", item.What, item.Name, err)
		}
		item.Result = takenCreated
	}
	return nil
}

// inOneLine is an error that may have several, for a table.
func inOneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func (t *takeover) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, t)
	}
	var rows [][]string
	for _, i := range t.Items {
		rows = append(rows, []string{i.What, i.Name, i.From, i.Result, i.Detail})
	}
	if err := printTable(w, []string{"WHAT", "NAME", "FROM", "RESULT", "DETAIL"}, rows); err != nil {
		return err
	}
	for _, line := range t.Next {
		fmt.Fprintf(w, "next: %s\n", printable(line))
	}
	return nil
}

// takeIssuer compares the issuers: it is part of every token and of the
// configuration of every application.
func (in *installation) takeIssuer(old loopPortal) takenOver {
	issuer := old.env["OIDC_ISSUER"]
	item := takenOver{What: "issuer", Name: issuer, From: "OIDC_ISSUER", Result: takenUnchanged}
	err := checkIssuer(issuer)
	switch {
	case issuer == "":
		item.Result, item.Detail = takenFailed, "is missing: give Loop Portal's whole environment"
	case err != nil:
		item.Result, item.Detail = takenFailed, "cannot be peerage's: "+inOneLine(err)
	case in.settings.Issuer == "":
		item.Detail = "PEERAGE_ISSUER is not set here; the server needs it"
	case in.settings.Issuer != issuer:
		item.Result, item.Detail = takenConflict, "PEERAGE_ISSUER is "+in.settings.Issuer+": applications would refuse every token"
	}
	return item
}

// takeKey plans the signing key; false: there is none.
func (in *installation) takeKey(ring *idp.KeyRing, old loopPortal) (item takenOver, ok bool) {
	text := old.env["OIDC_SIGNING_KEY_PEM"]
	if text == "" {
		return item, false
	}
	item = takenOver{What: "signing_key", From: "OIDC_SIGNING_KEY_PEM", Result: takenUnchanged}
	key, err := ring.LookUp([]byte(text))
	if err != nil {
		item.Result, item.Detail = takenFailed, inOneLine(err)
		return item, true
	}
	item.Name = key.KID
	switch {
	case key.State == store.KeyRetired:
		item.Detail = "it is retired here and stays so"
	case !key.New():
		item.Detail = "it is " + key.State + " already"
	default:
		item.Result, item.Detail = takenValid, "signs "+key.Alg+" tokens then"
		if key.Replaces != "" {
			item.Detail += "; " + key.Replaces + " retires"
		}
		item.create = func(ctx context.Context) error {
			if _, err := ring.Import(ctx, []byte(text)); err != nil {
				return err
			}
			in.event(ctx, identity.Event{Name: "key_rotate", Detail: idp.KeyDetail(key.Alg, key.KID)})
			return nil
		}
	}
	return item, true
}

// takeClients plans the clients of the environment and of the database. At Loop
// Portal those of the environment came first.
func (in *installation) takeClients(ctx context.Context, old loopPortal, leave []string) ([]takenOver, error) {
	var items []takenOver
	seen := map[string]bool{}
	for _, c := range old.clients {
		item := takenOver{What: "client", Name: c.id, From: c.from}
		if seen[c.id] && c.id != "" {
			item.Result, item.Detail = takenConflict, "stands there twice"
			if c.from == fromDatabase {
				item.Result, item.Detail = takenUnchanged, "the one of OIDC_CLIENTS counts, as at Loop Portal"
			}
			items = append(items, item)
			continue
		}
		seen[c.id] = true
		if slices.Contains(leave, c.id) {
			item.Result = takenLeft
			items = append(items, item)
			continue
		}
		if err := in.takeClient(ctx, c, &item); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// takeClient plans one client.
func (in *installation) takeClient(ctx context.Context, c portalClient, item *takenOver) error {
	client, err := c.parse()
	if err != nil {
		item.Result, item.Detail = takenFailed, inOneLine(err)
		return nil
	}
	old, err := in.store.Client(ctx, client.ClientID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		item.Result, item.withoutPKCE = takenValid, client.RequirePKCE != nil && !*client.RequirePKCE
		item.create = func(ctx context.Context) error {
			if err := in.store.CreateClient(ctx, client); err != nil {
				return err
			}
			in.clientEvent(ctx, "client_create", client.ClientID)
			return nil
		}
		return nil
	case err != nil:
		return fmt.Errorf("reading client %q: %w", c.id, err)
	case old.Source == store.SourceSettings:
		item.Result, item.Detail = takenConflict, "PEERAGE_CLIENTS or OIDC_CLIENTS of the server has it: take it out there, or leave it there and out of this"
		return nil
	}
	fields, err := idp.ChangedFields(old, client)
	if err != nil {
		return err
	}
	item.Result, item.withoutPKCE = takenUnchanged, old.RequirePKCE != nil && !*old.RequirePKCE
	// That it grew stricter since is what the last run advised.
	fields = slices.DeleteFunc(fields, func(field string) bool { return field == "require_pkce" && !item.withoutPKCE })
	if len(fields) > 0 {
		item.Result, item.Detail = takenConflict, "it is here already, with another "+strings.Join(fields, ", ")
	}
	return nil
}
