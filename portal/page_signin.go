package portal

// SignInPage asks for user name and password; the form goes to /login.
// Faults: FaultWrongCredentials, FaultThrottled, FaultBackendUnavailable.
type SignInPage struct {
	Base
	Asker    *Asker // nil when the person came by themselves
	UserName string // what was typed, or the login hint
	Request  string // the authorization in flight, sent back as ?request=
	Return   string // where to go without one, sent back as the field return
	Again    bool   // there is a session, but the password is wanted once more
	Done     string // what was just done: DonePasswordSet, DonePasswordChosen
	Passkeys bool   // a passkey will do
	// PeeringDB: the person can sign in there instead; goes to /login/peeringdb.
	PeeringDB bool
}

func (*SignInPage) frame() frame { return frame{file: "signin"} }

// CodePage asks for the second factor; the form goes to /login/totp.
// Faults: FaultWrongCode, FaultThrottled, FaultBackendUnavailable.
type CodePage struct {
	Base
	Asker    *Asker
	UserName string
	Request  string
	Return   string
	Passkey  bool // a passkey will do
	Recovery bool // a recovery code will do
}

func (*CodePage) frame() frame { return frame{file: "code"} }

// Focus overrides that of Base.
func (*CodePage) Focus() string { return "code" }

// ChoosePage lets the person keep the account they are signed in with or take
// another; the form goes to /login with decision=continue or other.
type ChoosePage struct {
	Base
	Asker    *Asker
	UserName string
	Name     string // the person's name, "" when not known
	Request  string
}

func (*ChoosePage) frame() frame { return frame{file: "choose"} }

// Letter is the first letter of the account's name.
func (p *ChoosePage) Letter() string { return letter(p.Name + p.UserName) }

// ConfirmAccountPage asks "Continue as NAME?" for a program on the device
// (RFC 8252 section 8.6); the form goes to /login with decision=allow or deny.
type ConfirmAccountPage struct {
	Base
	Asker    *Asker
	UserName string
	Request  string
}

func (*ConfirmAccountPage) frame() frame { return frame{file: "confirm_account"} }

// NeedsLinkPage tells a person whose second factor was reset that a one-time
// link is needed. It has no form.
type NeedsLinkPage struct {
	Base
	Asker    *Asker
	UserName string
}

func (*NeedsLinkPage) frame() frame { return frame{file: "needs_link"} }

// NoAccessPage tells that the application is open to other groups only. An
// empty Fault means FaultNoAccess.
type NoAccessPage struct {
	Base
	Asker    *Asker
	UserName string
	Groups   []string // one of them is needed; may be empty
	Device   bool     // it is on another device, which waits for an answer
}

func (*NoAccessPage) frame() frame { return frame{file: "no_access"} }

// ConfirmPage asks for a fresh factor; the form goes to /login/confirm.
// Faults: FaultWrongCode, FaultWrongCredentials, FaultThrottled,
// FaultBackendUnavailable.
type ConfirmPage struct {
	Base
	UserName     string
	Return       string // sent back as the field return
	AskCode      bool   // ask for code
	AskPassword  bool   // ask for password; with AskCode for both
	AskRecovery  bool   // a recovery code will do, as code
	PeeringDB    bool   // the person signs in there once more, by the button peeringdb=yes
	Form         PasskeyForm
	Refused      bool   // it was a passkey that FaultWrongCode is about
	Renew        bool   // for a token of OpenBao: nothing else will do
	CancelTarget string // path of the link "Cancel", "" for /
}

func (p *ConfirmPage) frame() frame {
	f := frame{file: "confirm"}
	if p.Form.Options != "" {
		f.script = passkeyScript
	}
	return f
}

// Focus overrides that of Base.
func (p *ConfirmPage) Focus() string {
	switch {
	case p.AskPassword:
		return "password"
	case p.AskCode:
		return "code"
	}
	return ""
}

// RecoverPage is what a one-time link for a lost second factor opens; the form
// goes to /recover/Token. Faults: FaultWrongCredentials, FaultThrottled,
// FaultBackendUnavailable. A link that no longer works gets an ErrorPage with
// FaultLinkExpired.
type RecoverPage struct {
	Base
	Token    string
	UserName string // may be empty
	// PeeringDB: the person has no password and signs in there next.
	PeeringDB bool
}

func (*RecoverPage) frame() frame { return frame{file: "recover"} }
