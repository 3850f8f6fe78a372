package idp

import (
	"slices"
	"time"

	"peerage/identity"
	"peerage/store"
)

// Step is what has to happen next in an authorization.
type Step int

// The steps. Every page does its own work and comes back to Next; no page
// knows the next page.
const (
	SignIn    Step = iota // ask for user name and password
	Choose                // ask which account (prompt=select_account)
	Factor                // ask for the second factor
	Passkey               // ask for a passkey, the class that is wanted
	Enrol                 // lead to enrolling one
	NeedsLink             // enrolling needs a one-time link (after a reset)
	NoAccess              // this person may not use this application
	Consent               // ask what the client may know
	Confirm               // "Continue as NAME?" for a public native client
	Deny                  // answer with an error
	Done                  // answer with a code
)

func (s Step) String() string {
	return [...]string{"sign-in", "choose", "factor", "passkey", "enrol", "needs-link", "no-access", "consent", "confirm", "deny", "done"}[s]
}

// FlowRequest is what the client asked for and what was answered so far.
type FlowRequest struct {
	Prompts   []string
	MaxAge    time.Duration // negative: not asked
	ACRValues []string      // a wish, never a reason to enrol
	// EssentialACR: the class must be one of these (claims parameter).
	EssentialACR []string
	HintSub      string // the person whom the client means
	Scopes       []string
	CreatedAt    time.Time
	store.Progress
}

// FlowSession is who is signed in in the browser, nil for nobody.
type FlowSession struct {
	Sub      string
	AuthTime time.Time
	ACR      string
	FactorAt time.Time // when a factor was last given
}

// FlowSignIn is a sign-in whose password was right, nil for none.
type FlowSignIn struct {
	Challenged bool // a code is outstanding; else an enrolment is
	NeedsLink  bool
	MayEnrol   bool
}

// FlowUser is the signed-in person.
type FlowUser struct {
	SecondFactor bool // has one, of whatever kind
	Passkey      bool // has a passkey
	NeedsLink    bool
	Consented    []string // scopes that they allowed the client before
	Allowed      bool     // may use the application
}

// FlowPolicy is what operator and client demand.
type FlowPolicy struct {
	RequireMFA bool // of this person, by settings or by the client
	Trusted    bool // no consent is asked
	Confirm    bool // public native client: never answer without a page
}

// Flow is everything that the next step depends on.
type Flow struct {
	Request FlowRequest
	Session *FlowSession
	SignIn  *FlowSignIn
	User    FlowUser
	Policy  FlowPolicy
	Now     time.Time
}

// Next decides the next step. It is pure: what is not in f does not matter.
// With prompt=none every page becomes Deny, with the error that says which
// page it would have been (OIDC Core section 3.1.2.6).
func Next(f Flow) (Step, *Fault) {
	step := f.step()
	if step == Deny {
		return Deny, f.refusal()
	}
	if !slices.Contains(f.Request.Prompts, "none") {
		return step, nil
	}
	switch {
	case step == Done:
		return Done, nil
	case f.mustSignIn(): // however far a sign-in has come
		return Deny, faultf("login_required", "the person must sign in")
	}
	switch step {
	case Choose:
		return Deny, faultf("account_selection_required", "the person must choose an account")
	case Consent:
		return Deny, faultf("consent_required", "the person must consent")
	case NoAccess:
		return Deny, faultf("access_denied", "the person may not use this application")
	}
	return Deny, faultf("interaction_required", "the person must answer a page")
}

// refusal says why no page can help.
func (f Flow) refusal() *Fault {
	if f.someoneElse() {
		return faultf("login_required", "another person signed in than the client means")
	}
	// OpenID Connect Core Unmet Authentication Requirements 1.0
	return faultf("unmet_authentication_requirements", "the person cannot sign in with a class that the client demands")
}

func (f Flow) step() Step {
	if f.mustSignIn() {
		return f.signInStep()
	}
	switch {
	case f.someoneElse():
		return Deny // asking for the password again would not change who they are
	case f.User.NeedsLink:
		return NeedsLink
	case f.asks("select_account") && !f.answered(f.Request.Chosen) && !f.signedInSince(f.Request.CreatedAt):
		return Choose
	case !f.User.Allowed:
		return NoAccess
	case f.User.Passkey && f.Session.ACR != identity.ACRPasskey && (f.onlyPasskey() || f.wishesPasskey()):
		return Passkey
	case f.Session.ACR == identity.ACROneFactor && f.User.SecondFactor && (f.Policy.RequireMFA || f.wishesTwo() || f.essential(identity.ACRTwoFactors)):
		return Factor
	case f.Session.ACR == identity.ACROneFactor && f.Policy.RequireMFA:
		return Enrol
	case !f.met():
		return Deny
	case f.mustConsent():
		return Consent
	case f.Policy.Confirm && !f.Policy.Trusted && !f.interacted():
		return Confirm
	}
	return Done
}

