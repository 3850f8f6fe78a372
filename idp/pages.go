package idp

import "net/http"

// PageReason says why an authorization cannot go on, for the page's words.
type PageReason int

// Reasons for an error page.
const (
	ReasonRequest        PageReason = iota // the request is malformed
	ReasonClient                           // unknown or disabled application
	ReasonAddress                          // the redirect address is not registered
	ReasonAddressMissing                   // there is none
	ReasonDuplicate                        // a parameter stands twice
	ReasonExpired                          // it is too old or already answered
	ReasonTooLarge                         // the request is too large
	ReasonTooMany                          // too many requests from this address
	ReasonUnavailable                      // the identity backend does not answer
	ReasonInternal                         // something broke here
)

// ErrorPage is a fault that may not be sent to the client.
type ErrorPage struct {
	Status int
	Fault
	Reason  PageReason
	Address string  // the address that was refused
	Client  *Client // nil when not known
}

// Answer is what goes back to a client's redirect address.
type Answer struct {
	Client *Client
	// Target is the whole address with its parameters (query mode).
	Target string
	// Action and Fields make the form of response_mode=form_post.
	Action string
	Fields []Field
	// Code is the OAuth error in it, empty for success.
	Code string
}

// Field is one hidden field.
type Field struct{ Name, Value string }

// Pages are the pages that this package shows. They are functions because
// only the portal makes HTML.
type Pages struct {
	// Error shows a fault.
	Error func(http.ResponseWriter, *http.Request, ErrorPage)
	// NoAccess tells a person that an application is not for them.
	NoAccess func(http.ResponseWriter, *http.Request, *InFlight)
	// Leave goes on to Answer.Target behind a form: Chromium holds the CSP's
	// form-action against every redirect that follows one.
	Leave func(http.ResponseWriter, *http.Request, Answer)
	// FormPost shows the form of response_mode=form_post.
	FormPost func(http.ResponseWriter, *http.Request, Answer)
}
