package e2e

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// exit runs a command that may fail, with further settings, and returns its
// exit code and what it printed.
func (s *server) exit(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(slices.Clone(s.env), env...)
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("peerage %s does not end:\n%s", strings.Join(args, " "), told.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("peerage %s: %v", strings.Join(args, " "), err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), told.String()
}

// TestClientCommandsAtOnce: what a command changes about a client is in force
// in the running server within one second.
func TestClientCommandsAtOnce(t *testing.T) {
	s := newServer(t)
	s.start(t)
	s.addUser(t, "grace")
	// The quickest of three: a busy machine is no fault of the server.
	quickest := time.Hour
	var secret string
	for _, id := range []string{"one", "two", "three"} {
		var made struct {
			Secret string `json:"client_secret"`
		}
		s.runJSON(t, &made, "client", "create", id, "--redirect-uri", clientCallback, "--json")
		begun := time.Now()
		s.awaitClient(t, id)
		quickest, secret = min(quickest, time.Since(begun)), made.Secret
	}
	if quickest > time.Second {
		t.Errorf("a client made by command takes %s to be known", quickest)
	}
	rp := s.newRelyingParty(t, "three", secret, "RS256")
	token, _, _, _ := rp.signIn(t, s.newPerson(t, "grace"))

	var rotated struct {
		Secret string `json:"client_secret"`
	}
	s.runJSON(t, &rotated, "client", "rotate-secret", "three", "--json")
	eventually(t, "the old secret is refused", func() bool {
		next, err := rp.refresh(t.Context(), token)
		if err == nil {
			token = next
		}
		return err != nil
	})
	_, err := rp.refresh(t.Context(), token)
	refused(t, "the old secret", err, "invalid_client", http.StatusUnauthorized)
	rp.ClientSecret = rotated.Secret
	if token, err = rp.refresh(t.Context(), token); err != nil {
		t.Fatalf("refreshing with the new secret: %v", err)
	}
	s.run(t, "", "client", "delete", "three")
	eventually(t, "a deleted client is refused", func() bool {
		_, err = rp.refresh(t.Context(), token)
		return strings.Contains(err.Error(), "invalid_client")
	})
	rp.userInfoRefused(t, token)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); <-time.After(20 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestDisabledPerson: whoever is disabled by command loses everything at once;
// the refresh answers the very word that clients act on.
func TestDisabledPerson(t *testing.T) {
	s := newServer(t)
	s.start(t)
	s.addUser(t, "grace")
	rp := s.newRelyingParty(t, "wiki", s.addClient(t, "wiki", "--redirect-uri", clientCallback), "RS256")
	grace := s.newPerson(t, "grace")
	token, _, _, _ := rp.signIn(t, grace)

	s.run(t, "", "user", "disable", "grace")
	_, err := rp.refresh(t.Context(), token)
	refused(t, "the refresh of a disabled person", err, "invalid_grant", http.StatusBadRequest)
	rp.userInfoRefused(t, token)
	// The session is gone; the password is as good as a wrong one.
	callback, asked, err := grace.authorize(t.Context(), rp.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	var page *pageError
	if !errors.As(err, &page) || page.fault != "wrong_credentials" || !slices.Equal(asked, []string{"sign-in"}) {
		t.Errorf("a disabled person was asked %v and gets %v, %v", asked, callback, err)
	}

	s.run(t, "", "user", "enable", "grace")
	_, err = rp.refresh(t.Context(), token)
	refused(t, "an old refresh token of an enabled person", err, "invalid_grant", http.StatusBadRequest)
	if _, _, _, asked := rp.signIn(t, grace); !slices.Equal(asked, []string{"sign-in"}) {
		t.Errorf("an enabled person was asked %v", asked)
	}
}

// TestHealth: the image's health check.
func TestHealth(t *testing.T) {
	s := newServer(t)
	for _, step := range []struct {
		name string
		do   func()
		code int
	}{
		{"before the start", func() {}, 1},
		{"while it serves", func() { s.start(t) }, 0},
		{"after a stop", func() {
			if code := s.stop(t); code != 0 {
				t.Errorf("stopping: exit code %d", code)
			}
		}, 1},
	} {
		step.do()
		if code, out, told := s.exit(t, nil, "health"); code != step.code {
			t.Errorf("%s: exit code %d, want %d; %s%s", step.name, code, step.code, out, told)
		}
	}
}

// TestStartFaults are starts that must not succeed: one line for each fault,
// the right exit code, and a database that stays as it was.
func TestStartFaults(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(other, bytes.Repeat([]byte("not a database\n"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := freeAddress(t)
	s := newServer(t)
	s.start(t)
	s.stop(t)
	newer := newServer(t)
	newer.start(t)
	newer.stop(t)
	newer.query(t, "INSERT INTO schema_version (version, migrated_at) VALUES (999, 0)", nil)
	before := newer.contents(t)
	for _, c := range []struct {
		name string
		env  []string
		code int
		says []string // one line each
	}{
		{"unreachable database", []string{"PEERAGE_DATABASE=/nowhere/at/all/peerage.db"}, 1, []string{"/nowhere/at/all"}},
		{"no PostgreSQL there", []string{"PEERAGE_DATABASE=postgres://" + nobody + "/peerage"}, 1, []string{"reaching the database"}},
		{"a directory", []string{"PEERAGE_DATABASE=" + filepath.Dir(other)}, 1, []string{filepath.Dir(other)}},
		{"another file", []string{"PEERAGE_DATABASE=" + other}, 1, []string{"notes.txt"}},
		{"newer schema", []string{"PEERAGE_DATABASE=" + newer.Database}, 1, []string{"its schema is 999"}},
		{"short secret key", []string{"PEERAGE_SECRET_KEY=short"}, 2, []string{"PEERAGE_SECRET_KEY: has 5 bytes"}},
		{"another secret key", []string{"PEERAGE_SECRET_KEY=" + strings.Repeat("x", 40)}, 1, []string{"PEERAGE_SECRET_KEY does not open"}},
		{"bad JSON in clients", []string{"PEERAGE_CLIENTS=[{"}, 2, []string{"PEERAGE_CLIENTS: the clients must be a JSON list"}},
		{"port in use", []string{"PEERAGE_LISTEN=" + taken.Addr().String()}, 1, []string{"address already in use"}},
		{"three at once", []string{"PEERAGE_SECRET_KEY=short", "PEERAGE_ISSUER=http://id.example.net", "PEERAGE_COLOUR=blue"}, 2,
			[]string{"PEERAGE_SECRET_KEY", "PEERAGE_ISSUER", "PEERAGE_COLOUR"}},
	} {
		code, out, told := s.exit(t, c.env, "serve")
		lines := strings.Split(strings.TrimSpace(told), "\n")
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "time=") }) // the log
		if code != c.code || out != "" || len(lines) != len(c.says) {
			t.Errorf("%s: exit code %d, want %d; printed %q, %q", c.name, code, c.code, out, told)
		}
		for _, word := range c.says {
			if n := strings.Count(strings.Join(lines, "\n"), word); n != 1 {
				t.Errorf("%s: %q stands %d times in %q", c.name, word, n, told)
			}
		}
	}
	if newer.contents(t) != before {
		t.Error("the database of a newer peerage was changed")
	}
}
