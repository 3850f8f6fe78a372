package portal

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"peerage/identity"
	"peerage/idp"
	"peerage/tracing"
)

// expiredError: the authorization that a page belongs to cannot go on.
type expiredError struct{ id string }

func (e expiredError) Error() string { return "the authorization cannot go on" }

// errNotAllowed: this page is not for this person.
var errNotAllowed = errors.New("not allowed")

// errNotFound: what the address names is not there (any more).
var errNotFound = errors.New("there is no such page")

// errBadAction: a form that none of our pages sends.
var errBadAction = errors.New("no page of ours sends this form")

// fail turns an error into a page.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	var expired expiredError
	var tooLarge *http.MaxBytesError
	page := &ErrorPage{Base: p.base(r, nil)}
	status := http.StatusInternalServerError
	switch {
	case errors.As(err, &expired):
		p.provider.Expired(w, r, expired.id)
		return
	case errors.Is(err, identity.ErrNotFresh):
		_ = p.askFresh(w, r) // a redirect to a page of ours
		return
	case errors.As(err, &tooLarge):
		status, page.Fault, page.Reason = http.StatusRequestEntityTooLarge, "invalid_request", ReasonTooLarge
	case errors.Is(err, identity.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		status, page.Fault = http.StatusServiceUnavailable, FaultBackendUnavailable
		p.log.WarnContext(r.Context(), "a page stopped", "error", err)
	case errors.Is(err, context.Canceled):
		status, page.Fault = http.StatusServiceUnavailable, FaultBackendUnavailable
	case errors.Is(err, errNotAllowed):
		status, page.Fault = http.StatusForbidden, FaultNotAllowed
	case errors.Is(err, errNotFound):
		status, page.Fault = http.StatusNotFound, FaultNotFound
	case errors.Is(err, errBadAction):
		status, page.Fault, page.Reason = http.StatusUnprocessableEntity, "invalid_request", ReasonWrongMethod
	case errors.Is(err, identity.ErrLinkExpired):
		status, page.Fault = http.StatusGone, FaultLinkExpired
	default:
		page.Fault = FaultInternal
		p.log.ErrorContext(r.Context(), "a page stopped", "error", err)
	}
	p.show(w, r, status, page)
}

// show renders, and says so in plain text when even that fails.
func (p *Portal) show(w http.ResponseWriter, r *http.Request, status int, page Page) {
	if err := p.render.Render(w, status, page); err != nil {
		p.log.ErrorContext(r.Context(), "showing a page", "error", err)
		http.Error(w, "This page cannot be shown. Tell the operator the number "+identity.CallerFrom(r.Context()).RequestID+".", http.StatusInternalServerError)
	}
}

// numbered is a page's base with what finds its request in the log.
func numbered(r *http.Request) Base {
	b := Base{RequestID: identity.CallerFrom(r.Context()).RequestID}
	b.TraceID, _ = tracing.IDs(r.Context())
	return b
}

// base is what every page carries.
func (p *Portal) base(r *http.Request, v *identity.Visitor) Base {
	b := numbered(r)
	if v != nil {
		b.Visitor = &Visitor{UserName: v.User.Username, Admin: p.directory.IsAdmin(v.User)}
	}
	return b
}

// unknown answers for every path that nobody has, and for a page of ours that
// was called in another way than it knows.
func (p *Portal) unknown(w http.ResponseWriter, r *http.Request) error {
	base := p.base(r, nil)
	if allowed := p.methods(r); len(allowed) > 0 {
		base.Fault = "invalid_request"
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return p.render.Render(w, http.StatusMethodNotAllowed, &ErrorPage{Base: base, Reason: ReasonWrongMethod})
	}
	base.Fault = FaultNotFound
	return p.render.Render(w, http.StatusNotFound, &ErrorPage{Base: base})
}

