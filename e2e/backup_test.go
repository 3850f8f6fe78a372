package e2e

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// TestRestore copies the database while the server runs and goes back to the
// copy. A code, a session and a refresh token from before are dead then; with
// --keep-sessions the session and the refresh token are alive.
func TestRestore(t *testing.T) {
	once(t)
	for _, keep := range []bool{false, true} {
		name := map[bool]string{false: "ends everything", true: "keeps sessions"}[keep]
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			secret := s.addClientBeforeStart(t, "wiki")
			s.addUser(t, "ida")
			s.start(t)
			rp := s.newRelyingParty(t, "wiki", secret, "RS256")
			rp.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
			ida := s.newPerson(t, "ida")
			token, _, _, _ := rp.signIn(t, ida)
			verifier := oauth2.GenerateVerifier()
			callback, _, err := ida.authorize(t.Context(), rp.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
			if err != nil {
				t.Fatal(err)
			}
			backup := filepath.Join(t.TempDir(), "copy.db")
			s.run(t, "", "backup", backup)

			s.stop(t)
			args := []string{"restore", backup}
			if keep {
				args = append(args, "--keep-sessions")
			}
			if out := s.run(t, "", args...); !strings.Contains(out, "the copy was made") || !strings.Contains(out, "ended: 1 codes") {
				t.Errorf("restore says:\n%s", out)
			}
			s.start(t)

			_, err = rp.Exchange(t.Context(), callback.Get("code"), oauth2.VerifierOption(verifier))
			refused(t, "a code from before", err, "invalid_grant", http.StatusBadRequest)
			_, err = rp.refresh(t.Context(), token)
			page, sessionErr := ida.get(t.Context(), s.Issuer+"/identity")
			if sessionErr != nil {
				t.Fatal(sessionErr)
			}
			if keep {
				if err != nil || page.url.Path != "/identity" {
					t.Errorf("a kept refresh token gives %v, a kept session %s", err, page.url)
				}
				return
			}
			refused(t, "a refresh token from before", err, "invalid_grant", http.StatusBadRequest)
			if page.url.Path != "/login" {
				t.Errorf("a session from before leads to %s", page.url)
			}
			if err := userInfoError(t, rp, token); err == nil {
				t.Error("an access token from before works")
			}
			rp.signIn(t, ida) // and everybody comes in again
		})
	}
}

// addClientBeforeStart makes a client of a server that has no database yet.
func (s *server) addClientBeforeStart(t *testing.T, id string) (secret string) {
	t.Helper()
	s.run(t, "", "migrate")
	return s.addClient(t, id, "--redirect-uri", clientCallback)
}

func userInfoError(t *testing.T, rp *relyingParty, token *oauth2.Token) error {
	t.Helper()
	_, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	return err
}

// TestBackupKilled kills backup and restore in the middle: under the final
// name is what was there before, or nothing.
func TestBackupKilled(t *testing.T) {
	once(t)
	s := newServer(t)
	s.run(t, "", "migrate")
	fillEvents(t, s.Database, 100_000)
	folder := t.TempDir()
	target := filepath.Join(folder, "copy.db")
	killWhile(t, s, folder, "copy.db.partial-*", "backup", target)
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a copy that was cut off stands under its name: %v", err)
	}
	s.run(t, "", "backup", target)
	before, err := os.Stat(target)
	if err != nil {
		t.Fatal(err)
	}
	killWhile(t, s, folder, "copy.db.partial-*", "backup", "--replace", target)
	if after, err := os.Stat(target); err != nil || !os.SameFile(before, after) || after.Size() != before.Size() {
		t.Errorf("the copy that was there was touched: %v", err)
	}

	restored := filepath.Join(t.TempDir(), "peerage.db")
	killWhile(t, s, filepath.Dir(restored), "peerage.db.partial-*", "restore", target, "--database", restored)
	if _, err := os.Stat(restored); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a restoration that was cut off stands under its name: %v", err)
	}
	s.run(t, "", "restore", target, "--database", restored)
	if out := s.run(t, "", "event", "list", "--limit", "2", "--json", "--database", restored); !strings.Contains(out, `"event":"restore"`) {
		t.Errorf("the restored trail ends with %s", out)
	}
}

// killWhile runs a command and kills it when a file of that pattern has grown
// in a folder.
func killWhile(t *testing.T, s *server, folder, pattern string, args ...string) {
	t.Helper()
	stale, _ := filepath.Glob(filepath.Join(folder, pattern))
	for _, name := range stale {
		os.Remove(name)
	}
	cmd := exec.Command(binary, args...)
	cmd.Env = s.env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			t.Fatalf("peerage %s ended before it could be killed: %v", strings.Join(args, " "), err)
		case <-time.After(time.Millisecond):
		}
		names, _ := filepath.Glob(filepath.Join(folder, pattern))
		if len(names) == 0 {
			continue
		}
		if info, err := os.Stat(names[0]); err == nil && info.Size() > 64<<10 {
			cmd.Process.Kill()
			<-ended
			return
		}
	}
}

// fillEvents makes a database large.
func fillEvents(t *testing.T, path string, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO events SELECT printf('%08d', i), i, 'oidc_userinfo', 'u' || (i % 1000), 's', 'app', '192.0.2.1', 'success', '', '', '', '' FROM n`, n)
	if err != nil {
		t.Fatalf("filling the events: %v", err)
	}
}
