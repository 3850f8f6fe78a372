package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"peerage/store"
	"peerage/store/storetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"peerage": func() {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())
		stop()
		os.Exit(code)
	}})
}

// TestScript plays the command line as operators meet it, on SQLite.
func TestScript(t *testing.T) { playScripts(t, "sqlite", func() string { return "" }) }

// TestScriptOnPostgres plays the same; a story about a file skips itself.
func TestScriptOnPostgres(t *testing.T) {
	storetest.Postgres(t) // skips the test where there is none
	playScripts(t, "postgres", func() string { return storetest.Postgres(t) })
}

// playScripts gives each story the database of that address, or by default the
// file peerage.db.
func playScripts(t *testing.T, engine string, database func() string) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"PUBLIC", "OPS"} {
				e.Setenv(name, freeAddress(t))
			}
			// A binary with the race detector waits a second before it exits.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			e.Setenv("KEY", "a secret key of the tests, 32 bytes and more")
			e.Setenv("OTHERKEY", "another secret key of the tests, also long enough")
			if address := database(); address != "" {
				e.Setenv("PEERAGE_DATABASE", address)
			}
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition != "sqlite" && condition != "postgres" {
				return false, fmt.Errorf("the condition %q is not known", condition)
			}
			return condition == engine, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"await":  await,
			"hup":    hup,
			"schema": schema,
			"sql":    query,
			"sqlite": foreignDatabase,
			"fill":   fillKey,
		},
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("looking for a free port: %v", err)
	}
	defer l.Close()
	return l.Addr().String()
}

// exits runs a command that must end with a code: exits CODE COMMAND ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("running %s: %v", args[1], err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// await polls an address until it answers with a page or sends on to one: await URL
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await URL")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	poll(ts, args[0]+" to answer", func() bool {
		response, err := client.Get(args[0])
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK || response.StatusCode == http.StatusSeeOther
	})
}

func poll(ts *testscript.TestScript, what string, done func() bool) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			ts.Fatalf("waited in vain for %s", what)
		}
	}
}

// hup sends SIGHUP to the commands in the background.
func hup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: hup")
	}
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGHUP))
	}
}

// schema pretends that another version migrated a database, or takes that
// back: schema FILE VERSION|back
func schema(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: schema FILE VERSION|back")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	if args[1] == "back" {
		_, err = db.Exec("DELETE FROM schema_version WHERE migrated_at = 0")
	} else {
		_, err = db.Exec("INSERT INTO schema_version (version, migrated_at) VALUES (" + args[1] + ", 0)")
	}
	ts.Check(err)
}

// query polls a database until a query gives a value: sql FILE QUERY WANT. On
// PostgreSQL, peerage.db is the story's database there.
func query(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: sql FILE QUERY WANT")
	}
	driver, source := "sqlite", "file:"+ts.MkAbs(args[0])+"?_pragma=busy_timeout(5000)"
	if address := ts.Getenv("PEERAGE_DATABASE"); store.IsPostgres(address) && args[0] == "peerage.db" {
		driver, source = "pgx", address
	}
	db, err := sql.Open(driver, source)
	ts.Check(err)
	defer db.Close()
	var got string
	poll(ts, args[1]+" to give "+args[2], func() bool {
		var values []string
		rows, err := db.Query(args[1])
		ts.Check(err)
		defer rows.Close()
		for rows.Next() {
			var v string
			ts.Check(rows.Scan(&v))
			values = append(values, v)
		}
		ts.Check(rows.Err())
		got = strings.Join(values, " ")
		return got == args[2]
	})
}

// foreignDatabase makes the database of another program: sqlite FILE STATEMENTS
func foreignDatabase(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sqlite FILE STATEMENTS")
	}
	db, err := sql.Open("sqlite", "file:"+ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(ts.ReadFile(args[1]))
	ts.Check(err)
}

// scriptKey is one RSA key for all stories: to make one takes long.
var scriptKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

// fillKey puts a private key into a file: @KEY@ stands for its PEM and
// @KEY-IN-ONE-LINE@ for the same with its line ends spelled out: fill FROM TO
func fillKey(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill FROM TO")
	}
	filled := strings.NewReplacer("@KEY@", strings.TrimSpace(scriptKey()), "@KEY-IN-ONE-LINE@", strings.ReplaceAll(scriptKey(), "\n", `\n`)).Replace(ts.ReadFile(args[0]))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(filled), 0o600))
}
