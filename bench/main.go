// Command bench measures a built peerage against the limits of the machine it
// runs on: bare HTTP answers, signatures, durable commits and password hashes,
// all measured in the same run. It prints one table.
//
// The server, the load and each limit run as processes of their own, so that
// the CPU time of each is known.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// options are what the person who measures decides.
type options struct {
	binary   string
	seconds  time.Duration // of each measurement
	workers  int           // connections of the load generator
	people   int           // seeded
	tokens   int           // seeded access tokens
	events   int           // seeded rows of the audit trail
	only     string        // one scenario, "" for all
	keep     string        // where to leave the server's CPU profile, "" for none
	openbao  bool          // measure sign-ins over OpenBao, and nothing else
	bao      string        // the OpenBao to start for that
	database string        // a seeded database to use again, "" for a fresh one
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "load":
			exit(loadMain())
		case "limit":
			exit(limitMain(os.Args[2:]))
		}
	}
	var o options
	flag.StringVar(&o.binary, "binary", "bin/peerage", "the peerage to measure")
	flag.DurationVar(&o.seconds, "time", 4*time.Second, "how long each measurement takes")
	flag.IntVar(&o.workers, "workers", 16, "connections of the load generator")
	flag.IntVar(&o.people, "people", 100, "people in the store")
	flag.IntVar(&o.tokens, "tokens", 100, "access tokens in the store")
	flag.IntVar(&o.events, "events", 1000, "rows of the audit trail in the store")
	flag.StringVar(&o.only, "only", "", "measure this scenario alone")
	flag.StringVar(&o.keep, "profile", "", "write CPU profiles of the server into this directory")
	flag.BoolVar(&o.openbao, "openbao", false, "measure sign-ins of people who live in OpenBao, and nothing else")
	flag.StringVar(&o.bao, "bao", ".cache/openbao/bin/bao", "the OpenBao to start for -openbao")
	flag.StringVar(&o.database, "database", "", "use (or make and keep) this seeded database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, o options) error {
	report := newReport(o)
	report.machine()
	dir, err := os.MkdirTemp("", "peerage-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.openbao {
		return runOpenBao(ctx, dir, o)
	}
	world, err := seed(ctx, dir, o)
	if err != nil {
		return fmt.Errorf("seeding: %w", err)
	}
	limits, err := measureLimits(ctx, dir, o)
	if err != nil {
		return err
	}
	report.limits(limits)
	if o.only == "" {
		if err := report.starts(ctx, dir, world, o); err != nil {
			return err
		}
	}
	server, err := startServer(ctx, world, o.binary)
	if err != nil {
		return err
	}
	defer server.stop()
	report.head()
	idle := server.memory()
	for _, s := range scenarios(world) {
		if o.only != "" && o.only != s.Name {
			continue
		}
		result, err := measure(ctx, server, s, o)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		report.line(s, result, limits)
	}
	report.size(idle, server.memory())
	return ctx.Err()
}
