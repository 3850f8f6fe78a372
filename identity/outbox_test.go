package identity_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/identity"
)

// withMail gives a world a mailer; send decides what happens to each message.
// The outbox sends several at a time; send sees them one after the other.
func withMail(send func(identity.Message) error) setting {
	var one sync.Mutex
	return func(c *identity.Config, d *identity.Deps) {
		c.Issuer = "https://id.example.net"
		d.Mailer = &identity.Mailer{
			Words: func(m identity.Mail) (string, string, error) {
				return "about " + string(m.Kind), fmt.Sprintln(m.Username, m.URL, m.IP), nil
			},
			Send: func(_ context.Context, m identity.Message) error {
				one.Lock()
				defer one.Unlock()
				return send(m)
			},
		}
	}
}

func (w *world) deliver() {
	w.t.Helper()
	if err := w.DeliverMail(w.ctx); err != nil {
		w.t.Fatalf("DeliverMail: %v", err)
	}
}

// A mail that the server does not take comes again, in growing pauses, under
// the same id, until it is taken.
func TestMailIsTriedAgain(t *testing.T) {
	var tries []time.Duration
	ids := map[string]bool{}
	var w *world
	var begun time.Time
	w = newWorld(t, withMail(func(m identity.Message) error {
		tries, ids[m.ID] = append(tries, w.clock.Now().Sub(begun)), true
		if len(tries) < 4 {
			return errors.New("421 try later\nforged line")
		}
		return nil
	}))
	begun = w.clock.Now()
	if _, err := w.Invite(w.ctx, identity.NewUser{Username: "ada", Email: "ada@example.net"}); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		w.deliver()
		w.clock.Advance(10 * time.Second)
	}
	want := []time.Duration{0, 30 * time.Second, 90 * time.Second, 210 * time.Second}
	if fmt.Sprint(tries) != fmt.Sprint(want) || len(ids) != 1 {
		t.Errorf("tried after %v with %d ids, want %v", tries, len(ids), want)
	}
	if log := w.log.String(); strings.Count(log, "it is tried again") != 3 || strings.Contains(log, "\nforged") || strings.Contains(log, "given up") {
		t.Errorf("log:\n%s", log)
	}
}

// After a day a mail is given up, and one whose link has died before.
func TestMailIsGivenUp(t *testing.T) {
	tries := 0
	w := newWorld(t, withMail(func(identity.Message) error { tries++; return errors.New("no route") }))
	link, err := w.Invite(w.ctx, identity.NewUser{Username: "ada", Email: "ada@example.net"})
	if err != nil {
		t.Fatal(err)
	}
	for range 30 * 60 {
		w.deliver()
		w.clock.Advance(time.Minute)
	}
	if tries < 20 || tries > 40 {
		t.Errorf("%d tries in a day", tries)
	}
	log := w.log.String()
	if strings.Count(log, "a mail was given up") != 1 || strings.Contains(log, link.Token) || strings.Contains(log, "ada@") {
		t.Errorf("log:\n%s", log)
	}
	if due, err := w.MailDue(w.ctx); err != nil || due {
		t.Errorf("due: %v, %v", due, err)
	}
	tries = 0
	if _, err := w.CreateUser(w.ctx, identity.NewUser{Username: "bob", Email: "bob@example.net", EmailVerified: true, Password: password}); err != nil {
		t.Fatal(err)
	}
	if err := w.RequestRecovery(w.ctx, "bob@example.net"); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		w.deliver()
		w.clock.Advance(time.Minute)
	}
	if tries == 0 || tries > 6 || strings.Count(w.log.String(), "a mail was given up") != 2 {
		t.Errorf("a link of 15 minutes was tried %d times", tries)
	}
}

// What the server refuses for ever is not sent again.
func TestRefusedMailIsNotSentAgain(t *testing.T) {
	tries := 0
	w := newWorld(t, withMail(func(identity.Message) error { tries++; return fmt.Errorf("%w: 550", identity.ErrMailRefused) }))
	if _, err := w.Invite(w.ctx, identity.NewUser{Username: "ada", Email: "ada@example.net"}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		w.deliver()
		w.clock.Advance(time.Hour)
	}
	if tries != 1 || strings.Count(w.log.String(), "a mail was given up") != 1 {
		t.Errorf("%d tries", tries)
	}
}

// Everybody who has the address gets a mail of their own, to the address that
// we have and not to the one that was typed.
func TestRecoveryOfASharedAddress(t *testing.T) {
	var sent []identity.Message
	w := newWorld(t, withMail(func(m identity.Message) error { sent = append(sent, m); return nil }))
	for _, name := range []string{"ada", "bob"} {
		if _, err := w.CreateUser(w.ctx, identity.NewUser{Username: name, Email: "Noc@example.net", EmailVerified: true, Password: password}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.RequestRecovery(w.ctx, "NOC@EXAMPLE.NET"); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	if len(sent) != 2 || sent[0].To != "Noc@example.net" || sent[0].Text == sent[1].Text || !strings.Contains(sent[0].Text, "https://id.example.net/recover/") || !strings.Contains(sent[0].Text, "192.0.2.1") {
		t.Errorf("sent %+v", sent)
	}
}

// A link to a new password is not spent when the password is not taken.
func TestPasswordLinkSurvivesAFault(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	link, err := w.RecoveryLink(w.ctx, ada)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.UsePasswordLink(w.ctx, link.Token, false, "short"); !errors.Is(err, identity.ErrPasswordTooShort) {
		t.Errorf("a short password gives %v", err)
	}
	if err := w.UsePasswordLink(w.ctx, link.Token, true, "a password that is long enough"); !errors.Is(err, identity.ErrLinkExpired) {
		t.Errorf("used as an invitation it gives %v", err)
	}
	if err := w.UsePasswordLink(w.ctx, link.Token, false, "a password that is long enough"); err != nil {
		t.Errorf("a good password gives %v", err)
	}
	if err := w.SetDisabled(w.ctx, ada, true); err != nil {
		t.Fatal(err)
	}
	if ada, err = w.User(w.ctx, ada.Sub); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RecoveryLink(w.ctx, ada); !errors.Is(err, identity.ErrDisabled) {
		t.Errorf("a disabled person's link gives %v", err)
	}
}