// methods are those that the page of this address knows, when r's is not one
// of them (RFC 9110 section 15.5.6); none where there is no such page.
func (p *Portal) methods(r *http.Request) (allowed []string) {
	if r.URL.Path == "/metrics" {
		return nil // for strangers there is no such page
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		_, pattern := p.pages.Handler(&http.Request{Method: method, URL: &url.URL{Path: r.URL.Path}})
		if pattern == "" || pattern == "/" {
			continue
		}
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	if slices.Contains(allowed, r.Method) {
		return nil // the page itself says that there is nothing
	}
	return allowed
}

// formFault is the fault, status and wait of a form that did not succeed;
// ok is false for errors that are no fault of the form.
func formFault(err error) (base Base, status int, ok bool) {
	var throttled *identity.ThrottledError
	switch {
	case errors.As(err, &throttled):
		return Base{Fault: FaultThrottled, RetryAfter: throttled.Wait}, http.StatusTooManyRequests, true
	case errors.Is(err, identity.ErrWrongCredentials):
		return Base{Fault: FaultWrongCredentials}, http.StatusUnprocessableEntity, true
	case errors.Is(err, identity.ErrWrongCode), errors.Is(err, identity.ErrWrongPasskey):
		return Base{Fault: FaultWrongCode}, http.StatusUnprocessableEntity, true
	case errors.Is(err, identity.ErrUnavailable):
		return Base{Fault: FaultBackendUnavailable}, http.StatusServiceUnavailable, true
	}
	return Base{}, 0, false
}

// again shows a form once more with its fault beside it.
func (p *Portal) again(w http.ResponseWriter, r *http.Request, v *identity.Visitor, err error, page func(Base) (Page, error)) error {
	fault, status, ok := formFault(err)
	if !ok {
		return err
	}
	base := p.base(r, v)
	base.Fault, base.RetryAfter = fault.Fault, fault.RetryAfter
	if fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", seconds(fault.RetryAfter))
	}
	shown, err := page(base)
	if err != nil {
		return err
	}
	return p.render.Render(w, status, shown)
}

// ProviderPages are the pages that the protocol shows.
func ProviderPages(render *Renderer, log interface {
	ErrorContext(context.Context, string, ...any)
}) idp.Pages {
	show := func(w http.ResponseWriter, r *http.Request, status int, page Page) {
		if err := render.Render(w, status, page); err != nil {
			log.ErrorContext(r.Context(), "showing a page", "error", err)
			http.Error(w, "This page cannot be shown.", http.StatusInternalServerError)
		}
	}
	base := func(r *http.Request, fault string) Base {
		b := numbered(r)
		b.Fault = fault
		return b
	}
	return idp.Pages{
		Error: func(w http.ResponseWriter, r *http.Request, e idp.ErrorPage) {
			page := &ErrorPage{Base: base(r, e.Code), Reason: reasons[e.Reason], Description: e.Description, Detail: e.Address}
			if e.Reason == idp.ReasonTooMany {
				page.Fault, page.Description = FaultThrottled, ""
			}
			if r.URL.Path == idp.PathLogout && e.Code == "invalid_request" {
				page.Reason = ReasonSignOut
			}
			if e.Client != nil {
				page.Asker = NewAsker(e.Client.DisplayName(), e.Client.LogoURI, ownAddress(e.Client))
				page.Back = template.URL(e.Client.LaunchURI) // http(s) since registration
			}
			show(w, r, e.Status, page)
		},
		NoAccess: func(w http.ResponseWriter, r *http.Request, f *idp.InFlight) {
			show(w, r, http.StatusForbidden, &NoAccessPage{Base: base(r, FaultNoAccess), Asker: asker(f), UserName: f.Visitor.User.Username, Groups: f.Client.AllowedGroups})
		},
		Leave: func(w http.ResponseWriter, r *http.Request, a idp.Answer) {
			show(w, r, http.StatusOK, &LeavePage{Base: base(r, a.Code), Asker: NewAsker(a.Client.DisplayName(), a.Client.LogoURI, a.Action), Target: template.URL(a.Target)})
		},
		FormPost: func(w http.ResponseWriter, r *http.Request, a idp.Answer) {
			page := &FormPostPage{Base: base(r, a.Code), Asker: NewAsker(a.Client.DisplayName(), a.Client.LogoURI, a.Action), Action: template.URL(a.Action)}
			for _, f := range a.Fields {
				page.Fields = append(page.Fields, Hidden{Name: f.Name, Value: f.Value})
			}
			// The form goes to the client and on to wherever the client sends it.
			w.Header().Set("Content-Security-Policy", cspWithoutForms)
			show(w, r, http.StatusOK, page)
		},
	}
}

// ownAddress is where an application is at home: on these pages the address
// of the request is not to be trusted, or not known.
func ownAddress(c *idp.Client) string {
	if c.LaunchURI != "" || len(c.Client.RedirectURIs) == 0 {
		return c.LaunchURI
	}
	return c.Client.RedirectURIs[0]
}

var reasons = map[idp.PageReason]Reason{
	idp.ReasonAddress: ReasonRedirectURIUnregistered, idp.ReasonAddressMissing: ReasonRedirectURIMissing, idp.ReasonDuplicate: ReasonDuplicateParameter,
	idp.ReasonExpired: ReasonRequestExpired, idp.ReasonTooLarge: ReasonTooLarge,
}

// asker is the application of an authorization in flight, nil without one.
func asker(f *idp.InFlight) *Asker {
	if f == nil {
		return nil
	}
	return NewAsker(f.Client.DisplayName(), f.Client.LogoURI, f.Request.RedirectURI)
}
