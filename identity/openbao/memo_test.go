package openbao

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"peerage/identity"
)

// Pages that need the same of a server that hangs do not wait one after the
// other: whoever cannot ask in time gets the last answer, or hears that there is
// none.
func TestNobodyWaitsForAllWhoAskedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := false
		m := memo[string]{now: time.Now, ask: func(ctx context.Context) (string, error) {
			if !hangs {
				return "known", nil
			}
			ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
			defer cancel()
			<-ctx.Done()
			return "", &Error{Kind: identity.ErrUnavailable}
		}}
		many := func(check func(value string, err error)) {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					begun := time.Now()
					value, err := m.get(t.Context())
					check(value, err)
					if taken := time.Since(begun); taken > DefaultTimeout {
						t.Errorf("somebody waited %s", taken)
					}
				})
			}
			all.Wait()
		}
		hangs = true
		many(func(_ string, err error) { wantKind(t, err, identity.ErrUnavailable) })
		hangs = false
		many(func(value string, err error) {
			if value != "known" || err != nil {
				t.Errorf("%q, %v", value, err)
			}
		})
		time.Sleep(memoFresh)
		hangs = true
		many(func(value string, err error) {
			if value != "known" || err != nil {
				t.Errorf("the last answer is %q, %v", value, err)
			}
		})
	})
}
