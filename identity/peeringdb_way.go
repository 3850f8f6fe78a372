package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"peerage/identity/peeringdb"
	"peerage/store"
)

// PeeringDBFault says why PeeringDB's word leads nowhere.
type PeeringDBFault string

// The faults; the pages know them by the same words.
const (
	PeeringDBUserUnverified  PeeringDBFault = "peeringdb_user_unverified"
	PeeringDBEmailUnverified PeeringDBFault = "peeringdb_email_unverified"
	PeeringDBNoNetwork       PeeringDBFault = "peeringdb_no_network"
	PeeringDBUnavailable     PeeringDBFault = "peeringdb_unavailable"
	// PeeringDBResponse: what came back is another browser's, too old, or was used.
	PeeringDBResponse PeeringDBFault = "peeringdb_response"
	// PeeringDBAnswer: what PeeringDB told us then cannot be trusted or understood.
	PeeringDBAnswer PeeringDBFault = "answer"
	// PeeringDBScope: PeeringDB does not tell the networks, or nothing at all.
	PeeringDBScope PeeringDBFault = "scope"
	// PeeringDBDenied: the person said no at PeeringDB.
	PeeringDBDenied PeeringDBFault = "access_denied"
	// PeeringDBUnknown: nobody here is linked with this account, and nobody new
	// is let in.
	PeeringDBUnknown PeeringDBFault = "unknown"
	// PeeringDBTaken: the account is linked with somebody else here, or the
	// person with another account.
	PeeringDBTaken PeeringDBFault = "taken"
	// PeeringDBOther: another account than the person's came back.
	PeeringDBOther PeeringDBFault = "other_account"
	// PeeringDBDisabled: the person is disabled here.
	PeeringDBDisabled PeeringDBFault = "disabled"
	// PeeringDBFactor: a second factor of theirs is asked for that can be checked
	// after a password alone.
	PeeringDBFactor PeeringDBFault = "factor"
)

// PeeringDBError tells a person why PeeringDB's word leads nowhere.
type PeeringDBError struct {
	Fault PeeringDBFault
	// Wait is how long PeeringDB is left alone, with PeeringDBUnavailable.
	Wait time.Duration
	// Account is the name of the account, where it is known.
	Account string
	// Detail is for the log.
	Detail string
}

// Error implements error.
func (e *PeeringDBError) Error() string {
	if e.Detail != "" {
		return string(e.Fault) + ": " + e.Detail
	}
	return string(e.Fault)
}

// flowLifetime is how long a person may take at PeeringDB, which may ask them to
// set up a second factor first.
const flowLifetime = 30 * time.Minute

// flowSecrets are what only we and the browser's way know.
type flowSecrets struct {
	Verifier string `json:"verifier"` // PKCE, RFC 7636
	Nonce    string `json:"nonce"`
	Anew     bool   `json:"anew"` // PeeringDB was told to ask for the password again
}

// BeginPeeringDB remembers that this browser goes to PeeringDB and returns the
// address there. anew lets the person prove themselves there once more although
// PeeringDB knows them. *PeeringDBError: it is left alone for a while.
func (d *Directory) BeginPeeringDB(ctx context.Context, b Browser, f store.PeeringDBFlow, anew bool) (address string, err error) {
	client := d.peeringdb.Client
	if client == nil || b.ID == "" {
		return "", errors.ErrUnsupported
	}
	if err := d.peeringDBOpen(ctx); err != nil {
		return "", err
	}
	state, secrets := NewSecret(), flowSecrets{NewSecret(), NewSecret(), anew}
	if f.Secrets, err = json.Marshal(secrets); err != nil {
		return "", fmt.Errorf("keeping a way to PeeringDB: %w", err)
	}
	if err := d.store.PutPeeringDBFlow(ctx, Hash(state), Hash(b.ID), f, flowLifetime); err != nil {
		return "", err
	}
	challenge := sha256.Sum256([]byte(secrets.Verifier))
	return client.AuthorizationURL(state, secrets.Nonce, base64.RawURLEncoding.EncodeToString(challenge[:]), anew), nil
}

