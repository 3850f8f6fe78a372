package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report prints what was measured, as a table of Markdown.
type report struct{ o options }

func newReport(o options) report { return report{o} }

func (r report) machine() {
	cpu := "unknown CPU"
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if name, ok := strings.CutPrefix(lines.Text(), "model name\t: "); ok {
				cpu = name
				break
			}
		}
	}
	fmt.Printf("%s, %d cores, %s, %s/%s\n", cpu, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func (r report) limits(l limits) {
	fmt.Printf("limits of the machine, all cores: bare HTTP %.0f/s, RSA-2048 %.0f/s, P-256 %.0f/s, argon2id %.1f/s; durable commits %.0f/s\n\n",
		l["http"], l["rsa"], l["ecdsa"], l["argon2id"], l["commit"])
}

func (r report) head() {
	fmt.Println("| | per second | p50 | p99 | server CPU | allocations | load CPU | of limit | of the server's share | aim |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
}

// line prints one scenario. "Of limit" compares with the whole machine, "of
// the server's share" with the cores that the load left to the server.
func (r report) line(s scenario, m result, l limits) {
	rate := float64(m.Rounds) / m.Time.Seconds()
	each := func(d time.Duration) time.Duration { return (d / time.Duration(m.Rounds)).Round(time.Microsecond) }
	cores := float64(runtime.NumCPU())
	left := cores - (m.CPU+m.Beside.CPU).Seconds()/m.Time.Seconds()
	aim := ""
	if s.Aim > 0 {
		aim = fmt.Sprintf("%.0f %%", s.Aim*100)
	}
	if s.Least > 0 {
		aim = fmt.Sprintf("%.0f/s", s.Least)
	}
	if s.Within > 0 {
		aim = "p50 ≤ " + s.Within.String()
	}
	share, limit := "–", "–"
	if s.Limit != "" {
		limit = fmt.Sprintf("%.0f %%", 100*rate/l[s.Limit])
	}
	if s.Limit == "rsa" || s.Limit == "ecdsa" || s.Limit == "argon2id" {
		share = fmt.Sprintf("%.0f %%", 100*rate/(l[s.Limit]*left/cores))
	}
	fmt.Printf("| %s | %.0f | %s | %s | %s | %.0f | %s | %s | %s | %s |\n", s.Name, rate, short(m.P50), short(m.P99),
		each(m.ServerCPU), m.Allocations/float64(m.Rounds), each(m.CPU), limit, share, aim)
	if s.Beside {
		fmt.Printf("| – UserInfo meanwhile | %.0f | %s | %s | | | | | | p99 < 20 ms |\n",
			float64(m.Beside.Rounds)/m.Beside.Time.Seconds(), short(m.Beside.P50), short(m.Beside.P99))
	}
}

func short(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

// starts measures from the start of the process to the first answer.
func (r report) starts(ctx context.Context, dir string, w *world, o options) error {
	const times = 5
	var warm, fresh []time.Duration
	first, err := startServer(ctx, w, o.binary) // makes the keys
	if err != nil {
		return err
	}
	first.stop()
	for i := range times {
		for _, c := range []struct {
			world world
			list  *[]time.Duration
		}{{*w, &warm}, {world{Database: filepath.Join(dir, fmt.Sprintf("fresh%d.db", i))}, &fresh}} {
			begun := time.Now()
			s, err := launch(ctx, &c.world, o.binary)
			if err != nil {
				return err
			}
			*c.list = append(*c.list, time.Since(begun))
			s.stop()
		}
	}
	slices.Sort(warm)
	slices.Sort(fresh)
	fmt.Printf("start to first answer, median of %d: warm %s (aim 15 ms), fresh %s (aim 80 ms)\n", times,
		warm[times/2].Round(100*time.Microsecond), fresh[times/2].Round(100*time.Microsecond))
	return nil
}

func (r report) size(idle, after int64) {
	binary := int64(0)
	if info, err := os.Stat(r.o.binary); err == nil {
		binary = info.Size()
	}
	fmt.Printf("\nresident memory idle %.1f MB (aim 30 MB), after the run %.1f MB; binary %.1f MB (aim 40 MB)\n",
		float64(idle)/1e6, float64(after)/1e6, float64(binary)/1e6)
}

// profile fetches a CPU profile while a scenario runs, when one is wanted.
func (s *server) profile(o options, name string) <-chan error {
	done := make(chan error, 1)
	if o.keep == "" {
		done <- nil
		return done
	}
	go func() {
		done <- func() error {
			response, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.Ops, max(1, int(o.seconds.Seconds()))))
			if err != nil {
				return err
			}
			defer response.Body.Close()
			file, err := os.Create(filepath.Join(o.keep, strings.ReplaceAll(name, " ", "-")+".pprof"))
			if err != nil {
				return err
			}
			defer file.Close()
			_, err = io.Copy(file, response.Body)
			return err
		}()
	}()
	return done
}
