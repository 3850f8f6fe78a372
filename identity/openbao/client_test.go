package openbao

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peerage/identity"
	"peerage/identity/openbao/baotest"
)

// recorder is a server that notes what it is asked. It says that it leads.
type recorder struct {
	*httptest.Server
	answer http.HandlerFunc // of everything but sys/leader

	mu   sync.Mutex
	seen []*http.Request
}

func newRecorder(t *testing.T, answer http.HandlerFunc) *recorder {
	t.Helper()
	r := &recorder{answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path == "/v1/sys/leader" {
		fmt.Fprint(w, `{"ha_enabled":true,"is_self":true}`)
		return
	}
	r.mu.Lock()
	r.seen = append(r.seen, q)
	r.mu.Unlock()
	if r.answer != nil {
		r.answer(w, q)
		return
	}
	fmt.Fprint(w, `{"data":{}}`)
}

// answering gives the same answer to everything.
func answering(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

func (r *recorder) requests() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen
}

func newTestClient(t *testing.T, c Config) *Client {
	t.Helper()
	client, err := NewClient(c)
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	return client
}

func wantKind(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error is %v, want %v", err, kind)
	}
}

// The library cleans paths: a user of this name would make a token with the
// rights of whoever asks. Such a name is wrong before anything is sent.
func TestPathTraversalNeverLeavesTheProcess(t *testing.T) {
	server := newRecorder(t, nil)
	c := newTestClient(t, Config{Address: server.URL})
	for _, name := range []string{"../../token/create", "..", ".", "a/../../token/create", "a/b", "%2e%2e", "a%2fb", "a?list=true", "a#b", "a b", "a\nb", "", "a..b", "-", strings.Repeat("a", 200)} {
		if _, err := c.login(t.Context(), "userpass", name, "password"); !errors.Is(err, identity.ErrWrongCredentials) {
			t.Errorf("%q as user name: %v", name, err)
		}
		if _, err := c.do(t.Context(), request{operation: "read", method: "GET", path: at("identity/entity/id/{}", name), token: "service"}); !errors.Is(err, ErrRefused) {
			t.Errorf("%q as id: %v", name, err)
		}
		if name != "a/b" {
			if _, err := c.login(t.Context(), "people/"+name, "ada", "password"); !errors.Is(err, ErrRefused) {
				t.Errorf("%q in a mount: %v", name, err)
			}
		}
	}
	if got := server.requests(); len(got) != 0 {
		t.Errorf("%s reached the server", got[0].URL)
	}
}

func TestPath(t *testing.T) {
	for _, c := range []struct {
		got  path
		want string // "" for an error
	}{
		{at("sys/health"), "sys/health"},
		{at("auth/{mount}/login/{}", "people/ix", "ada"), "auth/people/ix/login/ada"},
		{at("identity/mfa/login-enforcement/totp-{}", "676e8c2f-0000-4000-8000-000000047600.vjDpdD"), "identity/mfa/login-enforcement/totp-676e8c2f-0000-4000-8000-000000047600.vjDpdD"},
		{at("pki/cert/{}", "39:dd:2e"), "pki/cert/39:dd:2e"},
		{at("auth/{mount}/login/{}", "userpass"), ""},
		{at("sys/health", "more"), ""},
		{at("auth/{}/users", "people/ix"), ""},
	} {
		if (c.got.err != nil) != (c.want == "") || c.got.text != c.want {
			t.Errorf("path %q (%v), want %q", c.got.text, c.got.err, c.want)
		}
	}
}

