// Package e2e drives the built binary from outside, as its operators, its
// clients and its people do.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"peerage/identity/openbao/baotest"
)

// binary is the built program; TestMain makes it.
var binary string

// root is the repository.
var root string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "peerage-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if root, err = filepath.Abs(".."); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		binary = filepath.Join(dir, "peerage")
		build := exec.Command("go", "build", "-trimpath", "-o", binary, "./cmd/peerage")
		build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the binary: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// needs skips a test without a file that scripts/test-servers provides, or
// fails it where nothing may be skipped.
func needs(t *testing.T, what, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	if os.Getenv("PEERAGE_TEST_REQUIRE") == "all" {
		t.Fatalf("%s is missing: there is no %s", what, path)
	}
	t.Skipf("%s is missing: make test installs it", what)
}

// server is one `peerage serve` on loopback with a database of its own, on the
// engine of this run.
type server struct {
	Issuer   string // http://localhost:PORT
	Address  string // 127.0.0.1:PORT
	Ops      string // address of the operations listener
	Database string
	env      []string
	cmd      *exec.Cmd
	log      *lockedBuffer
	exited   chan struct{}
	bao      *baotest.Server // where people live; nil: here
}

// newServer prepares a server without starting it. env are further settings
// as NAME=value.
func newServer(t *testing.T, env ...string) *server {
	t.Helper()
	address, ops := freeAddress(t), freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	s := &server{Issuer: "http://localhost:" + port, Address: address, Ops: ops, Database: engine(t).Fresh(t), log: &lockedBuffer{}}
	s.env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "PEERAGE_ISSUER=" + s.Issuer, "PEERAGE_LISTEN=" + address, "PEERAGE_OPS_LISTEN=" + ops,
		"PEERAGE_DATABASE=" + s.Database, "PEERAGE_SECRET_KEY=" + strings.Repeat("k", 40), "PEERAGE_RATE_LIMIT=0", "PEERAGE_BRAND_NAME=Example IX", "PEERAGE_SUPPORT_CONTACT=noc@example.net"}, env...)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.log.tail(20000))
		}
	})
	return s
}

// start runs the server and waits until it is ready.
func (s *server) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(binary, "serve")
	s.cmd.Env, s.cmd.Stderr, s.cmd.Stdout = s.env, s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("starting peerage: %v", err)
	}
	exited := make(chan struct{})
	s.exited = exited
	go func(cmd *exec.Cmd) { cmd.Wait(); close(exited) }(s.cmd)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		response, err := http.Get("http://" + s.Ops + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-s.exited:
			t.Fatalf("peerage ended at once:\n%s", s.log.tail(4000))
		case <-ctx.Done():
			t.Fatalf("peerage is not ready: %v\n%s", err, s.log.tail(4000))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// kill ends the server as a power cut would (kill -9).
func (s *server) kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Kill()
	<-s.exited
	s.cmd = nil
}

// stop ends the server as an operator does and returns its exit code.
func (s *server) stop(t *testing.T) int {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(30 * time.Second):
		t.Fatal("peerage does not stop")
	}
	code := s.cmd.ProcessState.ExitCode()
	s.cmd = nil
	return code
}

// run runs a command on the server's installation and returns what it
// printed; the test fails when the command does.
func (s *server) run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env, cmd.Stdin = s.env, strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("peerage %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// runJSON is run for commands with --json.
func (s *server) runJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	out := s.run(t, "", args...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("peerage %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// password is everybody's.
const password = "correct horse battery staple"

// addUser makes a person with password.
func (s *server) addUser(t *testing.T, name string, groups ...string) {
	t.Helper()
	if s.bao != nil {
		addOpenBaoPerson(s.bao, name, groups...)
		return
	}
	args := []string{"user", "create", name, "--name", strings.ToUpper(name[:1]) + name[1:] + " Example", "--email", name + "@example.net", "--email-verified", "--password-stdin"}
	for _, g := range groups {
		args = append(args, "--group", g)
	}
	s.run(t, password+"\n", args...)
}

// addClient makes a client and returns its secret ("" for a public one).
func (s *server) addClient(t *testing.T, id string, args ...string) (secret string) {
	t.Helper()
	var made struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	s.runJSON(t, &made, append([]string{"client", "create", id, "--json"}, args...)...)
	if made.ID != id {
		t.Fatalf("the client is called %q", made.ID)
	}
	if s.cmd != nil {
		s.awaitClient(t, id)
	}
	return made.Secret
}

// awaitClient waits until the running server knows a client, which is to take
// no more than a second.
func (s *server) awaitClient(t *testing.T, id string) {
	t.Helper()
	begun := time.Now()
	for {
		response, err := http.Get(s.Issuer + "/oauth2/authorize?client_id=" + url.QueryEscape(id))
		if err != nil {
			t.Fatalf("asking for client %s: %v", id, err)
		}
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatalf("asking for client %s: %v", id, err)
		}
		// Known, it is blamed for the other parameters that are missing.
		if !bytes.Contains(page, []byte(`data-error="invalid_client"`)) {
			return
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("the server does not learn of client %s", id)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// given are the addresses that freeAddress has given.
var given sync.Map

// freeAddress finds a port that nobody listens on. No port comes twice: the one
// who got it first may not listen yet.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("finding a free port: %v", err)
		}
		l.Close()
		if _, before := given.LoadOrStore(l.Addr().String(), true); !before {
			return l.Addr().String()
		}
	}
}

// lockedBuffer collects a process's output.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.b.String()
	return text[max(0, len(text)-n):]
}
