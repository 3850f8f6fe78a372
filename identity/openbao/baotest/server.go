// Package baotest starts real OpenBao servers for tests: initialised, unsealed,
// on loopback, with integrated storage (raft) in a temporary directory. It is
// never the development mode, whose storage slows down with every token.
//
// Start gives a server of the test's own, which may be sealed and stopped.
// Shared gives a fresh namespace on a server that all tests of a test binary
// share, in a hundredth of the time: mounts, policies, people, second factors
// and groups of a namespace are its own.
package baotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds how long a server may take until it serves.
const startTimeout = 60 * time.Second

var errNotInstalled = errors.New("OpenBao is not installed: run scripts/test-servers openbao")

// Server is a running OpenBao, or a namespace of one. The root token stays
// inside: what a test wants done as root goes through Call or Do.
type Server struct {
	t testing.TB
	// Addr is the address of the server, for BAO_ADDR.
	Addr string
	// Namespace is the namespace of this test, for BAO_NAMESPACE; "" for the root one.
	Namespace string

	node *node
	root string
}

// node is one process and what it takes to start it again.
type node struct {
	dir  string
	addr string
	key  string // unseals
	// member: one of several, which may come back as a standby.
	member bool

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{}
	log     *bytes.Buffer
}

// Start runs a server that belongs to the test and ends with it.
func Start(t testing.TB) *Server {
	t.Helper()
	n, root, err := startNew(t.TempDir(), t.Name())
	if n != nil {
		t.Cleanup(n.kill)
	}
	skipOrFail(t, err)
	return &Server{t: t, Addr: n.addr, node: n, root: root}
}

// skipOrFail ends a test that has no server: it is skipped where OpenBao is not
// installed, unless PEERAGE_TEST_REQUIRE=all.
func skipOrFail(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errNotInstalled) && os.Getenv("PEERAGE_TEST_REQUIRE") != "all" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("starting OpenBao: %v", err)
	}
}

var (
	sharedOnce sync.Once
	sharedNode *node
	sharedRoot string
	sharedErr  error
	sharedMu   sync.Mutex
	sharedNext int
)

// Shared gives the test a fresh namespace on the server of this test binary.
func Shared(t testing.TB) *Server {
	t.Helper()
	sharedOnce.Do(func() {
		removeLeftovers()
		dir, err := os.MkdirTemp("", leftoverPrefix)
		if err != nil {
			sharedErr = err
			return
		}
		if sharedNode, sharedRoot, sharedErr = startNew(dir, "shared"); sharedErr != nil && sharedNode == nil {
			os.RemoveAll(dir)
		}
	})
	skipOrFail(t, sharedErr)
	sharedMu.Lock()
	sharedNext++
	name := fmt.Sprintf("test%d", sharedNext)
	sharedMu.Unlock()
	s := &Server{t: t, Addr: sharedNode.addr, node: sharedNode, root: sharedRoot}
	s.Do("POST", "sys/namespaces/"+name, nil)
	s.Namespace = name
	return s
}

// leftoverPrefix begins the names of the directories of shared servers, which
// die with the test binary and cannot tidy up.
const leftoverPrefix = "peerage-openbao-"

func removeLeftovers() {
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), leftoverPrefix+"*"))
	for _, dir := range old {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.RemoveAll(dir)
		}
	}
}

// program finds the server that scripts/test-servers installed.
func program() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			bao := filepath.Join(dir, ".cache/openbao/bin/bao")
			if _, err := os.Stat(bao); err != nil {
				return "", errNotInstalled
			}
			return bao, nil
		}
	}
	return "", errors.New("no go.mod above the test")
}

// startNew makes, initialises and unseals a server in dir.
func startNew(dir, id string) (n *node, root string, err error) {
	if n, err = newNode(dir, id); err != nil {
		return n, "", err
	}
	var made struct {
		Keys []string `json:"keys"`
		Root string   `json:"root_token"`
	}
	if _, err := n.ask("PUT", "sys/init", "", "", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &made); err != nil {
		return n, "", err
	}
	if len(made.Keys) != 1 {
		return n, "", fmt.Errorf("the server gave no key\n%s", n.logged())
	}
	n.key = made.Keys[0]
	return n, made.Root, n.unseal()
}

// newNode starts a process on free ports with empty storage.
func newNode(dir, id string) (*node, error) {
	bao, err := program()
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	n := &node{dir: dir, addr: "http://" + ports[0]}
	if err := os.Mkdir(filepath.Join(dir, "raft"), 0o700); err != nil {
		return nil, err
	}
	// The multiplier makes the time until a lonely node elects itself a
	// fifth; the intervals, that until a second one may vote.
	config := fmt.Sprintf(`storage "raft" {
  path = %q
  node_id = %q
  performance_multiplier = "1"
  autopilot_reconcile_interval = "500ms"
  autopilot_update_interval = "200ms"
}
listener "tcp" {
  address = %q
  cluster_address = %q
  tls_disable = true
}
api_addr = %q
cluster_addr = %q
log_level = "warn"
`, filepath.Join(dir, "raft"), id, ports[0], ports[1], n.addr, "https://"+ports[1])
	if err := os.WriteFile(filepath.Join(dir, "config.hcl"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return n, n.start(bao)
}

func freePorts(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that no port comes twice
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// start runs the process and waits until it answers, sealed or not.
func (n *node) start(bao string) error {
	n.mu.Lock()
	n.log = new(bytes.Buffer)
	n.process = exec.Command(bao, "server", "-config="+filepath.Join(n.dir, "config.hcl"))
	n.process.Dir = n.dir
	n.process.Env = []string{"HOME=" + n.dir, "PATH=" + os.Getenv("PATH")}
	n.process.Stdout, n.process.Stderr = n.log, n.log
	n.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := n.process.Start()
	if err != nil {
		n.process = nil
		n.mu.Unlock()
		return err
	}
	ended := make(chan struct{})
	n.ended = ended
	process := n.process
	n.mu.Unlock()
	go func() { process.Wait(); close(ended) }()
	return n.await("answer", func(int) bool { return true })
}

// unseal opens the storage and waits until the node is the active one.
func (n *node) unseal() error {
	if _, err := n.ask("PUT", "sys/unseal", "", "", map[string]any{"key": n.key}, nil); err != nil {
		return err
	}
	return n.await("be active", func(status int) bool {
		return status == http.StatusOK || n.member && status == http.StatusTooManyRequests
	})
}

// await polls the node's health.
func (n *node) await(what string, good func(status int) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		status, err := n.ask("GET", "sys/health", "", "", nil, nil)
		if err == nil && good(status) {
			return nil
		}
		select {
		case <-n.ended:
			return fmt.Errorf("the server ended before it could %s\n%s", what, n.logged())
		case <-ctx.Done():
			return fmt.Errorf("the server does not %s (%d, %v)\n%s", what, status, err, n.logged())
		case <-ticker.C:
		}
	}
}

// logged is what the server printed; only of one that has ended is it complete.
func (n *node) logged() string {
	n.kill()
	return n.log.String()
}

// kill ends the process without any goodbye.
func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return
	}
	n.process.Process.Kill()
	<-n.ended
	n.process = nil
}
