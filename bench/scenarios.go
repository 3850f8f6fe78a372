package main

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// scenario is one kind of request, or a round trip of several.
type scenario struct {
	Name string
	// Limit names what the machine itself can do at best, Aim the part of it
	// that we want (a ratio), Least a rate (per second) wanted beside it.
	Limit string
	Aim   float64
	Least float64
	// Beside runs UserInfo calls at a walking pace meanwhile.
	Beside bool
	// Within is the time that half of the answers keep to.
	Within time.Duration
	// Workers overrides the number of connections.
	Workers int
	// prepare readies one worker before the time begins; step is one round.
	prepare func(w *world, n int, c *connection) (step func() error, err error)
}

// answered fails on any other status than the one wanted.
func answered(c *connection, request []byte, want int) error {
	status, err := c.send(request)
	if err != nil {
		return err
	}
	if status != want {
		return fmt.Errorf("status %d, want %d: %.200s", status, want, c.body)
	}
	return nil
}

// same sends the same request again and again.
func same(request func(w *world, n int) []byte) func(*world, int, *connection) (func() error, error) {
	return func(w *world, n int, c *connection) (func() error, error) {
		r := request(w, n)
		return func() error { return answered(c, r, 200) }, nil
	}
}

func basic(client string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(client+":"+clientSecret)) + "\r\n"
}

func bearer(token string) string { return "Authorization: Bearer " + token + "\r\n" }

func scenarios(*world) []scenario {
	return []scenario{
		{Name: "discovery", Limit: "http", Aim: .80, prepare: same(func(*world, int) []byte { return get("/.well-known/openid-configuration", "") })},
		{Name: "jwks", Limit: "http", Aim: .80, prepare: same(func(*world, int) []byte { return get("/.well-known/jwks.json", "") })},
		{Name: "userinfo", Limit: "http", Aim: .40, prepare: same(func(w *world, n int) []byte { return get("/oauth2/userinfo", bearer(w.Tokens[n%active])) })},
		{Name: "introspection", Limit: "http", Aim: .35, prepare: same(func(w *world, n int) []byte {
			return post("/oauth2/introspect", basic("bench"), "token="+w.Tokens[n%active])
		})},
		{Name: "client_credentials", Limit: "commit", Aim: .60, prepare: same(func(*world, int) []byte {
			return post("/oauth2/token", basic("bench"), "grant_type=client_credentials")
		})},
		{Name: "code exchange", Limit: "rsa", prepare: redeem},
		{Name: "sso RS256", Limit: "rsa", Aim: .80, prepare: roundTrip("bench")},
		{Name: "sso ES256", Limit: "ecdsa", Least: 4000, prepare: roundTrip("bench-es")},
		{Name: "refresh RS256", Limit: "rsa", Aim: .85, prepare: refresh("bench", func(w *world) []string { return w.Refresh })},
		{Name: "refresh ES256", Limit: "ecdsa", prepare: refresh("bench-es", func(w *world) []string { return w.RefreshE })},
		{Name: "page of people", Within: 50 * time.Millisecond, Workers: 1, prepare: adminPage("/admin/users")},
		{Name: "people, searched", Within: 50 * time.Millisecond, Workers: 1, prepare: adminPage("/admin/users?q=many77")},
		{Name: "page of events", Within: 50 * time.Millisecond, Workers: 1, prepare: adminPage("/admin/events")},
		{Name: "events, filtered", Within: 50 * time.Millisecond, Workers: 1, prepare: adminPage("/admin/events?event=oidc_token&user=many77")},
		{Name: "first sign-in", Limit: "argon2id", Aim: .95, Beside: true, prepare: signIn},
	}
}

func authorizeRequest(w *world, client string, n int) []byte {
	q := url.Values{"response_type": {"code"}, "client_id": {client}, "redirect_uri": {redirectURI}, "scope": {"openid profile email groups"},
		"state": {"s"}, "nonce": {"n"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"}}
	session := w.Sessions[n%active]
	return get("/oauth2/authorize?"+q.Encode(), "Cookie: peerage="+session+"; peerage-browser="+session+"\r\n")
}

// code asks for an authorization code with a session.
func code(c *connection, authorize []byte) (string, error) {
	if err := answered(c, authorize, 303); err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(c.location, "code=")
	if !ok {
		return "", fmt.Errorf("authorize led to %s", c.location)
	}
	code, _, _ := strings.Cut(rest, "&")
	return code, nil
}

func exchange(client, code string) []byte {
	return post("/oauth2/token", basic(client), "grant_type=authorization_code&redirect_uri="+url.QueryEscape(redirectURI)+"&code_verifier="+verifier+"&code="+code)
}

// roundTrip is what a person who is signed in costs who opens an application:
// authorize, token, UserInfo.
func roundTrip(client string) func(*world, int, *connection) (func() error, error) {
	return func(w *world, n int, c *connection) (func() error, error) {
		authorize := authorizeRequest(w, client, n)
		return func() error {
			code, err := code(c, authorize)
			if err != nil {
				return err
			}
			if err := answered(c, exchange(client, code), 200); err != nil {
				return err
			}
			return answered(c, get("/oauth2/userinfo", bearer(c.member("access_token"))), 200)
		}, nil
	}
}

// codesEach is how many codes a worker fetches beforehand; they live a minute.
const codesEach = 400

// redeem spends codes that were fetched before the time began.
func redeem(w *world, n int, c *connection) (func() error, error) {
	authorize := authorizeRequest(w, "bench", n)
	var codes []string
	for range codesEach {
		code, err := code(c, authorize)
		if err != nil {
			return nil, err
		}
		codes = append(codes, code)
	}
	return func() error {
		if len(codes) == 0 {
			return errEnough
		}
		code := codes[0]
		codes = codes[1:]
		return answered(c, exchange("bench", code), 200)
	}, nil
}

// refresh follows one chain of refresh tokens.
func refresh(client string, tokens func(*world) []string) func(*world, int, *connection) (func() error, error) {
	return func(w *world, n int, c *connection) (func() error, error) {
		token := tokens(w)[n%active]
		return func() error {
			if err := answered(c, post("/oauth2/token", basic(client), "grant_type=refresh_token&refresh_token="+token), 200); err != nil {
				return err
			}
			token = c.member("refresh_token")
			return nil
		}, nil
	}
}

func adminPage(path string) func(*world, int, *connection) (func() error, error) {
	return same(func(w *world, _ int) []byte { return get(path, "Cookie: peerage="+w.Admin+"\r\n") })
}

// signIn is a new browser that shows a password.
func signIn(w *world, n int, c *connection) (func() error, error) {
	form := "username=" + names[n%active] + "&password=" + url.QueryEscape(password)
	return func() error {
		if err := answered(c, get("/login", ""), 200); err != nil {
			return err
		}
		cookies := "Cookie: " + strings.Join(c.cookies, "; ") + "\r\n"
		return answered(c, post("/login", cookies, form), 303)
	}, nil
}

// walkingPace is the pause between two UserInfo calls beside the sign-ins.
const walkingPace = 5 * time.Millisecond