// The library takes address, token, namespace, wrapping, retries and proxy
// from two families of variables. An operator's shell must not change peerage.
func TestNothingComesFromTheEnvironment(t *testing.T) {
	server, elsewhere := newRecorder(t, nil), newRecorder(t, nil)
	for _, family := range []string{"BAO_", "VAULT_"} {
		for name, value := range map[string]string{"ADDR": elsewhere.URL, "AGENT_ADDR": elsewhere.URL, "TOKEN": "an operator's", "NAMESPACE": "another", "WRAP_TTL": "60s",
			"MFA": "m:123456", "MAX_RETRIES": "5", "RATE_LIMIT": "1", "CLIENT_TIMEOUT": "1", "PROXY_ADDR": elsewhere.URL, "HTTP_PROXY": elsewhere.URL, "SKIP_VERIFY": "true"} {
			t.Setenv(family+name, value)
		}
	}
	t.Setenv("HTTP_PROXY", elsewhere.URL)
	c := newTestClient(t, Config{Address: server.URL, Namespace: "ix/"})
	if _, err := c.do(t.Context(), request{operation: "read", method: "LIST", path: at("identity/group/id"), token: "ours"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.do(t.Context(), request{operation: "wrap", method: "POST", path: at("auth/token/create/x"), body: map[string]string{"a": "b"}, wrapTTL: "300s"}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range server.requests() {
		got = append(got, fmt.Sprint(r.Method, " ", r.URL, " ", r.Header["X-Vault-Token"], r.Header["X-Vault-Namespace"], r.Header["X-Vault-Wrap-Ttl"], r.Header["X-Vault-Mfa"], r.Header["X-Vault-Request"]))
	}
	want := []string{"GET /v1/identity/group/id?list=true [ours] [ix] [] [] [true]", "POST /v1/auth/token/create/x [] [ix] [300s] [] [true]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	// An address that no proxy is bypassed for; it leads nowhere.
	far := newTestClient(t, Config{Address: "http://192.0.2.1:1", Timeout: 100 * time.Millisecond})
	_, err := far.lookUp(t.Context(), "ours")
	wantKind(t, err, identity.ErrUnavailable)
	if seen := elsewhere.requests(); len(seen) != 0 {
		t.Errorf("%s went to the address of the environment", seen[0].URL)
	}
}

// A repeated request may have been done twice: the second time a code is used
// up and a secret lost.
func TestNothingIsSentTwice(t *testing.T) {
	for _, status := range []int{500, 502, 503, 412, 429} {
		server := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		c := newTestClient(t, Config{Address: server.URL})
		if _, err := c.login(t.Context(), "userpass", "ada", "password"); err == nil {
			t.Errorf("%d is no error", status)
		}
		if n := len(server.requests()); n != 1 {
			t.Errorf("%d: sent %d times", status, n)
		}
	}
}

// An answer must not send a token to another address.
func TestRedirectIsNotFollowed(t *testing.T) {
	elsewhere := newRecorder(t, nil)
	server := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	_, err := newTestClient(t, Config{Address: server.URL}).lookUp(t.Context(), "service")
	wantKind(t, err, identity.ErrUnavailable)
	if n := len(elsewhere.requests()); n != 0 {
		t.Errorf("%d requests went to the address of the answer", n)
	}
}

// Neither a huge answer nor a huge error fills the memory, and what is not
// OpenBao's is not taken for its words.
func TestAnswersThatAreNotOpenBaos(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		reason string
	}{
		{"huge answer", 200, `{"data":"` + strings.Repeat("x", maxAnswer) + `"}`, "the answer is too large"},
		{"huge error", 400, `{"errors":["` + strings.Repeat("x", maxAnswer) + `"]}`, "the answer is too large"},
		{"a page", 200, "<html>", "the answer is not OpenBao's"},
		{"nothing", 200, "", "an answer without auth"},
		{"a page with status 400", 400, "invalid username or password", "the answer is not OpenBao's"},
		{"half a sign-in", 200, `{"auth":{"client_token":""}}`, "an answer without token"},
		{"two enforcements", 200, `{"auth":{"client_token":"","mfa_requirement":{"mfa_request_id":"r","mfa_constraints":{"a":{},"b":{}}}}}`, "more than one login enforcement matches this person"},
		{"another factor", 200, `{"auth":{"client_token":"","mfa_requirement":{"mfa_request_id":"r","mfa_constraints":{"a":{"any":[{"type":"duo","id":"d"}]}}}}}`, "a login enforcement asks for another factor than TOTP"},
	} {
		server := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			w.Write([]byte(c.body))
		})
		_, err := newTestClient(t, Config{Address: server.URL}).login(t.Context(), "userpass", "ada", "password")
		var fault *Error
		if !errors.As(err, &fault) || !errors.Is(err, identity.ErrUnavailable) || fault.Reason != c.reason {
			t.Errorf("%s: %v, want the reason %q", c.name, err, c.reason)
		}
	}
}

// certificate is what signed the certificate of a TLS server: itself.
func certificate(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":{"ttl":7}}`) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the client that does not trust it
	server.StartTLS()
	defer server.Close()
	state, err := newTestClient(t, Config{Address: server.URL, CACert: certificate(server)}).lookUp(t.Context(), "t")
	if err != nil || state.TTL != 7 {
		t.Errorf("with the authority given: %v, %v", state, err)
	}
	_, err = newTestClient(t, Config{Address: server.URL}).lookUp(t.Context(), "t")
	var fault *Error
	if !errors.As(err, &fault) || fault.Reason != "its certificate is not accepted" {
		t.Errorf("without the authority: %v", err)
	}
	if _, err := NewClient(Config{Address: server.URL, CACert: []byte("nonsense")}); err == nil {
		t.Error("nonsense is taken for an authority")
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for _, address := range []string{"", "bao.example.net:8200", "unix:///run/bao", "https://", "ftp://bao.example.net", "https://root@bao.example.net", "https://bao.example.net/?a=b", "https://bao.example.net/#a"} {
		if _, err := NewClient(Config{Address: address}); err == nil {
			t.Errorf("%q is taken for an address", address)
		}
	}
	if _, err := NewClient(Config{Address: "https://bao.example.net", Namespace: "a/../b"}); err == nil {
		t.Error("a namespace may leave its place")
	}
}

// A server that swallows everything costs no more than the deadline, on a new
// connection and on one that was good; when it speaks again all goes on.
func TestHangingServer(t *testing.T) {
	s := baotest.Shared(t)
	s.Add(baotest.Person{Name: "ada"})
	p := baotest.NewProxy(t, s.Addr)
	c := newTestClient(t, Config{Address: p.Addr, Namespace: s.Namespace, Timeout: 400 * time.Millisecond})
	login := func() error {
		_, err := c.login(t.Context(), "userpass", "ada", baotest.DefaultPassword)
		return err
	}
	patient := newTestClient(t, Config{Address: p.Addr, Namespace: s.Namespace, Timeout: 20 * time.Second})
	if _, err := patient.login(t.Context(), "userpass", "ada", baotest.DefaultPassword); err != nil {
		t.Fatal(err)
	}
	p.Hang()
	begun := time.Now()
	err := login()
	wantKind(t, err, identity.ErrUnavailable)
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it took %s to give up", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := patient.login(ctx, "userpass", "ada", "password"); !errors.Is(err, context.Canceled) {
		t.Errorf("a request of somebody who left ends with %v", err)
	}
	p.Resume()
	if _, err := patient.login(t.Context(), "userpass", "ada", baotest.DefaultPassword); err != nil {
		t.Errorf("after the pause: %v", err)
	}
}

// The words of the server quote what was sent; they are in no error's text.
func TestErrorsDoNotQuote(t *testing.T) {
	server := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"errors":["invalid entity metadata: ada@example.net is too long"]}`)
	})
	_, err := newTestClient(t, Config{Address: server.URL}).do(t.Context(), request{operation: "write_metadata", method: "POST", path: at("identity/entity/id/{}", "e"), token: "s.secret"})
	if err == nil || bytes.ContainsAny([]byte(err.Error()), "@/") || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error says %v", err)
	}
}
