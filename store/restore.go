package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"peerage/migrations"
)

// Restoration is a copy that is being made ready, beside the database that it
// is to become. Nothing but Commit touches that database. Its Store is the
// copy's; end it by Commit or Discard.
type Restoration struct {
	*Store
	// CopiedAt is when the copy was made; zero when it does not say.
	CopiedAt time.Time
	// LastEventAt is the time of the newest event in the copy; zero for none.
	LastEventAt time.Time
	// Migrated tells that the copy's schema was older than this binary's.
	Migrated bool

	target, copied string
}

// BeginRestore reads a copy that Backup, or a migration, or whoever stopped
// the server and copied the file, has made. The copy itself stays as it is.
// o.Database is the database to become; it need not exist. Errors: ErrNotSQLite
// for PostgreSQL, ErrInUse when a server has the database open, ErrNoDatabase
// when there is no such copy, ErrSchemaNewer, or what is wrong with the copy.
func BeginRestore(ctx context.Context, o Options, path string) (*Restoration, error) {
	if IsPostgres(o.Database) {
		return nil, ErrNotSQLite
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoDatabase
	}
	same, err := sameFile(path, o.Database)
	if same {
		err = errors.New("that is the database itself")
	}
	if err != nil {
		return nil, err
	}
	held, err := holdAlone(ctx, o.Database) // early, before the long part
	if err != nil {
		return nil, err
	}
	held.Close()
	r := &Restoration{target: o.Database}
	if r.copied, err = readCopy(ctx, path, o.Database); err != nil {
		return nil, err
	}
	if err := r.open(ctx, o); err != nil {
		r.Discard()
		return nil, err
	}
	return r, nil
}

// readCopy copies a sound copy into a file beside target.
func readCopy(ctx context.Context, path, target string) (copied string, err error) {
	// Immutable, so that nothing is made beside the copy. Only who copied a
	// log with the file means what is in the log too.
	mode := "mode=ro&immutable=1"
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		mode = "mode=ro"
	}
	from, err := openFile(path, mode)
	if err != nil {
		return "", err
	}
	defer from.Close()
	var verdict string
	if err := from.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return "", fmt.Errorf("it is no SQLite database, or a damaged one: %w", err)
	}
	if verdict != "ok" {
		return "", fmt.Errorf("it is damaged: %s", verdict)
	}
	return vacuumInto(ctx, from, target)
}

func (r *Restoration) open(ctx context.Context, o Options) (err error) {
	o.Database, o.Create = r.copied, false
	if r.Store, err = Open(ctx, o); err != nil {
		return err
	}
	before, err := r.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if before == 0 {
		return errors.New("it is no database of peerage: it holds no tables")
	}
	if _, err := r.migrate(ctx, migrations.FS, false); err != nil {
		return err
	}
	after, err := r.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	r.Migrated = after != before
	return r.readAge(ctx)
}

func (r *Restoration) readAge(ctx context.Context) error {
	newest, err := many(r.read(ctx), func(t *time.Time) []any { return []any{stamp{t}} }, "SELECT time FROM events ORDER BY time DESC LIMIT 1")
	if err != nil {
		return fmt.Errorf("reading the newest event: %w", err)
	}
	if len(newest) == 1 {
		r.LastEventAt = newest[0]
	}
	noted, err := r.Setting(ctx, settingCopiedAt)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		r.CopiedAt, err = time.Parse(time.RFC3339, noted)
	}
	if err != nil {
		return fmt.Errorf("reading when the copy was made: %w", err)
	}
	return nil
}

// Voided is what a restoration ended.
type Voided struct{ Codes, Links, RecoveryCodes, Sessions, Families int64 }

// Void makes worthless what may have been used since the copy was made: a
// thing that works once would work a second time. Those are codes, half-done
// authorizations and sign-ins, one-time links, recovery codes, challenges of
// passkeys, and TOTP codes up to totpStep. What a backend last said of people is
// forgotten.
// Unless keepSessions it ends all sessions and token families too: one that
// was ended since, by its owner who lost a device, would be alive again.
func (r *Restoration) Void(ctx context.Context, keepSessions bool, totpStep int64) (Voided, error) {
	var v Voided
	err := r.tx(ctx, "void_restored", func(q *Queries) (err error) {
		v = Voided{}
		for _, step := range []struct {
			query string
			args  []any
			count *int64
		}{
			{"UPDATE codes SET used_at = $1 WHERE used_at IS NULL", []any{at(q.now)}, &v.Codes},
			{"UPDATE device_codes SET used_at = $1 WHERE used_at IS NULL", []any{at(q.now)}, &v.Codes},
			{"DELETE FROM links", nil, &v.Links},
			{"DELETE FROM recovery_codes", nil, &v.RecoveryCodes},
			{"DELETE FROM ceremonies", nil, nil},
			{"DELETE FROM requests", nil, nil},
			{"DELETE FROM pushed_requests", nil, nil},
			{"DELETE FROM signins", nil, nil},
			{"DELETE FROM peeringdb_flows", nil, nil},
			{"DELETE FROM leases", nil, nil},
			{"DELETE FROM known_states", nil, nil}, // somebody may have been kept out since
			{"DELETE FROM outbox", nil, nil},       // sent since, or about a link that is void
			{"DELETE FROM settings WHERE name = $1", []any{settingCopiedAt}, nil},
			{"UPDATE factors SET last_step = $1 WHERE kind = 'totp' AND last_step < $1", []any{totpStep}, nil},
		} {
			n, err := q.exec(step.query, step.args...)
			if err != nil {
				return err
			}
			if step.count != nil {
				*step.count += n
			}
		}
		if keepSessions {
			return nil
		}
		ended, err := q.endSessions("TRUE")
		if err != nil {
			return err
		}
		v.Sessions = int64(len(ended))
		v.Families, err = q.exec("UPDATE families SET revoked_at = $1 WHERE revoked_at IS NULL", at(q.now))
		return err
	})
	if err != nil {
		return Voided{}, fmt.Errorf("ending what was alive when the copy was made: %w", err)
	}
	return v, nil
}

// Discard gives the restoration up; after Commit it does nothing.
func (r *Restoration) Discard() {
	if r.Store != nil {
		r.Store.Close()
	}
	for _, suffix := range append([]string{""}, besides...) {
		os.Remove(r.copied + suffix)
	}
}
