package main

import (
	"context"
	"fmt"

	"peerage/store"
)

type migrateCommand struct{}

// Run brings the schema up to date.
func (migrateCommand) Run(ctx context.Context, p *program) error {
	s, err := p.settings()
	if err != nil {
		return err
	}
	options := storeOptions(s, p.commandLogger(s), p.now)
	options.Create = true
	st, err := store.Open(ctx, options)
	if err != nil {
		return err
	}
	defer st.Close()
	before, err := st.SchemaVersion(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.databaseName(), err)
	}
	kept, err := st.Migrate(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.databaseName(), err)
	}
	after, err := st.SchemaVersion(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", s.databaseName(), err)
	}
	if before == after {
		fmt.Fprintf(p.stdout, "%s: the schema is up to date (%d)\n", s.databaseName(), after)
		return nil
	}
	fmt.Fprintf(p.stdout, "%s: migrated the schema from %d to %d\n", s.databaseName(), before, after)
	if kept != "" {
		fmt.Fprintf(p.stdout, "a copy from before the migration is kept in %s\n", kept)
	}
	return nil
}
