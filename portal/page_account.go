package portal

import "time"

// ProfilePage tells a person what is known about them, and leads to what they
// can change.
type ProfilePage struct {
	Base
	UserName      string
	Name          string
	Email         string
	EmailVerified bool
	MayVerify     bool // offer the button action=verify-email, to /identity
	Groups        []GroupItem
	SecondFactor  bool
	Passkeys      int       // how many they have
	RecoveryCodes int       // how many are left; of use only with a second factor
	Password      bool      // they have a password that can be changed here
	LastSignIn    time.Time // zero: never
	// SignedInWith is how, at that last time; none when that is not known any more.
	SignedInWith []Sentence
	PeeringDB    bool   // PeeringDB is offered, or linked
	Linked       bool   // with PeeringDB
	Suspended    bool   // networks are withheld: PeeringDB has not answered for too long
	Done         string // what was just done: DoneSecondFactorRemoved, …
}

func (*ProfilePage) frame() frame {
	return frame{file: "profile", house: true, place: placeAccount}
}

// FewCodes tells whether it is time for new recovery codes.
func (p *ProfilePage) FewCodes() bool { return p.RecoveryCodes <= fewRecoveryCodes }

// GroupItem is one group of a person.
type GroupItem struct {
	Name string
	// Origin says who put them there; the zero Sentence says nothing.
	Origin Sentence
}

// TOTPPage shows the second factor that a person has, and the form that removes
// it: code, password where AskPassword, and action=disable, to /identity/totp.
// Faults: FaultWrongCode, FaultWrongCredentials, FaultThrottled,
// FaultBackendUnavailable.
type TOTPPage struct {
	Base
	Since       time.Time // zero: it is not known, nor when it was used
	LastUsed    time.Time // zero: never
	Required    bool      // a second factor is a must: who removes it has to add one again
	AskCode     bool      // removing it takes one more code; else a passkey is there
	AskPassword bool      // with the code
	Done        string    // what was just done: DoneSecondFactorAdded, …
}

func (*TOTPPage) frame() frame { return frame{file: "totp", house: true, place: placeAccount} }

// PasswordPage changes the password; the form goes to /identity/password.
// Faults: FaultWrongCredentials, FaultWrongCode, FaultThrottled,
// FaultBackendUnavailable and the five FaultPassword….
type PasswordPage struct {
	Base
	// Elsewhere says where the person's password is, when it is not ours; there
	// is no form then.
	Elsewhere Sentence
	Fields    []Field // current_password, new_password, repeat_password
	AskCode   bool
}

func (*PasswordPage) frame() frame { return frame{file: "password", house: true, place: placeAccount} }

// Faulty are the fields that something is wrong with.
func (p *PasswordPage) Faulty() []Field { return faulty(p.Fields...) }

// ConsentsPage lists what applications may know; each has a button client_id to
// /identity/consents. Fault: FaultNotFound.
type ConsentsPage struct {
	Base
	Consents []ConsentItem
	Done     string
}

func (*ConsentsPage) frame() frame { return frame{file: "consents", house: true, place: placeAccount} }

// ConsentItem is what one application may know.
type ConsentItem struct {
	ClientID string
	Name     string
	Logo     string // a data: picture or a path below /static
	Shares   []Share
	Since    time.Time
	LastUsed time.Time // zero: never
}

// Letter is the first letter of the application's name.
func (c ConsentItem) Letter() string { return letter(c.Name) }

// SessionsPage lists where the person is signed in; the buttons session=ID and
// session=others go to /identity/sessions. Fault: FaultNotFound.
type SessionsPage struct {
	Base
	Sessions []SessionItem
	Done     string
}

func (*SessionsPage) frame() frame { return frame{file: "sessions", house: true, place: placeAccount} }

// Others tells whether there are other sessions than the one in use.
func (p *SessionsPage) Others() bool { return len(p.Sessions) > 1 }

// SessionItem is one browser.
type SessionItem struct {
	ID       string
	Browser  Sentence
	Address  string
	With     []Sentence // how the person signed in
	Started  time.Time
	LastSeen time.Time
	This     bool // the one that shows this page
}

// ActivityPage is a person's own audit trail, the newest first.
type ActivityPage struct {
	Base
	Events []ActivityItem
	Pager  Pager
}

func (*ActivityPage) frame() frame { return frame{file: "activity", house: true, place: placeAccount} }

// ActivityItem is one event.
type ActivityItem struct {
	Time        time.Time
	What        Sentence
	Failed      bool
	Application string // "" for none
	Address     string // "" where it is not the person's own
}
