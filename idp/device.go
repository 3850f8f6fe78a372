package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"peerage/identity"
	"peerage/store"
)

// grantDevice is the device authorization grant (RFC 8628). A client must be
// registered for it by name.
const grantDevice = string(oidc.GrantTypeDeviceCode)

const (
	// PathDevice is the page where a person types a device's code.
	PathDevice = "/device"

	deviceLifetime = 10 * time.Minute
	deviceInterval = 5 * time.Second
	// userCodeTries bounds how often a user code is drawn that a living device
	// has already.
	userCodeTries = 10
)

// DeviceAuthorization implements the device authorization request (RFC 8628
// section 3.1): the device gets one code to poll with and one to show.
func (s *server) DeviceAuthorization(ctx context.Context, r *op.ClientRequest[oidc.DeviceAuthorizationRequest]) (*op.Response, error) {
	response, err := s.p.beginDevice(ctx, r.Client.(*Client), r.Form)
	if err != nil {
		return nil, s.p.tokenError(ctx, err)
	}
	return op.NewResponse(response), nil
}

func (p *Provider) beginDevice(ctx context.Context, client *Client, form url.Values) (*oidc.DeviceAuthorizationResponse, error) {
	if !client.allows(grantDevice) {
		return nil, &oidc.Error{ErrorType: oidc.UnauthorizedClient, Description: "this client may not use the device authorization grant"}
	}
	if len(form.Get("scope")) > parameterLimits["scope"] {
		return nil, &oidc.Error{ErrorType: oidc.InvalidRequest, Description: "scope is too long"}
	}
	var asked AuthRequest
	if fault := parseScope(client, form, &asked); fault != nil {
		return nil, &oidc.Error{ErrorType: oidc.InvalidScope, Description: fault.Description}
	}
	deviceCode := identity.NewSecret()
	d := store.DeviceCode{Hash: identity.Hash(deviceCode), ClientID: client.ClientID, Scopes: asked.Scopes, FamilyID: uuid.NewString(), Interval: deviceInterval}
	userCode, err := p.putDevice(ctx, d)
	if err != nil {
		return nil, err
	}
	shown := ShowUserCode(userCode)
	return &oidc.DeviceAuthorizationResponse{DeviceCode: deviceCode, UserCode: shown, VerificationURI: p.Issuer + PathDevice,
		VerificationURIComplete: p.Issuer + PathDevice + "?user_code=" + shown,
		ExpiresIn:               int(deviceLifetime / time.Second), Interval: int(deviceInterval / time.Second)}, nil
}

// putDevice stores the request under a user code that nobody else has.
func (p *Provider) putDevice(ctx context.Context, d store.DeviceCode) (userCode string, err error) {
	for range userCodeTries {
		userCode = newUserCode()
		d.UserCodeHash = identity.Hash(userCode)
		if err = p.store.PutDevice(ctx, d, deviceLifetime); !errors.Is(err, store.ErrExists) {
			return userCode, err
		}
	}
	return "", fmt.Errorf("drawing a user code: %w", err)
}

// DeviceRequest is a device's request as a page sees it.
type DeviceRequest struct {
	// UserCode is as the device shows it.
	UserCode string
	Client   *Client
	Scopes   []string
	// Consented are the scopes that the person allowed before.
	Consented []string
	// Step is Consent when the person may answer; else what has to happen
	// first: Factor, Enrol, NeedsLink or NoAccess.
	Step Step
	hash []byte
}

