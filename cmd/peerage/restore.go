package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"peerage/identity"
	"peerage/store"
)

type restoreCommand struct {
	File         string `arg:"" help:"Copy to restore; it stays as it is."`
	KeepSessions bool   `help:"Leave people signed in and applications with their tokens, those included that were ended since."`
}

// Run puts a copy in the place of the database.
func (c restoreCommand) Run(ctx context.Context, p *program) error {
	s, err := p.settings()
	if err != nil {
		return err
	}
	if store.IsPostgres(s.Database) {
		return errors.New("restore restores SQLite databases; this one is PostgreSQL: use pg_restore or psql")
	}
	if _, err := os.Stat(s.Database); err == nil && !p.confirmed(ctx, fmt.Sprintf("Put %s in the place of %s, which is kept under another name? [y/N] ", c.File, s.Database)) {
		return fmt.Errorf("%s was not touched", s.Database)
	}
	log := p.commandLogger(s)
	r, err := store.BeginRestore(ctx, storeOptions(s, log, p.now), c.File)
	if err != nil {
		return c.refused(s, err)
	}
	defer r.Discard()
	c.tellAge(p, r)
	if err := c.checkKey(ctx, p, s, r); err != nil {
		return err
	}
	voided, err := r.Void(ctx, c.KeepSessions, identity.LastStep(p.now()))
	if err != nil {
		return err
	}
	c.record(ctx, p, r, log)
	kept, err := r.Commit(ctx)
	if err != nil {
		return c.refused(s, err)
	}
	c.tell(p, s, r, voided, kept)
	return nil
}

func (c restoreCommand) refused(s Settings, err error) error {
	switch {
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("%s: %w; stop it first", s.Database, err)
	case errors.Is(err, store.ErrNoDatabase):
		return fmt.Errorf("%s: there is no such file", c.File)
	}
	return fmt.Errorf("restoring %s: %w", c.File, err)
}

// checkKey finds out whether the secret key opens the copy. With a wrong one
// no server would start on it.
func (c restoreCommand) checkKey(ctx context.Context, p *program, s Settings, r *store.Restoration) error {
	if s.SecretKey == "" {
		fmt.Fprintln(p.stderr, "peerage: PEERAGE_SECRET_KEY is not set here, so it was not tried on this copy; the server needs the key that was in use when the copy was made")
		return nil
	}
	if err := r.CheckSecretKey(ctx); err != nil {
		return fmt.Errorf("%s was not restored: %w", c.File, err)
	}
	return nil
}

// record writes the event into the database that comes into use.
func (c restoreCommand) record(ctx context.Context, p *program, r *store.Restoration, log *slog.Logger) {
	audit := identity.NewAudit(r.Store, log, p.now)
	defer audit.Close()
	detail := []slog.Attr{slog.String("file", filepath.Base(c.File)), slog.Bool("keep_sessions", c.KeepSessions)}
	if !r.CopiedAt.IsZero() {
		detail = append(detail, slog.String("copied_at", r.CopiedAt.Format(time.RFC3339)))
	}
	audit.Event(ctx, identity.Event{Name: "restore", Result: "success", Detail: detail})
}

func (c restoreCommand) tellAge(p *program, r *store.Restoration) {
	switch {
	case !r.CopiedAt.IsZero():
		fmt.Fprintf(p.stdout, "the copy was made %s ago, %s\n", age(p.now().Sub(r.CopiedAt)), shownTime(r.CopiedAt))
	case !r.LastEventAt.IsZero():
		fmt.Fprintf(p.stdout, "the copy does not say when it was made; the newest event in it is %s old, %s\n", age(p.now().Sub(r.LastEventAt)), shownTime(r.LastEventAt))
	default:
		fmt.Fprintln(p.stdout, "the copy does not say when it was made, and there is no event in it")
	}
}

func (c restoreCommand) tell(p *program, s Settings, r *store.Restoration, v store.Voided, kept string) {
	fmt.Fprintf(p.stdout, "%s is restored from %s\n", s.Database, c.File)
	if r.Migrated {
		fmt.Fprintln(p.stdout, "its schema was older and is up to date now")
	}
	if kept != "" {
		fmt.Fprintf(p.stdout, "the database that was there is kept in %s\n", kept)
	}
	fmt.Fprintf(p.stdout, "ended: %d codes, %d one-time links, %d recovery codes\n", v.Codes, v.Links, v.RecoveryCodes)
	if c.KeepSessions {
		fmt.Fprintln(p.stdout, "sessions and tokens are alive as they were then: also those that were ended since")
	} else {
		fmt.Fprintf(p.stdout, "ended: %d sessions, %d grants with their tokens; everybody signs in again\n", v.Sessions, v.Families)
	}
	fmt.Fprintln(p.stdout, "what was changed since the copy was made is undone: look for people who were disabled, passwords and second factors that were reset, and signing keys that were withdrawn")
}

// age is a time span as people say it.
func age(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / unit.length); n >= 1 {
			if n > 1 {
				unit.name += "s"
			}
			return strconv.Itoa(n) + " " + unit.name
		}
	}
	return "less than a minute"
}
