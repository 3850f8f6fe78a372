package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"peerage/identity"
	"peerage/store"
)

// codeLifetime is short: a client redeems a code at once (RFC 6749 section 4.1.2).
const codeLifetime = time.Minute

// InFlight is an authorization in flight as a page sees it.
type InFlight struct {
	ID      string
	Client  *Client
	Request AuthRequest
	Step    Step
	fault   *Fault
	// Visitor is who is signed in, nil for nobody.
	Visitor *identity.Visitor
	// Consented are the scopes that the person allowed before.
	Consented []string
	row       store.Request
}

// ConsentScopes are what the person is asked to allow: the scopes, and those
// that claims asked for by name belong to.
func (f *InFlight) ConsentScopes() []string {
	scopes := slices.Clone(f.Request.Scopes)
	for _, s := range f.Request.Claims.scopes(f.Client) {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

// OnlyPasskey tells whether nothing but a passkey gives the class that the
// client demands.
func (f *InFlight) OnlyPasskey() bool {
	return f.Step == Passkey && slices.Contains(f.Request.EssentialACR, identity.ACRPasskey)
}

// ErrNoRequest: the authorization is unknown, too old, answered, or another browser's.
var ErrNoRequest = errors.New("no such authorization in this browser")

// InFlight finds an authorization of this browser and what it needs next.
func (p *Provider) InFlight(ctx context.Context, b identity.Browser, id string) (*InFlight, error) {
	if b.ID == "" || id == "" || len(id) > 64 {
		return nil, ErrNoRequest
	}
	row, err := p.store.Request(ctx, id, identity.Hash(b.ID))
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNoRequest
	}
	if err != nil {
		return nil, err
	}
	var request AuthRequest
	if err := json.Unmarshal([]byte(row.Parameters), &request); err != nil {
		return nil, fmt.Errorf("reading an authorization: %w", err)
	}
	return p.inFlight(ctx, b, row, request)
}

// inFlight gathers all that the next step depends on.
func (p *Provider) inFlight(ctx context.Context, b identity.Browser, row store.Request, request AuthRequest) (*InFlight, error) {
	client, ok := p.clients.Client(row.ClientID)
	if !ok {
		return nil, ErrNoRequest // disabled or removed meanwhile
	}
	f := &InFlight{ID: row.ID, Client: client, Request: request, row: row}
	flow := Flow{Now: p.now(), Request: FlowRequest{
		Prompts: f.Request.Prompts, MaxAge: f.Request.maxAge(), ACRValues: f.Request.ACRValues, HintSub: f.Request.HintSub, EssentialACR: f.Request.EssentialACR,
		Scopes: f.ConsentScopes(), CreatedAt: row.CreatedAt, Progress: row.Progress,
	}, Policy: FlowPolicy{Trusted: client.Trusted, Confirm: client.public() && client.native(), RequireMFA: client.RequireMFA}}
	if err := p.addSession(ctx, b, f, &flow); err != nil {
		return nil, err
	}
	if flow.mustSignIn() { // else nobody asks how far a sign-in has come
		var err error
		if flow.SignIn, err = p.halfDone(ctx, b); err != nil {
			return nil, err
		}
	}
	f.Step, f.fault = Next(flow)
	return f, nil
}

// halfDone is the browser's sign-in whose password was right, nil for none.
// One that waits for an enrolment is over when the person has enrolled
// elsewhere meanwhile: nothing is left to enrol, and no code was asked for.
func (p *Provider) halfDone(ctx context.Context, b identity.Browser) (*FlowSignIn, error) {
	pending, user, err := p.directory.Pending(ctx, b)
	if errors.Is(err, identity.ErrNoSignIn) || err == nil && !pending.Challenged && user.TOTP {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &FlowSignIn{Challenged: pending.Challenged, NeedsLink: user.NeedsLink, MayEnrol: pending.MayEnrol}, nil
}

func (p *Provider) addSession(ctx context.Context, b identity.Browser, f *InFlight, flow *Flow) error {
	visitor, err := p.directory.Visitor(ctx, b.Session)
	if errors.Is(err, identity.ErrNoSession) {
		return nil
	}
	if err != nil {
		return err
	}
	consent, err := p.store.Consent(ctx, visitor.User.Sub, f.Client.ClientID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	f.Visitor, f.Consented = &visitor, consent.Scopes
	flow.Session = &FlowSession{Sub: visitor.User.Sub, AuthTime: visitor.Session.AuthTime, ACR: visitor.Session.ACR, FactorAt: visitor.Session.FactorAt}
	flow.User = FlowUser{SecondFactor: visitor.User.HasSecondFactor(), Passkey: visitor.User.Passkeys > 0, NeedsLink: visitor.User.NeedsLink, Consented: consent.Scopes, Allowed: f.Client.AllowsUser(visitor.User)}
	flow.Policy.RequireMFA = flow.Policy.RequireMFA || p.directory.MustHaveMFA(visitor.User)
	return nil
}

// resume is where every page comes back to. It is bound to the browser that
// began: otherwise an attacker lets a victim sign in to his own
// authorization and takes the code.
func (p *Provider) resume(w http.ResponseWriter, r *http.Request) {
	if !p.take(w, r) {
		return
	}
	id := r.URL.Query().Get("request")
	if uuid.Validate(id) != nil {
		p.Expired(w, r, "")
		return
	}
	browser := identity.Browser{ID: p.directory.Cookies.EnsureBrowser(w, r), Session: p.directory.Cookies.Session(r)}
	unbound, err := p.store.RequestUnbound(r.Context(), id)
	if err == nil && unbound {
		err = p.store.BindRequest(r.Context(), id, identity.Hash(browser.ID))
	}
	if err != nil {
		p.broken(w, r, nil, err)
		return
	}
	flight, err := p.InFlight(r.Context(), browser, id)
	if err == nil && unbound {
		err = p.adopt(w, r, browser, flight)
		if err == nil {
			return
		}
	}
	if errors.Is(err, ErrNoRequest) || errors.Is(err, store.ErrNotFound) {
		p.Expired(w, r, id)
		return
	}
	if err != nil {
		p.broken(w, r, nil, err)
		return
	}
	p.dispatch(w, r, browser, flight)
}

// adopt begins an authorization that another site posted anew, now that it
// has its browser. What the person did while nobody held it was not for it: a
// sign-in in between must not count as the answer to prompt=login or to
// "Continue as NAME?".
func (p *Provider) adopt(w http.ResponseWriter, r *http.Request, b identity.Browser, f *InFlight) error {
	if err := p.store.FinishRequest(r.Context(), f.ID, f.row.BrowserHash); err != nil {
		return err
	}
	p.enter(w, r, b, f.Client, &f.Request)
	return nil
}

// Expired shows that an authorization cannot go on and offers a new start at
// the application.
func (p *Provider) Expired(w http.ResponseWriter, r *http.Request, id string) {
	page := ErrorPage{Status: http.StatusBadRequest, Fault: Fault{"invalid_request", ""}, Reason: ReasonExpired}
	if clientID, err := p.store.RequestClient(r.Context(), id); err == nil {
		page.Client, _ = p.clients.Client(clientID)
	}
	p.pages.Error(w, r, page)
}

// dispatch goes to the page that the step needs, or answers the client.
func (p *Provider) dispatch(w http.ResponseWriter, r *http.Request, b identity.Browser, f *InFlight) {
	path := map[Step]string{SignIn: "/login", Choose: "/login", Confirm: "/login", Factor: "/login/totp", Passkey: "/login/passkey",
		Enrol: "/login/enrol", NeedsLink: "/login/enrol", Consent: "/consent"}[f.Step]
	switch {
	case path != "":
		if !f.row.Paged {
			f.row.Paged = true
			err := p.store.SaveProgress(r.Context(), f.ID, f.row.BrowserHash, f.row.Progress)
			if errors.Is(err, store.ErrNotFound) { // another tab was faster
				p.Expired(w, r, f.ID)
				return
			}
			if err != nil {
				p.broken(w, r, f.Client, err)
				return
			}
		}
		see(w, path+"?request="+url.QueryEscape(f.ID))
	case f.Step == NoAccess:
		p.countAuthorize(f.Client, "failure")
		p.directory.Audit.Event(r.Context(), identity.Event{Name: "app_access_denied", User: f.Visitor.User.Username, Sub: f.Visitor.User.Sub, Client: f.Client.ClientID, Result: "denied"})
		p.pages.NoAccess(w, r, f)
	case f.Step == Deny:
		p.deny(w, r, f, f.fault)
	default:
		p.answer(w, r, f)
	}
}

// isRow tells an authorization that the store keeps from one that ends at once.
func (f *InFlight) isRow() bool { return !f.row.ExpiresAt.IsZero() }

// deny ends the authorization with an error, once.
func (p *Provider) deny(w http.ResponseWriter, r *http.Request, f *InFlight, fault *Fault) {
	var err error
	if f.isRow() {
		err = p.store.FinishRequest(r.Context(), f.ID, f.row.BrowserHash)
	}
	if errors.Is(err, store.ErrNotFound) {
		p.Expired(w, r, f.ID)
		return
	}
	if err != nil {
		p.broken(w, r, f.Client, err)
		return
	}
	p.refuse(w, r, f.Client, &f.Request, f.row.Paged, fault)
}

// answer ends the authorization with a code, once.
func (p *Provider) answer(w http.ResponseWriter, r *http.Request, f *InFlight) {
	s := f.Visitor.Session
	document, err := json.Marshal(grant{Scopes: f.Request.Scopes, Nonce: f.Request.Nonce, AuthTime: s.AuthTime.Unix(), ACR: claimedACR(s.ACR, f.Request.EssentialACR), AMR: s.AMR, SID: s.ID, Claims: f.Request.Claims})
	if err != nil {
		p.broken(w, r, f.Client, err)
		return
	}
	code, requestID := identity.NewSecret(), ""
	if f.isRow() {
		requestID = f.ID
	}
	err = p.store.IssueCode(r.Context(), requestID, f.row.BrowserHash, store.Code{
		Hash: identity.Hash(code), FamilyID: uuid.NewString(), ClientID: f.Client.ClientID, Sub: f.Visitor.User.Sub, SessionID: s.ID,
		RedirectURI: f.Request.RedirectURI, CodeChallenge: f.Request.CodeChallenge, Grant: string(document),
	}, codeLifetime)
	switch {
	case errors.Is(err, store.ErrNotFound):
		p.Expired(w, r, f.ID)
	case errors.Is(err, store.ErrRevoked): // signed out in another tab just now
		p.startOver(w, r, f)
	case err != nil:
		p.broken(w, r, f.Client, err)
	default:
		p.countAuthorize(f.Client, "success")
		p.audit(r, "oidc_authorize", f.Client, f.Visitor.User, "code", "")
		p.respond(w, r, f.Client, &f.Request, f.row.Paged, Field{"code", code})
	}
}

// startOver asks anew what comes next, of an authorization that is kept by then.
func (p *Provider) startOver(w http.ResponseWriter, r *http.Request, f *InFlight) {
	if !f.isRow() {
		if err := p.keep(r, &f.row, &f.Request); err != nil {
			p.broken(w, r, f.Client, err)
			return
		}
	}
	see(w, ResumePath(f.ID))
}

// Decision is a person's answer on a page of the flow.
type Decision string

// Decisions.
const (
	DecideContinue Decision = "continue" // this account
	DecideOther    Decision = "other"    // another account
	DecideAllow    Decision = "allow"
	DecideDeny     Decision = "deny"
)

// Decide records a person's answer for the step they were asked about, and
// then goes on. A decision that does not fit the step is not recorded.
func (p *Provider) Decide(w http.ResponseWriter, r *http.Request, f *InFlight, d Decision) {
	progress := f.row.Progress
	if f.Visitor == nil {
		see(w, ResumePath(f.ID))
		return
	}
	sub := f.Visitor.User.Sub
	if progress.DecidedBy != sub {
		progress.DecidedBy, progress.Chosen, progress.Consented, progress.Confirmed = sub, false, false, false
	}
	var err error
	switch {
	case d == DecideDeny && (f.Step == Consent || f.Step == Confirm || f.Step == NoAccess):
		if f.Step == Consent {
			p.countConsent("deny")
		}
		p.deny(w, r, f, faultf("access_denied", "the person refused"))
		return
	case f.Step == Choose && d == DecideContinue:
		progress.Chosen = true
		err = p.store.SaveProgress(r.Context(), f.ID, f.row.BrowserHash, progress)
	case f.Step == Choose && d == DecideOther:
		progress.LoginAfter = p.now()
		err = p.store.SaveProgress(r.Context(), f.ID, f.row.BrowserHash, progress)
	case f.Step == Confirm && d == DecideAllow:
		progress.Confirmed = true
		err = p.store.SaveProgress(r.Context(), f.ID, f.row.BrowserHash, progress)
	case f.Step == Consent && d == DecideAllow:
		progress.Consented = true
		err = p.consent(r, f, progress)
	}
	if errors.Is(err, store.ErrNotFound) {
		p.Expired(w, r, f.ID)
		return
	}
	if err != nil {
		p.broken(w, r, f.Client, err)
		return
	}
	see(w, ResumePath(f.ID))
}

func (p *Provider) consent(r *http.Request, f *InFlight, progress store.Progress) error {
	u := f.Visitor.User
	if err := p.store.SaveConsent(r.Context(), f.ID, f.row.BrowserHash, progress, u.Sub, f.Client.ClientID, f.ConsentScopes()); err != nil {
		return err
	}
	p.countConsent("grant")
	p.directory.Audit.Event(r.Context(), identity.Event{Name: "consent_grant", User: u.Username, Sub: u.Sub, Client: f.Client.ClientID, Result: "success",
		Detail: []slog.Attr{slog.Any("scopes", f.ConsentScopes())}})
	return nil
}

// House decides the next step of somebody who comes without an application:
// the same rules, no consent to ask.
func (p *Provider) House(ctx context.Context, b identity.Browser) (Step, *identity.Visitor, error) {
	flow := Flow{Now: p.now(), Request: FlowRequest{MaxAge: -1}, Policy: FlowPolicy{Trusted: true}}
	visitor, err := p.directory.Visitor(ctx, b.Session)
	if err == nil {
		flow.Session = &FlowSession{Sub: visitor.User.Sub, AuthTime: visitor.Session.AuthTime, ACR: visitor.Session.ACR, FactorAt: visitor.Session.FactorAt}
		flow.User = FlowUser{SecondFactor: visitor.User.HasSecondFactor(), Passkey: visitor.User.Passkeys > 0, NeedsLink: visitor.User.NeedsLink, Allowed: true}
		flow.Policy.RequireMFA = p.directory.MustHaveMFA(visitor.User)
		step, _ := Next(flow)
		return step, &visitor, nil
	}
	if !errors.Is(err, identity.ErrNoSession) {
		return SignIn, nil, err
	}
	if flow.SignIn, err = p.halfDone(ctx, b); err != nil {
		return SignIn, nil, err
	}
	step, _ := Next(flow)
	return step, nil, nil
}
