package peeringdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"peerage/tracing"
)

// Config is how peerage is registered at PeeringDB, and where that is.
type Config struct {
	ClientID, ClientSecret                                 string
	AuthorizeURL, TokenURL, RevokeURL, ProfileURL, JWKSURL string
	// Issuer is what ID tokens name.
	Issuer string
	// RedirectURL is ours.
	RedirectURL string
}

// DefaultURL is PeeringDB's own base address.
const DefaultURL = "https://auth.peeringdb.com"

// Endpoints fills in the addresses that are not set, below a base address. The
// trailing slashes matter: without them PeeringDB redirects, and a redirect
// loses the form.
func (c Config) Endpoints(base string) Config {
	if base == "" {
		base = DefaultURL
	}
	base = strings.TrimRight(base, "/")
	for _, e := range []struct {
		field *string
		path  string
	}{
		{&c.AuthorizeURL, "/oauth2/authorize/"}, {&c.TokenURL, "/oauth2/token/"}, {&c.RevokeURL, "/oauth2/revoke_token/"},
		{&c.ProfileURL, "/profile/v1"}, {&c.JWKSURL, "/oauth2/.well-known/jwks.json"}, {&c.Issuer, "/oauth2"},
	} {
		if *e.field == "" {
			*e.field = base + e.path
		}
	}
	return c
}

// What is asked for: the profile has each part only with its scope.
const scopes = "openid profile email networks amr"

const (
	timeout = 15 * time.Second
	// maxBody is some fifty times the profile of a person with 200 networks.
	maxBody = 1 << 20
	// rest is how long PeeringDB is left alone when it refuses and does not say for
	// how long: it remembers a refusal for a minute, and every question asked
	// meanwhile begins that minute anew.
	rest    = time.Minute
	maxRest = time.Hour
)

// UnavailableError: PeeringDB does not answer as it should. That says nothing of
// the person who was asked about.
type UnavailableError struct {
	// Reason is for administrators.
	Reason string
	// Refused: PeeringDB refuses us as a whole, for everybody behind this address,
	// and must not be asked anything for the time of Wait.
	Refused bool
	Wait    time.Duration
}

// Error implements error.
func (e *UnavailableError) Error() string { return "peeringdb: " + e.Reason }

var (
	// ErrInvalidGrant: the code or refresh token is unknown, spent or too old.
	ErrInvalidGrant = errors.New("peeringdb: the code or refresh token counts no more")
	// ErrNoScope: what was granted no longer reaches to the profile.
	ErrNoScope = errors.New("peeringdb: the grant does not reach to the profile any more")
	// ErrResponse: an answer that cannot be trusted or understood.
	ErrResponse = errors.New("peeringdb: an answer that cannot be used")
)

// Client speaks to PeeringDB. It is safe for concurrent use.
type Client struct {
	Config
	http *http.Client
	now  func() time.Time

	mu   sync.Mutex
	keys keySet
}

// NewClient makes a client; transport nil is the ordinary way out, by the proxy
// of the environment.
func NewClient(c Config, transport http.RoundTripper, now func() time.Time) *Client {
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout, t.MaxResponseHeaderBytes = timeout, 64<<10
		transport = t
	}
	return &Client{Config: c, now: now, http: &http.Client{Timeout: timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// AuthorizationURL is where a browser is sent: RFC 6749 section 4.1.1 with PKCE
// (RFC 7636). anew lets the person sign in once more although PeeringDB knows
// them. prompt=none is never sent: PeeringDB breaks by it.
func (c *Client) AuthorizationURL(state, nonce, challenge string, anew bool) string {
	q := url.Values{"client_id": {c.ClientID}, "redirect_uri": {c.RedirectURL}, "response_type": {"code"}, "scope": {scopes},
		"state": {state}, "nonce": {nonce}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}}
	if anew {
		q.Set("prompt", "login")
	}
	separator := "?"
	if strings.Contains(c.AuthorizeURL, "?") {
		separator = "&"
	}
	return c.AuthorizeURL + separator + q.Encode()
}

// Tokens are what PeeringDB hands out.
type Tokens struct {
	Access, Refresh string
	// idToken is checked by Exchange.
	idToken string
}

// Exchange redeems a code. Errors: ErrInvalidGrant, ErrNoScope, ErrResponse,
// *UnavailableError. amr is how the person signed in, as the ID token says it;
// sub is whose it is; both are empty when none came.
func (c *Client) Exchange(ctx context.Context, code, verifier, nonce string) (t Tokens, sub string, amr []string, err error) {
	t, err = c.token(ctx, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.RedirectURL}, "code_verifier": {verifier}})
	if err != nil || t.idToken == "" {
		return t, "", nil, err
	}
	sub, amr, err = c.checkIDToken(ctx, t.idToken, nonce)
	return t, sub, amr, err
}

