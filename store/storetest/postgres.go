package storetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is the PostgreSQL of this test binary, started by the first test
// that wants it. It dies with the binary.
var server = sync.OnceValues(startPostgres)

// Postgres gives the address of a fresh, empty database on a real PostgreSQL.
// Where none is installed the test is skipped, or fails when
// PEERAGE_TEST_REQUIRE=all.
func Postgres(t testing.TB) string {
	t.Helper()
	address, err := server()
	if errors.Is(err, errNoPostgres) && os.Getenv("PEERAGE_TEST_REQUIRE") != "all" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("starting PostgreSQL: %v", err)
	}
	name := fmt.Sprintf("t%d_%d", os.Getpid(), time.Now().UnixNano())
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, address+"/postgres")
	if err != nil {
		t.Fatalf("reaching PostgreSQL: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("making a database: %v", err)
	}
	return address + "/" + name
}

var errNoPostgres = errors.New("PostgreSQL is not installed: run scripts/test-servers postgres")

// startPostgres runs a server in a temporary directory on a free port of
// loopback, as another user when we are root, for it refuses to run as root.
// Durability is off: these databases die with the test, SQLite's are measured.
func startPostgres() (address string, err error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errNoPostgres
	}
	bin := filepath.Dir(found[len(found)-1])
	removeLeftovers()
	dir, err := os.MkdirTemp("", "peerage-postgres-")
	if err != nil {
		return "", err
	}
	var credential *syscall.Credential
	if os.Geteuid() == 0 {
		if credential, err = someoneElse(); err != nil {
			return "", err
		}
		if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
			return "", err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	initdb.Dir = dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	run := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
	run.Dir = dir
	var log strings.Builder
	run.Stderr = &log
	run.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Pdeathsig: syscall.SIGQUIT}
	if err := run.Start(); err != nil {
		return "", err
	}
	// Once it has ended nobody needs its files; while it runs they are in use.
	go func() { run.Wait(); os.RemoveAll(dir) }()
	address = fmt.Sprintf("postgres://postgres@127.0.0.1:%d", port)
	return address, waitFor(address + "/postgres")
}

// removeLeftovers deletes the files of servers that died with earlier test
// binaries: a process that is killed cannot tidy up.
func removeLeftovers() {
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), "peerage-postgres-*"))
	for _, dir := range old {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.RemoveAll(dir)
		}
	}
}

func someoneElse() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root and there is no other user")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// waitFor asks until the server answers, for half a minute at most.
func waitFor(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, address)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
