package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// besides are the files that SQLite keeps beside a database in use.
var besides = []string{"-wal", "-shm", "-journal"}

// Commit closes the copy and puts it in the database's place. A database that
// was there before is kept under another name, which is returned; at no moment
// is there none, for a server that starts then would make an empty one.
// ErrInUse: a server has opened it meanwhile.
func (r *Restoration) Commit(ctx context.Context) (kept string, err error) {
	if err := r.Store.Close(); err != nil {
		return "", err
	}
	if _, err := os.Stat(r.copied + "-wal"); err == nil {
		return "", errors.New("the restored database still has a log beside it")
	}
	held, err := holdAlone(ctx, r.target)
	if err != nil {
		return "", err
	}
	defer held.Close()
	if err := keepOwner(r.copied, r.target); err != nil {
		return "", fmt.Errorf("giving the database its owner: %w", err)
	}
	if kept, err = keepAside(r.target, r.now().UTC()); err != nil {
		return "", fmt.Errorf("keeping the database that was there: %w", err)
	}
	return kept, putInPlace(r.copied, r.target)
}

// keepAside gives the database a second name and moves away what stands beside
// it: a log of the old database would be played into the new one.
func keepAside(target string, now time.Time) (kept string, err error) {
	name := target + ".before-restore-" + now.Format("20060102T150405Z")
	for n := 1; ; n++ {
		kept = name
		if n > 1 {
			kept = fmt.Sprintf("%s-%d", name, n)
		}
		if err = os.Link(target, kept); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return "", err
	}
	for _, suffix := range besides {
		if err := os.Rename(target+suffix, kept+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if missing {
		return "", nil
	}
	return kept, nil
}

// alone is a database that nobody else can open before Close.
type alone struct{ db *sql.DB }

// Close lets others in again.
func (a alone) Close() {
	if a.db != nil {
		a.db.Close()
	}
}

// holdAlone locks a database and folds its log into it. ErrInUse: somebody has
// it open. A missing one, or one that SQLite cannot read any more, is nobody's.
func holdAlone(ctx context.Context, path string) (alone, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return alone{}, nil
	}
	db, err := openFile(path, "mode=rw&_pragma=busy_timeout(500)&_pragma=locking_mode(EXCLUSIVE)")
	if err != nil {
		return alone{}, err
	}
	// Whoever has the database open keeps its mode from being changed.
	for _, statement := range []string{"PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE"} {
		if _, err = db.ExecContext(ctx, statement); err != nil {
			break
		}
	}
	switch {
	case err == nil:
		return alone{db}, nil
	case sqliteBusy(err):
		err = ErrInUse
	case sqliteUnreadable(err):
		err = nil // a reason to restore
	}
	db.Close()
	return alone{}, err
}
