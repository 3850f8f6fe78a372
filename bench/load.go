package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// job is what a load process is told; measured what it answers.
type job struct {
	Scenario string
	World    world
	Address  string
	Time     time.Duration
	Workers  int
	Pause    time.Duration // between two rounds of a worker
}

type measured struct {
	Rounds   int
	Time     time.Duration
	P50, P99 time.Duration
	CPU      time.Duration // of the load itself
	// Late are rounds that the server gave up, because OpenBao took too long; they
	// are no Rounds.
	Late int
}

func (m measured) rate() float64 { return float64(m.Rounds) / m.Time.Seconds() }

// plus adds another measurement of the same; the percentiles are the larger.
func (m measured) plus(o measured) measured {
	return measured{Rounds: m.Rounds + o.Rounds, Time: m.Time + o.Time, P50: max(m.P50, o.P50), P99: max(m.P99, o.P99), CPU: m.CPU + o.CPU, Late: m.Late + o.Late}
}

// errLate ends a round that does not count.
var errLate = errors.New("the server did not wait any longer")

// errEnough ends a worker whose supply is spent.
var errEnough = errors.New("nothing is left to send")

// loadMain runs as a process: it reads a job, says "ready", waits for a line
// and then sends what it can.
func loadMain() error {
	input := bufio.NewReader(os.Stdin)
	var j job
	line, err := input.ReadBytes('\n')
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, &j); err != nil {
		return err
	}
	known := slices.Concat(scenarios(&j.World), []scenario{bareScenario()}, openBaoScenarios())
	index := slices.IndexFunc(known, func(s scenario) bool { return s.Name == j.Scenario })
	s := known[index]
	steps := make([]func() error, j.Workers)
	for i := range steps {
		c, err := dial(j.Address)
		if err != nil {
			return err
		}
		if steps[i], err = s.prepare(&j.World, i, c); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	if _, err := input.ReadBytes('\n'); err != nil {
		return err
	}
	result, err := j.drive(steps)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func (j job) drive(steps []func() error) (measured, error) {
	before, begun := ownCPU(), time.Now()
	deadline := begun.Add(j.Time)
	var mu sync.Mutex
	var times []time.Duration
	var failed error
	late := 0
	var all sync.WaitGroup
	for _, step := range steps {
		all.Go(func() {
			own := make([]time.Duration, 0, 1<<14)
			var err error
			tooLate := 0
			for now := time.Now(); now.Before(deadline); {
				if err = step(); errors.Is(err, errLate) {
					tooLate++
					err, now = nil, time.Now()
					continue
				}
				if err != nil {
					break
				}
				then := time.Now()
				own = append(own, then.Sub(now))
				if j.Pause > 0 {
					time.Sleep(j.Pause)
					then = time.Now()
				}
				now = then
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, own...)
			late += tooLate
			if err != nil && !errors.Is(err, errEnough) {
				failed = err
			}
		})
	}
	all.Wait()
	taken := time.Since(begun)
	if failed == nil && len(times) == 0 {
		failed = errEnough
		if late > 0 {
			failed = errLate
		}
	}
	if failed != nil {
		return measured{}, fmt.Errorf("after %d rounds: %w", len(times), failed)
	}
	slices.Sort(times)
	at := func(p float64) time.Duration { return times[int(math.Ceil(p*float64(len(times))))-1] }
	return measured{Rounds: len(times), Time: taken, P50: at(.50), P99: at(.99), CPU: ownCPU() - before, Late: late}, nil
}

func ownCPU() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // cannot fail for oneself
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// load is a load process that is ready to begin.
type load struct {
	cmd *exec.Cmd
	in  *json.Encoder
	raw interface{ Write([]byte) (int, error) }
	out *bufio.Reader
}

func startLoad(ctx context.Context, j job) (*load, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "load")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	l := &load{cmd, json.NewEncoder(in), in, bufio.NewReader(out)}
	if err := l.in.Encode(j); err != nil {
		return nil, err
	}
	if _, err := l.out.ReadString('\n'); err != nil {
		_ = cmd.Wait()
		return nil, fmt.Errorf("the load did not get ready: %w", err)
	}
	return l, nil
}

func (l *load) begin() error {
	_, err := l.raw.Write([]byte("go\n"))
	return err
}

func (l *load) finish() (measured, error) {
	var m measured
	err := json.NewDecoder(l.out).Decode(&m)
	if waited := l.cmd.Wait(); waited != nil {
		err = waited
	}
	return m, err
}

// result is one line of the table.
type result struct {
	measured
	ServerCPU   time.Duration
	Allocations float64
	Beside      measured
}

// measure drives one scenario against the server.
func measure(ctx context.Context, s *server, sc scenario, o options) (result, error) {
	workers := o.workers
	if sc.Workers > 0 {
		workers = sc.Workers
	}
	l, err := startLoad(ctx, job{Scenario: sc.Name, World: *s.world, Address: s.Address, Time: o.seconds, Workers: workers})
	if err != nil {
		return result{}, err
	}
	var beside *load
	if sc.Beside {
		beside, err = startLoad(ctx, job{Scenario: "userinfo", World: *s.world, Address: s.Address, Time: o.seconds, Workers: 2, Pause: walkingPace})
		if err != nil {
			return result{}, err
		}
	}
	profiled := s.profile(o, sc.Name)
	cpu, allocations := s.cpu(), s.allocations()
	if err := l.begin(); err != nil {
		return result{}, err
	}
	if beside != nil {
		if err := beside.begin(); err != nil {
			return result{}, err
		}
	}
	var r result
	if r.measured, err = l.finish(); err != nil {
		return result{}, err
	}
	r.ServerCPU, r.Allocations = s.cpu()-cpu, s.allocations()-allocations
	if beside != nil {
		if r.Beside, err = beside.finish(); err != nil {
			return result{}, err
		}
	}
	return r, <-profiled
}
