package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
	_ "modernc.org/sqlite"
)

// limits are what the machine itself can do, per second, on all its cores.
type limits map[string]float64

var limitNames = []string{"rsa", "ecdsa", "argon2id", "commit"}

// measureLimits runs each limit in a process of its own.
func measureLimits(ctx context.Context, dir string, o options) (limits, error) {
	all := limits{}
	for _, name := range limitNames {
		cmd := exec.CommandContext(ctx, os.Args[0], "limit", name, dir, o.seconds.String())
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("measuring the limit %s: %w", name, err)
		}
		var rate float64
		if err := json.Unmarshal(out, &rate); err != nil {
			return nil, err
		}
		all[name] = rate
	}
	bare, err := measureBare(ctx, dir, o)
	all["http"] = bare
	return all, err
}

// limitMain is such a process: it prints a rate, or serves bare answers.
func limitMain(args []string) error {
	if args[0] == "serve" {
		return serveBare(args[1])
	}
	seconds, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	var rate float64
	switch args[0] {
	case "rsa":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return err
		}
		rate, err = onAllCores(seconds, func(sum []byte) error {
			_, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum)
			return err
		})
		if err != nil {
			return err
		}
	case "ecdsa":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		if rate, err = onAllCores(seconds, func(sum []byte) error {
			_, err := ecdsa.SignASN1(rand.Reader, key, sum)
			return err
		}); err != nil {
			return err
		}
	case "argon2id":
		params := &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
		if rate, err = onAllCores(seconds, func([]byte) error {
			_, err := argon2id.CreateHash(password, params)
			return err
		}); err != nil {
			return err
		}
	case "commit":
		if rate, err = commits(filepath.Join(args[1], "limit.db"), seconds); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(rate)
}

func onAllCores(seconds time.Duration, f func(sum []byte) error) (float64, error) {
	sum := sha256.Sum256([]byte("bench"))
	var n atomic.Int64
	var failed atomic.Pointer[error]
	begun := time.Now()
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for time.Since(begun) < seconds && failed.Load() == nil {
				if err := f(sum[:]); err != nil {
					failed.Store(&err)
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(n.Load()) / time.Since(begun).Seconds(), nil
}

// commits counts one small row a commit, durable each, one after the other.
func commits(path string, seconds time.Duration) (float64, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, hash BLOB UNIQUE, at BIGINT)"); err != nil {
		return 0, err
	}
	insert, err := db.Prepare("INSERT INTO t (hash, at) VALUES ($1, $2)")
	if err != nil {
		return 0, err
	}
	n, begun := 0, time.Now()
	for ; time.Since(begun) < seconds; n++ {
		sum := sha256.Sum256([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
		if _, err := insert.Exec(sum[:], n); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}

// bareBody is about as large as our documents.
var bareBody = make([]byte, 1500)

func bareScenario() scenario {
	return scenario{Name: "bare", prepare: same(func(*world, int) []byte { return get("/bare", "") })}
}

func serveBare(address string) error {
	http.HandleFunc("GET /bare", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(bareBody) // a caller who is gone is no fault of the limit
	})
	return http.ListenAndServe(address, nil)
}

// measureBare drives a net/http server that does nothing with the same load.
func measureBare(ctx context.Context, dir string, o options) (float64, error) {
	address, err := freeAddress()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "limit", "serve", address, dir)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // killed by us
	}()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		conn.Close()
		l, err := startLoad(ctx, job{Scenario: "bare", Address: address, Time: o.seconds, Workers: o.workers})
		if err != nil {
			return 0, err
		}
		if err := l.begin(); err != nil {
			return 0, err
		}
		m, err := l.finish()
		return float64(m.Rounds) / m.Time.Seconds(), err
	}
	return 0, fmt.Errorf("the bare server did not start")
}
