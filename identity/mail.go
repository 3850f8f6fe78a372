package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"peerage/store"
)

// MailKind says what a mail tells a person.
type MailKind string

// The mails that there are. Those of the first group carry a link; the others
// are notices, and go to verified addresses only.
const (
	MailRecovery     MailKind = "recovery"
	MailInvitation   MailKind = "invitation"
	MailVerification MailKind = "verification"

	MailPasswordChanged   MailKind = "password_changed"
	MailFactorAdded       MailKind = "factor_added"
	MailFactorRemoved     MailKind = "factor_removed"
	MailFactorReset       MailKind = "factor_reset"
	MailRecoveryCodesMade MailKind = "recovery_codes_made"
	MailRecoveryCodeUsed  MailKind = "recovery_code_used"
	MailPasskeyAdded      MailKind = "passkey_added"
	MailPasskeyRemoved    MailKind = "passkey_removed"
	// MailPeeringDBLinked: there is another way in; MailNetworks: the networks that
	// the person acts for are others now.
	MailPeeringDBLinked   MailKind = "peeringdb_linked"
	MailPeeringDBUnlinked MailKind = "peeringdb_unlinked"
	MailNetworks          MailKind = "networks"
	// MailEmailChanged goes to the address that the person had before.
	MailEmailChanged MailKind = "email_changed"
)

// Mail is what a mail tells, before it is put into words.
type Mail struct {
	Kind     MailKind
	Username string
	// URL and Expires are of the link that it carries, if it carries one.
	URL     string
	Expires time.Time
	// At and IP are when and from which address it came about; IP is "" for
	// what was done on the command line.
	At time.Time
	IP string
}

// Message is a mail in words.
type Message struct {
	// ID stays the same when a message is sent again.
	ID      string
	Time    time.Time
	To      string
	Subject string
	Text    string // plain text, lines end in "\n"
}

// ErrMailRefused: the mail server will never take this message; any other
// error of Mailer.Send may pass.
var ErrMailRefused = errors.New("the mail server refuses the message")

// Mailer is how mails are worded and sent.
type Mailer struct {
	Words func(Mail) (subject, text string, err error)
	Send  func(context.Context, Message) error
}

// What lies in the outbox.
const (
	outgoingMessage  = "message"
	outgoingRecovery = "recovery"
)

// letter is a message in the outbox.
type letter struct {
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	Until   time.Time `json:"until"` // later it is of no use
}

const (
	mailBatch = 16
	// mailAtOnce bounds the connections to the mail server.
	mailAtOnce = 4
	// mailLease is longer than a batch takes when every message runs into the
	// sender's deadline.
	mailLease = 5 * time.Minute
	mailFirst = 30 * time.Second // doubles with every attempt
	mailMax   = time.Hour
	mailLife  = 24 * time.Hour
)

// MailsPeople tells whether mail is configured.
func (d *Directory) MailsPeople() bool { return d.mailer != nil }

// outgoing puts a mail to an address into words; nil when mail is not configured.
func (d *Directory) outgoing(ctx context.Context, u store.User, m Mail) (*store.Outgoing, error) {
	if d.mailer == nil || u.Email == "" {
		return nil, nil
	}
	m.Username, m.At, m.IP = u.Username, d.now(), CallerFrom(ctx).IP
	subject, text, err := d.mailer.Words(m)
	if err != nil {
		return nil, fmt.Errorf("wording a mail: %w", err)
	}
	until := m.At.Add(mailLife)
	if !m.Expires.IsZero() && m.Expires.Before(until) {
		until = m.Expires
	}
	content, err := json.Marshal(letter{To: u.Email, Subject: subject, Text: text, Until: until})
	if err != nil {
		return nil, fmt.Errorf("keeping a mail: %w", err)
	}
	return &store.Outgoing{Kind: outgoingMessage, Content: content}, nil
}

// notify tells a person by mail what was done to their account, at an address
// that is known to be theirs. It has no limit on purpose: a thief must not be
// able to use it up before the theft. Failing to tell does not undo what was done.
func (d *Directory) notify(ctx context.Context, u User, kind MailKind) {
	if !u.EmailVerified {
		return
	}
	ctx = context.WithoutCancel(ctx) // hanging up must not hide it
	o, err := d.outgoing(ctx, u.User, Mail{Kind: kind})
	if err == nil && o != nil {
		err = d.store.PutOutgoing(ctx, *o)
	}
	if err != nil {
		d.log.ErrorContext(ctx, "putting a notice into the outbox", "kind", kind, "sub", u.Sub, "error", err)
	}
}

// MailDue tells whether DeliverMail would do anything.
func (d *Directory) MailDue(ctx context.Context) (bool, error) {
	if d.mailer == nil {
		return false, nil
	}
	return d.store.OutgoingDue(ctx)
}

// DeliverMail does what lies in the outbox, some at a time, until nothing is
// due. What fails comes again later, in this replica or another.
func (d *Directory) DeliverMail(ctx context.Context) error {
	if d.mailer == nil {
		return nil
	}
	for ctx.Err() == nil {
		due, err := d.store.TakeOutgoing(ctx, mailBatch, mailLease)
		if err != nil || len(due) == 0 {
			return err
		}
		var group errgroup.Group
		group.SetLimit(mailAtOnce)
		for _, o := range due {
			group.Go(func() error { return d.deliver(ctx, o) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// deliver does one entry and settles what happens next.
func (d *Directory) deliver(ctx context.Context, o store.Outgoing) error {
	until := o.CreatedAt.Add(mailLife)
	var err error
	switch o.Kind {
	case outgoingRecovery:
		until = o.CreatedAt.Add(mailedLinkLifetime) // later nobody waits for it
		err = d.recoverBy(ctx, o)
	default:
		var l letter
		if err = json.Unmarshal(o.Content, &l); err != nil {
			err = errors.Join(ErrMailRefused, err)
			break
		}
		until = l.Until
		if !d.now().Before(until) {
			err = errors.New("it was due while nothing was sent")
			break
		}
		err = d.mailer.Send(ctx, Message{ID: o.ID, Time: o.CreatedAt, To: l.To, Subject: l.Subject, Text: l.Text})
	}
	if err == nil {
		return d.store.DoneOutgoing(context.WithoutCancel(ctx), o.ID) // sent is sent, also when we are stopped now
	}
	if ctx.Err() != nil {
		return d.store.RetryOutgoing(context.WithoutCancel(ctx), o.ID, 0)
	}
	wait := min(mailMax, mailFirst<<min(o.Attempts-1, 10))
	why := Clean(strings.ReplaceAll(err.Error(), "\n", "; "))
	if errors.Is(err, ErrMailRefused) || !d.now().Add(wait).Before(until) {
		d.log.ErrorContext(ctx, "a mail was given up", "id", o.ID, "attempts", o.Attempts, "error", why)
		return d.store.DoneOutgoing(ctx, o.ID)
	}
	d.log.WarnContext(ctx, "sending a mail; it is tried again", "id", o.ID, "attempt", o.Attempts, "wait", wait, "error", why)
	return d.store.RetryOutgoing(ctx, o.ID, wait)
}
