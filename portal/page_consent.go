package portal

// ConsentPage asks whether the application may know who the person is; the
// form goes to /consent with decision=allow or deny.
type ConsentPage struct {
	Base
	Asker    *Asker
	UserName string
	Request  string
	Shares   []Share
	More     bool // there is a consent already, and the application asks for more
}

func (*ConsentPage) frame() frame { return frame{file: "consent"} }

// Share is one line of what will be sent.
type Share struct {
	Kind   ShareKind
	Scope  string   // name of the scope, for ShareOther
	Values []string // what will really be sent; none says that there is nothing
	// Verified is whether the e-mail address is, for ShareEmail.
	Verified bool
	// New marks what the person has not allowed before.
	New bool
}

// ShareKind says in which words a share is described.
type ShareKind string

// The scopes that there are words for.
const (
	ShareID       ShareKind = "id"       // openid: the sub
	ShareProfile  ShareKind = "profile"  // profile: the names
	ShareEmail    ShareKind = "email"    // email
	ShareGroups   ShareKind = "groups"   // groups
	ShareNetworks ShareKind = "networks" // networks
	ShareOffline  ShareKind = "offline"  // offline_access; no values
	ShareOther    ShareKind = "other"    // any other scope, by its name
)

// ShareKindOf returns the kind that describes scope.
func ShareKindOf(scope string) ShareKind {
	switch scope {
	case "openid":
		return ShareID
	case "offline_access":
		return ShareOffline
	case "profile", "email", "groups", "networks":
		return ShareKind(scope)
	}
	return ShareOther
}
