package identity

import (
	"context"
	"errors"
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

// userCodeThrottles bound who guesses the codes that devices show, by person
// and by address (RFC 8628 section 5.1).
func userCodeThrottles(username, network string) []store.Throttle {
	list := []store.Throttle{{Key: "user_code:" + username, Free: 10, Hard: true, Window: 15 * time.Minute}}
	if network != "" {
		list = append(list, store.Throttle{Key: "user_code_address:" + network, Free: 10, Hard: true, Window: 15 * time.Minute})
	}
	return list
}

// peeringDBThrottle slows who makes codes of PeeringDB's up: each costs requests of
// the few that it lets our address send, which everybody's sign-ins and checks need.
func peeringDBThrottle(network string) store.Throttle {
	return store.Throttle{Key: "peeringdb:" + network, Free: 20, MaxDelay: time.Minute, Window: 15 * time.Minute}
}

// takeAttempt counts an attempt before it is checked. Errors: *ThrottledError.
func (d *Directory) takeAttempt(ctx context.Context, rule string, throttles ...store.Throttle) error {
	wait, err := d.store.TakeAttempt(ctx, throttles...)
	if err == nil && wait > 0 {
		d.metrics.limited.WithLabelValues(rule).Inc()
		err = &ThrottledError{Wait: wait}
	}
	return err
}

// guess counts one try at a code, which check looks up. What is not the error
// wrong takes back itself alone and none of the wrong ones before: anybody can
// have a code of their own to send in between. Errors: *ThrottledError and what
// check returns.
func (d *Directory) guess(ctx context.Context, rule string, throttles []store.Throttle, wrong error, check func() error) error {
	if err := d.takeAttempt(ctx, rule, throttles...); err != nil {
		return err
	}
	err := check()
	if errors.Is(err, wrong) {
		return err
	}
	for _, t := range throttles {
		if err := d.store.ForgiveAttempt(context.WithoutCancel(ctx), t.Key, false); err != nil {
			return err
		}
	}
	return err
}

// TryUserCode counts one try at the code of a device, which check looks up.
// Errors: *ThrottledError and what check returns.
func (d *Directory) TryUserCode(ctx context.Context, u User, check func() error) error {
	return d.guess(ctx, "user_code", userCodeThrottles(u.Username, CallerFrom(ctx).Network), ErrWrongCode, check)
}

// attempt counts an attempt before it is checked, checks it, and takes the
// count back when it was right or when the backend could not say.
func (d *Directory) attempt(ctx context.Context, account store.Throttle, rule string, check func() error) error {
	throttles := []store.Throttle{account}
	address := addressThrottle(CallerFrom(ctx).Network)
	if CallerFrom(ctx).Network != "" {
		throttles = append(throttles, address)
	}
	if err := d.takeAttempt(ctx, rule, throttles...); err != nil {
		return err
	}
	err := check()
	// Who gave up while the backend did not answer has not guessed wrong.
	ctx = context.WithoutCancel(ctx)
	result := resultOf(err)
	if result == resultFailure {
		return err
	}
	var also []string
	if len(throttles) == 2 {
		also = append(also, address.Key)
	}
	// That it is unavailable says nothing about the password.
	if forgiven := d.store.ForgiveAttempt(ctx, account.Key, result == resultSuccess, also...); forgiven != nil {
		return forgiven
	}
	return err
}
