package portal

import "time"

// A Page is something that a Renderer can show: a struct that embeds Base and
// has its own fields, one type a template.
type Page interface {
	base() *Base
	// frame says which file of templates/ holds the page, which frame stands
	// around it and which place of the header is current.
	frame() frame
}

// frame is how a page is put together.
type frame struct {
	file  string // "signin" for signin.html
	house bool   // in the house, with the header; else at the door, one card
	place place
	// script is the file of static/ that the page needs, "" for none.
	script string
}

// place is one of the places in the header of the house.
type place string

const (
	placeHome    place = "home"
	placeAccount place = "account"
	placeAdmin   place = "admin"
)

// Base is what every page carries.
type Base struct {
	// Lang is the language to speak, a BCP 47 tag; what there is no catalogue
	// for, and "", is English.
	Lang string
	// RequestID is the number that a person gives to whom they ask for help.
	RequestID string
	// TraceID finds the request's trace, "" while tracing is off.
	TraceID string
	// Fault is the code of what went wrong, "" when nothing did: an OAuth error
	// code or one of the pages' own (FaultWrongCode, …). It becomes
	// data-error, and forms say it in words.
	Fault string
	// RetryAfter is how long to wait, with FaultThrottled.
	RetryAfter time.Duration
	// Visitor is who is signed in; nil for nobody. Pages of the house need one.
	Visitor *Visitor
}

func (b *Base) base() *Base { return b }

// Focus is the id of the field that the cursor stands in from the start: on a
// page that asks one thing only. "" leaves it to the reader, who has something
// to read first.
func (b *Base) Focus() string { return "" }

// Visitor is who is signed in, as the header shows them.
type Visitor struct {
	UserName string
	// Networks and Admin say whether the header offers these places.
	Networks, Admin bool
}

// Codes of faults of our own; OAuth error codes stand beside them.
const (
	FaultWrongCredentials   = "wrong_credentials"
	FaultWrongCode          = "wrong_code"
	FaultThrottled          = "throttled"
	FaultBackendUnavailable = "backend_unavailable"
	FaultLinkExpired        = "link_expired"
	FaultNotAllowed         = "not_allowed"
	FaultNoAccess           = "no_access"
	FaultConflict           = "conflict"
	FaultLastAdministrator  = "last_administrator"
	FaultPeeringDBUser      = "peeringdb_user_unverified"
	FaultPeeringDBEmail     = "peeringdb_email_unverified"
	FaultPeeringDBNoNetwork = "peeringdb_no_network"
	FaultPeeringDBDown      = "peeringdb_unavailable"
	FaultPeeringDBResponse  = "peeringdb_response"
	// FaultForm is an OAuth code too; on a form it says that a field is wrong.
	FaultForm             = "invalid_request"
	FaultNotFound         = "not_found"
	FaultInternal         = "internal"
	FaultPasswordShort    = "password_too_short"
	FaultPasswordLong     = "password_too_long"
	FaultPasswordName     = "password_has_name"
	FaultPasswordBreached = "password_breached"
	FaultPasswordRepeat   = "password_repeat"
	FaultWrongEmail       = "wrong_email"
)

// What a form that succeeded says on the page that follows it (HomePage.Done,
// ProfilePage.Done). Any other value says nothing, so it may come from a query.
const (
	DoneSecondFactorAdded   = "second_factor_added"
	DoneSecondFactorRemoved = "second_factor_removed"
	DonePasswordSet         = "password_set"
	DonePasswordChosen      = "password_chosen" // by an invitation
	DoneVerificationSent    = "verification_sent"
	DoneKeyRotated          = "key_rotated"
	DoneKeyScheduled        = "key_scheduled"
	DoneKeyRetired          = "key_retired"
	DonePasskeyAdded        = "passkey_added"
	DonePasskeyRenamed      = "passkey_renamed"
	DonePasskeyRemoved      = "passkey_removed"
	DonePasswordFair        = "password_changed_fair"
	DonePasswordGood        = "password_changed_good"
	DonePasswordStrong      = "password_changed_strong"
	DoneConsentRevoked      = "consent_revoked"
	DoneSessionEnded        = "session_ended"
	DoneSessionsEnded       = "sessions_ended"
	DonePeeringDBLinked     = "peeringdb_linked"
	DonePeeringDBUnlinked   = "peeringdb_unlinked"
	DoneTokenRevoked        = "token_revoked"
	DoneCertRevoked         = "cert_revoked"
)
