package portal

import "html/template"

// ErrorPage tells what went wrong where there is no form to tell it beside.
// An empty Fault means FaultInternal.
type ErrorPage struct {
	Base
	Reason Reason // more exactly what happened, "" when Fault says it all
	// Description is the protocol's sentence about an OAuth error
	// (error_description), for the people who run the application.
	Description string
	Detail      string // the value that is to blame, such as an address
	Account     string // name of the account at PeeringDB that was used
	Asker       *Asker // the application, when it is known
	// Back leads to the application: its launch_uri. "" for no link.
	Back template.URL
	// Again is the path of the page to begin again at, "" for no link.
	Again string
}

func (*ErrorPage) frame() frame { return frame{file: "error"} }

// Reason says more exactly than an error code what happened, in the words of
// people.
type Reason string

// The reasons that there are words for.
const (
	ReasonRedirectURIUnregistered Reason = "redirect_uri_unregistered" // Detail: the address
	ReasonRedirectURIMissing      Reason = "redirect_uri_missing"
	ReasonDuplicateParameter      Reason = "duplicate_parameter" // Detail: the parameter
	ReasonClientDisabled          Reason = "client_disabled"
	ReasonRequestExpired          Reason = "request_expired"
	ReasonOtherBrowser            Reason = "other_browser"
	ReasonCrossOrigin             Reason = "cross_origin"
	ReasonCookies                 Reason = "cookies"
	ReasonSignOut                 Reason = "sign_out" // Detail: the address, if that is the fault
	ReasonTooLarge                Reason = "too_large"
	ReasonWrongMethod             Reason = "wrong_method"

	ReasonPeeringDBDenied   Reason = "peeringdb_denied"
	ReasonPeeringDBTaken    Reason = "peeringdb_taken"
	ReasonPeeringDBUnknown  Reason = "peeringdb_unknown"
	ReasonPeeringDBOther    Reason = "peeringdb_other"
	ReasonPeeringDBDisabled Reason = "peeringdb_disabled"
	ReasonPeeringDBFactor   Reason = "peeringdb_factor"
	ReasonPeeringDBAnswer   Reason = "peeringdb_answer"
	ReasonPeeringDBScope    Reason = "peeringdb_scope"
)

// advice says for every reason and fault which words tell what to do; what is
// not here is for the people who run the application.
var advice = map[string]string{
	string(ReasonRequestExpired): "restart",
	string(ReasonOtherBrowser):   "restart",
	string(ReasonCrossOrigin):    "reload",
	string(ReasonCookies):        "reload",
	string(ReasonTooLarge):       "reload",
	string(ReasonWrongMethod):    "reload",
	string(ReasonClientDisabled): "ask",

	string(ReasonPeeringDBDenied):   "ask",
	string(ReasonPeeringDBTaken):    "ask",
	string(ReasonPeeringDBUnknown):  "ask",
	string(ReasonPeeringDBOther):    "ask",
	string(ReasonPeeringDBDisabled): "ask",
	string(ReasonPeeringDBFactor):   "ask",
	string(ReasonPeeringDBAnswer):   "retry",
	string(ReasonPeeringDBScope):    "ask",

	"access_denied":           "ask",
	"server_error":            "retry",
	"temporarily_unavailable": "retry",
	FaultWrongCredentials:     "reload",
	FaultWrongCode:            "reload",
	FaultThrottled:            "retry",
	FaultBackendUnavailable:   "retry",
	FaultLinkExpired:          "link",
	FaultNotAllowed:           "ask",
	FaultNoAccess:             "ask",
	FaultConflict:             "reload",
	FaultLastAdministrator:    "reload",
	FaultNotFound:             "ask",
	FaultPeeringDBUser:        "ask",
	FaultPeeringDBEmail:       "ask",
	FaultPeeringDBNoNetwork:   "ask",
	FaultPeeringDBDown:        "retry",
	FaultPeeringDBResponse:    "retry",
	FaultInternal:             "retry",
}

// ownFaults are the codes that are not OAuth's, hence not shown as text.
var ownFaults = map[string]bool{
	FaultWrongCredentials: true, FaultWrongCode: true, FaultThrottled: true, FaultBackendUnavailable: true,
	FaultLinkExpired: true, FaultNotAllowed: true, FaultNoAccess: true, FaultConflict: true, FaultLastAdministrator: true,
	FaultNotFound: true, FaultInternal: true,
	FaultPeeringDBUser: true, FaultPeeringDBEmail: true, FaultPeeringDBNoNetwork: true, FaultPeeringDBDown: true, FaultPeeringDBResponse: true,
}

// OAuth says whether the fault is an OAuth error code, to be shown as it is.
func (p *ErrorPage) OAuth() bool { return p.Fault != "" && !ownFaults[p.Fault] }

// Advice is the key of the words that tell what to do.
func (p *ErrorPage) Advice() string {
	kind := "application"
	if a, ok := advice[p.Fault]; ok {
		kind = a
	}
	if a, ok := advice[string(p.Reason)]; ok {
		kind = a
	}
	if p.RequestID == "" {
		return "do." + kind + ".plain"
	}
	return "do." + kind
}

// AgainWords is the key of the words on the link to Again.
func (p *ErrorPage) AgainWords() string {
	if p.Reason == ReasonPeeringDBFactor {
		return "error.again.password"
	}
	return "error.again"
}

// words is the key, without its ending, of the words that tell what happened:
// those of the reason, else of the fault, else of its family.
func (p *ErrorPage) words(c *catalogue) string {
	if key := "reason." + string(p.Reason); c.sentences[key+".text"] != "" {
		return key
	}
	return c.faultKey(p.Fault)
}

// faultKey is the key, without its ending, of the words for a fault.
func (c *catalogue) faultKey(fault string) string {
	if _, ok := c.sentences["error."+fault+".text"]; ok {
		return "error." + fault
	}
	if !ownFaults[fault] {
		return "error.oauth"
	}
	return "error.other"
}
