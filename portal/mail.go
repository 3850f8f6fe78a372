package portal

import (
	"fmt"
	"strings"
	"time"

	"peerage/identity"
)

// Mail puts a mail into words: the subject and the plain text. Nothing in it
// is anybody's choice but the operator's: user names have a safe shape, and
// names that people gave themselves are left out.
func (r *Renderer) Mail(m identity.Mail) (subject, text string, err error) {
	c := r.words[defaultLanguage]
	w := mailWriter{c: c, args: []any{"brand", inOneLine(r.brand.Name), "user", m.Username, "whom", r.whomPlain(c)}}
	if subject, err = w.subject(m.Kind); err != nil {
		return "", "", err
	}
	w.say(c.text("mail.hello", w.args...))
	switch m.Kind {
	case identity.MailRecovery:
		w.say(c.text("mail.recovery.text", w.args...))
	case identity.MailInvitation:
		w.say(c.text("mail.invitation.text", w.args...))
	case identity.MailVerification:
		w.say(c.text("mail.verification.text", w.args...))
	default:
		w.say(subject+".", nil)
	}
	if m.URL != "" {
		w.say(m.URL, nil)
		until, err := c.moment(m.Expires)
		w.say(c.text("mail.until", "time", until))
		w.fail(err)
	}
	at, err := c.moment(m.At)
	w.fail(err)
	if m.IP != "" {
		w.say(c.text("mail.when.from", "time", at, "ip", m.IP))
	} else {
		w.say(c.text("mail.when", append(w.args, "time", at)...))
	}
	switch m.Kind {
	case identity.MailRecovery:
		w.say(c.text("mail.recovery.not_me", w.args...))
	case identity.MailInvitation:
		w.say(c.text("mail.invitation.not_me", w.args...))
	case identity.MailVerification:
		w.say(c.text("mail.verification.not_me", w.args...))
	default:
		w.say(c.text("mail.not_me", w.args...))
	}
	return subject, strings.Join(w.parts, "\n\n") + "\n", w.err
}

// mailWriter gathers paragraphs and the first fault.
type mailWriter struct {
	c     *catalogue
	args  []any
	parts []string
	err   error
}

func (w *mailWriter) say(paragraph string, err error) {
	w.fail(err)
	w.parts = append(w.parts, wrap(paragraph))
}

func (w *mailWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *mailWriter) subject(kind identity.MailKind) (string, error) {
	switch kind {
	case identity.MailRecovery:
		return w.c.text("mail.recovery.subject", w.args...)
	case identity.MailInvitation:
		return w.c.text("mail.invitation.subject", w.args...)
	case identity.MailVerification:
		return w.c.text("mail.verification.subject", w.args...)
	case identity.MailPasswordChanged:
		return w.c.text("mail.password_changed", w.args...)
	case identity.MailFactorAdded:
		return w.c.text("mail.factor_added", w.args...)
	case identity.MailFactorRemoved:
		return w.c.text("mail.factor_removed", w.args...)
	case identity.MailFactorReset:
		return w.c.text("mail.factor_reset", w.args...)
	case identity.MailRecoveryCodesMade:
		return w.c.text("mail.recovery_codes_made", w.args...)
	case identity.MailRecoveryCodeUsed:
		return w.c.text("mail.recovery_code_used", w.args...)
	case identity.MailPasskeyAdded:
		return w.c.text("mail.passkey_added", w.args...)
	case identity.MailPasskeyRemoved:
		return w.c.text("mail.passkey_removed", w.args...)
	case identity.MailPeeringDBLinked:
		return w.c.text("mail.peeringdb_linked", w.args...)
	case identity.MailPeeringDBUnlinked:
		return w.c.text("mail.peeringdb_unlinked", w.args...)
	case identity.MailNetworks:
		return w.c.text("mail.networks", w.args...)
	case identity.MailEmailChanged:
		return w.c.text("mail.email_changed", w.args...)
	}
	return "", fmt.Errorf("there are no words for the mail %q", kind)
}

// moment is a time as mails tell it.
func (c *catalogue) moment(t time.Time) (string, error) {
	t = t.UTC()
	return c.text("time.exact", "day", t.Day(), "month", c.month(t), "year", t.Year(), "clock", t.Format("15:04"), "zone", "UTC")
}

// whomPlain is whom to ask, in text.
func (r *Renderer) whomPlain(c *catalogue) string {
	if r.brand.Support != "" {
		return inOneLine(r.brand.Support)
	}
	return strings.ReplaceAll(c.sentences["whom.unknown"], "{brand}", inOneLine(r.brand.Name))
}

// inOneLine keeps a name from making lines of its own.
func inOneLine(text string) string { return strings.Join(strings.Fields(clipLong(text)), " ") }

// mailWidth is how long a line of a mail gets; links stay in one piece.
const mailWidth = 72

func wrap(paragraph string) string {
	var b strings.Builder
	width := 0
	for i, word := range strings.Fields(paragraph) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case width+1+n > mailWidth:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	return b.String()
}
