package peeringdb

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is one way for the server to fail.
type Fault string

// The faults that Break switches on.
const (
	Down               Fault = "down"                // the connection ends without an answer
	Slow               Fault = "slow"                // no answer until the asker gives up, or Mend
	LostAnswer         Fault = "lost answer"         // done as asked, but the answer never arrives
	ServerError        Fault = "server error"        // 500 in words
	HTMLError          Fault = "html error"          // 502 with the page of a proxy
	WrongContentType   Fault = "wrong content type"  // the right answer, called text/html
	NotJSON            Fault = "not json"            // 200, called JSON, cut off in the middle
	HugeBody           Fault = "huge body"           // 200 with 16 MB of JSON
	WrongIssuer        Fault = "wrong issuer"        // in discovery and ID tokens
	ExpiredCertificate Fault = "expired certificate" // with TLS only
	RateLimited        Fault = "rate limited"        // 429 of the limit for sign-in, with Retry-After
	TooManyRefusals    Fault = "too many refusals"   // 429 of the memory of refusals, without Retry-After
	Throttled          Fault = "throttled"           // 429 of the public API
)

// broken are the faults that are on.
type broken struct {
	mu     sync.Mutex
	faults map[Fault][]string // the paths that fail so; none means all
	mended chan struct{}      // closed by Mend
}

// Break makes the server fail in this way, at these paths or at all.
func (s *Server) Break(f Fault, paths ...string) {
	s.broken.mu.Lock()
	defer s.broken.mu.Unlock()
	if s.broken.faults == nil {
		s.broken.faults, s.broken.mended = map[Fault][]string{}, make(chan struct{})
	}
	s.broken.faults[f] = paths
	if f == ExpiredCertificate {
		s.web.SetKeepAlivesEnabled(false) // so that the certificate is looked at again
	}
}

// Mend ends all faults.
func (s *Server) Mend() {
	s.broken.mu.Lock()
	defer s.broken.mu.Unlock()
	if s.broken.faults != nil {
		close(s.broken.mended)
	}
	s.broken.faults, s.broken.mended = nil, nil
	s.web.SetKeepAlivesEnabled(true)
}

// breaks tells whether a fault is on at a path.
func (s *Server) breaks(f Fault, path string) bool {
	s.broken.mu.Lock()
	defer s.broken.mu.Unlock()
	paths, on := s.broken.faults[f]
	return on && (len(paths) == 0 || path == "" || slices.Contains(paths, path))
}

// ServeHTTP implements http.Handler: faults first, then memory and limits,
// then the answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls[r.URL.Path]++
	s.mu.Unlock()
	path := r.URL.Path
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	r.ParseForm() // here, for a body that comes slowly must not hold up others
	if s.breaks(Slow, path) {
		s.broken.mu.Lock()
		mended := s.broken.mended
		s.broken.mu.Unlock()
		select {
		case <-mended:
		case <-r.Context().Done():
			return
		}
	}
	a := newAnswer()
	if !s.failInstead(a, path) {
		func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.limited(a, r)
		}()
	}
	if s.breaks(Down, path) || s.breaks(LostAnswer, path) {
		panic(http.ErrAbortHandler) // the server's way to end a connection
	}
	s.spoil(a, path)
	a.send(w)
}

// failInstead answers in place of the endpoint, which sees nothing.
func (s *Server) failInstead(w http.ResponseWriter, path string) bool {
	switch {
	case s.breaks(Down, path):
	case s.breaks(ServerError, path):
		s.serverError(w)
	case s.breaks(HTMLError, path):
		answerHTML(w, http.StatusBadGateway, "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>")
	case s.breaks(HugeBody, path):
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"padding":"`))
		w.Write(bytes.Repeat([]byte("x"), 16<<20))
		w.Write([]byte(`"}`))
	case s.breaks(RateLimited, path):
		rateLimited(w, 47*time.Second)
	case s.breaks(TooManyRefusals, path):
		tooManyRefusals(w)
	case s.breaks(Throttled, path):
		throttled(w, time.Minute)
	default:
		return false
	}
	return true
}

// spoil changes an answer that was right.
func (s *Server) spoil(a *answer, path string) {
	if s.breaks(WrongContentType, path) {
		a.header.Set("Content-Type", "text/html; charset=utf-8")
	}
	if s.breaks(NotJSON, path) && strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		a.body.Truncate(a.body.Len() / 2)
	}
}
