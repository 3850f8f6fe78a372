package smtp

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"peerage/identity"
	"peerage/identity/smtp/smtptest"
)

var sent = identity.Message{ID: "0192", Time: time.Date(2026, 3, 19, 9, 12, 0, 0, time.UTC), To: "ada@example.net", Subject: "Set a new password", Text: "Hello ada,\n\n.\nhttps://identity.exchange.example.net/verify-email/" + strings.Repeat("x", 43) + "\n"}

// to is a sender for the test's server.
func to(t *testing.T, server *smtptest.Server, address string) *Sender {
	t.Helper()
	parsed, err := ParseServer(strings.ReplaceAll(address, "PORT", server.Port))
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	from, err := ParseFrom("Example IX <noreply@example.net>")
	if err != nil {
		t.Fatal(err)
	}
	s := NewSender(parsed, from, "id.example.net")
	s.tls.RootCAs = server.Roots
	return s
}

const credentials = "ix%40example.net:p%40ss%3Aw%2Frd@"

func TestSend(t *testing.T) {
	for _, c := range []struct {
		name, address string
		server        smtptest.Options
		encrypted     bool
	}{
		{"STARTTLS and a password", "smtp://" + credentials + "localhost:PORT", smtptest.Options{Auth: true}, true},
		{"TLS from the first byte", "smtps://" + credentials + "localhost:PORT", smtptest.Options{Auth: true, Implicit: true}, true},
		{"no password", "smtp://localhost:PORT", smtptest.Options{}, true},
		{"loopback without STARTTLS", "smtp://127.0.0.1:PORT", smtptest.Options{NoSTARTTLS: true}, false},
		{"password on loopback in clear", "smtp://" + credentials + "localhost:PORT?tls=off", smtptest.Options{Auth: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := smtptest.New(t, c.server)
			sender := to(t, server, c.address)
			if err := sender.Check(t.Context()); err != nil {
				t.Fatalf("checking: %v", err)
			}
			if len(server.Messages()) != 0 {
				t.Fatal("checking sends a mail")
			}
			if err := sender.Send(t.Context(), sent); err != nil {
				t.Fatalf("sending: %v", err)
			}
			got := server.Messages()
			if len(got) != 1 || got[0].To != sent.To || got[0].From != "noreply@example.net" || got[0].TLS != c.encrypted || (got[0].User != "") != c.server.Auth {
				t.Fatalf("the server got %+v", got)
			}
			header, text := got[0].Parse(t)
			if !strings.Contains(got[0].Raw, strings.Repeat("x", 43)+"\r\n") {
				t.Errorf("the link is in pieces:\n%s", got[0].Raw)
			}
			if text != sent.Text {
				t.Errorf("text %q, want %q", text, sent.Text)
			}
			for name, want := range map[string]string{"Subject": sent.Subject, "From": `"Example IX" <noreply@example.net>`, "To": "<ada@example.net>", "Message-Id": "<0192@example.net>",
				"Auto-Submitted": "auto-generated", "Date": "Thu, 19 Mar 2026 09:12:00 +0000"} {
				if header.Get(name) != want {
					t.Errorf("%s: %q, want %q", name, header.Get(name), want)
				}
			}
		})
	}
}

// A server, or somebody between, that offers no STARTTLS gets neither the
// password nor the mail with its link.
func TestStartTLSStripped(t *testing.T) {
	server := smtptest.New(t, smtptest.Options{NoSTARTTLS: true, Auth: true})
	sender := to(t, server, "smtp://"+credentials+"localhost:PORT")
	sender.server.TLS = STARTTLS // as for every host that is not loopback
	if err := sender.Send(t.Context(), sent); err == nil || errors.Is(err, identity.ErrMailRefused) || !strings.Contains(err.Error(), "STARTTLS") {
		t.Fatalf("sending gives %v", err)
	}
	if len(server.Messages()) != 0 {
		t.Error("the mail went out")
	}
}

func TestCertificateOfAnother(t *testing.T) {
	server := smtptest.New(t, smtptest.Options{})
	sender := to(t, server, "smtp://localhost:PORT")
	sender.tls.RootCAs = nil
	if err := sender.Send(t.Context(), sent); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Fatalf("sending gives %v", err)
	}
	if len(server.Messages()) != 0 {
		t.Error("the mail went out")
	}
}

func TestWrongPasswordMayPass(t *testing.T) {
	server := smtptest.New(t, smtptest.Options{Auth: true})
	sender := to(t, server, "smtp://ix:wrong@localhost:PORT")
	for _, err := range []error{sender.Check(t.Context()), sender.Send(t.Context(), sent)} {
		if err == nil || errors.Is(err, identity.ErrMailRefused) || strings.Contains(err.Error(), "wrong@") {
			t.Errorf("a wrong password gives %v", err)
		}
	}
}

