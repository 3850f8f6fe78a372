package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"peerage/idp"
	"peerage/store"
)

type clientImportCommand struct {
	File    string `arg:"" name:"file" help:"JSON list of clients, as PEERAGE_CLIENTS has them and client export prints them; - is standard input."`
	Replace bool   `help:"Replace clients that exist; they keep their secret when the file has none."`
	JSON    bool   `name:"json" help:"Print one JSON array of the results."`
}

// imported is what became of one client of the file.
type imported struct {
	ClientID string `json:"client_id"`
	// Result is created, replaced, unchanged or failed.
	Result       string `json:"result"`
	ClientSecret string `json:"client_secret,omitempty"`
	Error        string `json:"error,omitempty"`
}

// maxImport bounds the file.
const maxImport = 4 << 20

// Run registers the clients of a file: the good ones although others fail.
func (c clientImportCommand) Run(ctx context.Context, p *program) error {
	raw, err := c.read(p)
	if err != nil {
		return err
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	results, failed := make([]imported, 0, len(raw)), 0
	seen := map[string]bool{}
	for i, data := range raw {
		result, err := c.one(ctx, in, data, seen)
		if err != nil {
			failed++
			result.Result, result.ClientSecret, result.Error = "failed", "", strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		results = append(results, result)
		if !c.JSON {
			fmt.Fprintln(p.stdout, result.line(i+1))
		}
	}
	if c.JSON {
		if err := printJSON(p.stdout, results); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d clients were not imported", failed, len(raw))
	}
	return nil
}

// line is a result for people; a new secret is in it, once.
func (r imported) line(number int) string {
	line := fmt.Sprintf("%d %s: %s", number, printable(r.ClientID), r.Result)
	switch {
	case r.Error != "":
		line += ": " + printable(r.Error)
	case r.ClientSecret != "":
		line += "; client_secret: " + r.ClientSecret + " (not shown again)"
	}
	return line
}

// read splits the list, so that a client that is wrong does not hide the others.
func (c clientImportCommand) read(p *program) ([]json.RawMessage, error) {
	data, err := p.readInput(c.File, maxImport, "reading the clients")
	if err != nil {
		return nil, err
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("%s must hold a JSON list of clients: %w", c.File, err)
	}
	if raw == nil {
		return nil, fmt.Errorf("%s must hold a JSON list of clients, and holds null", c.File)
	}
	return raw, nil
}

// one imports one client.
func (c clientImportCommand) one(ctx context.Context, in *installation, data json.RawMessage, seen map[string]bool) (imported, error) {
	var has struct {
		ClientID string          `json:"client_id"`
		Method   string          `json:"token_endpoint_auth_method"`
		Secret   json.RawMessage `json:"client_secret"`
		Hash     json.RawMessage `json:"client_secret_hash"`
	}
	// What does not fit here is told by ParseClient, with its name.
	json.Unmarshal(data, &has)
	result := imported{ClientID: has.ClientID}
	if has.ClientID != "" && seen[has.ClientID] {
		return result, fmt.Errorf("the client_id %q stands twice in the file", has.ClientID)
	}
	seen[has.ClientID] = true
	old, err := in.store.Client(ctx, has.ClientID)
	exists := err == nil
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return result, fmt.Errorf("reading client %q: %w", has.ClientID, err)
	case exists && old.Source == store.SourceSettings:
		return result, fmt.Errorf("client %q comes from the settings (PEERAGE_CLIENTS) and is changed there", has.ClientID)
	case exists && !c.Replace:
		return result, fmt.Errorf("there is already a client %q; --replace replaces it", has.ClientID)
	}
	var lent store.Client
	if has.Secret == nil && has.Hash == nil && idp.NeedsSecret(has.Method) {
		if old.ClientSecretHash != "" {
			lent = old
		} else {
			result.ClientSecret, lent.ClientSecretHash = idp.NewClientSecret()
		}
		if data, err = withSecretHashes(data, lent); err != nil {
			return result, err
		}
	}
	client, err := idp.ParseClient(data)
	if err != nil {
		return result, err
	}
	if client.ClientID != has.ClientID {
		return result, errors.New("client_id stands there in two spellings")
	}
	if exists {
		result.Result, err = in.replaceClient(ctx, old, client)
		return result, err
	}
	result.Result = "created"
	if err := in.store.CreateClient(ctx, client); err != nil {
		return result, fmt.Errorf("registering client %q: %w", client.ClientID, err)
	}
	in.clientEvent(ctx, "client_create", client.ClientID)
	return result, nil
}

// withSecretHashes adds the hashes of a client's secrets to its JSON.
func withSecretHashes(data json.RawMessage, from store.Client) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return nil, errors.New("a client must be a JSON object")
	}
	hashes := map[string]any{"client_secret_hash": from.ClientSecretHash}
	if from.OldSecretHash != "" {
		hashes["old_secret_hash"], hashes["old_secret_until"] = from.OldSecretHash, from.OldSecretUntil
	}
	for name, value := range hashes {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("keeping %s: %w", name, err)
		}
		fields[name] = text
	}
	return json.Marshal(fields)
}

// replaceClient puts a client in the place of a stored one.
func (in *installation) replaceClient(ctx context.Context, old, client store.Client) (result string, err error) {
	fields, err := idp.ChangedFields(old, client)
	if err != nil {
		return "", err
	}
	if len(fields) == 0 {
		return "unchanged", nil
	}
	client.Source, client.Version = old.Source, old.Version
	if err := in.updateClient(ctx, client); err != nil {
		return "", err
	}
	in.clientUpdated(ctx, client.ClientID, strings.Join(fields, " "))
	return "replaced", nil
}
