// Package openbao keeps people in OpenBao: passwords in a userpass mount, TOTP
// in its login MFA, names and groups in its identity store.
package openbao

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openbao/openbao/api/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"peerage/identity"
	"peerage/tracing"
)

const (
	// DefaultTimeout bounds each call, so that a sign-in of a server that
	// swallows everything is answered within three seconds.
	DefaultTimeout = 2500 * time.Millisecond
	// maxAnswer bounds an answer in bytes; the largest are lists of everybody.
	maxAnswer = 16 << 20
)

// Config says where OpenBao is. Nothing else decides it: the api library would
// read a dozen variables of its own (BAO_TOKEN, VAULT_ADDR, BAO_WRAP_TTL,
// HTTPS_PROXY and more) from the environment.
type Config struct {
	// Address is a URL such as https://bao.example.net:8200: a node, or what
	// stands before the nodes and sends everything to the active one.
	Address string
	// CACert is the PEM of the authorities that may have signed the server's
	// certificate; nil for the machine's own.
	CACert []byte
	// Namespace is where everything of ours lives, "" for the root namespace.
	Namespace string
	// Timeout bounds each call with its answer; 0 means DefaultTimeout.
	Timeout time.Duration
	// Now is the clock by which the active node is asked for anew; nil means
	// time.Now.
	Now func() time.Time

	// transport stands in for the network in tests; nil for the network.
	transport http.RoundTripper
}

// Client sends requests to the active node. It is safe for concurrent use and
// holds no token: each request brings its own.
type Client struct {
	ours    *api.Client // asks in our namespace
	root    *api.Client // asks in the root namespace
	timeout time.Duration
	leader  *leader
}

