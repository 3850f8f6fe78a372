package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"peerage/store"
	"peerage/store/storetest"
)

// copied backs a store up and returns the copy's path.
func (w world) copied(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	want(t, w.Backup(t.Context(), path, false), nil)
	return path
}

// beginRestore begins to restore a copy into a database at target.
func (w world) beginRestore(t testing.TB, path, target string) (*store.Restoration, error) {
	t.Helper()
	r, err := store.BeginRestore(t.Context(), store.Options{Database: target, SecretKey: storetest.SecretKey(), Now: w.clock.Now}, path)
	if err == nil {
		t.Cleanup(r.Discard)
	}
	return r, err
}

// restored restores a copy into a fresh place and opens what came of it.
func (w world) restored(t testing.TB, path string, keepSessions bool) (world, store.Voided) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "peerage.db")
	r, err := w.beginRestore(t, path, target)
	want(t, err, nil)
	voided, err := r.Void(t.Context(), keepSessions, 77)
	want(t, err, nil)
	kept, err := r.Commit(t.Context())
	want(t, err, nil)
	if kept != "" {
		t.Errorf("a database that was not there is kept in %s", kept)
	}
	w.address = target
	w.Store = w.replica(t)
	return w, voided
}

// onlyFiles fails unless a folder holds just these files.
func onlyFiles(t testing.TB, folder string, names ...string) {
	t.Helper()
	found, err := os.ReadDir(folder)
	want(t, err, nil)
	var got []string
	for _, f := range found {
		got = append(got, f.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("the folder holds %v, want %v", got, names)
	}
}

func TestBackupWhileOthersWrite(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	u := w.person(t)
	var group sync.WaitGroup
	stop := make(chan struct{})
	other := w.replica(t)
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				// Both or none: that is what consistent means.
				if err := other.Tx(t.Context(), func(q *store.Queries) error { return nil }); err != nil {
					t.Error(err)
				}
				if err := other.AddEvents(t.Context(), []store.Event{{ID: w.name("a"), Time: beginning}, {ID: w.name("b"), Time: beginning}}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for n := range 5 {
		path := filepath.Join(t.TempDir(), "copy.db")
		want(t, w.Backup(t.Context(), path, false), nil)
		onlyFiles(t, filepath.Dir(path), "copy.db")
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the copy: %v, %v", info, err)
		}
		c := storetest.Open(t, storetest.WithDatabase(path))
		if _, err := c.User(t.Context(), u.Sub); err != nil {
			t.Error(err)
		}
		events, err := c.Events(t.Context(), store.EventFilter{})
		if err != nil || len(events)%2 != 0 {
			t.Errorf("copy %d holds %d events, %v", n, len(events), err)
		}
	}
	close(stop)
	group.Wait()
}

func TestBackupOverwritesNothingUnasked(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	folder := t.TempDir()
	path := filepath.Join(folder, "copy.db")
	want(t, os.WriteFile(path, []byte("precious"), 0o600), nil)
	want(t, w.Backup(t.Context(), path, false), store.ErrExists)
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Fatalf("it was changed: %q, %v", text, err)
	}
	onlyFiles(t, folder, "copy.db")
	want(t, w.Backup(t.Context(), path, true), nil)
	_, err := w.beginRestore(t, path, filepath.Join(t.TempDir(), "p.db"))
	want(t, err, nil)
	device := filepath.Join(folder, "device")
	want(t, os.Symlink(os.DevNull, device), nil)
	for name, bad := range map[string]string{
		"the database itself":      w.address,
		"a folder that is missing": filepath.Join(folder, "nowhere", "copy.db"),
		"a folder":                 folder,
		"the database's log":       w.address + "-wal",
		"what lies beside the log": w.address + "-shm",
		"a device":                 device,
	} {
		if err := w.Backup(t.Context(), bad, true); err == nil {
			t.Errorf("%s: a copy was written", name)
		}
	}
	onlyFiles(t, folder, "copy.db", "device")
	if _, err := w.User(t.Context(), w.person(t).Sub); err != nil {
		t.Errorf("the database after the refusals: %v", err)
	}
}

func TestBackupAndRestoreAreForSQLite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Engines()[1])
	want(t, w.Backup(t.Context(), filepath.Join(t.TempDir(), "copy.db"), false), store.ErrNotSQLite)
	_, err := store.BeginRestore(t.Context(), store.Options{Database: w.address}, "copy.db")
	want(t, err, store.ErrNotSQLite)
}

