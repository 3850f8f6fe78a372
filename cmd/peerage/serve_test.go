package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/identity"
	"peerage/store"
)

// logBuffer collects log lines of several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is everything so far.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testSettings are the settings of a server in a directory of its own.
func testSettings(t *testing.T, pairs ...string) Settings {
	t.Helper()
	s, err := readSettings(newSettingFlags(), append([]string{"PEERAGE_ISSUER=https://localhost", "PEERAGE_SECRET_KEY=" + testSecretKey,
		"PEERAGE_DATABASE=" + filepath.Join(t.TempDir(), "peerage.db")}, pairs...), "PEERAGE_ISSUER", "PEERAGE_SECRET_KEY")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testServer(t *testing.T, pairs ...string) (*server, *logBuffer) {
	t.Helper()
	var lines logBuffer
	s := testSettings(t, pairs...)
	server, err := newServer(t.Context(), s, serverOptions{log: newLogger(&lines, s), now: time.Now})
	if err != nil {
		t.Fatalf("making a server: %v", err)
	}
	return server, &lines
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A request in flight finishes after the signal to stop, with the store still
// open; a new one finds nobody.
func TestServeStopsGracefully(t *testing.T) {
	server, lines := testServer(t)
	began, goOn := make(chan struct{}), make(chan struct{})
	server.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-goOn
		if err := server.store.Ping(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "finished")
	})
	ctx, stop := context.WithCancel(t.Context())
	public, ops := listenLocal(t), listenLocal(t)
	served := make(chan error, 1)
	go func() { served <- server.serveOn(ctx, public, ops, nil) }()
	type answer struct {
		body string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		response, err := http.Get("http://" + public.Addr().String())
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		answers <- answer{string(body), err}
	}()
	<-began
	stop()
	waitFor(t, "the listener to close", func() bool {
		conn, err := net.Dial("tcp", public.Addr().String())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-served:
		t.Fatalf("the server stopped under a request: %v", err)
	default:
	}
	close(goOn)
	if a := <-answers; a.err != nil || a.body != "finished" {
		t.Errorf("the request in flight got %q, %v", a.body, a.err)
	}
	if err := <-served; err != nil {
		t.Errorf("serving: %v", err)
	}
	if err := server.close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	if !strings.Contains(lines.String(), "msg=stopped") {
		t.Errorf("the log does not say that it stopped:\n%s", lines)
	}
}

// waitFor polls until done, with a deadline.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestServeTLS(t *testing.T) {
	certFile, keyFile := writeCertificate(t, t.TempDir(), 7)
	server, _ := testServer(t, "PEERAGE_TLS_CERT="+certFile, "PEERAGE_TLS_KEY="+keyFile)
	ctx, stop := context.WithCancel(t.Context())
	public := listenLocal(t)
	served := make(chan error, 1)
	go func() { served <- server.serveOn(ctx, public, nil, nil) }()
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Get("https://" + public.Addr().String() + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 || response.ProtoMajor != 2 || response.TLS.PeerCertificates[0].SerialNumber.Int64() != 7 {
		t.Errorf("answer %d by HTTP/%d with certificate %v, want 200 by HTTP/2 with certificate 7", response.StatusCode, response.ProtoMajor, response.TLS.PeerCertificates[0].SerialNumber)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Errorf("serving: %v", err)
	}
	server.close()
}

// The group that the settings name exists, whatever its name, so that the
// command of the warning works.
func TestServeMakesTheAdminGroup(t *testing.T) {
	server, lines := testServer(t, "PEERAGE_ADMIN_GROUP=noc", "PEERAGE_REQUIRE_MFA=off")
	defer server.close()
	server.warnings(t.Context())
	if !strings.Contains(lines.String(), "peerage user create NAME --group noc") {
		t.Errorf("the log does not say how to make an administrator:\n%s", lines)
	}
	_, err := server.directory.CreateUser(t.Context(), identity.NewUser{Username: "ada", Groups: []string{"noc"}})
	if err != nil {
		t.Fatalf("making an administrator: %v", err)
	}
	if has, err := server.directory.HasAdmin(t.Context()); !has || err != nil {
		t.Errorf("HasAdmin = %t, %v after making one", has, err)
	}
}

// A certificate that cannot be read stops the start before a database is made.
func TestServeBadCertificate(t *testing.T) {
	s := testSettings(t, "PEERAGE_TLS_CERT=/nowhere/cert.pem", "PEERAGE_TLS_KEY=/nowhere/key.pem")
	log := slog.New(slog.DiscardHandler)
	_, err := newServer(t.Context(), s, serverOptions{log: log, now: time.Now})
	if err == nil || !strings.Contains(err.Error(), "PEERAGE_TLS_CERT") {
		t.Errorf("starting with a missing certificate: %v", err)
	}
	if _, err := openStore(t.Context(), s, log, time.Now); err == nil || !strings.Contains(err.Error(), store.ErrNoDatabase.Error()) {
		t.Errorf("opening the database afterwards: %v, want none there", err)
	}
}
