package peeringdb

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// perMinute is what one address may ask without a session, over all pages
	// and all of the OAuth endpoints together. A Bearer token is no session.
	perMinute = 120
	// refusalsPerMinute is after how many answers 401 and 403 an address gets
	// 429 for everything.
	refusalsPerMinute = 10

	anonymousPerMinute = 20 // of the public API
	keyedPerMinute     = 40
)

// remembered says how long a refusal is repeated without being looked at.
var remembered = map[int]time.Duration{http.StatusUnauthorized: 60 * time.Second, http.StatusForbidden: 10 * time.Second, http.StatusTooManyRequests: 10 * time.Second}

// limits are what the look-alike remembers of those who ask.
type limits struct {
	refusals map[string]refusal
	refused  map[string]count // by address
	window   map[string]count // by address
	api      map[string][]time.Time
}

type refusal struct {
	status      int
	contentType string
	body        []byte
	until       time.Time
}

type count struct {
	n     int
	until time.Time
}

func newLimits() limits {
	return limits{refusals: map[string]refusal{}, refused: map[string]count{}, window: map[string]count{}, api: map[string][]time.Time{}}
}

// Forget empties the memory of limits and refusals.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = newLimits()
}

// answer is a buffered response.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newAnswer() *answer { return &answer{header: http.Header{}} }

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) send(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	w.Write(a.body.Bytes())
}

// address is who asks; the look-alike believes X-Forwarded-For, so that one
// machine can be several.
func address(r *http.Request) string {
	if forwarded := r.Header.Get("X-Forwarded-For"); forwarded != "" {
		return strings.Join(strings.Fields(forwarded), "")
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// identity is part of the memory's key. The form of a POST is not: whoever
// sends a wrong client secret speaks for all clients of an address.
func identity(r *http.Request) string {
	if authorization := r.Header.Get("Authorization"); authorization != "" {
		return authorization
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		return cookie.Value
	}
	return "guest"
}

// limited answers from memory, or looks and remembers what it refused. Every
// repetition of a refusal begins its time anew and counts as another one.
func (s *Server) limited(w *answer, r *http.Request) {
	now, from := s.now(), address(r)
	if c := s.limits.refused[from]; c.n > refusalsPerMinute && now.Before(c.until) {
		tooManyRefusals(w)
		s.remember(w, r, from)
		return
	}
	if old, ok := s.limits.refusals[memoryKey(r, from)]; ok && now.Before(old.until) {
		w.header.Set("Content-Type", old.contentType)
		w.header.Set("X-Cached-Response", "True")
		w.header.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(old.status)
		w.Write(old.body)
	} else {
		s.within(w, r, from)
	}
	s.remember(w, r, from)
}

func tooManyRefusals(w http.ResponseWriter) {
	w.Header().Set("X-Throttled-Response", "True")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	writeJSON(w, http.StatusTooManyRequests, meta("Too many requests that resulted in 401 or 403 responses"))
}

func memoryKey(r *http.Request, from string) string {
	return strings.Join([]string{from, identity(r), r.Method, r.URL.Path, r.URL.Query().Encode()}, "\n")
}

func (s *Server) remember(w *answer, r *http.Request, from string) {
	keep, ok := remembered[w.status]
	if !ok {
		return
	}
	now := s.now()
	s.limits.refusals[memoryKey(r, from)] = refusal{status: w.status, contentType: w.header.Get("Content-Type"), body: bytes.Clone(w.body.Bytes()), until: now.Add(keep)}
	if w.status == http.StatusTooManyRequests {
		return
	}
	c := s.limits.refused[from]
	if !now.Before(c.until) {
		c.n = 0
	}
	s.limits.refused[from] = count{n: c.n + 1, until: now.Add(time.Minute)}
}

// within counts who has no session, and refuses Basic before any path sees it.
func (s *Server) within(w *answer, r *http.Request, from string) {
	w.header.Set("X-Frame-Options", "DENY")
	w.header.Set("X-Content-Type-Options", "nosniff")
	if !strings.HasPrefix(r.URL.Path, "/api/") && s.session(r) == nil {
		if wait := s.takeTurn(from); wait > 0 {
			rateLimited(w, wait)
			return
		}
	}
	if name, _, ok := r.BasicAuth(); ok {
		s.refuseBasic(w, r, name)
		return
	}
	w.header.Set("X-Auth-Status", "unauthenticated")
	s.mux.ServeHTTP(w, r)
}

// takeTurn counts a request and says how long the address is to wait.
func (s *Server) takeTurn(from string) time.Duration {
	now := s.now()
	c := s.limits.window[from]
	if !now.Before(c.until) {
		c = count{until: now.Add(time.Minute)}
	}
	c.n++
	s.limits.window[from] = c
	if c.n > perMinute {
		return c.until.Sub(now)
	}
	return 0
}

func rateLimited(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-RateLimit-Limit", fmt.Sprint(perMinute))
	w.Header().Set("Retry-After", seconds(wait))
	w.WriteHeader(http.StatusTooManyRequests)
	w.Write([]byte("Rate limit exceeded. Please try again later."))
}

func seconds(d time.Duration) string { return fmt.Sprint(int(math.Ceil(d.Seconds()))) }

func (s *Server) refuseBasic(w http.ResponseWriter, r *http.Request, name string) {
	if strings.HasPrefix(r.URL.Path, "/api/") && s.named(name) != nil {
		w.Header().Set("X-Auth-Status", "authenticated")
		writeJSON(w, http.StatusForbidden, meta("Basic authentication support has been deprecated and is no longer supported, please switch to API key authentication."))
		return
	}
	w.Header().Set("X-Auth-Status", "unauthenticated")
	writeJSON(w, http.StatusUnauthorized, meta("Invalid username or password"))
}

// meta is PeeringDB's own form of an error, unlike that of OAuth.
func meta(words string) map[string]any {
	return map[string]any{"meta": map[string]string{"error": words}}
}
