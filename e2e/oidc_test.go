package e2e

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

// relyingParty is a client on coreos/go-oidc and x/oauth2.
type relyingParty struct {
	*oauth2.Config
	provider *oidc.Provider
	verifier *oidc.IDTokenVerifier
}

// newRelyingParty discovers the server as a client that accepts one signature
// algorithm.
func (s *server) newRelyingParty(t *testing.T, id, secret, alg string) *relyingParty {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), s.Issuer)
	if err != nil {
		t.Fatalf("discovery: %v", err)
	}
	return &relyingParty{
		Config: &oauth2.Config{ClientID: id, ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: clientCallback,
			Scopes: []string{"openid", "profile", "email", "groups", "offline_access"}},
		provider: provider, verifier: provider.Verifier(&oidc.Config{ClientID: id, SupportedSigningAlgs: []string{alg}}),
	}
}

const clientCallback = "http://127.0.0.1:9/callback"

// signIn takes a person through the whole code flow with PKCE.
func (rp *relyingParty) signIn(t *testing.T, p *person) (token *oauth2.Token, code, verifier string, asked []string) {
	t.Helper()
	state, nonce, verifier := oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	callback, asked, err := p.authorize(t.Context(), rp.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)))
	if err != nil {
		t.Fatalf("authorizing %s: %v", p.username, err)
	}
	if got := callback.Get("state"); got != state {
		t.Errorf("state is %q, want %q", got, state)
	}
	if got := callback.Get("iss"); got != p.issuer {
		t.Errorf("iss is %q, want %q (RFC 9207)", got, p.issuer)
	}
	code = callback.Get("code")
	if token, err = rp.Exchange(t.Context(), code, oauth2.VerifierOption(verifier)); err != nil {
		t.Fatalf("exchanging the code: %v", err)
	}
	if id := rp.verify(t, token); id.Nonce != nonce {
		t.Errorf("nonce is %q, want %q", id.Nonce, nonce)
	}
	return token, code, verifier, asked
}

// verify checks the ID token of an answer with go-oidc, its hash included.
func (rp *relyingParty) verify(t *testing.T, token *oauth2.Token) *oidc.IDToken {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := rp.verifier.Verify(t.Context(), raw)
	if err != nil {
		t.Fatalf("verifying the ID token %q: %v", raw, err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	return id
}

// idClaims are what a client reads from an ID token or from UserInfo.
type idClaims struct {
	Sub           string   `json:"sub"`
	Username      string   `json:"preferred_username"`
	Name          string   `json:"name"`
	Email         string   `json:"email"`
	EmailVerified bool     `json:"email_verified"`
	Groups        []string `json:"groups"`
	AuthTime      int64    `json:"auth_time"`
	ACR           string   `json:"acr"`
	AMR           []string `json:"amr"`
}

func claimsOf(t *testing.T, from interface{ Claims(any) error }) idClaims {
	t.Helper()
	var c idClaims
	if err := from.Claims(&c); err != nil {
		t.Fatalf("reading claims: %v", err)
	}
	return c
}

func (rp *relyingParty) userInfo(t *testing.T, token *oauth2.Token) idClaims {
	t.Helper()
	info, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	if err != nil {
		t.Fatalf("UserInfo: %v", err)
	}
	return claimsOf(t, info)
}

// refresh spends the refresh token, as x/oauth2 does when a token is too old.
func (rp *relyingParty) refresh(ctx context.Context, token *oauth2.Token) (*oauth2.Token, error) {
	return rp.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken, Expiry: time.Unix(1, 0)}).Token()
}

// refused demands an OAuth error with a status, as an x/oauth2 client sees it.
func refused(t *testing.T, what string, err error, code string, status int) {
	t.Helper()
	var retrieve *oauth2.RetrieveError
	if !errors.As(err, &retrieve) {
		t.Fatalf("%s: %v, want an OAuth error", what, err)
	}
	if retrieve.ErrorCode != code || retrieve.Response.StatusCode != status {
		t.Errorf("%s: %d %s, want %d %s", what, retrieve.Response.StatusCode, retrieve.ErrorCode, status, code)
	}
}

const systemClients = `[
	{"client_id":"netbox","client_secret":"a secret of netbox","name":"NetBox","redirect_uris":["` + clientCallback + `"],"id_token_signed_response_alg":"ES256","claims":{"groups":"both","preferred_username":"id_token"}},
	{"client_id":"spa","token_endpoint_auth_method":"none","name":"Looking glass","redirect_uris":["` + clientCallback + `"],"id_token_signed_response_alg":"EdDSA"}
]`

