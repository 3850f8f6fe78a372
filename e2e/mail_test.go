package e2e

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"peerage/identity/smtp/smtptest"
)

var mailedLink = regexp.MustCompile(`(?m)^http://\S+$`)

// lastMail waits for the nth mail and returns it with its link, "" without one.
func lastMail(t *testing.T, server *smtptest.Server, n int) (smtptest.Message, string) {
	t.Helper()
	eventually(t, "another mail", func() bool { return len(server.Messages()) >= n })
	m := server.Messages()[n-1]
	_, text := m.Parse(t)
	return m, mailedLink.FindString(text)
}

// A person is invited, chooses a password, verifies the address, forgets the
// password and chooses another: the whole story by mail, over STARTTLS.
func TestMailStory(t *testing.T) {
	mail := smtptest.New(t, smtptest.Options{Auth: true})
	roots := filepath.Join(t.TempDir(), "mail.pem")
	if err := os.WriteFile(roots, mail.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "SSL_CERT_FILE="+roots, "EMAIL_HOST=localhost", "EMAIL_PORT="+mail.Port, "EMAIL_USE_TLS=True", "EMAIL_HOST_USER="+smtptest.Username, "EMAIL_HOST_PASSWORD="+smtptest.Password,
		"PEERAGE_MAIL_FROM=Example IX <noreply@example.net>")
	s.start(t)
	if out := s.run(t, "", "check"); !strings.Contains(out, "the mail server takes mails from Example IX <noreply@example.net>") {
		t.Errorf("check says:\n%s", out)
	}
	var invited struct{ Username, URL string }
	s.runJSON(t, &invited, "user", "invite", "ada", "--email", "ada@example.net", "--json")
	m, link := lastMail(t, mail, 1)
	if link != invited.URL || m.To != "ada@example.net" || !m.TLS || m.User != smtptest.Username {
		t.Fatalf("the invitation %s goes to %s with the link %s, TLS %v, as %s", invited.URL, m.To, link, m.TLS, m.User)
	}
	ada := s.newPerson(t, "ada")
	ctx := t.Context()
	submit := func(page *webPage, err error, pairs ...string) *webPage {
		t.Helper()
		if err != nil || len(page.forms) == 0 {
			t.Fatalf("no form: %v, %+v", err, page)
		}
		if page, err = ada.submit(ctx, page, page.forms[len(page.forms)-1], pairs...); err != nil {
			t.Fatal(err)
		}
		return page
	}
	const first, second = "seven grey herons over Delft", "nine blue herons over Utrecht"
	page, err := ada.get(ctx, link)
	page = submit(page, err, "new_password", first, "repeat_password", first)
	if page.url.Path != "/login" {
		t.Fatalf("the invitation leads to %s (%d, %s)", page.url, page.status, page.fault)
	}
	page = submit(page, nil, "username", "ada", "password", first)
	if page.url.Path != "/" {
		t.Fatalf("signing in leads to %s (%s)", page.url, page.fault)
	}
	page, err = ada.send(ctx, http.MethodPost, s.Issuer+"/identity", url.Values{"action": {"verify-email"}})
	if err != nil || page.url.Query().Get("done") != "verification_sent" {
		t.Fatalf("asking for a verification leads to %+v, %v", page, err)
	}
	_, link = lastMail(t, mail, 2)
	page, err = ada.get(ctx, link)
	if page = submit(page, err); page.status != http.StatusOK || !strings.Contains(page.body, "Your address is verified") {
		t.Fatalf("verifying gives %d, %s", page.status, page.fault)
	}
	ada.freshBrowser(t)
	page, err = ada.get(ctx, s.Issuer+"/recover")
	page = submit(page, err, "email", "ada@example.net")
	if page.url.Query().Get("done") != "sent" {
		t.Fatalf("asking for a link leads to %s (%s)", page.url, page.fault)
	}
	_, link = lastMail(t, mail, 3)
	page, err = ada.get(ctx, link)
	page = submit(page, err, "new_password", second, "repeat_password", second)
	if page = submit(page, nil, "username", "ada", "password", second); page.url.Path != "/" {
		t.Fatalf("signing in with the new password leads to %s (%s)", page.url, page.fault)
	}
	if m, link := lastMail(t, mail, 4); link != "" || !strings.Contains(m.Raw, "Subject: Your password at Example IX was changed") {
		t.Errorf("the notice is\n%s", m.Raw)
	}
	s.stop(t)
	if log := s.log.tail(1 << 20); strings.Contains(log, invited.URL[strings.LastIndex(invited.URL, "/")+1:]) || strings.Contains(log, link[strings.LastIndex(link, "/")+1:]) {
		t.Error("the log holds a link")
	}
}
