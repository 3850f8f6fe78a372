package openbao

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

// tokens is OpenBao's token store in memory, in the time of a test.
type tokens struct {
	renewals, logins atomic.Int64
	state            atomic.Value // ok, away or revoked
}

// RoundTrip implements http.RoundTripper.
func (f *tokens) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, text string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	}
	state := f.state.Load()
	switch {
	case state == "away":
		return answer(503, `{"errors":["Vault is sealed"]}`)
	case r.URL.Path == "/v1/sys/leader":
		return answer(200, `{"is_self":true}`)
	case r.URL.Path == "/v1/auth/approle/login":
		f.logins.Add(1)
		f.state.Store("ok")
		return answer(200, `{"auth":{"client_token":"fresh","lease_duration":86400}}`)
	case state == "revoked":
		return answer(403, `{"errors":["permission denied"]}`)
	case r.URL.Path == "/v1/auth/token/lookup-self":
		return answer(200, `{"data":{"ttl":86000,"renewable":true,"policies":["portal-service"]}}`)
	case r.URL.Path == "/v1/auth/token/renew-self":
		f.renewals.Add(1)
		return answer(200, `{"auth":{"client_token":"t","lease_duration":86400}}`)
	}
	return answer(404, `{"errors":[]}`)
}

// keepAlive runs a credential over tokens in a test's own time.
func keepAlive(t *testing.T, given ServiceCredential, story func(*testing.T, *tokens, *Credential)) {
	synctest.Test(t, func(t *testing.T) {
		f := &tokens{}
		f.state.Store("ok")
		client := newTestClient(t, Config{Address: "http://bao.example.net", transport: f})
		c := NewCredential(client, given, time.Now, slog.New(slog.DiscardHandler))
		if state, err := c.State(); state != CredentialDown || !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("before it runs: %s, %v", state, err)
		}
		done := make(chan struct{})
		go func() { c.Run(t.Context()); close(done) }()
		synctest.Wait()
		story(t, f, c)
	})
}

func wantState(t *testing.T, c *Credential, want string) {
	t.Helper()
	synctest.Wait()
	if got, err := c.State(); got != want || (err == nil) != (want == CredentialOK) {
		t.Errorf("the credential is %s (%v), want %s", got, err, want)
	}
}

// The token is renewed when half of its life is over, for weeks. While OpenBao
// is away it goes on; readiness says so before it ends, and when it is back all
// is well without anybody's doing.
func TestCredentialIsRenewed(t *testing.T) {
	keepAlive(t, ServiceCredential{Token: "t"}, func(t *testing.T, f *tokens, c *Credential) {
		wantState(t, c, CredentialOK)
		time.Sleep(14 * 24 * time.Hour)
		wantState(t, c, CredentialOK)
		if n := f.renewals.Load(); n < 28 || n > 30 {
			t.Errorf("renewed %d times in two weeks", n)
		}
		f.state.Store("away")
		time.Sleep(11 * time.Hour)
		wantState(t, c, CredentialOK)
		time.Sleep(12 * time.Hour)
		wantState(t, c, CredentialStale)
		if token, err := c.Token(); token != "t" || err != nil {
			t.Errorf("the token that still lives is %q, %v", token, err)
		}
		if got := testutil.ToFloat64(c.Collector()); got <= 0 || got >= 6*3600 {
			t.Errorf("the metric is %v", got)
		}
		time.Sleep(2 * time.Hour)
		wantState(t, c, CredentialDown)
		if got := testutil.ToFloat64(c.Collector()); got != 0 {
			t.Errorf("the metric is %v", got)
		}
		f.state.Store("ok")
		time.Sleep(credentialRetry)
		wantState(t, c, CredentialOK)
	})
}

