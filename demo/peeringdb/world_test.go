package peeringdb_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/demo/peeringdb"
)

const callback = "http://localhost:8080/login/peeringdb/callback"

var allScopes = "openid profile email networks amr"

// world is a look-alike with a clock of its own and four applications.
type world struct {
	*peeringdb.Server
	t       *testing.T
	mu      sync.Mutex
	at      time.Time
	address string // from which the server of the application asks
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, at: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC), address: "198.51.100.1"}
	var clients []peeringdb.Client
	for id, algorithm := range map[string]string{"upstream-peerage": "", "noalgorithm": "none", "hs256": "HS256", "public": ""} {
		clients = append(clients, peeringdb.Client{ID: id, Secret: "right-secret", RedirectURIs: []string{callback}, Algorithm: algorithm, Public: id == "public"})
	}
	var err error
	if w.Server, err = peeringdb.New(peeringdb.Config{Clients: clients, APIKeys: []string{"right-key"}, Now: w.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

// reply is what came, and what the recording has.
type reply struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body"`
	text    string
}

func (w *world) do(r *http.Request) reply {
	w.t.Helper()
	_, got := w.exchangeWith(r)
	return got
}

func (w *world) exchangeWith(r *http.Request) (*http.Response, reply) {
	w.t.Helper()
	if r.Header.Get("X-Forwarded-For") == "" {
		r.Header.Set("X-Forwarded-For", w.address)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	got := reply{Status: res.StatusCode, Headers: map[string]string{}, text: string(text), Body: string(text)}
	for name := range res.Header {
		got.Headers[strings.ToLower(name)] = res.Header.Get(name)
	}
	var parsed any
	if json.Unmarshal(text, &parsed) == nil {
		got.Body = parsed
	}
	return res, got
}

func (w *world) get(path string, headers ...string) reply {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, w.URL()+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.do(r)
}

func (w *world) post(path string, form url.Values, headers ...string) reply {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.do(r)
}

// authorization is the query of an authorization request, changed by pairs; a
// value "-" leaves a parameter out.
func authorization(changes ...string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{"response_type": {"code"}, "client_id": {"upstream-peerage"}, "redirect_uri": {callback}, "state": {"st-1"}, "nonce": {"n-1"},
		"scope": {allScopes}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "-" {
			q.Del(changes[i])
		}
	}
	return q
}

const verifier = "a-verifier-of-more-than-forty-three-characters-in-all"

// signIn returns what the callback gets.
func (w *world) signIn(person string, changes ...string) url.Values {
	w.t.Helper()
	to, err := w.Authorize(w.t.Context(), w.URL()+"/oauth2/authorize/?"+authorization(changes...).Encode(), person)
	if err != nil {
		w.t.Fatal(err)
	}
	parsed, err := url.Parse(to)
	if err != nil {
		w.t.Fatal(err)
	}
	return parsed.Query()
}

// form is a request of the token endpoint with the right secret.
func form(pairs ...string) url.Values {
	f := url.Values{"client_id": {"upstream-peerage"}, "client_secret": {"right-secret"}}
	for i := 0; i < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "-" {
			f.Del(pairs[i])
		}
	}
	return f
}

func exchange(code string, pairs ...string) url.Values {
	return form(append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier}, pairs...)...)
}

// tokens of a person's sign-in.
func (w *world) tokens(person string, changes ...string) reply {
	w.t.Helper()
	q := authorization(changes...)
	got := w.post("/oauth2/token/", exchange(w.signIn(person, changes...).Get("code"), "client_id", q.Get("client_id")))
	if got.Status != http.StatusOK {
		w.t.Fatalf("the token endpoint answered %d %s", got.Status, got.text)
	}
	return got
}

func (w *world) refresh(token string, pairs ...string) reply {
	w.t.Helper()
	return w.post("/oauth2/token/", form(append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...))
}

func (w *world) profile(token string) reply {
	w.t.Helper()
	return w.get("/profile/v1", "Authorization", "Bearer "+token)
}

// field reads one string of an answer.
func (r reply) field(name string) string {
	body, _ := r.Body.(map[string]any)
	text, _ := body[name].(string)
	return text
}

func (r reply) has(name string) bool {
	body, _ := r.Body.(map[string]any)
	_, ok := body[name]
	return ok
}

// claimsOf reads an ID token's claims without checking it.
func claimsOf(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// networksOf lists a profile's networks as ASN:perms.
func networksOf(r reply) []string {
	body, _ := r.Body.(map[string]any)
	list, _ := body["networks"].([]any)
	all := []string{}
	for _, one := range list {
		n := one.(map[string]any)
		all = append(all, fmt.Sprintf("%.0f:%.0f", n["asn"], n["perms"]))
	}
	return all
}