// mustSignIn: nobody is signed in, or it was too long ago, or it is not the
// person that the client means.
func (f Flow) mustSignIn() bool {
	switch {
	case f.Session == nil:
		return true
	case !f.Request.LoginAfter.IsZero() && !f.signedInSince(f.Request.LoginAfter):
		return true // prompt=login, or "use another account"
	case f.Request.MaxAge >= 0 && f.Now.Sub(f.Session.AuthTime) > f.Request.MaxAge && !f.signedInSince(f.Request.CreatedAt):
		return true // just signed in counts even for max_age=0
	}
	return f.someoneElse() && !f.signedInSince(f.Request.CreatedAt)
}

// someoneElse: the client means another person (id_token_hint, claims).
func (f Flow) someoneElse() bool {
	return f.Request.HintSub != "" && f.Request.HintSub != f.Session.Sub
}

// signInStep goes on with a sign-in whose password was right already.
func (f Flow) signInStep() Step {
	switch {
	case f.SignIn == nil:
		return SignIn
	case f.SignIn.Challenged:
		return Factor
	case f.SignIn.NeedsLink && !f.SignIn.MayEnrol:
		return NeedsLink
	}
	return Enrol
}

func (f Flow) asks(prompt string) bool { return slices.Contains(f.Request.Prompts, prompt) }

// answered: another person's answer in this browser does not count.
func (f Flow) answered(flag bool) bool { return flag && f.Request.DecidedBy == f.Session.Sub }

func (f Flow) signedInSince(t time.Time) bool { return !f.Session.AuthTime.Before(t) }

// wishedACR is the class that the client likes best of those that we know.
func (f Flow) wishedACR() string {
	for _, v := range f.Request.ACRValues {
		if slices.Contains(identity.ACRValues(), v) {
			return v
		}
	}
	return ""
}

// wishesTwo: the class that the client likes best needs a second factor.
func (f Flow) wishesTwo() bool { return identity.ACRSatisfies(f.wishedACR(), identity.ACRTwoFactors) }

// wishesPasskey: the client would like a passkey best, and nobody was asked
// for one in this request. A wish is asked for once: not every passkey can
// verify its person, nor has everybody theirs at hand.
func (f Flow) wishesPasskey() bool {
	return f.wishedACR() == identity.ACRPasskey && f.Session.FactorAt.Before(f.Request.CreatedAt)
}

// onlyPasskey: what the client demands is met by a passkey alone.
func (f Flow) onlyPasskey() bool {
	return !f.met() && f.essential(identity.ACRPasskey) && !f.essential(identity.ACRTwoFactors)
}

// met: the session is of a class that the client demands, or stronger.
func (f Flow) met() bool {
	return len(f.Request.EssentialACR) == 0 || slices.ContainsFunc(f.Request.EssentialACR, func(want string) bool { return identity.ACRSatisfies(f.Session.ACR, want) })
}

// claimedACR is the class that the ID token tells: that of the session, or
// where the client demands a weaker one by name, that one (OIDC Core section
// 5.5.1.1 wants one of its values).
func claimedACR(session string, essential []string) string {
	if len(essential) == 0 || slices.Contains(essential, session) {
		return session
	}
	claimed := session
	for _, class := range identity.ACRValues() { // the strongest one comes last
		if slices.Contains(essential, class) && identity.ACRSatisfies(session, class) {
			claimed = class
		}
	}
	return claimed
}

func (f Flow) essential(acr string) bool { return slices.Contains(f.Request.EssentialACR, acr) }

// mustConsent: for a trusted client only when it asks for the page itself.
func (f Flow) mustConsent() bool {
	if f.answered(f.Request.Consented) {
		return false
	}
	if f.asks("consent") {
		return true
	}
	return !f.Policy.Trusted && slices.ContainsFunc(f.Request.Scopes, func(s string) bool { return !slices.Contains(f.User.Consented, s) })
}

// interacted: the person did something in this very request, so no other
// program on the device can have gone through it unseen (RFC 8252 section 8.6).
func (f Flow) interacted() bool {
	return f.answered(f.Request.Consented) || f.answered(f.Request.Chosen) || f.answered(f.Request.Confirmed) || f.signedInSince(f.Request.CreatedAt)
}
