// Package demo holds what `peerage demo` runs beside the real server: a small
// application that signs in through OpenID Connect as any other would. It
// knows nothing of peerage but its issuer.
package demo

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Person is somebody of the demo, with all that is needed to be them.
type Person struct {
	Username   string   `json:"username"`
	Password   string   `json:"password"`
	TOTPSecret string   `json:"totp_secret"`
	Groups     []string `json:"groups"`
	// Note says what there is to see with this person.
	Note string `json:"-"`
}

// SampleConfig is what the sample application is set up with.
type SampleConfig struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	// Self is the application's own address, without a slash at its end.
	Self   string
	People []Person
	Now    func() time.Time
	Logger *slog.Logger
}

// SampleApp signs people in, shows the claims that it got and the current
// codes of the demo's people.
type SampleApp struct {
	SampleConfig
	mu       sync.Mutex
	provider *oidc.Provider // found at the first sign-in, kept
	begun    map[string]begun
	signedIn map[string]signedIn
}

// begun is a sign-in on its way, by the browser's cookie.
type begun struct {
	state, nonce, verifier string
	at                     time.Time
}

// signedIn is what the application knows of a browser's person.
type signedIn struct {
	token    *oauth2.Token
	idToken  string
	claims   map[string]any
	userinfo map[string]any
	at       time.Time
}

const (
	sampleCookie = "sample-application"
	sampleLife   = time.Hour
	sampleMost   = 1000 // browsers remembered at once
)

// NewSampleApp makes the application.
func NewSampleApp(c SampleConfig) *SampleApp {
	return &SampleApp{SampleConfig: c, begun: map[string]begun{}, signedIn: map[string]signedIn{}}
}

// RedirectURI is the address to register for it.
func (a *SampleApp) RedirectURI() string { return a.Self + "/callback" }

// Handler serves the application.
func (a *SampleApp) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.page(a.home))
	mux.HandleFunc("GET /style.css", style)
	mux.HandleFunc("POST /sign-in", a.page(a.signIn))
	mux.HandleFunc("GET /sign-in", a.page(a.signIn)) // so that the portal's list can start it
	mux.HandleFunc("GET /callback", a.page(a.callback))
	mux.HandleFunc("POST /refresh", a.page(a.refresh))
	mux.HandleFunc("POST /sign-out", a.page(a.signOut))
	return http.NewCrossOriginProtection().Handler(mux)
}

// page sets the headers and shows what went wrong.
func (a *SampleApp) page(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := h(w, r); err != nil {
			a.Logger.WarnContext(r.Context(), "sample application", "error", err)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusBadGateway)
			writeFault(w, err)
		}
	}
}

func (a *SampleApp) oauth(ctx context.Context) (*oauth2.Config, *oidc.Provider, error) {
	a.mu.Lock()
	provider := a.provider
	a.mu.Unlock()
	if provider == nil {
		var err error
		// Detached: the provider fetches keys long after this request.
		if provider, err = oidc.NewProvider(context.WithoutCancel(ctx), a.Issuer); err != nil {
			return nil, nil, fmt.Errorf("reading the issuer's discovery document: %w", err)
		}
		a.mu.Lock()
		a.provider = provider
		a.mu.Unlock()
	}
	return &oauth2.Config{ClientID: a.ClientID, ClientSecret: a.ClientSecret, Endpoint: provider.Endpoint(), RedirectURL: a.RedirectURI(),
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", "groups", oidc.ScopeOfflineAccess}}, provider, nil
}

func (a *SampleApp) signIn(w http.ResponseWriter, r *http.Request) error {
	config, _, err := a.oauth(r.Context())
	if err != nil {
		return err
	}
	b := begun{state: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), at: a.Now()}
	browser := rand.Text()
	a.mu.Lock()
	a.forget()
	a.begun[browser] = b
	a.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: sampleCookie, Value: browser, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, config.AuthCodeURL(b.state, oidc.Nonce(b.nonce), oauth2.S256ChallengeOption(b.verifier)), http.StatusSeeOther)
	return nil
}