// A code, a session and a token that were used or ended after the copy was
// made must not come to life again with it.
func TestRestoreEndsWhatWasAlive(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		w := newSQLite(t)
		ctx := t.Context()
		p := w.signedUp(t)
		g := w.granted(t, true)
		code := w.issued(t)
		_, secret := w.signedIn(t, g.Sub)
		d := w.allowDevice(t, g.Sub, "tv")
		_, err := w.Writer().ExecContext(ctx, "INSERT INTO outbox VALUES ('mail', 'recovery', 'x', 0, 0, 0)")
		want(t, err, nil)
		want(t, w.PutRecoveryCodes(ctx, g.Sub, []string{"recovery code"}), nil)
		want(t, w.PutCeremony(ctx, p.browser, store.Ceremony{Challenge: "challenge", Purpose: "login", Sub: g.Sub}, time.Minute), nil)
		w.clock.Advance(5 * time.Second)
		path := w.copied(t)
		before, err := os.ReadFile(path)
		want(t, err, nil)
		w.clock.Advance(10 * time.Second)

		r, voided := w.restored(t, path, keep)
		if voided.Codes < 2 || voided.Links == 0 || voided.RecoveryCodes != 1 || keep != (voided.Sessions == 0 && voided.Families == 0) {
			t.Errorf("keep=%v ended %+v", keep, voided)
		}
		want(t, r.redeem(ctx, code, "late", true), store.ErrReplayed)
		want(t, r.PollDevice(ctx, d.Hash, "tv", r.deviceGrant("device", true)), store.ErrReplayed)
		_, err = r.SignIn(ctx, p.browser)
		want(t, err, store.ErrNotFound)
		_, err = r.TakeLink(ctx, p.link, store.PurposeFactor)
		want(t, err, store.ErrNotFound)
		_, err = r.TakeRecoveryCode(ctx, g.Sub, "recovery code")
		want(t, err, store.ErrNotFound)
		_, err = r.TakeCeremony(ctx, p.browser, "challenge", "login")
		want(t, err, store.ErrNotFound)
		want(t, r.ClaimStep(ctx, p.Sub, 77), store.ErrStepUsed)
		want(t, r.ClaimStep(ctx, p.Sub, 78), nil)
		_, err = r.Session(ctx, secret, time.Hour)
		if keep {
			want(t, err, nil)
			r.alive(t, g.access(), true)
			r.rotate(t, g.refresh(), g.ClientID, "next")
		} else {
			want(t, err, store.ErrNotFound)
			r.alive(t, g.access(), false)
			_, err = r.RotateRefresh(ctx, g.refresh(), store.Rotation{ClientID: g.ClientID, Issue: r.tokens("next"), Grace: grace})
			want(t, err, store.ErrRevoked)
		}
		if n := r.rows(t, "SELECT COUNT(*) FROM outbox"); n != 0 {
			t.Errorf("%d mails would be sent a second time", n)
		}
		// The copy can be restored again, by another age.
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("restoring changed the copy, %v", err)
		}
		onlyFiles(t, filepath.Dir(path), "copy.db")
	}
}

func TestRestoreTellsTheAge(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	want(t, w.AddEvents(t.Context(), []store.Event{{ID: "1", Time: beginning.Add(-time.Hour)}, {ID: "2", Time: beginning.Add(-2 * time.Hour)}}), nil)
	path := w.copied(t)
	w.clock.Advance(time.Hour)
	r, err := w.beginRestore(t, path, filepath.Join(t.TempDir(), "p.db"))
	want(t, err, nil)
	if !r.CopiedAt.Equal(beginning) || !r.LastEventAt.Equal(beginning.Add(-time.Hour)) || r.Migrated {
		t.Errorf("made at %s, newest event of %s, migrated %v", r.CopiedAt, r.LastEventAt, r.Migrated)
	}
	// The next copy says its own time, and a database in use says none.
	next, _ := w.restored(t, path, false)
	_, err = next.Setting(t.Context(), "copied_at")
	want(t, err, store.ErrNotFound)
}

// Whoever stops the server and copies the file has a copy too.
func TestRestoreAPlainCopyOfTheFile(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	u := w.person(t)
	want(t, w.Close(), nil)
	before, err := os.ReadFile(w.address)
	want(t, err, nil)
	r, _ := w.restored(t, w.address, false)
	_, err = r.User(t.Context(), u.Sub)
	want(t, err, nil)
	after, err := os.ReadFile(w.address)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("restoring changed the copy, %v", err)
	}
	onlyFiles(t, filepath.Dir(w.address), "peerage.db")
}

func TestRestoreMigratesAnOldCopy(t *testing.T) {
	t.Parallel()
	old, path := unmigrated(t)
	_, err := old.MigrateFrom(t.Context(), firstOf(t))
	want(t, err, nil)
	want(t, old.Close(), nil)
	w := newSQLite(t)
	r, err := w.beginRestore(t, path, filepath.Join(t.TempDir(), "p.db"))
	want(t, err, nil)
	if !r.Migrated || !r.CopiedAt.IsZero() || !r.LastEventAt.IsZero() {
		t.Errorf("%+v", r)
	}
	want(t, r.CheckSchema(t.Context()), nil)
}

