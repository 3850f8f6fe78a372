package portal

import "time"

// ToPeeringDBPage says what happens at PeeringDB; its button goes to
// /login/peeringdb.
type ToPeeringDBPage struct {
	Base
	Asker   *Asker
	Request string
	Return  string
}

func (*ToPeeringDBPage) frame() frame { return frame{file: "to_peeringdb"} }

// PeeringDBPage is a person's PeeringDB account; the buttons action=link, check and
// seen go to /identity/peeringdb. Fault: FaultForm with Refused.
type PeeringDBPage struct {
	Base
	Offered, Linked bool
	Account, ID     string
	Since           time.Time
	CheckedAt       time.Time // zero: never
	NextAt          time.Time // zero: none
	Waiting         bool      // a check was asked for
	NeedsSignIn     bool      // nothing is checked before a new sign-in at PeeringDB
	Unanswered      bool      // PeeringDB did not answer the last check
	Suspended       bool      // networks are withheld since it has not answered for too long
	Refusal         Sentence  // why PeeringDB's last word gives no networks
	MayUnlink       bool
	Networks        []NetworkRow
	News            []Sentence
	Refused         Sentence
	Done            string
}

func (*PeeringDBPage) frame() frame {
	return frame{file: "peeringdb", house: true, place: placeAccount}
}

// AdminPeeringDBPage is how things stand with PeeringDB; the buttons action=opt-out
// and opt-in (with asn) and recheck go to /admin/peeringdb.
type AdminPeeringDBPage struct {
	Base
	Offered, SignUp bool
	Numbers         []Number
	// Fault of PeeringDB, "" when it answers, and until when it is left alone.
	Trouble string
	Until   time.Time
	// TooMany: not everybody can be checked within the interval.
	TooMany        bool
	Round, Refresh Sentence
	Participants   int // 0: not known
	// Due is how many wait for a check: the page shows the progress by itself.
	Due      int
	Troubles []PeeringDBRow
	OptOuts  []NetworkRow
	Network  Field
	Done     string
}

func (*AdminPeeringDBPage) frame() frame {
	return frame{file: "admin_peeringdb", house: true, place: placeAdmin}
}

// Faulty are the fields to mend.
func (p *AdminPeeringDBPage) Faulty() []Field { return faulty(p.Network) }

// PeeringDBRow is a link that needs attention.
type PeeringDBRow struct {
	Sub, UserName, Account string
	What                   Sentence
	Detail                 string
	TriedAt                time.Time
}