// peeringDBOpen: while PeeringDB refuses us as a whole, every question makes it
// refuse for longer.
func (d *Directory) peeringDBOpen(ctx context.Context) error {
	pause, err := d.store.PeeringDBPause(ctx)
	if err != nil {
		return err
	}
	if wait := pause.Refused.Sub(d.now()); wait > 0 {
		return &PeeringDBError{Fault: PeeringDBUnavailable, Wait: wait, Detail: pause.Fault}
	}
	return nil
}

// PeeringDBArrival is how a browser came back.
type PeeringDBArrival struct {
	Flow store.PeeringDBFlow
	// Secret is of the session from now on; "" for a sign-in whose second factor
	// is outstanding (see Pending) and after linking.
	Secret string
	// Again is where to send the browser once more, for the code came too late;
	// "" when it arrived.
	Again string
}

// FinishPeeringDB goes on with a browser that comes back with answer. v is who is
// signed in in it, nil for nobody. The arrival says where the person wanted to
// go even with a *PeeringDBError.
func (d *Directory) FinishPeeringDB(ctx context.Context, b Browser, v *Visitor, answer url.Values) (PeeringDBArrival, error) {
	var arrival PeeringDBArrival
	client := d.peeringdb.Client
	if client == nil {
		return arrival, errors.ErrUnsupported
	}
	state := answer.Get("state")
	if b.ID == "" || state == "" || len(state) > 256 {
		return arrival, d.peeringDBFailed(ctx, store.User{}, PeeringDBResponse, "no state")
	}
	flow, err := d.store.TakePeeringDBFlow(ctx, Hash(state), Hash(b.ID))
	if errors.Is(err, store.ErrNotFound) {
		return arrival, d.peeringDBFailed(ctx, store.User{}, PeeringDBResponse, "the state is another browser's, was used, or is too old")
	}
	if err != nil {
		return arrival, err
	}
	arrival.Flow = flow
	var secrets flowSecrets
	if err := json.Unmarshal(flow.Secrets, &secrets); err != nil {
		return arrival, fmt.Errorf("reading a way to PeeringDB: %w", err)
	}
	who, _ := flowPerson(flow, v)
	switch code := answer.Get("error"); {
	case code == "access_denied":
		return arrival, d.peeringDBFailed(ctx, who, PeeringDBDenied, code)
	case code != "", answer.Get("code") == "":
		return arrival, d.peeringDBFailed(ctx, who, PeeringDBResponse, "PeeringDB answers "+Clean(code))
	}
	proof, err := d.redeemPeeringDB(ctx, answer.Get("code"), secrets)
	if errors.Is(err, peeringdb.ErrInvalidGrant) && !flow.Again {
		// The code lives a minute; PeeringDB knows the person by now.
		flow.Again = true
		arrival.Again, err = d.BeginPeeringDB(ctx, b, flow, secrets.Anew)
		return arrival, err
	}
	if err != nil {
		return arrival, d.peeringDBUpstream(ctx, who, err)
	}
	switch flow.Purpose {
	case store.FlowLink:
		return arrival, d.linkPeeringDB(ctx, flow, v, proof)
	case store.FlowConfirm:
		arrival.Secret, err = d.confirmPeeringDB(ctx, b, flow, v, proof)
	default:
		arrival.Secret, err = d.signInPeeringDB(ctx, b, proof)
	}
	return arrival, err
}

// proof is what PeeringDB says of who came back.
type proof struct {
	peeringdb.Profile
	refreshToken string
	// anew: the person proved themselves just now.
	anew bool
}

func (p proof) secondFactor() bool { return slices.Contains(p.AMR, "mfa") }

// acr is the class of a session that PeeringDB's word begins.
func (p proof) acr() string {
	if p.secondFactor() {
		return ACRTwoFactors
	}
	return ACROneFactor
}

// redeemPeeringDB counts codes that PeeringDB does not know, by the network that
// brings them. Errors: *ThrottledError and those of provePeeringDB.
func (d *Directory) redeemPeeringDB(ctx context.Context, code string, secrets flowSecrets) (p proof, err error) {
	network := CallerFrom(ctx).Network
	if network == "" {
		return d.provePeeringDB(ctx, code, secrets)
	}
	err = d.guess(ctx, "peeringdb", []store.Throttle{peeringDBThrottle(network)}, peeringdb.ErrInvalidGrant, func() error {
		p, err = d.provePeeringDB(ctx, code, secrets)
		return err
	})
	return p, err
}

