package main

import (
	"context"
	"fmt"

	"peerage/identity"
)

type userImportCommand struct {
	File   string `arg:"" name:"file" help:"CSV file with the first line username,name,email,groups (groups separated by ;); - is standard input."`
	DryRun bool   `help:"Find what is wrong and change nothing."`
	JSON   bool   `name:"json" help:"Print one JSON array of the results."`
}

// Run makes the people of a file: the good rows although others fail.
func (c userImportCommand) Run(ctx context.Context, p *program) error {
	rows, err := c.read(p)
	if err != nil {
		return err
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	results, err := in.directory.Import(ctx, rows, c.DryRun)
	failed := 0
	for _, r := range results {
		if r.Result == identity.ImportFailed {
			failed++
		}
		if !c.JSON {
			fmt.Fprintln(p.stdout, importLine(r))
		}
	}
	if err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	if c.JSON {
		if results == nil {
			results = []identity.Imported{}
		}
		if err := printJSON(p.stdout, results); err != nil {
			return err
		}
	}
	c.next(p, len(results), len(results)-failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d people were not imported", failed, len(results))
	}
	return nil
}

// next says what comes after the results.
func (c userImportCommand) next(p *program, rows, good int) {
	switch {
	case rows == 0:
		fmt.Fprintf(p.stderr, "peerage: %s names nobody\n", c.File)
	case good > 0 && !c.DryRun && !c.JSON:
		fmt.Fprintln(p.stderr, "next: they have no password yet; peerage user recovery-link NAME prints the link with which one is chosen")
	}
}

func (c userImportCommand) read(p *program) ([]identity.Imported, error) {
	from, err := p.input(c.File)
	if err != nil {
		return nil, fmt.Errorf("reading the people: %w", err)
	}
	defer from.Close()
	rows, err := identity.ReadPeople(from)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.File, err)
	}
	return rows, nil
}

// importLine is a result for people.
func importLine(r identity.Imported) string {
	line := fmt.Sprintf("%d %s: %s", r.Row, printable(r.Username), r.Result)
	if r.Error != "" {
		line += ": " + printable(r.Error)
	}
	return line
}
