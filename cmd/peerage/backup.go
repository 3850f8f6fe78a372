package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"peerage/identity"
	"peerage/store"
)

type backupCommand struct {
	File    string `arg:"" help:"Where the copy goes."`
	Replace bool   `help:"Replace a file of that name."`
}

// Run copies the database while the server runs.
func (c backupCommand) Run(ctx context.Context, p *program) error {
	if c.File == "" || c.File == "-" {
		return usagef("the copy needs the name of a file; it cannot go to standard output")
	}
	s, err := p.settings()
	if err != nil {
		return err
	}
	if store.IsPostgres(s.Database) {
		return errors.New("backup copies SQLite databases; this one is PostgreSQL: use pg_dump")
	}
	in, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	file := slog.String("file", filepath.Base(c.File))
	err = in.store.Backup(ctx, c.File, c.Replace)
	if errors.Is(err, store.ErrExists) {
		return fmt.Errorf("%s exists and was not touched; --replace replaces it", c.File)
	}
	if err != nil {
		in.audit.Event(ctx, identity.Event{Name: "backup", Result: "failure", Detail: []slog.Attr{file}})
		return fmt.Errorf("copying %s to %s: %w", s.Database, c.File, err)
	}
	in.event(ctx, identity.Event{Name: "backup", Detail: []slog.Attr{file}})
	size := "unknown"
	if info, err := os.Stat(c.File); err == nil {
		size = fmt.Sprintf("%d", info.Size())
	}
	fmt.Fprintf(p.stdout, "%s holds a copy of %s, %s bytes\n", c.File, s.Database, size)
	fmt.Fprintln(p.stdout, "it does not hold PEERAGE_SECRET_KEY, without which it is of no use: keep that key too, in another place")
	return nil
}
