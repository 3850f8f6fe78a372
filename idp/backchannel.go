package idp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"peerage/identity"
	"peerage/store"
)

const (
	logoutBatch = 32
	// logoutAtOnce bounds how many clients are called at the same time; one
	// that hangs costs its own place for outgoingTimeout.
	logoutAtOnce   = 8
	logoutLease    = time.Minute
	logoutAttempts = 10
	logoutFirst    = 5 * time.Second // doubles with every attempt
	logoutLife     = 2 * time.Minute
	logoutEvent    = "http://schemas.openid.net/event/backchannel-logout"
)

// LogoutsDue tells whether DeliverLogouts has something to do.
func (p *Provider) LogoutsDue(ctx context.Context) (bool, error) { return p.store.LogoutsDue(ctx) }

// DeliverLogouts tells clients of sessions that ended (OIDC Back-Channel
// Logout section 2.5): those that are due, some at a time, until none is left.
// What is not answered comes again later, in this replica or another.
func (p *Provider) DeliverLogouts(ctx context.Context) error {
	for ctx.Err() == nil {
		due, err := p.store.TakeLogouts(ctx, logoutBatch, logoutLease)
		if err != nil || len(due) == 0 {
			return err
		}
		group, _ := errgroup.WithContext(ctx)
		group.SetLimit(logoutAtOnce)
		for _, l := range due {
			group.Go(func() error { return p.deliver(ctx, l) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// deliver tells one client and settles what happens next.
func (p *Provider) deliver(ctx context.Context, l store.Logout) error {
	client, ok := p.clients.Client(l.ClientID)
	if !ok || client.BackchannelLogoutURI == "" {
		return p.store.DoneLogout(ctx, l.ID) // not interested, or gone
	}
	err := p.tellLogout(ctx, client, l)
	result := "success"
	if err != nil {
		result = "failure"
	}
	p.metrics.logout.WithLabelValues(p.label(client), result).Inc()
	if err != nil && l.Attempts < logoutAttempts {
		p.log.WarnContext(ctx, "telling a client of a sign-out; it is tried again", "client", l.ClientID, "attempt", l.Attempts, "error", err)
		return p.store.RetryLogout(ctx, l.ID, logoutFirst<<(l.Attempts-1))
	}
	e := identity.Event{Name: "backchannel_logout", Sub: l.Sub, Client: l.ClientID, Result: result}
	if err != nil {
		e.Detail = []slog.Attr{slog.String("reason", err.Error())}
	}
	p.directory.Audit.Event(ctx, e)
	return p.store.DoneLogout(ctx, l.ID)
}

func (p *Provider) tellLogout(ctx context.Context, client *Client, l store.Logout) error {
	token, err := p.logoutToken(client, l)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, client.BackchannelLogoutURI, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", formType)
	response, err := call(p.outgoing, r, "backchannel_logout_uri")
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the address, which may hold the client's secrets
		}
		return err
	}
	defer response.Body.Close()
	// Read a little, so that the connection can be used again.
	if _, err := io.CopyN(io.Discard, response.Body, maxOutgoing); err != nil && err != io.EOF {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the client answers %s", response.Status)
	}
	return nil
}

// logoutToken names the session, or the person for all of theirs (section 2.4).
// It has no nonce, so that it cannot pass for an ID token.
func (p *Provider) logoutToken(client *Client, l store.Logout) (string, error) {
	now := p.now()
	claims := map[string]any{"iss": p.Issuer, "aud": client.ClientID, "sub": l.Sub, "iat": now.Unix(), "exp": now.Add(logoutLife).Unix(),
		"jti": uuid.NewString(), "events": map[string]any{logoutEvent: struct{}{}}}
	if l.SessionID != "" {
		claims["sid"] = l.SessionID
	}
	return p.keys.sign(client.alg(), typeLogoutToken, claims)
}
