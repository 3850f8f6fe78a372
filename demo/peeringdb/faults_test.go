package peeringdb_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"peerage/demo/peeringdb"
)

type person = peeringdb.Person

func deleted(n *peeringdb.Network) { n.Status = "deleted" }

// TestEveryFaultCanBeSwitchedOn is what the tests of fault handling lean on.
func TestEveryFaultCanBeSwitchedOn(t *testing.T) {
	w := newWorld(t)
	const path = "/oauth2/.well-known/openid-configuration"
	for fault, want := range map[peeringdb.Fault]func(*testing.T, *http.Response, []byte, error) bool{
		peeringdb.Down:       func(_ *testing.T, _ *http.Response, _ []byte, err error) bool { return errors.Is(err, io.EOF) },
		peeringdb.LostAnswer: func(_ *testing.T, _ *http.Response, _ []byte, err error) bool { return errors.Is(err, io.EOF) },
		peeringdb.Slow: func(_ *testing.T, _ *http.Response, _ []byte, err error) bool {
			return errors.Is(err, context.DeadlineExceeded)
		},
		peeringdb.ServerError: func(_ *testing.T, r *http.Response, _ []byte, _ error) bool { return r.StatusCode == 500 },
		peeringdb.HTMLError: func(_ *testing.T, r *http.Response, body []byte, _ error) bool {
			return r.StatusCode == 502 && strings.Contains(string(body), "<html>")
		},
		peeringdb.WrongContentType: func(_ *testing.T, r *http.Response, body []byte, _ error) bool {
			return strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") && json.Valid(body)
		},
		peeringdb.NotJSON: func(_ *testing.T, r *http.Response, body []byte, _ error) bool {
			return r.StatusCode == 200 && !json.Valid(body)
		},
		peeringdb.HugeBody: func(_ *testing.T, r *http.Response, body []byte, _ error) bool {
			return r.StatusCode == 200 && len(body) > 16<<20
		},
		peeringdb.WrongIssuer: func(_ *testing.T, _ *http.Response, body []byte, _ error) bool {
			return strings.Contains(string(body), "https://auth.example.org/oauth2")
		},
		peeringdb.RateLimited: func(_ *testing.T, r *http.Response, _ []byte, _ error) bool {
			return r.StatusCode == 429 && r.Header.Get("Retry-After") == "47"
		},
		peeringdb.TooManyRefusals: func(_ *testing.T, r *http.Response, _ []byte, _ error) bool {
			return r.StatusCode == 429 && r.Header.Get("Retry-After") == "" && r.Header.Get("X-Throttled-Response") == "True"
		},
		peeringdb.Throttled: func(_ *testing.T, r *http.Response, _ []byte, _ error) bool {
			return r.StatusCode == 429 && r.Header.Get("Retry-After") == "60"
		},
	} {
		t.Run(string(fault), func(t *testing.T) {
			w.Break(fault, path)
			defer w.Mend()
			timeout := time.Minute
			if fault == peeringdb.Slow {
				timeout = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			response, body, err := ask(ctx, http.DefaultTransport, w.URL()+path)
			if response == nil && err == nil || !want(t, response, body, err) {
				t.Errorf("%s: %v, %v", fault, response, err)
			}
			if got := w.get("/oauth2/.well-known/jwks.json"); got.Status != http.StatusOK {
				t.Errorf("%s is seen at another path: %d", fault, got.Status)
			}
		})
	}
	if got := w.get(path); got.Status != http.StatusOK || got.field("issuer") != w.URL()+"/oauth2" {
		t.Errorf("after Mend: %d %s", got.Status, got.text)
	}
}

func ask(ctx context.Context, transport http.RoundTripper, address string) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

// TestLostAnswerSpendsTheToken is what a lost connection does to a refresh
// without grace.
func TestLostAnswerSpendsTheToken(t *testing.T) {
	w := newWorld(t)
	token := w.tokens("ada").field("refresh_token")
	w.Break(peeringdb.LostAnswer, "/oauth2/token/")
	r, err := http.NewRequest(http.MethodPost, w.URL()+"/oauth2/token/", strings.NewReader(form("grant_type", "refresh_token", "refresh_token", token).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if response, err := http.DefaultClient.Do(r); err == nil {
		response.Body.Close()
		t.Fatalf("the answer arrived: %s", response.Status)
	}
	w.Mend()
	if got := w.refresh(token); got.field("error") != "invalid_grant" {
		t.Errorf("the token still works: %d %s", got.Status, got.text)
	}
	if w.Reused() != 1 {
		t.Errorf("%d tokens counted as spent twice, want 1", w.Reused())
	}
}

func TestCertificateExpires(t *testing.T) {
	s, err := peeringdb.New(peeringdb.Config{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots()}}
	const path = "/oauth2/.well-known/openid-configuration"
	if response, body, err := ask(t.Context(), transport, s.URL()+path); err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), s.URL()) {
		t.Fatalf("https: %v %v", response, err)
	}
	s.Break(peeringdb.ExpiredCertificate)
	_, _, err = ask(t.Context(), transport, s.URL()+path)
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("with an expired certificate: %v", err)
	}
	s.Mend()
	if _, _, err := ask(t.Context(), transport, s.URL()+path); err != nil {
		t.Errorf("after Mend: %v", err)
	}
}

// TestCodeLivesAMinute and what was granted ten hours.
func TestCodeLivesAMinute(t *testing.T) {
	w := newWorld(t)
	code := w.signIn("ada").Get("code")
	w.pass(time.Minute)
	if got := w.post("/oauth2/token/", exchange(code)); got.field("error") != "invalid_grant" {
		t.Errorf("a code of 60 s: %d %s", got.Status, got.text)
	}
	got := w.tokens("ada")
	w.pass(10*time.Hour - time.Second)
	if profile := w.profile(got.field("access_token")); profile.Status != http.StatusOK {
		t.Errorf("an access token of nearly 10 h: %d", profile.Status)
	}
	w.pass(time.Second)
	if profile := w.profile(got.field("access_token")); profile.Status != http.StatusForbidden {
		t.Errorf("an access token of 10 h: %d", profile.Status)
	}
}

// TestDroppedAccessTokenLeavesAnEmptyScope is what a revocation elsewhere does.
func TestDroppedAccessTokenLeavesAnEmptyScope(t *testing.T) {
	w := newWorld(t)
	first := w.tokens("ada")
	w.DropAccess("ada")
	got := w.refresh(first.field("refresh_token"))
	if scope, ok := got.Body.(map[string]any)["scope"]; got.Status != http.StatusOK || !ok || scope != "" || got.has("id_token") {
		t.Errorf("the refresh answered %d %s", got.Status, got.text)
	}
}
