package portal

// RecoveryPage lets somebody who cannot sign in ask for a mail; the form with
// the field email goes to /recover. Where no mail is configured it says whom
// to ask. Faults: FaultWrongEmail, FaultThrottled.
type RecoveryPage struct {
	Base
	Mail  bool // mail is configured
	Sent  bool // it was asked for; nobody is told whether the address is known
	Email Field
}

func (*RecoveryPage) frame() frame { return frame{file: "recovery"} }

// Faulty are the fields that something is wrong with.
func (p *RecoveryPage) Faulty() []Field { return faulty(p.Email) }

// NewPasswordPage is what a link to a new password, or an invitation, opens;
// the form goes to Action. Faults: the FaultPassword…, FaultThrottled,
// FaultBackendUnavailable.
type NewPasswordPage struct {
	Base
	Action     string
	Invitation bool
	UserName   string
	Fields     []Field // new_password, repeat_password
}

func (*NewPasswordPage) frame() frame { return frame{file: "new_password"} }

// Faulty are the fields that something is wrong with.
func (p *NewPasswordPage) Faulty() []Field { return faulty(p.Fields...) }

// VerifyEmailPage is what the link in a mail opens that proves an address; the
// form, which is one button, goes to /verify-email/Token.
type VerifyEmailPage struct {
	Base
	Token    string
	UserName string
	Email    string
	Done     bool // it is proved
}

func (*VerifyEmailPage) frame() frame { return frame{file: "verify_email"} }
