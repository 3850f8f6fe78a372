package openbao

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

// TestClassify has the answers as OpenBao 2.6.2 words them.
func TestClassify(t *testing.T) {
	for _, c := range []struct {
		operation string
		status    int
		text      string
		want      error
	}{
		{operationLogin, 400, "invalid username or password", identity.ErrWrongCredentials},
		{operationLogin, 403, "permission denied", ErrDenied},
		{operationLogin, 403, "permission denied", identity.ErrWrongCredentials},
		{operationLogin, 400, "another text", identity.ErrUnavailable},
		{operationLogin, 404, "namespace not found", identity.ErrUnavailable},
		{operationLogin, 404, "unsupported path", identity.ErrUnavailable},
		{operationLogin, 500, "missing password", identity.ErrUnavailable},
		{operationLogin, 500, "internal error", identity.ErrUnavailable},
		{operationLogin, 503, "Vault is sealed", identity.ErrUnavailable},
		{operationCode, 403, "failed to satisfy enforcement totp-x. error: 1 error occurred:\n\t* MFA credentials not supplied or incorrect\n\n", identity.ErrWrongCode},
		{operationCode, 403, "failed to satisfy enforcement totp-x. error: 1 error occurred:\n\t* MFA secret for method portal not present in entity e\n\n", ErrNoSecret},
		{operationCode, 403, "permission denied", identity.ErrWrongCode},
		{operationCode, 400, "invalid request ID", identity.ErrNoSignIn},
		{operationCode, 500, "found nil or empty MFAEnforcement configuration", identity.ErrNoSignIn},
		{operationCode, 500, "internal error", identity.ErrUnavailable},
		{operationCode, 400, "another text", identity.ErrUnavailable},
		{"read", 400, "No auth engine at userpass/", ErrNotFound},
		{"read", 400, "invalid accessor", ErrNotFound},
		{"read", 400, `cannot fetch sysview for path "auth/userpass/"`, ErrNotFound},
		{"read", 400, "another text", ErrRefused},
		{"read", 403, "1 error occurred:\n\t* permission denied\n\n", ErrForbidden},
		{"read", 404, "", ErrNotFound},
		{"read", 404, "namespace not found", identity.ErrUnavailable},
		{"read", 500, "internal error", identity.ErrUnavailable},
		{"read", 503, "Vault is sealed", identity.ErrUnavailable},
		{"read", 307, "", identity.ErrUnavailable},
	} {
		if got := classify(c.operation, c.status, []string{c.text}, nil); !errors.Is(got, c.want) {
			t.Errorf("%s answered %d %q: %v, want %v", c.operation, c.status, c.text, got, c.want)
		}
	}
}

func TestClassifyWaits(t *testing.T) {
	const tooOften = "failed to satisfy enforcement totp-x. error: 1 error occurred:\n\t* maximum TOTP validation attempts 6 exceeded the allowed attempts 5. Please try again in %s seconds\n\n"
	for _, c := range []struct {
		operation string
		status    int
		text      string
		header    string
		want      time.Duration
	}{
		{operationCode, 403, fmt.Sprintf(tooOften, "12.5s"), "", 12500 * time.Millisecond},
		{operationCode, 403, fmt.Sprintf(tooOften, "30.000000002s"), "", 30 * time.Second},
		{operationCode, 403, fmt.Sprintf(tooOften, "9999s"), "", 30 * time.Second},
		{operationCode, 403, "maximum TOTP validation attempts", "", 30 * time.Second},
		{operationLogin, 429, "rate limit quota exceeded", "", time.Second},
		{operationLogin, 429, "rate limit quota exceeded", "7", 7 * time.Second},
		{"read", 429, "", "-1", time.Second},
		{"read", 429, "", "999999", time.Hour},
	} {
		var wait *identity.ThrottledError
		if got := classify(c.operation, c.status, []string{c.text}, retryAfter(c.header)); !errors.As(got, &wait) || wait.Wait != c.want {
			t.Errorf("%s answered %d %q (%s): %v, want to wait %s", c.operation, c.status, c.text, c.header, got, c.want)
		}
	}
}

// world is a namespace with Ada (no second factor) and Grace (TOTP).
type world struct {
	*baotest.Server
	client      *Client
	method      string
	ada, grace  string // entities
	graceSecret string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := baotest.Shared(t)
	w := &world{Server: s, client: newTestClient(t, Config{Address: s.Addr, Namespace: s.Namespace, Timeout: 20 * time.Second})}
	w.ada = s.Add(baotest.Person{Name: "ada"})
	w.grace = s.Add(baotest.Person{Name: "grace"})
	w.method = s.Do("POST", "identity/mfa/method/totp", map[string]any{"method_name": "portal", "issuer": "test", "skew": 1, "max_validation_attempts": 5})["method_id"].(string)
	w.graceSecret = s.EnrolTOTP(w.method, w.grace)
	return w
}

