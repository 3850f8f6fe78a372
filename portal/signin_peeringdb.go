package portal

import (
	"cmp"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"peerage/identity"
	"peerage/idp"
	"peerage/store"
)

const (
	pathToPeeringDB = "/login/peeringdb"
	pathPeeringDB   = "/identity/peeringdb"
	// namePeeringDB is what people know it by.
	namePeeringDB = "PeeringDB"
)

// toPeeringDBPage says what happens at PeeringDB before the person goes there.
func (p *Portal) toPeeringDBPage(w http.ResponseWriter, r *http.Request) error {
	if !p.directory.PeeringDBOffered() {
		return errNotFound
	}
	f, err := p.inFlight(r, p.bound(w, r))
	if err != nil {
		return err
	}
	page := &ToPeeringDBPage{Base: p.base(r, nil), Asker: asker(f), Return: p.returnPath(r.FormValue("return"))}
	if f != nil {
		page.Request = f.ID
	}
	return p.render.Render(w, http.StatusOK, page)
}

// toPeeringDB sends a browser to PeeringDB to sign in there.
func (p *Portal) toPeeringDB(w http.ResponseWriter, r *http.Request) error {
	if !p.directory.PeeringDBOffered() {
		return errNotFound
	}
	b := p.bound(w, r)
	f, err := p.inFlight(r, b)
	if err != nil {
		return err
	}
	flow := store.PeeringDBFlow{Purpose: store.FlowSignIn, Back: p.returnPath(r.FormValue("return"))}
	if f == nil {
		step, _, err := p.provider.House(r.Context(), b)
		if err != nil {
			return err
		}
		if step == idp.Done {
			return see(w, flow.Back) // somebody is signed in
		}
		return p.leaveForPeeringDB(w, r, b, nil, flow, false)
	}
	flow.Request = f.ID
	// Who is to sign in again must not pass because PeeringDB knows them still.
	anew := f.Visitor != nil || slices.Contains(f.Request.Prompts, "login") || f.Request.MaxAge != nil
	return p.leaveForPeeringDB(w, r, b, nil, flow, anew)
}

// leaveForPeeringDB is a page and no redirect: a browser holds form-action against
// every redirect that follows a form.
func (p *Portal) leaveForPeeringDB(w http.ResponseWriter, r *http.Request, b identity.Browser, v *identity.Visitor, flow store.PeeringDBFlow, anew bool) error {
	address, err := p.directory.BeginPeeringDB(r.Context(), b, flow, anew)
	var failed *identity.PeeringDBError
	if errors.As(err, &failed) {
		return p.peeringDBFault(w, r, v, flow, failed)
	}
	if err != nil {
		return err
	}
	page := &LeavePage{Base: p.base(r, nil), Asker: NewAsker(namePeeringDB, "", address), Target: template.URL(address)} // #nosec G203 -- from the settings
	return p.render.Render(w, http.StatusOK, page)
}

// fromPeeringDB goes on with a browser that comes back.
func (p *Portal) fromPeeringDB(w http.ResponseWriter, r *http.Request) error {
	if !p.directory.PeeringDBOffered() {
		return errNotFound
	}
	b := p.browser(r)
	var v *identity.Visitor
	switch visitor, err := p.directory.Visitor(r.Context(), b.Session); {
	case err == nil:
		v = &visitor
	case !errors.Is(err, identity.ErrNoSession):
		return err
	}
	arrival, err := p.directory.FinishPeeringDB(r.Context(), b, v, r.URL.Query())
	var failed *identity.PeeringDBError
	var throttled *identity.ThrottledError
	switch {
	case errors.As(err, &failed):
		return p.peeringDBFault(w, r, v, arrival.Flow, failed)
	case errors.As(err, &throttled):
		base := p.base(r, v)
		base.Fault, base.RetryAfter = FaultThrottled, throttled.Wait
		w.Header().Set("Retry-After", seconds(throttled.Wait))
		return p.render.Render(w, http.StatusTooManyRequests, &ErrorPage{Base: base, Again: signInAddress(arrival.Flow)})
	case errors.Is(err, identity.ErrNoSession):
		return see(w, "/login")
	case errors.Is(err, identity.ErrWrongCredentials):
		return p.peeringDBFault(w, r, v, arrival.Flow, &identity.PeeringDBError{Fault: identity.PeeringDBDisabled})
	case err != nil:
		return err
	case arrival.Again != "":
		return see(w, arrival.Again)
	}
	flow := arrival.Flow
	switch flow.Purpose {
	case store.FlowLink:
		return see(w, pathPeeringDB+"?done="+DonePeeringDBLinked)
	case store.FlowConfirm:
		p.directory.Cookies.SetSession(w, arrival.Secret)
		return see(w, p.returnPath(flow.Back))
	}
	if arrival.Secret != "" {
		if err := p.directory.ForgetSignIn(r.Context(), b); err != nil {
			return err
		}
	}
	return p.signedInTo(w, r, b, arrival.Secret, flow.Request, p.returnPath(flow.Back))
}

// peeringDBFault says why PeeringDB's word leads nowhere, and where to mend it.
func (p *Portal) peeringDBFault(w http.ResponseWriter, r *http.Request, v *identity.Visitor, flow store.PeeringDBFlow, failed *identity.PeeringDBError) error {
	page := &ErrorPage{Base: p.base(r, nil), Account: failed.Account, Again: signInAddress(flow)}
	if flow.Purpose != store.FlowSignIn && flow.Purpose != "" && v != nil {
		page.Base, page.Again = p.base(r, v), pathPeeringDB
	}
	status := http.StatusForbidden
	page.Fault = string(failed.Fault)
	switch failed.Fault {
	case identity.PeeringDBUnavailable:
		status, page.RetryAfter = http.StatusServiceUnavailable, failed.Wait
		w.Header().Set("Retry-After", seconds(cmp.Or(failed.Wait, time.Minute)))
	case identity.PeeringDBResponse:
		status = http.StatusBadRequest
	case identity.PeeringDBAnswer:
		status, page.Fault, page.Reason = http.StatusBadRequest, FaultPeeringDBResponse, ReasonPeeringDBAnswer
	case identity.PeeringDBScope:
		status, page.Fault, page.Reason = http.StatusBadRequest, FaultPeeringDBResponse, ReasonPeeringDBScope
	case identity.PeeringDBDenied:
		page.Reason = ReasonPeeringDBDenied
	case identity.PeeringDBTaken:
		status, page.Fault, page.Reason = http.StatusConflict, FaultConflict, ReasonPeeringDBTaken
	case identity.PeeringDBUnknown:
		page.Fault, page.Reason = FaultNotAllowed, ReasonPeeringDBUnknown
	case identity.PeeringDBOther:
		page.Fault, page.Reason = FaultNotAllowed, ReasonPeeringDBOther
	case identity.PeeringDBDisabled:
		page.Fault, page.Reason = FaultNotAllowed, ReasonPeeringDBDisabled
	case identity.PeeringDBFactor:
		page.Fault, page.Reason = FaultNotAllowed, ReasonPeeringDBFactor
	}
	return p.render.Render(w, status, page)
}

// signInAddress is where a person begins again.
func signInAddress(flow store.PeeringDBFlow) string {
	switch {
	case flow.Request != "":
		return "/login?" + url.Values{"request": {flow.Request}}.Encode()
	case flow.Back != "" && flow.Back != "/":
		return "/login?" + url.Values{"return": {flow.Back}}.Encode()
	}
	return "/login"
}
