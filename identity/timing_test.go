package identity_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/local"
)

// Nobody learns from the time of an answer who has an account (CVE-2025-54999).
// Unknown names, wrong passwords and disabled people are tried in turns, and
// Welch's t-test compares the times. Passwords are cheaper here than in truth, so
// that what stands around the comparison shows too; a busy machine gets three tries.
func TestResponseTimesDoNotTellWhoHasAnAccount(t *testing.T) {
	p := identity.NewTestPasswords(t, 512, 4) // KiB: half a millisecond
	w := newWorld(t, func(_ *identity.Config, d *identity.Deps) {
		d.Passwords, d.Backends = p, []identity.Backend{local.New(d.Store, p, d.Now)}
	})
	w.person("ada")
	disabled := w.person("bob")
	if err := w.SetDisabled(w.ctx, disabled, true); err != nil {
		t.Fatal(err)
	}
	const rounds, limit = 120, 4.5
	var worst float64
	for range 3 {
		times := map[string][]float64{}
		for i := range rounds {
			for _, name := range []string{"ada", "bob", fmt.Sprintf("nobody%d", i)} {
				w.clock.Advance(time.Hour) // no throttle in the way
				begun := time.Now()
				_, err := w.SignIn(w.ctx, identity.Browser{ID: identity.NewSecret()}, name, "wrong password")
				taken := time.Since(begun)
				if err == nil {
					t.Fatalf("%s came in with a wrong password", name)
				}
				kind := name
				if name != "ada" && name != "bob" {
					kind = "nobody"
				}
				times[kind] = append(times[kind], taken.Seconds())
			}
		}
		worst = max(math.Abs(welch(times["ada"], times["nobody"])), math.Abs(welch(times["bob"], times["nobody"])))
		if worst < limit {
			return
		}
		t.Logf("t = %.1f, once more", worst)
	}
	t.Fatalf("the times differ: t = %.1f, want less than %.1f", worst, limit)
}

// welch is the statistic of Welch's t-test, without the slowest tenth of each
// sample: what the scheduler did says nothing about us.
func welch(a, b []float64) float64 {
	ma, va, na := trimmed(a)
	mb, vb, nb := trimmed(b)
	return (ma - mb) / math.Sqrt(va/na+vb/nb)
}

func trimmed(sample []float64) (mean, variance, n float64) {
	sorted := slices.Sorted(slices.Values(sample))
	kept := sorted[:len(sorted)*9/10]
	n = float64(len(kept))
	for _, x := range kept {
		mean += x / n
	}
	for _, x := range kept {
		variance += (x - mean) * (x - mean) / (n - 1)
	}
	return mean, variance, n
}
