package identity

import (
	"net/http"
	"time"
)

// Cookies are the two cookies of a browser: the session, and the browser
// itself, to which authorizations and half-done sign-ins are bound, one for
// all its tabs. With an https issuer both are __Host- cookies (RFC 6265bis
// section 4.1.3.2), so that no neighbouring host can plant one.
type Cookies struct {
	// Secure follows the issuer, never the listener.
	Secure bool
	// MaxAge is the absolute limit of a session.
	MaxAge time.Duration
}

func (c Cookies) name(short string) string {
	if c.Secure {
		return "__Host-" + short
	}
	return short
}

// Session is the secret of the session cookie, "" without one.
func (c Cookies) Session(r *http.Request) string { return c.value(r, "peerage") }

// Browser is the secret of the browser cookie, "" without one.
func (c Cookies) Browser(r *http.Request) string { return c.value(r, "peerage-browser") }

func (c Cookies) value(r *http.Request, short string) string {
	cookie, err := r.Cookie(c.name(short))
	if err != nil || len(cookie.Value) != 43 {
		return ""
	}
	return cookie.Value
}

// SetSession gives the browser a session.
func (c Cookies) SetSession(w http.ResponseWriter, secret string) {
	c.set(w, "peerage", secret, int(c.MaxAge.Seconds()))
}

// ClearSession takes the session cookie back.
func (c Cookies) ClearSession(w http.ResponseWriter) { c.set(w, "peerage", "", -1) }

// EnsureBrowser returns the browser's secret and gives it one when it has none.
func (c Cookies) EnsureBrowser(w http.ResponseWriter, r *http.Request) string {
	secret := c.Browser(r)
	if secret == "" {
		secret = NewSecret()
		c.set(w, "peerage-browser", secret, 0)
	}
	return secret
}

func (c Cookies) set(w http.ResponseWriter, short, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name(short), Value: value, Path: "/", MaxAge: maxAge,
		Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
