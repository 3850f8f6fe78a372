package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a running peerage.
type server struct {
	*world
	cmd *exec.Cmd
}

// startServer starts the binary with no limit of requests and its log in a
// file, as a service manager would keep it, and waits until it answers.
func startServer(ctx context.Context, w *world, binary string) (*server, error) {
	s, err := launch(ctx, w, binary)
	if err != nil {
		return nil, err
	}
	// The keys beyond the first are made behind the start.
	for range 600 {
		if body, err := s.get("http://" + s.Address + "/.well-known/jwks.json"); err == nil && strings.Count(body, `"kid"`) >= 6 {
			return s, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return nil, errors.New("the server did not make its keys")
}

func launch(ctx context.Context, w *world, binary string) (*server, error) {
	var err error
	if w.Address, err = freeAddress(); err != nil {
		return nil, err
	}
	if w.Ops, err = freeAddress(); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(w.Database+".log", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Dir = filepath.Dir(w.Database)
	if !filepath.IsAbs(binary) {
		if cmd.Path, err = filepath.Abs(binary); err != nil {
			return nil, err
		}
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PEERAGE_ISSUER=" + issuer, "PEERAGE_DATABASE=" + w.Database, "PEERAGE_SECRET_KEY=" + secretKey,
		"PEERAGE_LISTEN=" + w.Address, "PEERAGE_OPS_LISTEN=" + w.Ops, "PEERAGE_RATE_LIMIT=0", "PEERAGE_CLIENTS=" + clients()}
	cmd.Env = append(cmd.Env, w.Env...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{w, cmd}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Microsecond) {
		if conn, err := net.Dial("tcp", w.Address); err == nil {
			conn.Close()
			if _, err := s.get("http://" + w.Address + "/.well-known/openid-configuration"); err == nil {
				return s, nil
			}
		}
	}
	s.stop()
	text, _ := os.ReadFile(w.Database + ".log")
	return nil, fmt.Errorf("the server did not start:\n%s", text)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait() // it ends by our signal
}

func (s *server) get(address string) (string, error) {
	response, err := http.Get(address)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return string(body), err
}

// memory is the resident set in bytes, 0 when it cannot be read.
func (s *server) memory() int64 {
	file, err := os.Open("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// cpu is the CPU time that the server has used.
func (s *server) cpu() time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	const ticks = 100 // USER_HZ on Linux
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticks
}

// allocations are all that the server made, from its metrics.
func (s *server) allocations() float64 {
	body, err := s.get("http://" + s.Ops + "/metrics")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, "go_memstats_mallocs_total "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return n
		}
	}
	return 0
}
