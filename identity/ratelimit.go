package identity

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// RateLimiter bounds the requests of one network, to shield the processor.
// It counts in this process only; wrong passwords are counted in the store.
type RateLimiter struct {
	limit rate.Limit
	burst int
	now   func() time.Time

	mu      sync.Mutex
	buckets map[string]*bucket
	swept   time.Time
}

type bucket struct {
	limiter *rate.Limiter
	seen    time.Time
}

// idleBucket is how long a silent network is remembered.
const idleBucket = 10 * time.Minute

// NewRateLimiter allows perSecond requests and a burst for each network; 0
// allows everything.
func NewRateLimiter(perSecond float64, burst int, now func() time.Time) *RateLimiter {
	return &RateLimiter{limit: rate.Limit(perSecond), burst: burst, now: now, buckets: map[string]*bucket{}}
}

// Take counts one request. When it is over the limit it is not counted, and
// wait tells when the next one may come.
func (l *RateLimiter) Take(network string) (wait time.Duration) {
	if l.limit <= 0 || network == "" {
		return 0
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b := l.buckets[network]
	if b == nil {
		b = &bucket{limiter: rate.NewLimiter(l.limit, l.burst)}
		l.buckets[network] = b
	}
	b.seen = now
	reservation := b.limiter.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// Wait tells how long a network is over its limit, without counting a request.
func (l *RateLimiter) Wait(network string) time.Duration {
	if l.limit <= 0 {
		return 0
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[network]
	if b == nil {
		return 0
	}
	missing := 1 - b.limiter.TokensAt(now)
	return max(0, time.Duration(missing/float64(l.limit)*float64(time.Second)))
}

// sweep forgets silent networks, whose buckets are full again anyway.
func (l *RateLimiter) sweep(now time.Time) {
	if now.Sub(l.swept) <= idleBucket {
		return
	}
	l.swept = now
	for key, b := range l.buckets {
		if now.Sub(b.seen) > idleBucket {
			delete(l.buckets, key)
		}
	}
}