// What the server says decides whether a mail comes again, and no address
// gets into the log with it.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		stage   string
		code    int
		forever bool
	}{{"RCPT", 450, false}, {"RCPT", 550, true}, {"DATA", 451, false}, {"DATA", 554, true}, {"MAIL", 451, false}, {"MAIL", 550, false}} {
		t.Run(c.stage+" "+strconv.Itoa(c.code), func(t *testing.T) {
			server := smtptest.New(t, smtptest.Options{Fault: func(stage string) error {
				if stage != c.stage {
					return nil
				}
				return &gosmtp.SMTPError{Code: c.code, EnhancedCode: gosmtp.EnhancedCode{c.code / 100, 1, 1}, Message: "no\r\nX-Forged: yes"}
			}})
			err := to(t, server, "smtp://localhost:PORT").Send(t.Context(), sent)
			if err == nil || errors.Is(err, identity.ErrMailRefused) != c.forever || !strings.Contains(err.Error(), strconv.Itoa(c.code)) {
				t.Errorf("sending gives %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "ada@") {
				t.Errorf("the error names the recipient: %v", err)
			}
		})
	}
}

// A server that takes the connection and says nothing, or dies in the middle
// of the message, holds nobody up.
func TestServersThatHang(t *testing.T) {
	answers := map[string][]string{
		"says nothing":            nil,
		"hangs after hello":       {"220 localhost ESMTP"},
		"hangs in the recipients": {"220 localhost ESMTP", "250 localhost", "250 ok"},
		"hangs in the message":    {"220 localhost ESMTP", "250 localhost", "250 ok", "250 ok", "354 go"},
		"dies in the message":     {"220 localhost ESMTP", "250 localhost", "250 ok", "250 ok", "354 go", "HANG UP"},
	}
	for name, lines := range answers {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				buffer := make([]byte, 64<<10)
				for i, line := range lines {
					if line == "HANG UP" {
						return
					}
					if _, err := conn.Write([]byte(line + "\r\n")); err != nil {
						return
					}
					if i < len(lines)-1 || len(lines) > 4 {
						if _, err := conn.Read(buffer); err != nil {
							return
						}
					}
				}
				for err == nil { // until the other side gives up
					_, err = conn.Read(buffer)
				}
			}()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			sender := to(t, &smtptest.Server{Port: port}, "smtp://127.0.0.1:PORT?tls=off")
			sender.limit = 200 * time.Millisecond
			begun := time.Now()
			err = sender.Send(t.Context(), sent)
			if err == nil || errors.Is(err, identity.ErrMailRefused) {
				t.Errorf("sending gives %v", err)
			}
			if taken := time.Since(begun); taken > 5*time.Second {
				t.Errorf("it took %s", taken)
			}
		})
	}
}

// Names cannot add lines to the header (CWE-93).
func TestHeaderInjection(t *testing.T) {
	server := smtptest.New(t, smtptest.Options{})
	sender := to(t, server, "smtp://localhost:PORT")
	m := sent
	m.Subject = "Brand\r\nBcc: eve@example.net\r\n\r\nforged \u2028 Öl"
	if err := sender.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	header, text := server.Messages()[0].Parse(t)
	if header.Get("Bcc") != "" || text != sent.Text {
		t.Errorf("the subject forged the header %v, text %q", header, text)
	}
	m.To = "ada@example.net>\r\nRCPT TO:<eve@example.net"
	if err := sender.Send(t.Context(), m); !errors.Is(err, identity.ErrMailRefused) {
		t.Errorf("a forged recipient gives %v", err)
	}
	if n := len(server.Messages()); n != 1 {
		t.Errorf("%d messages went out", n)
	}
}

func TestParseServer(t *testing.T) {
	for address, want := range map[string]Server{
		"smtp://mail.example.net":             {Host: "mail.example.net", Port: 587},
		"smtp://u:p@mail.example.net:25":      {Host: "mail.example.net", Port: 25, Username: "u", Password: "p"},
		"smtps://u:p%40@mail.example.net/":    {Host: "mail.example.net", Port: 465, Username: "u", Password: "p@", TLS: Implicit},
		"smtp://[::1]:2525":                   {Host: "::1", Port: 2525, TLS: Opportunistic},
		"smtp://relay.example.net:25?tls=off": {Host: "relay.example.net", Port: 25, TLS: Off},
		"smtp://u:p@localhost:25?tls=off":     {Host: "localhost", Port: 25, Username: "u", Password: "p", TLS: Off},
	} {
		if got, err := ParseServer(address); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", address, got, err, want)
		}
	}
	for _, address := range []string{"", "mail.example.net:587", "http://mail.example.net", "smtp://", "smtp:mail.example.net", "smtp://u:secret@mail.example.net:0", "smtp://u:secret@mail.example.net:99999",
		"smtp://secret@mail.example.net", "smtp://:secret@mail.example.net", "smtp://u:secret@mail.example.net?tls=off", "smtps://u:secret@mail.example.net?tls=off", "smtp://u:secret@mail.example.net?tls=on",
		"smtp://u:secret@mail.example.net?x=1", "smtp://u:secret@mail.example.net/inbox", "smtp://u:secret@mail.example.net#x", "smtp://u:sec%ret@mail.example.net"} {
		got, err := ParseServer(address)
		if err == nil {
			t.Errorf("%s is taken for %+v", address, got)
		} else if strings.Contains(err.Error(), "sec") {
			t.Errorf("%s: the error shows the password: %v", address, err)
		}
	}
}