func (w *world) login(t *testing.T, name string) loggedIn {
	t.Helper()
	in, err := w.client.login(t.Context(), "userpass", name, baotest.DefaultPassword)
	if err != nil {
		t.Fatalf("signing %s in: %v", name, err)
	}
	return in
}

// Every answer to a password, from the real server.
func TestLoginAnswers(t *testing.T) {
	w := newWorld(t)
	c := w.client
	try := func(name, password string) error {
		_, err := c.login(t.Context(), "userpass", name, password)
		return err
	}
	in := w.login(t, " ADA ")
	if in.Token == "" || in.EntityID != w.ada || in.Accessor == "" || time.Until(in.Expires) < time.Minute {
		t.Errorf("ada is signed in as %+v", in)
	}
	wantKind(t, try("ada", "wrong"), identity.ErrWrongCredentials)
	wantKind(t, try("nobody", "wrong"), identity.ErrWrongCredentials)
	if errors.Is(try("ada", "wrong"), ErrDenied) {
		t.Error("a wrong password is taken for a lock")
	}
	// The server would answer 500 to the first, and take the second for right.
	wantKind(t, try("ada", ""), identity.ErrWrongCredentials)
	w.Add(baotest.Person{Name: "mary", Password: strings.Repeat("m", 72)})
	if err := try("mary", strings.Repeat("m", 72)); err != nil {
		t.Errorf("72 bytes: %v", err)
	}
	wantKind(t, try("mary", strings.Repeat("m", 73)), identity.ErrWrongCredentials)

	_, err := c.login(t.Context(), "nowhere", "ada", baotest.DefaultPassword)
	wantKind(t, err, ErrDenied)
	_, err = newTestClient(t, Config{Address: w.Addr, Namespace: "nowhere"}).login(t.Context(), "userpass", "ada", baotest.DefaultPassword)
	wantKind(t, err, identity.ErrUnavailable)

	w.Do("POST", "identity/entity/id/"+w.ada, map[string]any{"disabled": true})
	wantKind(t, try("ada", baotest.DefaultPassword), ErrDenied)
	_, err = c.lookUp(t.Context(), in.Token)
	wantKind(t, err, ErrForbidden)
	w.Do("POST", "identity/entity/id/"+w.ada, map[string]any{"disabled": false})

	for range 5 {
		try("ada", "wrong")
	}
	wantKind(t, try("ada", baotest.DefaultPassword), ErrDenied) // locked
}

// Every answer to a code, from the real server.
func TestCodeAnswers(t *testing.T) {
	w := newWorld(t)
	c := w.client
	answer := func(in loggedIn, code string) error {
		_, err := c.code(t.Context(), in, code)
		return err
	}
	wrong := func() string { return wrongCode(w.graceSecret) }

	in := w.login(t, "grace")
	if in.Token != "" || in.RequestID == "" || in.MethodID != w.method {
		t.Fatalf("no code is asked: %+v", in)
	}
	wantKind(t, answer(in, wrong()), identity.ErrWrongCode)
	wantKind(t, answer(in, "nonsense"), identity.ErrWrongCode) // never sent
	code := baotest.Code(w.graceSecret, time.Now())
	done, err := c.code(t.Context(), in, code)
	if err != nil || done.Token == "" || done.EntityID != w.grace {
		t.Fatalf("the right code: %+v, %v", done, err)
	}
	wantKind(t, answer(in, code), identity.ErrNoSignIn) // the request is used up
	in = w.login(t, "grace")
	wantKind(t, answer(in, code), identity.ErrWrongCode) // the code is used up
	in.RequestID = "00000000-0000-4000-8000-000000000000"
	wantKind(t, answer(in, code), identity.ErrNoSignIn)

	// The sixth wrong code of half a minute.
	in = w.login(t, "grace")
	var wait *identity.ThrottledError
	for range 6 {
		err = answer(in, wrong())
	}
	if !errors.As(err, &wait) || wait.Wait <= 0 || wait.Wait > 30*time.Second {
		t.Errorf("the sixth wrong code: %v", err)
	}

	// An enforcement without a secret, and one that an administrator removed.
	w.Do("POST", "identity/mfa/method/totp/admin-destroy", map[string]any{"method_id": w.method, "entity_id": w.grace})
	in = w.login(t, "grace")
	wantKind(t, answer(in, wrong()), ErrNoSecret)
	in = w.login(t, "grace")
	w.Do("DELETE", "identity/mfa/login-enforcement/totp-"+w.grace, nil)
	wantKind(t, answer(in, wrong()), identity.ErrNoSignIn)
	if in = w.login(t, "grace"); in.Token == "" {
		t.Error("after the reset a code is still asked")
	}
}

