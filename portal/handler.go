package portal

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"peerage/identity"
	"peerage/idp"
)

// openPage is a page for everybody.
type openPage func(http.ResponseWriter, *http.Request) error

// visitorPage is a page for somebody who is signed in; only the guards below
// take it.
type visitorPage func(http.ResponseWriter, *http.Request, identity.Visitor) error

func (p *Portal) open(page openPage) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := page(w, r); err != nil {
			p.fail(w, r, err)
		}
	})
}

// user lets in who is signed in with the factors that are demanded of them;
// everybody else goes to the step they need first.
func (p *Portal) user(page visitorPage) http.Handler {
	return p.guarded(page, func(step idp.Step, _ *identity.Visitor) bool { return step == idp.Done })
}

// known lets in who is signed in even while a second factor is still demanded
// of them: before they may enrol one, their password must be fresh.
func (p *Portal) known(page visitorPage) http.Handler {
	return p.guarded(page, func(_ idp.Step, v *identity.Visitor) bool { return v != nil })
}

func (p *Portal) guarded(page visitorPage, in func(idp.Step, *identity.Visitor) bool) http.Handler {
	return p.open(func(w http.ResponseWriter, r *http.Request) error {
		step, visitor, err := p.provider.House(r.Context(), p.browser(r))
		if err != nil {
			return err
		}
		if !in(step, visitor) {
			return see(w, stepPath(step)+"?return="+url.QueryEscape(p.here(r)))
		}
		return page(w, r, *visitor)
	})
}

// fresh lets in who gave their strongest factor just now. Others are asked for
// it; what they posted changes nothing.
func (p *Portal) fresh(page visitorPage) http.Handler {
	return p.user(func(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
		if !p.directory.Fresh(v) {
			return p.askFresh(w, r)
		}
		return page(w, r, v)
	})
}

// admin lets in administrators, with two factors: one stolen password must not
// open the administration.
func (p *Portal) admin(page visitorPage) http.Handler {
	return p.user(func(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
		switch {
		case !p.directory.IsAdmin(v.User):
			return errNotAllowed
		case v.Session.ACR != identity.ACROneFactor:
			return page(w, r.WithContext(identity.WithActor(r.Context(), v.User.Username)), v)
		case v.User.HasSecondFactor():
			return p.askFresh(w, r)
		}
		return see(w, "/identity/totp")
	})
}

// change lets in administrators who gave their strongest factor just now:
// whatever changes something under /admin.
func (p *Portal) change(page visitorPage) http.Handler {
	return p.admin(func(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
		if !p.directory.Fresh(v) {
			return p.askFresh(w, r)
		}
		return page(w, r, v)
	})
}

func (p *Portal) askFresh(w http.ResponseWriter, r *http.Request) error {
	return see(w, "/login/confirm?return="+url.QueryEscape(p.here(r)))
}

// here is the page to come back to: for a form, the page that showed it.
func (p *Portal) here(r *http.Request) string {
	if r.Method == http.MethodGet {
		return p.returnPath(r.URL.RequestURI())
	}
	return p.returnPath(r.URL.Path)
}

func stepPath(step idp.Step) string {
	switch step {
	case idp.Factor:
		return "/login/totp"
	case idp.Passkey:
		return "/login/passkey"
	case idp.Enrol, idp.NeedsLink:
		return "/login/enrol"
	}
	return "/login"
}

// returnPath keeps what may be gone back to: a GET page of our own, as one
// leading slash says. Anything else would make us a springboard to other
// sites (//evil.example, /\evil.example, control characters).
func (p *Portal) returnPath(given string) string {
	if len(given) > 1024 || !strings.HasPrefix(given, "/") || strings.HasPrefix(given, "//") ||
		strings.ContainsFunc(given, func(r rune) bool { return r == '\\' || r < 0x20 || r == 0x7f }) {
		return "/"
	}
	u, err := url.Parse(given)
	if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil || u.Path == "/" {
		return "/"
	}
	// The mux looks at the cleaned path, a browser at the one we write:
	// /%2fevil.example/../identity is one of our pages to the first and
	// another site to the second.
	if path.Clean(u.Path) != u.Path || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, "\\") {
		return "/"
	}
	_, pattern := p.pages.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: u.Path}})
	if pattern == "" || pattern == "/" {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// see sends the browser on to another page of ours (RFC 9110 section 15.4.4).
func see(w http.ResponseWriter, target string) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// browser is the pair of cookies of this request.
func (p *Portal) browser(r *http.Request) identity.Browser {
	return identity.Browser{ID: p.directory.Cookies.Browser(r), Session: p.directory.Cookies.Session(r)}
}

// bound is browser for pages that begin something: it gives the browser its
// cookie when it has none.
func (p *Portal) bound(w http.ResponseWriter, r *http.Request) identity.Browser {
	b := p.browser(r)
	b.ID = p.directory.Cookies.EnsureBrowser(w, r)
	return b
}

// onward goes on after a page has done its work: back to the authorization in
// flight, or to the step that the house still demands, or to where the
// person wanted to go.
func (p *Portal) onward(w http.ResponseWriter, r *http.Request, b identity.Browser, request, back string) error {
	if request != "" {
		return see(w, idp.ResumePath(request))
	}
	step, _, err := p.provider.House(r.Context(), b)
	if err != nil {
		return err
	}
	if step != idp.Done {
		return see(w, stepPath(step)+"?return="+url.QueryEscape(back))
	}
	return see(w, back)
}
