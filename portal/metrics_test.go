package portal_test

import (
	"testing"

	"peerage/portal/portaltest"
)

// metric adds up the samples of a family whose labels have these values:
// counters and gauges by their value, histograms by their count.
func metric(t *testing.T, site *portaltest.Site, name string, pairs ...string) (sum float64) {
	t.Helper()
	families, err := site.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	samples:
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			for i := 0; i < len(pairs); i += 2 {
				if labels[pairs[i]] != pairs[i+1] {
					continue samples
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		return sum
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