// provePeeringDB redeems a code and reads whose it is.
func (d *Directory) provePeeringDB(ctx context.Context, code string, secrets flowSecrets) (proof, error) {
	client := d.peeringdb.Client
	if err := d.peeringDBOpen(ctx); err != nil {
		return proof{}, err
	}
	tokens, sub, amr, err := client.Exchange(ctx, code, secrets.Verifier, secrets.Nonce)
	if err != nil {
		return proof{}, err
	}
	profile, err := client.Profile(ctx, tokens.Access)
	if err != nil {
		return proof{}, err
	}
	if sub != "" && sub != fmt.Sprint(profile.ID) {
		return proof{}, fmt.Errorf("%w: the ID token is another person's than the profile", peeringdb.ErrResponse)
	}
	if !profile.HasNetworks {
		return proof{}, fmt.Errorf("%w: PeeringDB does not say the networks", peeringdb.ErrNoScope)
	}
	if len(amr) > 0 {
		profile.AMR = amr // how they signed in: the profile says it for some tokens only
	}
	return proof{profile, tokens.Refresh, secrets.Anew}, d.store.PeeringDBAnswered(ctx, checkPace)
}

// peeringDBUpstream makes what a person is told of a fault of PeeringDB's.
func (d *Directory) peeringDBUpstream(ctx context.Context, who store.User, err error) error {
	var told *PeeringDBError
	var unavailable *peeringdb.UnavailableError
	var throttled *ThrottledError
	switch {
	case errors.As(err, &throttled):
		d.metrics.logins.WithLabelValues(resultThrottled).Inc()
		d.Audit.Event(ctx, Event{Name: "peeringdb_login", User: who.Username, Sub: who.Sub, Result: resultThrottled})
		return err
	case errors.As(err, &told):
		d.peeringDBEvent(ctx, "peeringdb_login", who, string(told.Fault))
		return err
	case errors.As(err, &unavailable):
		d.pausePeeringDB(ctx, unavailable)
		failed := &PeeringDBError{Fault: PeeringDBUnavailable, Detail: unavailable.Reason}
		if unavailable.Refused {
			failed.Wait = unavailable.Wait
		}
		d.log.WarnContext(ctx, "PeeringDB does not answer a sign-in", "error", unavailable.Reason)
		d.metrics.logins.WithLabelValues(resultUnavailable).Inc()
		d.peeringDBEvent(ctx, "peeringdb_login", who, string(failed.Fault))
		return failed
	case errors.Is(err, peeringdb.ErrInvalidGrant):
		return d.peeringDBFailed(ctx, who, PeeringDBResponse, err.Error())
	case errors.Is(err, peeringdb.ErrNoScope):
		return d.peeringDBFailed(ctx, who, PeeringDBScope, err.Error())
	case errors.Is(err, peeringdb.ErrResponse):
		return d.peeringDBFailed(ctx, who, PeeringDBAnswer, err.Error())
	}
	return err
}

// pausePeeringDB leaves PeeringDB alone for as long as it wants.
func (d *Directory) pausePeeringDB(ctx context.Context, e *peeringdb.UnavailableError) {
	ctx = context.WithoutCancel(ctx)
	if err := d.store.PausePeeringDB(ctx, d.now().Add(e.Wait), e.Refused, e.Reason); err != nil {
		d.log.ErrorContext(ctx, "keeping PeeringDB's pause", "error", err)
	}
}

// peeringDBFailed tells of a way that led nowhere.
func (d *Directory) peeringDBFailed(ctx context.Context, who store.User, fault PeeringDBFault, detail string) error {
	d.metrics.logins.WithLabelValues(resultFailure).Inc()
	d.peeringDBEvent(ctx, "peeringdb_login", who, string(fault))
	return &PeeringDBError{Fault: fault, Detail: detail}
}