func TestRestoreKeepsTheDatabaseThatWasThere(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	u := w.person(t)
	path := w.copied(t)
	later := w.person(t)
	target := w.address
	_, err := w.beginRestore(t, path, target)
	want(t, err, store.ErrInUse) // by w
	want(t, w.Close(), nil)
	var names []string
	for range 2 { // twice in one second
		r, err := w.beginRestore(t, path, target)
		want(t, err, nil)
		kept, err := r.Commit(t.Context())
		want(t, err, nil)
		names = append(names, filepath.Base(kept))
	}
	onlyFiles(t, filepath.Dir(target), "peerage.db", "peerage.db.before-restore-20260301T120000Z", "peerage.db.before-restore-20260301T120000Z-2")
	if names[0] != "peerage.db.before-restore-20260301T120000Z" || names[1] != names[0]+"-2" {
		t.Errorf("kept in %v", names)
	}
	now := storetest.Open(t, storetest.WithDatabase(target))
	_, err = now.User(t.Context(), u.Sub)
	want(t, err, nil)
	_, err = now.User(t.Context(), later.Sub)
	want(t, err, store.ErrNotFound)
	before := storetest.Open(t, storetest.WithDatabase(filepath.Join(filepath.Dir(target), names[0])))
	_, err = before.User(t.Context(), later.Sub)
	want(t, err, nil)
}

// A server that starts while the copy is made ready keeps its database.
func TestRestoreDoesNotReplaceADatabaseInUse(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	path := w.copied(t)
	want(t, w.Close(), nil)
	r, err := w.beginRestore(t, path, w.address)
	want(t, err, nil)
	server := storetest.Open(t, storetest.WithDatabase(w.address))
	_, err = r.Commit(t.Context())
	want(t, err, store.ErrInUse)
	r.Discard()
	want(t, server.PutSetting(t.Context(), "still", "mine"), nil)
	onlyFiles(t, filepath.Dir(w.address), "peerage.db", "peerage.db-shm", "peerage.db-wal")
}

// A database that cannot be read any more is what a copy is for; its log would
// ruin the new one.
func TestRestoreOverADamagedDatabase(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	u := w.person(t)
	path := w.copied(t)
	target := filepath.Join(t.TempDir(), "peerage.db")
	want(t, os.WriteFile(target, bytes.Repeat([]byte("no database "), 1000), 0o600), nil)
	want(t, os.WriteFile(target+"-wal", []byte("an old log"), 0o600), nil)
	r, err := w.beginRestore(t, path, target)
	want(t, err, nil)
	kept, err := r.Commit(t.Context())
	want(t, err, nil)
	if _, err := os.Stat(target + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old log is still beside the new database: %v", err)
	}
	if text, err := os.ReadFile(kept); err != nil || !bytes.HasPrefix(text, []byte("no database")) {
		t.Errorf("the damaged database is not kept: %v", err)
	}
	_, err = storetest.Open(t, storetest.WithDatabase(target)).User(t.Context(), u.Sub)
	want(t, err, nil)
}

func TestRestoreRefusesWhatIsNoCopy(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	for range 300 {
		w.person(t)
	}
	folder := t.TempDir()
	sound, err := os.ReadFile(w.copied(t))
	want(t, err, nil)
	newer := w.copied(t)
	n := storetest.Open(t, storetest.WithDatabase(newer))
	_, err = n.MigrateFrom(t.Context(), later(t, addition))
	want(t, err, nil)
	want(t, n.Close(), nil)
	empty, emptyPath := unmigrated(t)
	want(t, empty.Close(), nil)
	files := map[string][]byte{"text": []byte(strings.Repeat("no database ", 1000)), "cut": sound[:len(sound)/2], "zeroed": append(bytes.Clone(sound[:8192]), make([]byte, len(sound)-8192)...)}
	paths := map[string]string{"newer": newer, "empty": emptyPath, "itself": w.address, "missing": filepath.Join(folder, "missing.db"), "folder": folder}
	for name, body := range files {
		paths[name] = filepath.Join(folder, name)
		want(t, os.WriteFile(paths[name], body, 0o600), nil)
	}
	for name, path := range paths {
		target := filepath.Join(t.TempDir(), "peerage.db")
		if name == "itself" {
			target = w.address
		}
		_, err := w.beginRestore(t, path, target)
		if err == nil {
			t.Errorf("%s was taken", name)
		}
		if name == "newer" && !errors.Is(err, store.ErrSchemaNewer) || name == "missing" && !errors.Is(err, store.ErrNoDatabase) {
			t.Errorf("%s: %v", name, err)
		}
		if name != "itself" {
			onlyFiles(t, filepath.Dir(target))
		}
	}
}

// Root restores while the server runs as somebody else, who must be able to
// open what was restored.
func TestRestoreKeepsTheOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to somebody else")
	}
	w := newSQLite(t)
	path := w.copied(t)
	want(t, w.Close(), nil)
	const somebody = 12345
	want(t, os.Chown(w.address, somebody, somebody), nil)
	r, err := w.beginRestore(t, path, w.address)
	want(t, err, nil)
	_, err = r.Commit(t.Context())
	want(t, err, nil)
	info, err := os.Stat(w.address)
	want(t, err, nil)
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != somebody || owner.Gid != somebody {
		t.Errorf("the restored database belongs to %d:%d", owner.Uid, owner.Gid)
	}
}
