// Package peeringdb looks like PeeringDB to whoever signs people in with it or
// reads its public data: it answers as PeeringDB 2.82.0 was seen to answer,
// inconvenient habits included. It is for the demo and for tests; people have
// no passwords here and everybody may be anybody.
package peeringdb

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Client is an OAuth application registered at the look-alike.
type Client struct {
	ID           string
	Secret       string // compared as it is sent; unused when Public
	RedirectURIs []string
	// Algorithm signs ID tokens: "RS256" (also when empty), "HS256" (keyed with
	// the stored hash of the secret, so nobody can check it) or "none": the
	// token endpoint then fails for openid, as when none was chosen.
	Algorithm string
	Public    bool
}

// Config is what a look-alike is made with. The zero value serves the sample
// people on a free port of loopback.
type Config struct {
	// Listen is the address, by default 127.0.0.1:0.
	Listen string
	// TLS serves https with a certificate of the server's own (Roots).
	TLS     bool
	Clients []Client
	// APIKeys are the keys of the public API that are right.
	APIKeys  []string
	People   []Person  // SamplePeople when nil
	Networks []Network // SampleNetworks when nil
	Ports    []Port    // SamplePorts when nil
	// Now is the clock of lifetimes and limits, by default time.Now.
	Now func() time.Time
}

// Server is a running look-alike.
type Server struct {
	url   string
	web   *http.Server
	mux   *http.ServeMux
	now   func() time.Time
	key   func() (*rsa.PrivateKey, error) // made when it is first used
	certs *certificates                   // nil without TLS
	keys  []string

	mu       sync.Mutex // guards everything below
	clients  []Client
	people   []*Person
	networks []*Network
	ports    []Port
	sessions map[string]*session
	codes    map[string]*code
	access   map[string]*accessToken
	refresh  map[string]*refreshToken
	spent    map[string]bool // refresh tokens that were rotated away
	reused   int
	calls    map[string]int
	limits   limits
	broken   broken
	hashKey  []byte // stands for the stored hash of every HS256 client's secret
}

// New starts a look-alike; Close ends it.
func New(c Config) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	s := &Server{now: c.Now, keys: c.APIKeys, clients: slices.Clone(c.Clients), sessions: map[string]*session{}, codes: map[string]*code{},
		access: map[string]*accessToken{}, refresh: map[string]*refreshToken{}, spent: map[string]bool{}, calls: map[string]int{},
		limits: newLimits(), hashKey: []byte(rand.Text() + rand.Text()),
		key: sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })}
	if err := s.populate(c); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for the look-alike of PeeringDB: %w", err)
	}
	s.url = "http://" + listener.Addr().String()
	if c.TLS {
		if s.certs, err = newCertificates(c.Now()); err != nil {
			listener.Close()
			return nil, err
		}
		s.url = "https://" + listener.Addr().String()
		listener = tls.NewListener(listener, &tls.Config{GetCertificate: s.certificate})
	}
	s.mux = s.routes()
	s.web = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go s.web.Serve(listener)
	return s, nil
}

// URL is the base of every address, without a slash at its end.
func (s *Server) URL() string { return s.url }

// Roots are the authorities to trust when it serves https.
func (s *Server) Roots() *x509.CertPool {
	if s.certs == nil {
		return nil
	}
	return s.certs.roots
}

// Close ends the server and its connections at once.
func (s *Server) Close() error {
	s.Mend()
	if err := s.web.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the look-alike of PeeringDB: %w", err)
	}
	return nil
}

// Register adds an application, or replaces the one with its id.
func (s *Server) Register(c Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = append(slices.DeleteFunc(s.clients, func(old Client) bool { return old.ID == c.ID }), c)
}

// Calls counts the requests for a path, answered or not.
func (s *Server) Calls(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

// Reused counts the refreshes that came with a token which had been rotated
// away: somebody spent a token twice.
func (s *Server) Reused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reused
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	browser := http.NewCrossOriginProtection()
	for path, h := range map[string]http.HandlerFunc{
		"/oauth2/.well-known/openid-configuration": s.discovery,
		"/.well-known/openid-configuration":        s.discovery,
		"/.well-known/oauth-authorization-server":  s.metadata,
		"/oauth2/.well-known/jwks.json":            s.keySet,
		"/oauth2/token/":                           post(s.token),
		"/oauth2/revoke_token/":                    post(s.revoke),
		"/oauth2/introspect/":                      s.introspect,
		"/oauth2/device-authorization/":            post(func(w http.ResponseWriter, _ *http.Request) { s.serverError(w) }),
		"/oauth2/userinfo/":                        s.userinfo,
		"/profile/v1":                              s.profile,
		"/api/net":                                 s.apiNet,
		"/api/netixlan":                            s.apiPorts,
		"/style.css":                               stylesheet,
	} {
		mux.HandleFunc(exactly(path), h)
	}
	mux.HandleFunc("GET /api/net/{id}", s.apiNetByID)
	mux.Handle("/oauth2/authorize/{$}", browser.Handler(http.HandlerFunc(s.authorize)))
	mux.Handle("/account/login/{$}", browser.Handler(http.HandlerFunc(s.login)))
	mux.HandleFunc("GET /account/two_factor/{$}", s.enrolSecondFactor)
	for _, path := range []string{"/oauth2/authorize", "/oauth2/token", "/oauth2/revoke_token", "/oauth2/introspect", "/oauth2/userinfo"} {
		mux.HandleFunc(path, addSlash)
	}
	mux.HandleFunc("/", s.notFound)
	return mux
}

// exactly keeps a pattern that ends in a slash from matching what is below it.
func exactly(path string) string {
	if path[len(path)-1] == '/' {
		return path + "{$}"
	}
	return path
}

// certificate answers with the good or the expired certificate.
func (s *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.breaks(ExpiredCertificate, "") {
		return s.certs.expired, nil
	}
	return s.certs.good, nil
}

// browse makes a client that trusts this server and follows no redirect.
func (s *Server) browse(ctx context.Context, jar http.CookieJar) *http.Client {
	return &http.Client{Jar: jar, Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots()}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
