package portaltest

import (
	"context"
	"regexp"
	"slices"
	"sync"

	"peerage/identity"
)

// mails are those that the site sent and nobody has read yet.
type mails struct {
	mu   sync.Mutex
	list []identity.Message
}

func (m *mails) take(_ context.Context, message identity.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, message)
	return nil
}

// Mails does what lies in the outbox and returns the messages that were sent
// since the last call, by recipient.
func (s *Site) Mails() []identity.Message {
	s.t.Helper()
	if err := s.Directory.DeliverMail(s.t.Context()); err != nil {
		s.t.Fatalf("sending mails: %v", err)
	}
	s.mails.mu.Lock()
	defer s.mails.mu.Unlock()
	sent := s.mails.list
	s.mails.list = nil
	slices.SortStableFunc(sent, func(a, b identity.Message) int {
		if a.To < b.To {
			return -1
		}
		return 1
	})
	return sent
}

var mailedLink = regexp.MustCompile(`(?m)^https?://\S+$`)

// MailedLink sends what is due, which must be one message, and returns it with
// the link that it carries.
func (s *Site) MailedLink() (identity.Message, string) {
	s.t.Helper()
	sent := s.Mails()
	if len(sent) != 1 {
		s.t.Fatalf("%d mails were sent, want one: %+v", len(sent), sent)
	}
	links := mailedLink.FindAllString(sent[0].Text, -1)
	if len(links) != 1 {
		s.t.Fatalf("the mail has %d links:\n%s", len(links), sent[0].Text)
	}
	return sent[0], links[0]
}
