package smtp

import (
	"context"
	"crypto/tls"
	"net"
	"sync"

	gosmtp "github.com/wneessen/go-mail/smtp"
)

// connection holds what must be closed whatever happens: the mail library
// leaves the socket open when the server's greeting or TLS fails.
type connection struct {
	client *gosmtp.Client

	mu     sync.Mutex
	socket net.Conn
	closed bool
}

func (c *connection) dial(ctx context.Context, network, address string, s *Sender) (net.Conn, error) {
	socket, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.socket = socket
	if c.closed {
		socket.Close()
	}
	c.mu.Unlock()
	if s.server.TLS == Implicit {
		secured := tls.Client(socket, s.tls)
		return secured, secured.HandshakeContext(ctx)
	}
	return socket, nil
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.socket != nil {
		c.socket.Close()
	}
}
