package portal

import (
	"html/template"
	"time"
)

// PasskeyForm is the part of a page that asks the browser for a passkey. Its
// script puts the answer into the field credential and posts it to Action.
type PasskeyForm struct {
	Action string
	// Options are for navigator.credentials, as JSON; "" leaves the part out.
	Options string
	Add     bool   // register a new one; else use one
	Return  string // sent back as the field return
	First   bool   // sent back as the field first: as the only factor
	Primary bool   // the main button of its page
	Naming  bool   // ask for a name, in the field name
	Name    string // what was typed
}

// passkeyScript is the file in static/ that such a page needs.
const passkeyScript = "passkey.js"

// PasskeyPage asks for a passkey at the door; the form goes to /login/passkey.
// Faults: FaultWrongCode (FaultWrongCredentials as the only factor),
// FaultBackendUnavailable.
type PasskeyPage struct {
	Base
	Asker    *Asker
	UserName string // "" when the passkey shall tell who it is
	Form     PasskeyForm
	Request  string
	Return   string
	Offered  bool // passkeys can work here at all
	Code     bool // a code of the authenticator app will do
	Recovery bool // a recovery code will do
}

func (*PasskeyPage) frame() frame { return frame{file: "passkey", script: passkeyScript} }

// RecoveryCodePage asks for a recovery code as second factor; the form goes to
// /login/recovery. Faults: FaultWrongCode, FaultThrottled.
type RecoveryCodePage struct {
	Base
	Asker    *Asker
	UserName string
	Request  string
	Return   string
	Passkey  bool // a passkey will do
	Code     bool // a code of the authenticator app will do
}

func (*RecoveryCodePage) frame() frame { return frame{file: "recovery_code"} }

// Focus overrides that of Base.
func (*RecoveryCodePage) Focus() string { return "code" }

// RecoveryCodesPage shows how many recovery codes are left, and new ones once;
// the form goes to /identity/recovery-codes.
type RecoveryCodesPage struct {
	Base
	Allowed  bool      // there is a second factor for which they stand in
	Left     int       // codes that still work
	Made     time.Time // zero without any
	Codes    []string  // new ones, as xxxx-xxxx-xxxx
	UserName string    // printed with them
}

func (*RecoveryCodesPage) frame() frame {
	return frame{file: "recovery_codes", house: true, place: placeAccount}
}

// fewRecoveryCodes is how many are left when it is time for new ones.
const fewRecoveryCodes = 3

// Few tells whether it is time for new ones.
func (p *RecoveryCodesPage) Few() bool { return p.Left <= fewRecoveryCodes }

// PasskeysPage lists a person's passkeys and adds one; the form goes to
// /identity/passkeys. Faults: FaultWrongCode, when the new one was not accepted.
type PasskeysPage struct {
	Base
	Passkeys []Passkey
	Offered  bool        // passkeys can work here at all
	Form     PasskeyForm // without Options a fresh factor is asked for first
	Full     bool        // no more can be added
	Done     string      // DonePasskeyAdded, …
}

func (p *PasskeysPage) frame() frame {
	f := frame{file: "passkeys", house: true, place: placeAccount}
	if p.Form.Options != "" {
		f.script = passkeyScript
	}
	return f
}

// Passkey is one in the list.
type Passkey struct {
	ID       string
	Name     string // "" when it was given none
	Since    time.Time
	LastUsed time.Time // zero: never
	Removal  template.URL
}
