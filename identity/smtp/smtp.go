// Package smtp hands mails to a mail server (RFC 5321).
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"peerage/identity"
)

// Server is the mail server that mails are handed to.
type Server struct {
	Host     string
	Port     int
	Username string // "" for no authentication
	Password string
	// TLS is how the connection is kept secret.
	TLS TLS
}

// TLS is how a connection to a mail server is kept secret.
type TLS int

// The ways to keep a connection secret.
const (
	// STARTTLS is demanded (RFC 3207): a server, or somebody between, that
	// does not offer it gets nothing.
	STARTTLS TLS = iota
	// Implicit is TLS from the first byte (RFC 8314 section 3.3).
	Implicit
	// Opportunistic takes STARTTLS when it is offered; for loopback, where
	// nobody listens.
	Opportunistic
	// Off sends in clear.
	Off
)

// ParseServer reads smtp://USER:PASSWORD@HOST:PORT or smtps://…. Its errors do
// not show the password.
func ParseServer(address string) (Server, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Opaque != "" {
		return Server{}, errors.New("is not an address such as smtp://user:password@mail.example.net:587 or smtps://…; characters such as @ : / % # in user or password are written %40 %3A %2F %25 %23")
	}
	if u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return Server{}, errors.New("has something behind host and port; only ?tls=off is known")
	}
	s := Server{Host: u.Hostname(), Port: 587, Username: u.User.Username()}
	s.Password, _ = u.User.Password()
	local := isLoopback(s.Host)
	switch {
	case u.Scheme == "smtps":
		s.Port, s.TLS = 465, Implicit
	case local:
		s.TLS = Opportunistic
	}
	if port := u.Port(); port != "" {
		if s.Port, err = strconv.Atoi(port); err != nil || s.Port < 1 || s.Port > 65535 {
			return Server{}, errors.New("has no port between 1 and 65535")
		}
	}
	for name, values := range u.Query() {
		switch {
		case name != "tls" || len(values) != 1 || values[0] != "off":
			return Server{}, errors.New("has a query that is not ?tls=off")
		case u.Scheme == "smtps":
			return Server{}, errors.New("smtps:// and ?tls=off exclude each other")
		}
		s.TLS = Off
	}
	switch {
	case (s.Username == "") != (s.Password == ""):
		return Server{}, errors.New("has a user without password, or a password without user")
	case s.TLS == Off && s.Username != "" && !local:
		return Server{}, errors.New("has ?tls=off and a password, which would travel in clear")
	}
	return s, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// ParseFrom reads the sender of all mails: name@example.net, or
// "Example IX <name@example.net>".
func ParseFrom(text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || identity.CheckEmail(a.Address) != nil {
		return nil, errors.New("is not an address such as noreply@example.net or Example IX <noreply@example.net>")
	}
	return a, nil
}

// deadline bounds one message, or one check, from the first packet to the last.
const deadline = 30 * time.Second

// Sender sends mails through one server. It is safe for concurrent use.
type Sender struct {
	server Server
	from   *mail.Address
	helo   string
	tls    *tls.Config
	limit  time.Duration
}

// NewSender makes a sender that calls itself helo, the host of the issuer.
func NewSender(s Server, from *mail.Address, helo string) *Sender {
	return &Sender{server: s, from: from, helo: helo, tls: &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}, limit: deadline}
}

// Send hands one message over. identity.ErrMailRefused: the server will never
// take it; every other error may pass.
func (s *Sender) Send(ctx context.Context, m identity.Message) error {
	return s.connected(ctx, func(c *gomail.Client, conn *connection) error {
		unencoded, _ := conn.client.Extension("8BITMIME")
		message, err := s.message(m, unencoded)
		if err != nil {
			return errors.Join(identity.ErrMailRefused, err)
		}
		err = c.SendWithSMTPClient(conn.client, message)
		var refused *gomail.SendError
		if errors.As(err, &refused) {
			// Its text names the recipient, who does not belong into logs.
			switch {
			case refused.ErrorCode()/100 == 5 && (refused.Reason == gomail.ErrSMTPRcptTo || refused.Reason == gomail.ErrSMTPDataClose):
				return fmt.Errorf("%w: %s: code %d %s", identity.ErrMailRefused, refused.Reason, refused.ErrorCode(), refused.EnhancedStatusCode())
			default:
				return fmt.Errorf("%s: code %d %s", refused.Reason, refused.ErrorCode(), refused.EnhancedStatusCode())
			}
		}
		return err
	})
}

// Check connects and authenticates and sends nothing.
func (s *Sender) Check(ctx context.Context) error {
	return s.connected(ctx, func(*gomail.Client, *connection) error { return nil })
}

// connected runs f on an authenticated connection, all within the deadline:
// a server that hangs, or answers a byte a minute, holds nobody up for longer.
func (s *Sender) connected(ctx context.Context, f func(*gomail.Client, *connection) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	conn := &connection{}
	defer conn.close()
	defer context.AfterFunc(ctx, conn.close)()
	c, err := gomail.NewClient(s.server.Host, s.options(conn)...)
	if err != nil {
		return fmt.Errorf("preparing the connection to the mail server: %w", err)
	}
	if conn.client, err = c.DialToSMTPClientWithContext(ctx); err == nil {
		if err = f(c, conn); err == nil {
			// The message is the server's by now, however it takes the goodbye.
			_ = c.CloseWithSMTPClient(conn.client)
			return nil
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the mail server does not answer in time: %w", errors.Join(ctx.Err(), err))
	}
	return err
}

func (s *Sender) options(conn *connection) []gomail.Option {
	options := []gomail.Option{gomail.WithPort(s.server.Port), gomail.WithTimeout(s.limit), gomail.WithTLSConfig(s.tls), gomail.WithoutNoop(), gomail.WithoutRset(),
		gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			return conn.dial(ctx, network, address, s)
		})}
	if s.helo != "" {
		options = append(options, gomail.WithHELO(s.helo))
	}
	switch s.server.TLS {
	case STARTTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case Opportunistic:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.server.Username != "" {
		// Each of these refuses to send a password in clear to another host.
		options = append(options, gomail.WithUsername(s.server.Username), gomail.WithPassword(s.server.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return options
}

// message builds the mail. Every part was parsed or is encoded, so that no
// name can add a line to the header.
func (s *Sender) message(m identity.Message, unencoded bool) (*gomail.Msg, error) {
	// Not the library's "7bit", which says so and then breaks lines as
	// quoted-printable does, links among them.
	encoding := gomail.EncodingQP
	if unencoded {
		encoding = gomail.NoEncoding // keeps links in one piece
	}
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(encoding))
	message.FromMailAddress(s.from)
	if err := message.To(m.To); err != nil {
		return nil, fmt.Errorf("the recipient: %w", err)
	}
	message.Subject(oneLine(m.Subject))
	message.SetDateWithValue(m.Time)
	_, domain, _ := strings.Cut(s.from.Address, "@")
	message.SetMessageIDWithValue(m.ID + "@" + domain) // the same when it is sent again
	// Nobody's holiday notice is an answer to this (RFC 3834 section 5).
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetBodyString(gomail.TypeTextPlain, strings.ReplaceAll(m.Text, "\n", "\r\n"))
	return message, nil
}

// oneLine drops what could end a line of the header.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, text)
}
