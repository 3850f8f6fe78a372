package portal

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"peerage/identity"
	"peerage/idp"
)

const (
	cspWithoutForms = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
	csp             = cspWithoutForms + "; form-action 'self'"
	// The one page's script may load; it cannot fetch anything (connect-src).
	cspWithScript = csp + "; script-src 'self'"
	maxBody       = 64 << 10
	formType      = "application/x-www-form-urlencoded"
)

// middleware goes around everything on the public listener, from outside in:
// who is it, one span, one log line, no panic escapes, the right host, headers, slashes.
func (p *Portal) middleware(next http.Handler) http.Handler {
	return p.withCaller(p.traced(p.logged(p.recovered(p.rightHost(p.headers(p.withoutSlash(next)))))))
}

// withCaller finds the caller's address and numbers the request.
func (p *Portal) withCaller(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr := p.address(r)
		id := newRequestID()
		w.Header().Set("X-Request-Id", id)
		caller := identity.Caller{IP: addr.String(), Network: network(addr), UserAgent: r.UserAgent(), RequestID: id}
		next.ServeHTTP(w, r.WithContext(identity.WithCaller(r.Context(), caller)))
	})
}

// newRequestID is short enough to be read out on the telephone.
func newRequestID() string {
	var b [8]byte
	rand.Read(b[:])
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}

// address reads X-Forwarded-For from the right as far as trusted proxies
// reach; from anybody else the header is a claim and counts nothing.
func (p *Portal) address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := peer.Addr().Unmap()
	if !in(p.TrustedProxies, addr) {
		p.warnOfClaim(r, addr)
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && in(p.TrustedProxies, addr); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = next.Unmap().WithZone("")
	}
	return addr
}

// network is what limits count by: one IPv6 customer has a /64 of addresses.
func network(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}

func in(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// logged writes one line a request, with the route's pattern and never its
// path: one-time links must not end in logs.
func (p *Portal) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		sw := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(sw, r)
		route := r.Pattern
		if _, path, ok := strings.Cut(route, " "); ok {
			route = path
		}
		describeSpan(trace.SpanFromContext(r.Context()), r.Method, route, sw.status)
		if route == "" {
			route = "none"
		}
		taken := time.Since(begun)
		p.seconds.WithLabelValues(route).Observe(taken.Seconds())
		caller := identity.CallerFrom(r.Context())
		level := slog.LevelInfo
		if slices.Contains(sameForAll, route) {
			level = slog.LevelDebug
		}
		p.log.LogAttrs(r.Context(), level, "request", slog.String("method", r.Method), slog.String("route", route),
			slog.Int("status", sw.status), slog.String("ip", caller.IP), slog.Duration("duration", taken))
	})
}

// sameForAll are the documents that programs fetch every minute and that tell
// nothing of anybody: their lines are for those who look for something. The
// metrics count them.
var sameForAll = []string{idp.PathDiscovery, idp.PathMetadata, idp.PathJWKS}

type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recovered turns a panic into a page: the library has at least one that a
// stranger can cause.
func (p *Portal) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			p.log.ErrorContext(r.Context(), "panic", "value", v, "stack", string(debug.Stack()))
			if sw, ok := w.(*statusWriter); ok && sw.status != 0 {
				return // the answer has begun, nothing more can be said
			}
			base := p.base(r, nil)
			base.Fault = FaultInternal
			p.show(w, r, http.StatusInternalServerError, &ErrorPage{Base: base})
		}()
		next.ServeHTTP(w, r)
	})
}

// rightHost refuses names that are not ours: nothing here follows the Host
// header, and nobody should come to believe that it does.
func (p *Portal) rightHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if p.hosts[host] {
			next.ServeHTTP(w, r)
			return
		}
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if !p.hosts[strings.ToLower(strings.Trim(host, "[]"))] {
			http.Error(w, "This server does not answer to that host name.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Portal) headers(next http.Handler) http.Handler {
	always := http.Header{
		"Content-Security-Policy":    {csp},
		"X-Content-Type-Options":     {"nosniff"},
		"Referrer-Policy":            {"no-referrer"},
		"Cross-Origin-Opener-Policy": {"same-origin"},
	}
	if p.secure {
		// Never includeSubDomains: the exchange's other hosts are not ours.
		always.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), always)
		next.ServeHTTP(w, r)
	})
}

// withoutSlash sends /path/ to /path, as the portals before this one wrote them.
func (p *Portal) withoutSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		if len(path) < 2 || !strings.HasSuffix(path, "/") || strings.HasPrefix(path, "/static/") {
			next.ServeHTTP(w, r)
			return
		}
		target := strings.TrimRight(path, "/")
		if strings.HasPrefix(target, "//") || target == "" || strings.ContainsAny(target, "\\") {
			next.ServeHTTP(w, r) // would leave this site
			return
		}
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusPermanentRedirect)
	})
}

// sameOrigin refuses forms that other sites send (CSRF), by what browsers say
// of where a request comes from.
func (p *Portal) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := p.base(r, nil)
		base.Fault = FaultNotAllowed
		p.show(w, r, http.StatusForbidden, &ErrorPage{Base: base, Reason: ReasonCrossOrigin})
	}))
	return protection.Handler(next)
}

// limited counts pages against their caller's network and bounds their forms.
func (p *Portal) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait := p.limiter.Take(identity.CallerFrom(r.Context()).Network); wait > 0 {
			p.directory.Limited("address")
			base := p.base(r, nil)
			base.Fault, base.RetryAfter = FaultThrottled, wait
			w.Header().Set("Retry-After", seconds(wait))
			p.show(w, r, http.StatusTooManyRequests, &ErrorPage{Base: base})
			return
		}
		if r.Method == http.MethodPost && !idp.IsForm(r) {
			if takesFiles(r) {
				next.ServeHTTP(w, r) // its page reads the body, behind its guard
				return
			}
			base := p.base(r, nil)
			base.Fault = "invalid_request"
			p.show(w, r, http.StatusUnsupportedMediaType, &ErrorPage{Base: base, Description: "the body must be " + formType})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := r.ParseForm(); err != nil {
			p.badForm(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Portal) badForm(w http.ResponseWriter, r *http.Request, err error) {
	base := p.base(r, nil)
	base.Fault = "invalid_request"
	status, reason := http.StatusBadRequest, Reason("")
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		status, reason = http.StatusRequestEntityTooLarge, ReasonTooLarge
	}
	p.show(w, r, status, &ErrorPage{Base: base, Reason: reason})
}

func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// publicMetrics lets trusted networks read the metrics here; for all others
// there is no such page.
func (p *Portal) publicMetrics(w http.ResponseWriter, r *http.Request) error {
	addr, err := netip.ParseAddr(identity.CallerFrom(r.Context()).IP)
	if err != nil || p.metrics == nil || !in(p.MetricsNetworks, addr) {
		return p.unknown(w, r)
	}
	p.metrics.ServeHTTP(w, r)
	return nil
}