// DeviceRequest finds the request of a code that a signed-in person typed.
// Errors: identity.ErrWrongCode, *identity.ThrottledError.
func (p *Provider) DeviceRequest(ctx context.Context, v identity.Visitor, typed string) (*DeviceRequest, error) {
	var row store.DeviceCode
	code, shaped := ReadUserCode(typed)
	err := p.directory.TryUserCode(ctx, v.User, func() (err error) {
		if !shaped {
			return identity.ErrWrongCode
		}
		row, err = p.store.DeviceByUserCode(ctx, identity.Hash(code))
		if errors.Is(err, store.ErrNotFound) {
			return identity.ErrWrongCode
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	client, ok := p.clients.Client(row.ClientID)
	if !ok || !client.allows(grantDevice) {
		return nil, identity.ErrWrongCode // disabled or changed meanwhile
	}
	consent, err := p.store.Consent(ctx, v.User.Sub, client.ClientID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	d := &DeviceRequest{UserCode: ShowUserCode(code), Client: client, Scopes: row.Scopes, Consented: consent.Scopes, hash: row.UserCodeHash}
	d.Step = p.deviceStep(v, d)
	if d.Step == NoAccess {
		p.countAuthorize(client, "failure")
		p.directory.Audit.Event(ctx, identity.Event{Name: "app_access_denied", User: v.User.Username, Sub: v.User.Sub, Client: client.ClientID, Result: "denied"})
	}
	return d, nil
}

// deviceStep asks the one dispatcher. A device's request is always consented
// to by a click, also where the application is trusted or known: whoever sent
// the code to this person may sit at the device (RFC 8628 section 5.4).
func (p *Provider) deviceStep(v identity.Visitor, d *DeviceRequest) Step {
	step, _ := Next(Flow{Now: p.now(),
		Request: FlowRequest{Prompts: []string{"consent"}, MaxAge: -1, Scopes: d.Scopes, CreatedAt: p.now()},
		Session: &FlowSession{Sub: v.User.Sub, AuthTime: v.Session.AuthTime, ACR: v.Session.ACR, FactorAt: v.Session.FactorAt},
		User:    FlowUser{SecondFactor: v.User.HasSecondFactor(), Passkey: v.User.Passkeys > 0, NeedsLink: v.User.NeedsLink, Consented: d.Consented, Allowed: d.Client.AllowsUser(v.User)},
		Policy:  FlowPolicy{RequireMFA: d.Client.RequireMFA || p.directory.MustHaveMFA(v.User), Trusted: d.Client.Trusted}})
	return step
}

// AnswerDevice records what the person says to a device, once. Only a request
// whose Step is Consent can be answered. identity.ErrWrongCode: it was
// answered or expired meanwhile. identity.ErrNoSession: the person has signed
// out meanwhile.
func (p *Provider) AnswerDevice(ctx context.Context, v identity.Visitor, d *DeviceRequest, allow bool) error {
	if d.Step != Consent {
		return fmt.Errorf("answering a device: the step is %s", d.Step)
	}
	answer := store.DeviceAnswer{Allow: allow}
	if allow {
		document, err := json.Marshal(grant{Scopes: d.Scopes, AuthTime: v.Session.AuthTime.Unix(), ACR: v.Session.ACR, AMR: v.Session.AMR, SID: v.Session.ID})
		if err != nil {
			return fmt.Errorf("writing a grant: %w", err)
		}
		answer.Sub, answer.SessionID, answer.Grant = v.User.Sub, v.Session.ID, string(document)
	}
	err := p.store.AnswerDevice(ctx, d.hash, answer)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return identity.ErrWrongCode
	case errors.Is(err, store.ErrRevoked):
		return identity.ErrNoSession
	case err != nil:
		return err
	}
	event := identity.Event{Name: "oidc_authorize", User: v.User.Username, Sub: v.User.Sub, Client: d.Client.ClientID, Result: "device"}
	if !allow {
		p.countConsent("deny")
		p.countAuthorize(d.Client, "failure")
		event.Result, event.Detail = "denied", []slog.Attr{slog.String("error", "access_denied")}
		p.directory.Audit.Event(ctx, event)
		return nil
	}
	p.countConsent("grant")
	p.countAuthorize(d.Client, "success")
	p.directory.Audit.Event(ctx, identity.Event{Name: "consent_grant", User: v.User.Username, Sub: v.User.Sub, Client: d.Client.ClientID, Result: "success",
		Detail: []slog.Attr{slog.Any("scopes", d.Scopes)}})
	p.directory.Audit.Event(ctx, event)
	return nil
}

// DeviceToken implements one poll of a device (RFC 8628 section 3.4). A poll
// before the answer is neither counted nor recorded: there is one every few
// seconds.
func (s *server) DeviceToken(ctx context.Context, r *op.ClientRequest[oidc.DeviceAccessTokenRequest]) (*op.Response, error) {
	client := r.Client.(*Client)
	response, user, err := s.p.pollDevice(ctx, client, r.Form.Get("device_code"))
	var waiting *oidc.Error
	if !errors.As(err, &waiting) || waiting.ErrorType != oidc.AuthorizationPending && waiting.ErrorType != oidc.SlowDown {
		s.p.tellToken(ctx, client, user, grantDevice, err)
	}
	if err != nil {
		return nil, s.p.tokenError(ctx, err)
	}
	return op.NewResponse(response), nil
}

func (p *Provider) pollDevice(ctx context.Context, client *Client, value string) (any, identity.User, error) {
	d, err := p.store.Device(ctx, identity.Hash(value))
	if errors.Is(err, store.ErrNotFound) {
		return nil, identity.User{}, errDevice(err)
	}
	if err != nil {
		return nil, identity.User{}, err
	}
	if d.ClientID != client.ClientID || d.State != store.DeviceAllowed || !d.UsedAt.IsZero() || !d.ExpiresAt.After(p.now()) {
		return nil, identity.User{}, p.tellDevice(ctx, client, d, p.store.PollDevice(ctx, d.Hash, client.ClientID, nil))
	}
	g, err := parseGrant(d.Grant)
	if err != nil {
		return nil, identity.User{}, err
	}
	user, err := p.recheck(ctx, client, d.Sub, g)
	if err != nil {
		return nil, user, err
	}
	offline := slices.Contains(g.Scopes, "offline_access") && client.allows(grantRefresh)
	familyExpires := p.now().Add(p.RefreshMax)
	t, err := p.mint(ctx, client, user, g, g.Scopes, "", offline, familyExpires)
	if err != nil {
		return nil, user, err
	}
	if !offline {
		familyExpires = t.issue.AccessExpires
	}
	err = p.store.PollDevice(ctx, d.Hash, client.ClientID, &store.DeviceGrant{Offline: offline, FamilyExpires: familyExpires, Issue: t.issue})
	return t.response, user, p.tellDevice(ctx, client, d, err)
}

// tellDevice records a replay, which has revoked the family in the store.
func (p *Provider) tellDevice(ctx context.Context, client *Client, d store.DeviceCode, err error) error {
	if errors.Is(err, store.ErrReplayed) {
		p.directory.Audit.Event(ctx, identity.Event{Name: "code_replay", Sub: d.Sub, Client: client.ClientID, Result: "failure",
			Detail: []slog.Attr{slog.String("grant_type", grantDevice)}})
	}
	return errDevice(err)
}

// errDevice is the answer to a poll (RFC 8628 section 3.5).
func errDevice(err error) error {
	switch {
	case errors.Is(err, store.ErrPending):
		return &oidc.Error{ErrorType: oidc.AuthorizationPending, Description: "the person has not answered yet"}
	case errors.Is(err, store.ErrSlowDown):
		return &oidc.Error{ErrorType: oidc.SlowDown, Description: "asked too soon: the interval is 5 s longer from now on"}
	case errors.Is(err, store.ErrDenied):
		return &oidc.Error{ErrorType: oidc.AccessDenied, Description: "the person refused"}
	case errors.Is(err, store.ErrExpired):
		return &oidc.Error{ErrorType: oidc.ExpiredToken, Description: "the device_code is too old, begin again"}
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrRevoked), errors.Is(err, store.ErrReplayed):
		return invalidGrant("the device_code is wrong, was used before, or belongs to another client, or the person has signed out")
	}
	return err
}
