package openbao

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"peerage/identity"
)

// ServiceCredential is what an operator gives peerage: a token, or an AppRole.
type ServiceCredential struct {
	Token            string
	RoleID, SecretID string
}

// Words of Credential.State, as /readyz has them.
const (
	CredentialOK    = "ok"
	CredentialStale = "stale"
	CredentialDown  = "down"
)

const (
	// credentialRetry is how soon a renewal that failed is tried again, and
	// credentialLost how soon one that was refused.
	credentialRetry = 5 * time.Second
	credentialLost  = 30 * time.Second
	// credentialEndless is when a token without an end is looked up again.
	credentialEndless = 5 * time.Minute
)

// Credential keeps peerage's own token alive: it renews it when half of its
// life is over, and an AppRole signs in again when its token is gone. It is
// safe for concurrent use.
type Credential struct {
	// Source, where there is one, is asked for the credential again when the
	// one that was given is refused: another may be in its file by now. It is
	// set before the first use.
	Source func() (ServiceCredential, error)

	client *Client
	now    func() time.Time
	log    *slog.Logger
	wake   chan struct{}
	begun  sync.Once // the first try

	mu       sync.Mutex
	given    ServiceCredential
	token    string // "" while there is none
	expires  time.Time
	lifetime time.Duration // of the last renewal; 0: the token has no end
	fault    error         // of the last try, nil when it succeeded
}

// NewCredential makes a credential. Its first use gets the token; Run keeps it
// alive.
func NewCredential(client *Client, given ServiceCredential, now func() time.Time, log *slog.Logger) *Credential {
	return &Credential{client: client, given: given, now: now, log: log, wake: make(chan struct{}, 1), fault: errNotYet}
}

var errNotYet = &Error{Operation: "credential", Kind: identity.ErrUnavailable, Reason: "not there yet"}

// firstTry bounds how long those who come first wait for a token.
const firstTry = 2 * time.Second

// begin tries to have a token, once. Who comes meanwhile waits for it.
func (c *Credential) begin() (wait time.Duration) {
	c.begun.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), firstTry)
		defer cancel()
		wait = c.keep(ctx)
	})
	return wait
}

// GiveBack ends the token that an AppRole was given.
func (c *Credential) GiveBack() {
	c.mu.Lock()
	token, given := c.token, c.given
	c.token = ""
	c.mu.Unlock()
	if token == "" || given.Token != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), firstTry)
	defer cancel()
	if err := c.client.revoke(ctx, token); err != nil {
		c.log.WarnContext(ctx, "giving the service credential of OpenBao back; it ends by itself", "error", err)
	}
}

// Run keeps the token alive until ctx ends.
func (c *Credential) Run(ctx context.Context) {
	wait := c.begin()
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-c.wake:
			timer.Stop()
		}
		wait = c.keep(ctx)
	}
}

// Token gives the token. An error is an identity.ErrUnavailable.
func (c *Credential) Token() (string, error) {
	c.begin()
	return c.held()
}

// held is the token of now.
func (c *Credential) held() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == "" || !c.expires.IsZero() && !c.now().Before(c.expires) {
		reason := "no service credential"
		if c.fault != nil {
			reason += ": " + c.fault.Error()
		}
		return "", &Error{Operation: "credential", Kind: identity.ErrUnavailable, Reason: reason}
	}
	return c.token, nil
}

// Doubt says that OpenBao refused the token: it is looked up soon, and
// replaced where that can be. The caller need not know whether it was the
// token or a right that is missing.
func (c *Credential) Doubt() {
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

// TTL is how long the token lives yet, 0 when there is none, negative for one
// that has no end.
func (c *Credential) TTL() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.token == "":
		return 0
	case c.expires.IsZero():
		return -1
	}
	return max(0, c.expires.Sub(c.now()))
}

// State is CredentialOK, CredentialStale when the token is about to end (less
// than a quarter of its life is left) and CredentialDown when there is none.
// err says why it is not ok.
func (c *Credential) State() (state string, err error) {
	if _, err := c.held(); err != nil {
		return CredentialDown, err
	}
	ttl := c.TTL()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ttl >= 0 && ttl < c.lifetime/4 {
		return CredentialStale, c.fault
	}
	return CredentialOK, nil
}

