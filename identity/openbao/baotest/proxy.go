package baotest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy passes connections on to a server, until it is told to hang: then it
// accepts them, swallows what comes and answers nothing, like a server behind a
// firewall that drops packets.
type Proxy struct {
	// Addr is the address of the proxy, for BAO_ADDR.
	Addr string

	target string
	mu     sync.Mutex
	hangs  bool
	open   map[net.Conn]bool
}

// NewProxy runs a proxy before the server at an address such as Server.Addr.
// It ends with the test.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: "http://" + l.Addr().String(), target: u.Host, open: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.drop()
		serving.Wait()
	})
	return p
}

// Hang lets nothing through from now on, on open connections either.
func (p *Proxy) Hang() { p.set(true) }

// Resume passes new connections on again; those that hung are cut.
func (p *Proxy) Resume() {
	p.set(false)
	p.drop()
}

func (p *Proxy) set(hangs bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangs = hangs
}

func (p *Proxy) hanging() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hangs
}

// drop cuts all connections.
func (p *Proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.open {
		conn.Close()
	}
}

func (p *Proxy) track(conn net.Conn) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[conn] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, conn)
		conn.Close()
	}
}

func (p *Proxy) serve(conn net.Conn) {
	defer p.track(conn)()
	if p.hanging() {
		io.Copy(io.Discard, conn)
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.track(server)()
	var answers sync.WaitGroup
	answers.Go(func() {
		io.Copy(swallowing{conn, p}, server)
		conn.Close()
	})
	io.Copy(swallowing{server, p}, conn)
	server.Close()
	answers.Wait()
}

// swallowing is a connection that loses what is written while the proxy hangs.
type swallowing struct {
	net.Conn
	proxy *Proxy
}

// Write implements io.Writer.
func (s swallowing) Write(b []byte) (int, error) {
	if s.proxy.hanging() {
		return len(b), nil
	}
	return s.Conn.Write(b)
}