// A token that was revoked under us is not used any more; nothing can replace
// it but an operator, and when they restore it all goes on.
func TestCredentialIsRevoked(t *testing.T) {
	keepAlive(t, ServiceCredential{Token: "t"}, func(t *testing.T, f *tokens, c *Credential) {
		f.state.Store("revoked")
		c.Doubt()
		c.Doubt()
		wantState(t, c, CredentialDown)
		if _, err := c.Token(); !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("the token that died: %v", err)
		}
		f.state.Store("ok")
		time.Sleep(credentialLost)
		wantState(t, c, CredentialOK)
	})
}

// The operator puts another token into the file that the settings name.
func TestCredentialIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &tokens{}
		f.state.Store("revoked")
		c := NewCredential(newTestClient(t, Config{Address: "http://bao.example.net", transport: f}), ServiceCredential{Token: "t"}, time.Now, slog.New(slog.DiscardHandler))
		file := atomic.Pointer[ServiceCredential]{}
		c.Source = func() (ServiceCredential, error) {
			if given := file.Load(); given != nil {
				return *given, nil
			}
			return ServiceCredential{}, errors.New("there is no such file")
		}
		go c.Run(t.Context())
		wantState(t, c, CredentialDown)
		file.Store(&ServiceCredential{Token: "t"})
		time.Sleep(credentialLost)
		wantState(t, c, CredentialDown)
		file.Store(&ServiceCredential{RoleID: "r", SecretID: "s"})
		time.Sleep(credentialLost)
		wantState(t, c, CredentialOK)
		if token, err := c.Token(); token != "fresh" || err != nil {
			t.Errorf("the token is %q, %v", token, err)
		}
	})
}

// An AppRole has another token at once.
func TestAppRoleSignsInAgain(t *testing.T) {
	keepAlive(t, ServiceCredential{RoleID: "r", SecretID: "s"}, func(t *testing.T, f *tokens, c *Credential) {
		if token, err := c.Token(); token != "fresh" || err != nil {
			t.Errorf("the token is %q, %v", token, err)
		}
		time.Sleep(3 * 24 * time.Hour)
		if f.logins.Load() != 1 || f.renewals.Load() < 5 {
			t.Errorf("%d sign-ins and %d renewals in three days", f.logins.Load(), f.renewals.Load())
		}
		f.state.Store("revoked")
		c.Doubt()
		wantState(t, c, CredentialOK)
		if f.logins.Load() != 2 {
			t.Errorf("%d sign-ins", f.logins.Load())
		}
	})
}

// What bootstrap made renews itself on the real server, and notices that it
// was revoked.
func TestCredentialOfBootstrap(t *testing.T) {
	s := baotest.Shared(t)
	client, want := serverClient(t, s), newBootstrap(s)
	asToken := bootstrap(t, client, want)
	want.AppRole = true
	want.Token = s.Token("operator", want.OperatorPolicy())
	asRole := bootstrap(t, client, want)
	for name, given := range map[string]ServiceCredential{"token": {Token: asToken.Token}, "AppRole": {RoleID: asRole.RoleID, SecretID: asRole.SecretID}} {
		c := NewCredential(client, given, time.Now, slog.New(slog.DiscardHandler))
		for range 2 {
			if wait := c.keep(t.Context()); wait < 11*time.Hour || wait > 12*time.Hour {
				t.Errorf("%s: the next renewal is in %s (%v)", name, wait, c.fault)
			}
		}
		token, err := c.Token()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if ttl := c.TTL(); ttl < 23*time.Hour {
			t.Errorf("%s: it lives %s", name, ttl)
		}
		if err := client.revoke(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		c.keep(t.Context())
		again, err := c.Token()
		if alive := err == nil && again != token; alive != (given.Token == "") {
			t.Errorf("%s: after it was revoked the token is good: %t, %v", name, alive, err)
		}
	}
	c := NewCredential(client, ServiceCredential{RoleID: asRole.RoleID, SecretID: "wrong"}, time.Now, slog.New(slog.DiscardHandler))
	c.keep(t.Context())
	if _, err := c.Token(); !errors.Is(err, identity.ErrUnavailable) {
		t.Errorf("a wrong secret: %v", err)
	}
}
