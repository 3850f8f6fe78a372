package baotest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"peerage/identity/openbao/baotest"
)

// health asks a server for its health; an error means that it did not answer.
func health(ctx context.Context, addr string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", addr+"/v1/sys/health", nil)
	if err != nil {
		return 0, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return response.StatusCode, nil
}

func wantHealth(t *testing.T, addr string, want int) {
	t.Helper()
	got, err := health(t.Context(), addr)
	if err != nil || got != want {
		t.Fatalf("health is %d (%v), want %d", got, err, want)
	}
}

// A server can be sealed, opened, stopped and started again, and it keeps what
// it stored.
func TestServerGoesAndComesBack(t *testing.T) {
	s := baotest.Start(t)
	wantHealth(t, s.Addr, 200)
	entity := s.Add(baotest.Person{Name: "ada", Groups: []string{"admins"}})

	s.Seal()
	wantHealth(t, s.Addr, 503)
	s.Unseal()
	wantHealth(t, s.Addr, 200)

	s.Stop()
	if status, err := health(t.Context(), s.Addr); err == nil {
		t.Fatalf("the stopped server answers %d", status)
	}
	s.Restart()
	wantHealth(t, s.Addr, 200)
	if got := s.Do("GET", "identity/entity/name/ada", nil)["id"]; got != entity {
		t.Errorf("after the restart ada is %v, was %s", got, entity)
	}

	standby := s.Join()
	wantHealth(t, standby.Addr, 429)
	standby.Stop()
	// Half of a cluster of two is no majority: nobody can sign in. What the
	// server answers changes as it finds out; only a success would be wrong.
	deadline := time.After(20 * time.Second)
	for {
		answer := s.Call("", "POST", "auth/userpass/login/ada", map[string]any{"password": baotest.DefaultPassword})
		if answer.Status >= 500 {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("a login without a majority is answered %d %v", answer.Status, answer.Errors)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Tests that share a server do not see each other's people.
func TestSharedServersAreApart(t *testing.T) {
	one, other := baotest.Shared(t), baotest.Shared(t)
	if one.Addr != other.Addr || one.Namespace == other.Namespace {
		t.Fatalf("the servers are %s %s and %s %s", one.Addr, one.Namespace, other.Addr, other.Namespace)
	}
	one.Add(baotest.Person{Name: "ada"})
	other.Accessor(baotest.Mount)
	login := map[string]any{"password": baotest.DefaultPassword}
	if answer := one.Call("", "POST", "auth/userpass/login/ada", login); answer.Status != 200 || answer.Auth["client_token"] == "" {
		t.Errorf("ada cannot sign in: %d %v", answer.Status, answer.Errors)
	}
	if answer := other.Call("", "POST", "auth/userpass/login/ada", login); answer.Status != 400 {
		t.Errorf("ada of another test signs in: %d %v", answer.Status, answer.Errors)
	}
}

// A person with a second factor needs it, and the code of their secret fits.
func TestEnrolTOTP(t *testing.T) {
	s := baotest.Shared(t)
	entity := s.Add(baotest.Person{Name: "ada", Metadata: map[string]string{"email": "ada@example.net"}})
	made := s.Do("POST", "identity/mfa/method/totp", map[string]any{"method_name": "test", "issuer": "test", "skew": 1})
	method := made["method_id"].(string)
	secret := s.EnrolTOTP(method, entity)
	first := s.Call("", "POST", "auth/userpass/login/ada", map[string]any{"password": baotest.DefaultPassword})
	requirement, _ := first.Auth["mfa_requirement"].(map[string]any)
	if first.Auth["client_token"] != "" || requirement == nil {
		t.Fatalf("no code is asked: %v", first.Auth)
	}
	second := s.Call("", "POST", "sys/mfa/validate", map[string]any{"mfa_request_id": requirement["mfa_request_id"],
		"mfa_payload": map[string]any{method: []string{baotest.Code(secret, time.Now())}}})
	if second.Status != 200 || second.Auth["entity_id"] != entity {
		t.Errorf("the code is refused: %d %v", second.Status, second.Errors)
	}
}

func TestProxyHangs(t *testing.T) {
	s := baotest.Shared(t)
	p := baotest.NewProxy(t, s.Addr)
	wantHealth(t, p.Addr, 200)
	p.Hang()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if status, err := health(ctx, p.Addr); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the hanging proxy answers %d, %v", status, err)
	}
	p.Resume()
	wantHealth(t, p.Addr, 200)
}