// NewClient makes a client; it connects to nothing yet.
func NewClient(c Config) (*Client, error) {
	address, err := checkAddress(c.Address)
	if err != nil {
		return nil, err
	}
	namespace := strings.TrimRight(c.Namespace, "/")
	if namespace != "" {
		if err := CheckMount(namespace); err != nil {
			return nil, fmt.Errorf("the namespace %w", err)
		}
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CACert != nil {
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM(c.CACert) {
			return nil, errors.New("the authorities of OpenBao's certificate hold no certificate in PEM")
		}
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	config := api.NewConfig() // unlike DefaultConfig, it leaves the environment alone
	config.Address = address.String()
	config.MaxRetries = 0          // a repeated admin-generate loses the secret, a repeated code is a used one
	config.Timeout = 0             // the context has the deadline
	config.DisableRedirects = true // a token goes to no address that an answer names
	config.CheckRetry = func(context.Context, *http.Response, error) (bool, error) { return false, nil }
	if c.transport == nil {
		c.transport = &http.Transport{ // without Proxy: it would come from the environment
			DialContext:         (&net.Dialer{Timeout: c.Timeout, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:     tlsConfig,
			TLSHandshakeTimeout: c.Timeout,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     90 * time.Second,
		}
	}
	config.HttpClient = &http.Client{
		Transport:     bounded{c.transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	client := &Client{timeout: c.Timeout, leader: newLeader(address, c.Now)}
	if client.root, err = api.NewClient(config); err == nil {
		client.ours, err = api.NewClient(config)
	}
	if err != nil {
		return nil, fmt.Errorf("making the client of OpenBao: %w", err)
	}
	if namespace != "" {
		// As a header: in the path, a namespace that is missing looks like a
		// mount that is forbidden.
		client.ours.SetNamespace(namespace)
	}
	return client, nil
}

// CheckAddress tells whether a text is the address of a server.
func CheckAddress(text string) error {
	_, err := checkAddress(text)
	return err
}

// checkAddress takes an absolute http(s) URL without user, query or fragment.
func checkAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("is not an address such as https://bao.example.net:8200")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

// bounded ends an answer that is larger than any of ours: the library reads the
// text of an error whole.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	}
	return response, err
}

// request is one call.
type request struct {
	operation string // names its span; a word of ours
	method    string // LIST is sent as GET with list=true, which proxies know
	path      path
	token     string // "" for none
	body      any    // nil for none
	wrapTTL   string // such as "300s"; "" for an answer that is not wrapped
	root      bool   // asked in the root namespace, whatever ours is
	// ending: what is asked about may end at this moment, and OpenBao answers
	// then as if the token of the request were refused.
	ending bool
}

// answer is what every path of OpenBao answers with.
type answer struct {
	Data     json.RawMessage `json:"data"`
	Auth     *authAnswer     `json:"auth"`
	Wrap     *wrapAnswer     `json:"wrap_info"`
	Warnings []string        `json:"warnings"`
	// LeaseDuration is how long a secret of an engine is good, in seconds.
	LeaseDuration int64 `json:"lease_duration"`
}

type authAnswer struct {
	Token         string          `json:"client_token"`
	Accessor      string          `json:"accessor"`
	Policies      []string        `json:"policies"`
	LeaseDuration int64           `json:"lease_duration"` // seconds
	Renewable     bool            `json:"renewable"`
	EntityID      string          `json:"entity_id"`
	MFA           *mfaRequirement `json:"mfa_requirement"`
}

type wrapAnswer struct {
	Token    string    `json:"token"`
	Accessor string    `json:"accessor"`
	TTL      int64     `json:"ttl"` // seconds
	Created  time.Time `json:"creation_time"`
	Path     string    `json:"creation_path"`
	Wrapped  string    `json:"wrapped_accessor"`
}

// decode reads the data of an answer into v.
func (a answer) decode(v any) error {
	if len(a.Data) == 0 {
		return &Error{Kind: identity.ErrUnavailable, Reason: "an answer without data"}
	}
	if err := json.Unmarshal(a.Data, v); err != nil {
		return &Error{Kind: identity.ErrUnavailable, Reason: "an answer of another shape"}
	}
	return nil
}

// do sends a request to the active node and reads the answer. Every error but
// one of a cancelled ctx is an *Error, or a *identity.ThrottledError.
func (c *Client) do(ctx context.Context, r request) (answer, error) {
	if r.path.err != nil {
		return answer{}, &Error{Operation: r.operation, Kind: ErrRefused, Reason: "a name that no path may have"}
	}
	deadline, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	traced, span := tracing.Child(deadline, trace.SpanKindClient, "openbao", r.operation)
	defer span.End()
	got, err := c.toActive(traced, r)
	if err != nil && ctx.Err() == context.Canceled {
		return answer{}, ctx.Err()
	}
	if span.IsRecording() {
		span.SetAttributes(attribute.String("peerage.operation", r.operation))
		if errors.Is(err, identity.ErrUnavailable) {
			tracing.Failed(span)
		}
	}
	return got, err
}

// toActive sends a request again only when the first node cannot have acted on
// it: it could not be reached, or it said that another one is active.
func (c *Client) toActive(ctx context.Context, r request) (answer, error) {
	node := c.leader.now(ctx, c)
	got, err := c.send(ctx, node, r)
	var fault *Error
	if !errors.As(err, &fault) || !fault.untouched {
		return got, err
	}
	c.leader.doubt()
	if other := c.leader.now(ctx, c); *other != *node {
		return c.send(ctx, other, r)
	}
	return got, err
}

// send sends one request to one node. It is the only place that speaks to
// OpenBao. The address is put together here: the library's own would clean the
// path, so that a user called ../../token/create makes a token.
func (c *Client) send(ctx context.Context, node *url.URL, r request) (answer, error) {
	fail := func(status int, texts []string, err error) (answer, error) {
		return answer{}, classify(r.operation, status, texts, err)
	}
	method, query := r.method, url.Values{}
	if method == "LIST" {
		method = http.MethodGet
		query.Set("list", "true")
	}
	if r.operation == "health" {
		query.Set("standbyok", "true")
		query.Set("sealedcode", "200")
		query.Set("uninitcode", "200")
	}
	library := c.ours
	if r.root {
		library = c.root
	}
	raw := library.NewRequest(method, "/")
	where := *node
	where.Path += "/v1/" + r.path.text
	raw.URL, raw.Host, raw.Params = &where, where.Host, query
	raw.ClientToken, raw.WrapTTL, raw.MFAHeaderVals, raw.PolicyOverride = r.token, r.wrapTTL, nil, false
	raw.Headers = http.Header{api.RequestHeaderName: {"true"}, "User-Agent": {"peerage"}}
	if r.body != nil {
		if err := raw.SetJSONBody(r.body); err != nil {
			return fail(0, nil, err)
		}
	}
	response, err := library.RawRequestWithContext(ctx, raw)
	if response != nil && response.Response != nil {
		defer response.Body.Close()
	}
	var refused *api.ResponseError
	if errors.As(err, &refused) {
		if refused.StatusCode == http.StatusTooManyRequests {
			return fail(refused.StatusCode, nil, retryAfter(response.Header.Get("Retry-After")))
		}
		if refused.RawError {
			// A page of something in between: it says nothing of passwords, tokens
			// or people.
			return answer{}, &Error{Operation: r.operation, Status: refused.StatusCode, Kind: identity.ErrUnavailable, Reason: "the answer is not OpenBao's"}
		}
		return fail(refused.StatusCode, refused.Errors, nil)
	}
	if err != nil {
		return fail(0, nil, err)
	}
	if response.StatusCode >= 300 {
		return fail(response.StatusCode, nil, nil)
	}
	return read(r.operation, response.Body)
}

// read reads a good answer. sys/health and sys/leader answer without envelope,
// 204 with nothing.
func read(operation string, body io.Reader) (answer, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return answer{}, classify(operation, 0, nil, err)
	}
	var got answer
	if operation == "health" || operation == "leader" {
		got.Data = text
		return got, nil
	}
	if len(text) == 0 {
		return got, nil
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return answer{}, &Error{Operation: operation, Kind: identity.ErrUnavailable, Reason: "the answer is not OpenBao's"}
	}
	return got, nil
}
