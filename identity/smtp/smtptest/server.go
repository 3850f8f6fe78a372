// Package smtptest is a mail server on loopback for tests: STARTTLS or TLS,
// authentication, and faults when they are wanted.
package smtptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Username and Password are what the server wants when it authenticates.
const (
	Username = "ix@example.net"
	Password = "p@ss:w/rd"
)

// Options say how a server behaves.
type Options struct {
	NoSTARTTLS bool
	Implicit   bool // TLS from the first byte
	Auth       bool
	// Fault, when set, is asked at each stage: "MAIL", "RCPT", "DATA".
	Fault func(stage string) error
}

// Message is one that the server has taken.
type Message struct {
	From, To string
	TLS      bool
	User     string
	Raw      string
}

// Header and text of the message.
func (m Message) Parse(t testing.TB) (mail.Header, string) {
	t.Helper()
	parsed, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		t.Fatalf("reading a mail: %v\n%s", err, m.Raw)
	}
	text, err := io.ReadAll(parsed.Body)
	if err != nil {
		t.Fatalf("reading a mail: %v", err)
	}
	return parsed.Header, strings.ReplaceAll(string(text), "\r\n", "\n")
}

// Server runs until the test ends.
type Server struct {
	Port string
	// Roots trusts its certificate, which is for localhost; PEM is the same.
	Roots *x509.CertPool
	PEM   []byte

	options Options
	mu      sync.Mutex
	taken   []Message
	began   int
}

// New starts a server on 127.0.0.1.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{options: o}
	certificate := s.certificate(t)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		s.mu.Lock()
		s.began++
		s.mu.Unlock()
		return &session{server: s, conn: c}, nil
	}))
	server.Domain, server.AllowInsecureAuth, server.MaxMessageBytes = "localhost", true, 1<<20
	server.ErrorLog = log.New(io.Discard, "", 0)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if !o.NoSTARTTLS {
		server.TLSConfig = config
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening for mail: %v", err)
	}
	_, s.Port, _ = net.SplitHostPort(l.Addr().String())
	if o.Implicit {
		l = tls.NewListener(l, config)
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return s
}

func (s *Server) certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.Roots = x509.NewCertPool()
	s.Roots.AppendCertsFromPEM(s.PEM)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Messages are those taken so far.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.taken...)
}

// Sessions counts the connections so far that said hello, once before and once
// after STARTTLS.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began
}

type session struct {
	server  *Server
	conn    *smtp.Conn
	message Message
}

func (s *session) fault(stage string) error {
	if s.server.options.Fault == nil {
		return nil
	}
	return s.server.options.Fault(stage)
}

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	if !s.server.options.Auth {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != Username || password != Password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong credentials"}
		}
		s.message.User = username
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.options.Auth && s.message.User == "" {
		return smtp.ErrAuthRequired
	}
	s.message.From = from
	_, s.message.TLS = s.conn.TLSConnectionState()
	return s.fault("MAIL")
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.message.To = to
	return s.fault("RCPT")
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.fault("DATA"); err != nil {
		return err
	}
	s.message.Raw = string(raw)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.taken = append(s.server.taken, s.message)
	return nil
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.message = Message{User: s.message.User} }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }
