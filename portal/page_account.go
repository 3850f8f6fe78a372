package portal

import "time"

// ProfilePage tells a person what is known about them.
type ProfilePage struct {
	Base
	UserName      string
	Name          string
	Email         string
	EmailVerified bool
	MayVerify     bool // offer the button action=verify-email, to /identity
	Groups        []string
	SecondFactor  bool
	LastSignIn    time.Time // zero: never
	Done          string    // what was just done: DoneSecondFactorRemoved, …
}

func (*ProfilePage) frame() frame {
	return frame{file: "profile", house: true, place: placeAccount}
}

// TOTPPage shows the second factor that a person has, and the form that removes
// it: code and action=disable, to /identity/totp. Faults: FaultWrongCode,
// FaultThrottled.
type TOTPPage struct {
	Base
	Since    time.Time
	LastUsed time.Time // zero: never
	Required bool      // a second factor is a must: who removes it has to add one again
	AskCode  bool      // removing it takes one more code; else a passkey is there
	Done     string    // what was just done: DoneSecondFactorAdded, …
}

func (*TOTPPage) frame() frame { return frame{file: "totp", house: true, place: placeAccount} }
