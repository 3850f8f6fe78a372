package identity

import (
	"context"
	"time"

	"peerage/store"
)

// Wrong passwords slow an account and an address down, never lock them: a
// lock would let anyone shut anyone out. Codes are only six digits, so they
// have a hard limit as well, over all sessions, addresses and replicas
// (CVE-2025-64102).
func accountThrottle(username string) store.Throttle {
	return store.Throttle{Key: "account:" + username, Free: 5, MaxDelay: time.Minute, Window: 15 * time.Minute}
}

func addressThrottle(network string) store.Throttle {
	return store.Throttle{Key: "address:" + network, Free: 20, MaxDelay: time.Minute, Window: 15 * time.Minute}
}

func codeThrottle(username string) store.Throttle {
	return store.Throttle{Key: "code:" + username, Free: 10, Hard: true, Window: 15 * time.Minute}
}

// attempt counts an attempt before it is checked, checks it, and takes the
// count back when it was right or when the backend could not say.
func (d *Directory) attempt(ctx context.Context, account store.Throttle, rule string, check func() error) error {
	throttles := []store.Throttle{account}
	address := addressThrottle(CallerFrom(ctx).Network)
	if CallerFrom(ctx).Network != "" {
		throttles = append(throttles, address)
	}
	wait, err := d.store.TakeAttempt(ctx, throttles...)
	if err != nil {
		return err
	}
	if wait > 0 {
		d.metrics.limited.WithLabelValues(rule).Inc()
		return &ThrottledError{Wait: wait}
	}
	err = check()
	// Who gave up while the backend did not answer has not guessed wrong.
	ctx = context.WithoutCancel(ctx)
	switch resultOf(err) {
	case resultSuccess:
		if err := d.store.ForgiveAttempt(ctx, account.Key, true); err != nil {
			return err
		}
	case resultFailure:
		return err
	default: // unavailable says nothing about the password
		if err := d.store.ForgiveAttempt(ctx, account.Key, false); err != nil {
			return err
		}
	}
	if len(throttles) == 2 {
		if err := d.store.ForgiveAttempt(ctx, address.Key, false); err != nil {
			return err
		}
	}
	return err
}
