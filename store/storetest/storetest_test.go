package storetest_test

import (
	"sync"
	"testing"
	"time"

	"peerage/store/storetest"
)

func TestOpenGivesFreshMigratedStores(t *testing.T) {
	for _, engine := range storetest.Engines() {
		t.Run(engine.Name, func(t *testing.T) {
			one, other := storetest.OpenOn(t, engine), storetest.OpenOn(t, engine)
			if err := one.CheckSchema(t.Context()); err != nil {
				t.Fatalf("CheckSchema: %v", err)
			}
			if err := one.PutSetting(t.Context(), "backend", "local"); err != nil {
				t.Fatalf("PutSetting: %v", err)
			}
			if v, err := other.Setting(t.Context(), "backend"); err == nil {
				t.Fatalf("another fresh store holds %q", v)
			}
		})
	}
}

func TestClockAdvancesUnderConcurrentUse(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := storetest.NewClock(begin)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			clock.Advance(time.Second)
			if clock.Now().Before(begin.Add(time.Second)) {
				t.Error("the clock went back")
			}
		})
	}
	all.Wait()
	if got := clock.Now().Sub(begin); got != 64*time.Second {
		t.Fatalf("64 steps of a second made %v", got)
	}
}