// wrongCode is a code of no time step near now.
func wrongCode(secret string) string {
	near := map[string]bool{}
	for step := range 9 {
		near[baotest.Code(secret, time.Now().Add(time.Duration(step-4)*30*time.Second))] = true
	}
	for n := range 1000000 {
		if code := fmt.Sprintf("%06d", n); !near[code] {
			return code
		}
	}
	panic("every code is right")
}

// Two enforcements of one method that match one person: the first uses the code
// up and the second refuses it. This is told from a wrong code.
func TestTwoEnforcementsAreNotAWrongCode(t *testing.T) {
	w := newWorld(t)
	w.Do("POST", "identity/mfa/login-enforcement/everybody", map[string]any{"mfa_method_ids": []string{w.method}, "auth_method_types": []string{"userpass"}})
	_, err := w.client.login(t.Context(), "userpass", "grace", baotest.DefaultPassword)
	wantKind(t, err, identity.ErrUnavailable)
}

// A dead token is not a right that is missing: looking it up tells.
func TestTokenAnswers(t *testing.T) {
	w := newWorld(t)
	c := w.client
	in := w.login(t, "ada")
	state, err := c.lookUp(t.Context(), in.Token)
	if err != nil || state.EntityID != w.ada || state.TTL == 0 {
		t.Fatalf("looking up: %+v, %v", state, err)
	}
	_, err = c.do(t.Context(), request{operation: "list", method: "LIST", path: at("identity/group/id"), token: in.Token})
	wantKind(t, err, ErrForbidden)
	_, err = c.do(t.Context(), request{operation: "read", method: "GET", path: at("identity/entity/id/{}", "00000000-0000-4000-8000-000000000000"), token: w.Token("reader", `path "identity/*" { capabilities = ["read"] }`)})
	wantKind(t, err, ErrNotFound)
	for range 2 { // the second time the token is dead already
		if err := c.revoke(t.Context(), in.Token); err != nil {
			t.Errorf("revoking: %v", err)
		}
	}
	_, err = c.lookUp(t.Context(), in.Token)
	wantKind(t, err, ErrForbidden)
	_, err = c.lookUp(t.Context(), "s.nonsense")
	wantKind(t, err, ErrForbidden)
}

// A rate limit of OpenBao is a wait, not a fault; what is one has its reason, and
// all goes on by itself when the server is back.
func TestLimitedSealedStopped(t *testing.T) {
	s := baotest.Start(t)
	s.Add(baotest.Person{Name: "ada"})
	s.Do("POST", "sys/quotas/rate-limit/slow", map[string]any{"rate": 0.1, "path": "auth/userpass"})
	c := newTestClient(t, Config{Address: s.Addr, Timeout: 20 * time.Second})
	var wait *identity.ThrottledError
	for range 3 {
		if _, err := c.login(t.Context(), "userpass", "ada", baotest.DefaultPassword); errors.As(err, &wait) {
			break
		}
	}
	if wait == nil || wait.Wait < time.Second {
		t.Errorf("the wait is %v", wait)
	}

	s.Do("DELETE", "sys/quotas/rate-limit/slow", nil)
	reason := func(want string) {
		t.Helper()
		_, err := c.login(t.Context(), "userpass", "ada", baotest.DefaultPassword)
		var fault *Error
		if !errors.As(err, &fault) || !errors.Is(err, identity.ErrUnavailable) || fault.Reason != want {
			t.Errorf("signing in: %v, want the reason %q", err, want)
		}
	}
	s.Seal()
	reason("sealed")
	s.Unseal()
	s.Stop()
	// The first may find the old connection, and that it has ended.
	_, err := c.login(t.Context(), "userpass", "ada", baotest.DefaultPassword)
	wantKind(t, err, identity.ErrUnavailable)
	reason("it cannot be reached")
	s.Restart()
	if _, err := c.login(t.Context(), "userpass", "ada", baotest.DefaultPassword); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}
