package portal

import (
	"slices"
	"time"
)

// UsersPage lists people, found and narrowed by a form.
type UsersPage struct {
	Base
	Search, State Field
	People        []PersonRow
	Total         int64 // everybody, found or not
	// Away: a backend does not say who has a second factor, or is locked.
	Away  bool
	Pager Pager
	Done  string
}

func (*UsersPage) frame() frame { return frame{file: "admin_users", house: true, place: placeAdmin} }

// PersonRow is a person in a list.
type PersonRow struct {
	Sub, UserName, Name, Email string
	Origin                     Sentence
	Disabled, SecondFactor     bool
	// Locked: their backend keeps them out for a while.
	Locked     bool
	LastSignIn time.Time // zero: never
}

// NewUserPage is the form that makes a person; it posts to /admin/users.
type NewUserPage struct {
	Base
	Fields []Field
	Groups []Field // a checkbox for each
}

func (*NewUserPage) frame() frame {
	return frame{file: "admin_user_new", house: true, place: placeAdmin}
}

// Faulty are the fields to mend.
func (p *NewUserPage) Faulty() []Field { return faulty(p.Fields...) }

// UserPage is one person with all that an administrator may do. Faults:
// FaultLastAdministrator, FaultConflict, "invalid_request".
type UserPage struct {
	Base
	Person   PersonFacts
	Version  int64
	Fields   []Field
	Groups   []Field // a checkbox for each
	Link     *OneTimeLink
	Refused  Sentence // why an action was refused, with FaultForm
	Sessions []SessionRow
	Consents []ConsentRow
	Events   []EventRow
	// Networks are those that the person acts for; Network asks for one more.
	Networks  []NetworkRow
	Network   Field
	Suspended bool // what PeeringDB gave is withheld: it has not answered for too long
	Done      string
}

// NetworkRow is a network that a person acts for.
type NetworkRow struct {
	ASN, Name string
	Origin    Sentence
	Since     time.Time
	ByHand    bool // given here, and taken back here
	MayUpdate bool // the person may change it at PeeringDB
}

func (*UserPage) frame() frame { return frame{file: "admin_user", house: true, place: placeAdmin} }

// Faulty are the fields to mend.
func (p *UserPage) Faulty() []Field { return faulty(append(slices.Clone(p.Fields), p.Network)...) }

// PersonFacts are what an administrator sees of a person.
type PersonFacts struct {
	PersonRow
	EmailVerified, Admin bool
	// NeedsLink: their second factor was reset, they wait for a link.
	NeedsLink bool
	Groups    []string
	Created   time.Time
}

// OneTimeLink is a link that is shown once, to be handed over.
type OneTimeLink struct {
	URL     string
	Expires time.Time
	For     Sentence // what it is good for
}

// SessionRow is a session in a list.
type SessionRow struct {
	Browser, IP    string
	SignedIn, Seen time.Time
}

// ConsentRow is what a person agreed to share with an application.
type ConsentRow struct {
	Application string
	Scopes      []string
	Granted     time.Time
}

// EventRow is an event of the audit trail in a list.
type EventRow struct {
	Time                              time.Time
	Event, Client, IP, Result, Detail string
}

// GroupsPage lists the local groups, with the form that makes one.
type GroupsPage struct {
	Base
	Groups []GroupRow
	Name   Field
	Done   string
}

func (*GroupsPage) frame() frame { return frame{file: "admin_groups", house: true, place: placeAdmin} }

// Faulty are the fields to mend.
func (p *GroupsPage) Faulty() []Field { return faulty(p.Name) }

// GroupRow is a group in a list.
type GroupRow struct {
	Name    string
	Link    string
	Members int64
	Admins  bool // the group of the administrators
	Created time.Time
}

// GroupPage is one group with its members. Faults: FaultLastAdministrator.
type GroupPage struct {
	Base
	Group   GroupRow
	Members []PersonRow
	Pager   Pager
	Person  Field
	Done    string
}

func (*GroupPage) frame() frame { return frame{file: "admin_group", house: true, place: placeAdmin} }

// Faulty are the fields to mend.
func (p *GroupPage) Faulty() []Field { return faulty(p.Person) }

// ImportPage takes a file of people: first it shows what would happen, then it
// does it.
type ImportPage struct {
	Base
	File    Field
	Results []ImportRow // nil before there is a file; failed ones first
	Good    int
	Failed  int
	More    int    // results that are not shown
	Done    bool   // it was done, not only tried
	CSV     string // the file, to be sent again when it is to be done
}

func (*ImportPage) frame() frame { return frame{file: "admin_import", house: true, place: placeAdmin} }

// Faulty are the fields to mend.
func (p *ImportPage) Faulty() []Field { return faulty(p.File) }

// ImportRow is a line of the file and what becomes of it.
type ImportRow struct {
	Row             int
	UserName, Error string
}
