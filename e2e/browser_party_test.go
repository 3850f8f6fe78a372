package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// party is an application that signs people in (an OIDC relying party), on
// loopback, with go-oidc and x/oauth2 as its libraries. Its pages:
//
//	/            what is known of the person
//	/start       begins a sign-in; its query goes along to the authorization endpoint
//	/callback    ends one, and shows the claims or the error
//	/sign-out    RP-initiated logout
type party struct {
	ID, Name, Secret string
	Self             string // its origin
	issuer           string
	// onward is where the callback sends the browser on to, "" for /.
	onward string

	mu       sync.Mutex
	provider *oidc.Provider
	begun    map[string]begun // by state; no cookie, which a cross-site POST would not bring
	claims   map[string]any
	idToken  string
	answer   url.Values // what the callback got last
	method   string     // by which method
}

type begun struct{ nonce, verifier string }

// newParty starts an application of that name on an address such as
// 127.0.0.1:0.
func newParty(t *testing.T, s *server, id, name, address string) *party {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("listening for %s: %v", id, err)
	}
	p := &party{ID: id, Name: name, Secret: "secret-of-" + id + "-0123456789abcdef", Self: "http://" + listener.Addr().String(), issuer: s.Issuer, begun: map[string]begun{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", p.home)
	mux.HandleFunc("GET /start", p.start)
	mux.HandleFunc("/callback", p.callback)
	mux.HandleFunc("GET /sign-out", p.signOut)
	web := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	web.Start()
	t.Cleanup(web.Close)
	return p
}

// registration is the client as PEERAGE_CLIENTS holds it; more are further
// fields.
func (p *party) registration(more map[string]any) map[string]any {
	client := map[string]any{"client_id": p.ID, "name": p.Name, "client_secret": p.Secret, "redirect_uris": []string{p.Self + "/callback"},
		"post_logout_redirect_uris": []string{p.Self + "/"}, "launch_uri": p.Self + "/start"}
	for name, value := range more {
		client[name] = value
	}
	return client
}

// elsewhere is an application that has a host, for pages that are only looked
// at.
var elsewhere = map[string]any{"client_id": "grafana", "name": "Grafana", "client_secret": "secret-of-grafana-0123456789abcdef",
	"redirect_uris": []string{"https://grafana.example.net/callback"}, "launch_uri": "https://grafana.example.net/"}

// askFor is an authorization request of that client; more are further
// parameters, as name and value in turn.
func (s *server) askFor(client, redirectURI string, more ...string) string {
	q := url.Values{"client_id": {client}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "scope": {"openid profile email groups"},
		"state": {"state-of-the-request"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(strings.Repeat("v", 43))}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return s.Issuer + "/oauth2/authorize?" + q.Encode()
}

// setClients gives the server its clients, before it is started.
func (s *server) setClients(t *testing.T, clients ...map[string]any) {
	t.Helper()
	list, err := json.Marshal(clients)
	if err != nil {
		t.Fatal(err)
	}
	s.env = append(s.env, "PEERAGE_CLIENTS="+string(list))
}

func (p *party) oauth() (*oauth2.Config, *oidc.Provider, error) {
	if p.provider == nil {
		var err error
		if p.provider, err = oidc.NewProvider(context.Background(), p.issuer); err != nil {
			return nil, nil, err
		}
	}
	return &oauth2.Config{ClientID: p.ID, ClientSecret: p.Secret, Endpoint: p.provider.Endpoint(), RedirectURL: p.Self + "/callback",
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", "groups"}}, p.provider, nil
}

func (p *party) start(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	config, _, err := p.oauth()
	if err != nil {
		p.show(w, "broken", err.Error())
		return
	}
	state := oauth2.GenerateVerifier()
	b := begun{nonce: oauth2.GenerateVerifier(), verifier: oauth2.GenerateVerifier()}
	p.begun[state] = b
	options := []oauth2.AuthCodeOption{oidc.Nonce(b.nonce), oauth2.S256ChallengeOption(b.verifier)}
	for name, values := range r.URL.Query() {
		options = append(options, oauth2.SetAuthURLParam(name, values[0]))
	}
	http.Redirect(w, r, config.AuthCodeURL(state, options...), http.StatusSeeOther)
}

func (p *party) callback(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.ParseForm()
	p.answer, p.method = r.Form, r.Method
	if err := p.accept(r.Context(), r.Form); err != nil {
		p.show(w, "broken", err.Error())
		return
	}
	target := p.Self + "/"
	if p.onward != "" {
		target = p.onward
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// accept checks an answer as a careful client does; an error answer is fine.
func (p *party) accept(ctx context.Context, form url.Values) error {
	b, ok := p.begun[form.Get("state")]
	if !ok {
		return fmt.Errorf("the state is not one of mine")
	}
	delete(p.begun, form.Get("state"))
	if form.Get("iss") != p.issuer { // RFC 9207
		return fmt.Errorf("the answer is from %q", form.Get("iss"))
	}
	if form.Get("error") != "" {
		p.claims, p.idToken = nil, ""
		return nil
	}
	config, provider, err := p.oauth()
	if err != nil {
		return err
	}
	token, err := config.Exchange(ctx, form.Get("code"), oauth2.VerifierOption(b.verifier))
	if err != nil {
		return err
	}
	raw, _ := token.Extra("id_token").(string)
	verified, err := provider.Verifier(&oidc.Config{ClientID: p.ID}).Verify(ctx, raw)
	if err != nil {
		return err
	}
	if verified.Nonce != b.nonce {
		return fmt.Errorf("the nonce is not mine")
	}
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return err
	}
	p.claims = map[string]any{}
	if err := verified.Claims(&p.claims); err != nil {
		return err
	}
	p.idToken = raw
	return info.Claims(&p.claims)
}

func (p *party) home(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer.Get("error") != "" {
		p.show(w, "error", p.answer.Get("error"))
		return
	}
	text, err := json.Marshal(p.claims)
	if err != nil {
		p.show(w, "broken", err.Error())
		return
	}
	p.show(w, "claims", string(text))
}

func (p *party) signOut(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := url.Values{"post_logout_redirect_uri": {p.Self + "/"}, "client_id": {p.ID}}
	if r.URL.Query().Get("hint") != "none" {
		q.Set("id_token_hint", p.idToken)
	}
	p.claims, p.idToken = nil, ""
	http.Redirect(w, r, p.issuer+"/oauth2/logout?"+q.Encode(), http.StatusSeeOther)
}

// show is a page with one text under an id.
func (p *party) show(w http.ResponseWriter, id, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>%s</title><a id=start href=/start>Sign in</a> <a id=sign-out href=/sign-out>Sign out</a><pre id=%s>%s</pre>",
		html.EscapeString(p.Name), id, html.EscapeString(text))
}

// landing is a third origin, to which an application sends the browser on.
func landing(t *testing.T) (address string) {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>Landed</title><p id=landed>landed")
	}))
	t.Cleanup(web.Close)
	return web.URL + "/landed"
}