// Collector is the metric of the time that is left.
func (c *Credential) Collector() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "peerage_backend_credential_ttl_seconds",
		Help: "Time until the service credential of OpenBao ends: 0 when there is none, -1 for one without an end."}, func() float64 {
		return max(-1, c.TTL().Seconds())
	})
}

// keep tries once to have a living token, and says when to try again.
func (c *Credential) keep(ctx context.Context) (wait time.Duration) {
	token, ttl, err := c.renew(ctx)
	if refused(err) && c.givenAnew(ctx) {
		token, ttl, err = c.renew(ctx)
	}
	if ctx.Err() != nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.fault
	c.fault = err
	if err != nil {
		wait = credentialRetry
		if refused(err) {
			// Not merely away: the token is dead, and using it is no use.
			c.token, wait = "", credentialLost
		}
		if before == nil || before.Error() != err.Error() {
			c.log.ErrorContext(ctx, "the service credential of OpenBao is not renewed", "error", err)
		}
		return wait
	}
	if before != nil && !errors.Is(before, errNotYet) {
		c.log.InfoContext(ctx, "the service credential of OpenBao is good again")
	}
	c.token, c.lifetime, c.expires = token, ttl, time.Time{}
	if ttl == 0 {
		return credentialEndless
	}
	c.expires = c.now().Add(ttl)
	return max(ttl/2, time.Second)
}

// refused tells that a credential is dead, not that OpenBao is.
func refused(err error) bool { return errors.Is(err, ErrForbidden) || errors.Is(err, ErrRefused) }

// givenAnew tells whether the source has another credential than before.
func (c *Credential) givenAnew(ctx context.Context) bool {
	if c.Source == nil {
		return false
	}
	given, err := c.Source()
	if err != nil {
		c.log.WarnContext(ctx, "reading the service credential of OpenBao again", "error", err)
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if given == c.given {
		return false
	}
	c.given, c.token = given, ""
	return true
}

// renew renews the token that there is, or gets one.
func (c *Credential) renew(ctx context.Context) (token string, ttl time.Duration, err error) {
	c.mu.Lock()
	token = c.token
	given := c.given
	c.mu.Unlock()
	if given.Token != "" {
		token = given.Token
	}
	if token != "" {
		ttl, err = c.client.extend(ctx, token)
		if err == nil || !errors.Is(err, ErrForbidden) || given.Token != "" {
			return token, ttl, err
		}
	}
	return c.client.loginAppRole(ctx, given.RoleID, given.SecretID)
}

// extend renews a token and says how long it lives. One that cannot be renewed
// is looked up.
func (c *Client) extend(ctx context.Context, token string) (time.Duration, error) {
	state, err := c.lookUp(ctx, token)
	if err != nil {
		return 0, err
	}
	if slices.Contains(state.Policies, "root") {
		return 0, &Error{Operation: "renew_token", Kind: ErrRefused, Reason: "a root token is no service credential: peerage openbao bootstrap makes one"}
	}
	if !state.Renewable {
		return time.Duration(state.TTL) * time.Second, nil
	}
	got, err := c.do(ctx, request{operation: "renew_token", method: "POST", path: at("auth/token/renew-self"), token: token})
	if err != nil {
		return 0, err
	}
	if got.Auth == nil || got.Auth.LeaseDuration <= 0 {
		return 0, &Error{Operation: "renew_token", Kind: identity.ErrUnavailable, Reason: "an answer without the time that is left"}
	}
	return time.Duration(got.Auth.LeaseDuration) * time.Second, nil
}

// loginAppRole signs peerage in.
func (c *Client) loginAppRole(ctx context.Context, roleID, secretID string) (token string, ttl time.Duration, err error) {
	got, err := c.do(ctx, request{operation: "app_role", method: "POST", path: at("auth/{mount}/login", appRoleMount),
		body: map[string]string{"role_id": roleID, "secret_id": secretID}})
	if err != nil {
		return "", 0, err
	}
	if got.Auth == nil || got.Auth.Token == "" {
		return "", 0, &Error{Operation: "app_role", Kind: identity.ErrUnavailable, Reason: "an answer without token"}
	}
	return got.Auth.Token, time.Duration(got.Auth.LeaseDuration) * time.Second, nil
}