// TestGoOIDC signs an administrator in to three clients, one for each
// algorithm: one made by command, two from the settings, of them one public.
func TestGoOIDC(t *testing.T) {
	s := newServer(t, "PEERAGE_CLIENTS="+systemClients)
	s.start(t)
	s.run(t, "", "group", "create", "noc")
	s.addUser(t, "ada", "admins", "noc")
	grafana := s.addClient(t, "grafana", "--name", "Grafana", "--redirect-uri", clientCallback)
	ada := s.newPerson(t, "ada")
	for _, c := range []struct {
		id, secret, alg string
		asked           []string // on the first visit
		idTokenGroups   []string
	}{
		{"grafana", grafana, "RS256", []string{"sign-in", "enrol", "consent"}, nil},
		{"netbox", "a secret of netbox", "ES256", []string{"consent"}, []string{"admins", "noc"}},
		{"spa", "", "EdDSA", []string{"consent"}, nil},
	} {
		rp := s.newRelyingParty(t, c.id, c.secret, c.alg)
		token, _, _, asked := rp.signIn(t, ada)
		if diff := cmp.Diff(c.asked, asked); diff != "" {
			t.Errorf("%s: pages (-want +got):\n%s", c.id, diff)
		}
		if got := signatureAlg(t, token); got != c.alg {
			t.Errorf("%s: signed with %s, want %s", c.id, got, c.alg)
		}
		first := claimsOf(t, rp.verify(t, token))
		slices.Sort(first.Groups)
		if diff := cmp.Diff(c.idTokenGroups, first.Groups); diff != "" {
			t.Errorf("%s: groups of the ID token (-want +got):\n%s", c.id, diff)
		}
		// ada had to enrol a second factor, so she has given two.
		if first.ACR != "2" || !slices.Contains(first.AMR, "pwd") || !slices.Contains(first.AMR, "otp") || !slices.Contains(first.AMR, "mfa") {
			t.Errorf("%s: acr %q, amr %q", c.id, first.ACR, first.AMR)
		}
		if age := time.Since(time.Unix(first.AuthTime, 0)); age < -time.Second || age > 2*time.Minute {
			t.Errorf("%s: auth_time is %s ago", c.id, age)
		}
		rp.checkUserInfo(t, token, first.Sub)
		rp.checkRefresh(t, token, first)
	}
}

func (rp *relyingParty) checkUserInfo(t *testing.T, token *oauth2.Token, sub string) {
	t.Helper()
	info := rp.userInfo(t, token)
	slices.Sort(info.Groups)
	want := idClaims{Sub: sub, Username: "ada", Name: "Ada Example", Email: "ada@example.net", EmailVerified: true, Groups: []string{"admins", "noc"}}
	if rp.ClientID == "netbox" { // wants preferred_username in the ID token alone
		want.Username = ""
	}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("%s: UserInfo (-want +got):\n%s", rp.ClientID, diff)
	}
}

func (rp *relyingParty) checkRefresh(t *testing.T, token *oauth2.Token, first idClaims) {
	t.Helper()
	second, err := rp.refresh(t.Context(), token)
	if err != nil {
		t.Fatalf("%s: refreshing: %v", rp.ClientID, err)
	}
	if second.RefreshToken == token.RefreshToken || second.AccessToken == token.AccessToken {
		t.Errorf("%s: a refresh repeats tokens", rp.ClientID)
	}
	again := claimsOf(t, rp.verify(t, second))
	slices.Sort(again.Groups)
	if diff := cmp.Diff(first, again); diff != "" { // auth_time is still that of the sign-in
		t.Errorf("%s: claims after a refresh (-want +got):\n%s", rp.ClientID, diff)
	}
	rp.checkUserInfo(t, second, first.Sub)
}

func signatureAlg(t *testing.T, token *oauth2.Token) string {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		t.Fatalf("reading the ID token: %v", err)
	}
	return signed.Signatures[0].Header.Algorithm
}

