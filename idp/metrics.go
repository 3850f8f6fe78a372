package idp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"peerage/identity"
)

type metrics struct {
	authorize *prometheus.CounterVec
	token     *prometheus.CounterVec
	userinfo  *prometheus.CounterVec
	consent   *prometheus.CounterVec
	logout    *prometheus.CounterVec
}

func newMetrics() metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return metrics{
		authorize: counter("peerage_oidc_authorize_total", "Authorizations that ended, by client and result.", "client", "result"),
		token:     counter("peerage_oidc_token_total", "Token requests, by client and result.", "client", "result"),
		userinfo:  counter("peerage_oidc_userinfo_total", "UserInfo requests, by result.", "result"),
		consent:   counter("peerage_consent_total", "Answers to the consent page and withdrawals, by action.", "action"),
		logout:    counter("peerage_backchannel_logout_total", "Sign-outs that clients were told of, by client and result.", "client", "result"),
	}
}

func (m metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.authorize, m.token, m.userinfo, m.consent, m.logout}
}

func (p *Provider) countAuthorize(client *Client, result string) {
	p.metrics.authorize.WithLabelValues(p.label(client), result).Inc()
}

func (p *Provider) countConsent(action string) { p.metrics.consent.WithLabelValues(action).Inc() }

func (p *Provider) label(client *Client) string {
	if client == nil {
		return unknownClient
	}
	return p.clients.Label(client.ClientID)
}

// audit records an event of the protocol. code is the OAuth error, if any.
func (p *Provider) audit(r *http.Request, name string, client *Client, user identity.User, result, code string) {
	e := identity.Event{Name: name, User: user.Username, Sub: user.Sub, Result: result}
	if client != nil {
		e.Client = client.ClientID
	}
	if code != "" {
		e.Detail = []slog.Attr{slog.String("error", code)}
	}
	p.directory.Audit.Event(r.Context(), e)
}

// tellToken counts and records one token request.
func (p *Provider) tellToken(ctx context.Context, client *Client, user identity.User, grantType string, err error) {
	result, label := "success", "success"
	var refused *oidc.Error
	switch {
	case err == nil:
	case errors.As(err, &refused):
		result, label = string(refused.ErrorType), "failure"
	case isUnavailable(err):
		result, label = "temporarily_unavailable", "unavailable"
	default:
		result, label = "server_error", "failure"
	}
	p.metrics.token.WithLabelValues(p.label(client), label).Inc()
	e := identity.Event{Name: "oidc_token", User: user.Username, Sub: user.Sub, Result: result, Detail: []slog.Attr{slog.String("grant_type", grantType)}}
	if client != nil {
		e.Client = client.ClientID
	}
	p.directory.Audit.Event(ctx, e)
}

// KeyDetail names a signing key in an event; alg may be unknown.
func KeyDetail(alg, kid string) []slog.Attr {
	detail := []slog.Attr{slog.String("kid", kid)}
	if alg != "" {
		detail = append([]slog.Attr{slog.String("alg", alg)}, detail...)
	}
	return detail
}