// forget keeps the demo's memory bounded.
func (a *SampleApp) forget() {
	for browser, b := range a.begun {
		if a.Now().Sub(b.at) > sampleLife || len(a.begun) >= sampleMost {
			delete(a.begun, browser)
		}
	}
	for browser, s := range a.signedIn {
		if a.Now().Sub(s.at) > 24*sampleLife || len(a.signedIn) >= sampleMost {
			delete(a.signedIn, browser)
		}
	}
}

func (a *SampleApp) callback(w http.ResponseWriter, r *http.Request) error {
	browser := cookie(r)
	a.mu.Lock()
	b, ok := a.begun[browser]
	delete(a.begun, browser)
	a.mu.Unlock()
	q := r.URL.Query()
	if !ok || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(b.state)) != 1 {
		return fmt.Errorf("this sign-in did not begin in this browser, or it was finished before; begin again")
	}
	if q.Get("iss") != a.Issuer { // RFC 9207
		return fmt.Errorf("the answer came from %q and not from %q", q.Get("iss"), a.Issuer)
	}
	if code := q.Get("error"); code != "" {
		return fmt.Errorf("%s answered %s: %s", a.Issuer, code, q.Get("error_description"))
	}
	config, _, err := a.oauth(r.Context())
	if err != nil {
		return err
	}
	token, err := config.Exchange(r.Context(), q.Get("code"), oauth2.VerifierOption(b.verifier))
	if err != nil {
		return fmt.Errorf("exchanging the code: %w", err)
	}
	return a.accept(w, r, browser, token, b.nonce)
}

// accept checks the ID token, asks UserInfo and remembers both.
func (a *SampleApp) accept(w http.ResponseWriter, r *http.Request, browser string, token *oauth2.Token, nonce string) error {
	_, provider, err := a.oauth(r.Context())
	if err != nil {
		return err
	}
	s := signedIn{token: token, at: a.Now()}
	s.idToken, _ = token.Extra("id_token").(string)
	verified, err := provider.VerifierContext(context.WithoutCancel(r.Context()), &oidc.Config{ClientID: a.ClientID}).Verify(r.Context(), s.idToken)
	if err != nil {
		return fmt.Errorf("checking the ID token: %w", err)
	}
	if nonce != "" && verified.Nonce != nonce {
		return fmt.Errorf("the ID token belongs to another sign-in")
	}
	if err := verified.Claims(&s.claims); err != nil {
		return fmt.Errorf("reading the ID token: %w", err)
	}
	info, err := provider.UserInfo(r.Context(), oauth2.StaticTokenSource(token))
	if err != nil {
		return fmt.Errorf("asking UserInfo: %w", err)
	}
	if err := info.Claims(&s.userinfo); err != nil {
		return fmt.Errorf("reading UserInfo: %w", err)
	}
	a.mu.Lock()
	a.signedIn[browser] = s
	a.mu.Unlock()
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (a *SampleApp) current(r *http.Request) (signedIn, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.signedIn[cookie(r)]
	return s, ok
}

func (a *SampleApp) refresh(w http.ResponseWriter, r *http.Request) error {
	s, ok := a.current(r)
	if !ok || s.token.RefreshToken == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	config, _, err := a.oauth(r.Context())
	if err != nil {
		return err
	}
	fresh, err := config.TokenSource(r.Context(), &oauth2.Token{RefreshToken: s.token.RefreshToken}).Token()
	if err != nil {
		return fmt.Errorf("refreshing: %w", err)
	}
	return a.accept(w, r, cookie(r), fresh, "")
}

// signOut forgets the person here and asks the issuer to do the same (OIDC
// RP-Initiated Logout).
func (a *SampleApp) signOut(w http.ResponseWriter, r *http.Request) error {
	s, ok := a.current(r)
	a.mu.Lock()
	delete(a.signedIn, cookie(r))
	a.mu.Unlock()
	if !ok {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	_, provider, err := a.oauth(r.Context())
	if err != nil {
		return err
	}
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return fmt.Errorf("reading the discovery document: %w", err)
	}
	q := url.Values{"id_token_hint": {s.idToken}, "post_logout_redirect_uri": {a.Self + "/"}}
	http.Redirect(w, r, metadata.EndSession+"?"+q.Encode(), http.StatusSeeOther)
	return nil
}

func cookie(r *http.Request) string {
	c, err := r.Cookie(sampleCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

func indented(v any) string {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}