// TestGoOIDCAgain: who has signed in and agreed is asked nothing more; another
// browser asks for both factors again and not for the consent; a code that is
// used twice takes what it gave away.
func TestGoOIDCAgain(t *testing.T) {
	s := newServer(t)
	s.start(t)
	s.addUser(t, "ada", "admins")
	rp := s.newRelyingParty(t, "grafana", s.addClient(t, "grafana", "--redirect-uri", clientCallback), "RS256")
	ada := s.newPerson(t, "ada")
	rp.signIn(t, ada)
	if _, _, _, asked := rp.signIn(t, ada); asked != nil {
		t.Errorf("the second time in one browser asked for %v", asked)
	}
	ada.freshBrowser(t)
	token, code, verifier, asked := rp.signIn(t, ada)
	if diff := cmp.Diff([]string{"sign-in", "code"}, asked); diff != "" {
		t.Errorf("pages in another browser (-want +got):\n%s", diff)
	}
	_, err := rp.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	refused(t, "a code used twice", err, "invalid_grant", http.StatusBadRequest)
	_, err = rp.refresh(t.Context(), token)
	refused(t, "a refresh after it", err, "invalid_grant", http.StatusBadRequest)
	if info, err := rp.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
		t.Errorf("the access token of a code used twice still gives %s", info.Subject)
	}
}

// TestGoOIDCRefusals are requests that a client or a person must not get
// through with.
func TestGoOIDCRefusals(t *testing.T) {
	s := newServer(t, "PEERAGE_CLIENTS="+systemClients)
	s.start(t)
	s.addUser(t, "grace")
	rp := s.newRelyingParty(t, "netbox", "a secret of netbox", "ES256")
	grace := s.newPerson(t, "grace")
	rp.signIn(t, grace)

	verifier := oauth2.GenerateVerifier()
	request := func(pairs ...string) string {
		address, _ := url.Parse(rp.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
		query := address.Query()
		for i := 0; i < len(pairs); i += 2 {
			query.Set(pairs[i], pairs[i+1])
			if pairs[i+1] == "" {
				query.Del(pairs[i])
			}
		}
		address.RawQuery = query.Encode()
		return address.String()
	}
	for _, c := range []struct {
		name, address string
		client, page  string // the error that the client or else the person gets
	}{
		{"no PKCE", request("code_challenge", "", "code_challenge_method", ""), "invalid_request", ""},
		{"plain PKCE", request("code_challenge_method", "plain"), "invalid_request", ""},
		{"implicit flow", request("response_type", "id_token"), "unsupported_response_type", ""},
		{"unknown client", request("client_id", "nobody"), "", "invalid_client"},
		{"unregistered address", request("redirect_uri", "http://127.0.0.1:9/other"), "", "invalid_request"},
		{"loopback trick", request("redirect_uri", "http://127.0.0.1%2Fcb%23@evil.example/steal"), "", "invalid_request"},
		{"silent in another browser", request("prompt", "none", "max_age", "0"), "login_required", ""},
	} {
		page, err := grace.get(t.Context(), c.address)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		left, _ := url.Parse(page.left)
		if got := left.Query().Get("error"); got != c.client {
			t.Errorf("%s: the client gets %q (%s), want %q", c.name, got, page.left, c.client)
		}
		if c.client != "" && !strings.HasPrefix(page.left, clientCallback+"?") {
			t.Errorf("%s: leaves for %s", c.name, page.left)
		}
		if page.fault != c.page || c.page != "" && page.status != http.StatusBadRequest {
			t.Errorf("%s: page %d %q, want %q", c.name, page.status, page.fault, c.page)
		}
	}

	callback, _, err := grace.authorize(t.Context(), request())
	if err != nil {
		t.Fatalf("authorizing: %v", err)
	}
	wrong := *rp.Config
	wrong.ClientSecret = "another secret"
	_, err = wrong.Exchange(t.Context(), callback.Get("code"), oauth2.VerifierOption(verifier))
	refused(t, "a wrong secret", err, "invalid_client", http.StatusUnauthorized)
	// It spent nothing: the same code still works.
	if _, err := rp.Exchange(t.Context(), callback.Get("code"), oauth2.VerifierOption(verifier)); err != nil {
		t.Errorf("the code after a wrong secret: %v", err)
	}
	callback, _, err = grace.authorize(t.Context(), request())
	if err != nil {
		t.Fatalf("authorizing: %v", err)
	}
	_, err = rp.Exchange(t.Context(), callback.Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier()))
	refused(t, "a wrong verifier", err, "invalid_grant", http.StatusBadRequest)
}