// Refresh spends a refresh token. No scope is sent: a smaller one would stay
// smaller for good. Errors as of Exchange.
func (c *Client) Refresh(ctx context.Context, token string) (Tokens, error) {
	return c.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// token asks the token endpoint, with the secret in the form: PeeringDB takes
// every Basic header for a sign-in of its own, whatever its metadata say.
func (c *Client) token(ctx context.Context, form url.Values) (Tokens, error) {
	form.Set("client_id", c.ClientID)
	form.Set("client_secret", c.ClientSecret)
	status, header, body, err := c.post(ctx, c.TokenURL, "token", form)
	if err != nil {
		return Tokens{}, err
	}
	var answer struct {
		AccessToken  string          `json:"access_token"`
		RefreshToken string          `json:"refresh_token"`
		IDToken      string          `json:"id_token"`
		Scope        *string         `json:"scope"`
		Error        string          `json:"error"`
		Meta         json.RawMessage `json:"meta"`
	}
	parsed := json.Unmarshal(body, &answer)
	switch {
	case status == http.StatusBadRequest && answer.Error == "invalid_grant":
		return Tokens{}, ErrInvalidGrant
	case status != http.StatusOK:
		return Tokens{}, refusal("token", status, header, body)
	case parsed != nil || answer.AccessToken == "":
		return Tokens{}, fmt.Errorf("%w: the token endpoint answers 200 without a token", ErrResponse)
	case answer.Scope != nil && *answer.Scope == "":
		// What is left of a grant whose access token was revoked.
		return Tokens{Access: answer.AccessToken, Refresh: answer.RefreshToken}, ErrNoScope
	}
	return Tokens{answer.AccessToken, answer.RefreshToken, answer.IDToken}, nil
}

// Profile reads whose token it is. Errors: ErrNoScope, ErrResponse,
// *UnavailableError; a dead token is one of these too, for it was made just now.
func (c *Client) Profile(ctx context.Context, access string) (Profile, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.ProfileURL, nil)
	if err != nil {
		return Profile{}, fmt.Errorf("%w: %w", ErrResponse, err)
	}
	request.Header.Set("Authorization", "Bearer "+access)
	status, header, body, err := c.do(request, "profile")
	switch {
	case err != nil:
		return Profile{}, err
	case status == http.StatusForbidden && header.Get("X-Auth-Status") == "authenticated":
		return Profile{}, ErrNoScope
	case status != http.StatusOK:
		return Profile{}, refusal("profile", status, header, body)
	}
	p, err := ParseProfile(body)
	if err != nil {
		return Profile{}, fmt.Errorf("%w: %w", ErrResponse, err)
	}
	return p, nil
}

// Revoke ends a grant: with its refresh token, for without that the refresh token
// would go on (RFC 7009).
func (c *Client) Revoke(ctx context.Context, refresh string) error {
	status, header, body, err := c.post(ctx, c.RevokeURL, "revoke", url.Values{"token": {refresh}, "token_type_hint": {"refresh_token"},
		"client_id": {c.ClientID}, "client_secret": {c.ClientSecret}})
	if err == nil && status != http.StatusOK {
		err = refusal("revoke", status, header, body)
	}
	return err
}

func (c *Client) post(ctx context.Context, address, operation string, form url.Values) (int, http.Header, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, nil, fmt.Errorf("%w: %w", ErrResponse, err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(request, operation)
}

func (c *Client) do(request *http.Request, operation string) (status int, header http.Header, body []byte, err error) {
	ctx, span := tracing.Child(request.Context(), trace.SpanKindClient, "peeringdb", operation)
	defer span.End()
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "peerage")
	response, err := c.http.Do(request.WithContext(ctx))
	if err != nil {
		tracing.Failed(span)
		return 0, nil, nil, &UnavailableError{Reason: operation + ": " + cause(err), Wait: rest}
	}
	defer response.Body.Close()
	span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
	body, err = io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		err = &UnavailableError{Reason: operation + ": the answer broke off", Wait: rest}
	case len(body) > maxBody:
		err = &UnavailableError{Reason: fmt.Sprintf("%s: the answer has more than %d bytes", operation, maxBody), Wait: rest}
	}
	if err != nil || response.StatusCode >= 400 {
		tracing.Failed(span)
	}
	return response.StatusCode, response.Header, body, err
}

// cause is an error of net/http without the address, which may hold secrets.
func cause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return "no answer in time"
		}
		err = u.Err
	}
	return clean(err.Error())
}

// refusal makes an error of an answer that is no good one. Refusals that concern
// everybody behind this address (401 and 429, in all their shapes) ask for a rest.
func refusal(operation string, status int, header http.Header, body []byte) error {
	e := &UnavailableError{Reason: fmt.Sprintf("%s answers %d%s", operation, status, saying(body)), Wait: rest}
	switch status {
	case http.StatusUnauthorized, http.StatusTooManyRequests:
		e.Refused = true
	}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
		e.Wait = min(time.Duration(seconds)*time.Second, maxRest)
		if status == http.StatusUnauthorized {
			e.Wait = max(e.Wait, rest)
		}
	}
	return e
}

// saying is what a refusal says of itself: OAuth's word, or Django's.
func saying(body []byte) string {
	var answer struct {
		Error string `json:"error"`
		Meta  struct {
			Error string `json:"error"`
		} `json:"meta"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	for _, text := range []string{answer.Error, answer.Meta.Error} {
		if text = clean(text); text != "" {
			return " (" + text + ")"
		}
	}
	return ""
}
