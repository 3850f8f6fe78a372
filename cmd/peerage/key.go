package main

import (
	"context"
	"fmt"
	"time"
)

type keyCommands struct {
	List   keyListCommand   `cmd:"" help:"List the signing keys."`
	Rotate keyRotateCommand `cmd:"" help:"Replace the key that signs."`
	Retire keyRetireCommand `cmd:"" help:"Take a key out of use."`
}

type keyJSON struct {
	KID        string     `json:"kid"`
	Alg        string     `json:"alg"`
	State      string     `json:"state"`
	CreatedAt  *time.Time `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
}

type keyListCommand struct {
	JSON bool `name:"json" help:"Print one JSON array."`
}

// Run lists the signing keys.
func (c keyListCommand) Run(ctx context.Context, p *program) error {
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	keys, err := in.store.PublicKeys(ctx)
	if err != nil {
		return fmt.Errorf("listing the signing keys: %w", err)
	}
	if c.JSON {
		list := make([]keyJSON, 0, len(keys))
		for _, k := range keys {
			list = append(list, keyJSON{k.KID, k.Alg, k.State, jsonTime(k.CreatedAt), jsonTime(k.LastUsedAt)})
		}
		return printJSON(p.stdout, list)
	}
	var rows [][]string
	for _, k := range keys {
		rows = append(rows, []string{k.KID, k.Alg, k.State, shownTime(k.CreatedAt), shownTime(k.LastUsedAt)})
	}
	return printTable(p.stdout, []string{"KID", "ALG", "STATE", "CREATED", "LAST USED"}, rows)
}
