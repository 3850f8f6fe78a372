package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"peerage/store/storetest"
)

// replicas are two servers on one PostgreSQL behind a proxy that sends every
// request to the other one than the last: no sticky sessions.
type replicas struct {
	*server // the first; its Issuer is the proxy's
	other   *server
	// asked counts the requests of each; failed is when it last did not answer.
	asked, failed [2]atomic.Int64
}

// failedFor is how long the proxy leaves out a replica that did not answer.
const failedFor = 200 * time.Millisecond

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	database := storetest.Postgres(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening for the proxy: %v", err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	issuer := "http://localhost:" + port
	r := &replicas{}
	env := []string{"PEERAGE_ISSUER=" + issuer, "PEERAGE_DATABASE=" + database}
	r.server, r.other = newServer(t, env...), newServer(t, env...)
	both := [2]*server{r.server, r.other}
	var turn atomic.Int64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			i := int(turn.Add(1) % 2)
			if time.Since(time.UnixMilli(r.failed[i].Load())) < failedFor {
				i = 1 - i
			}
			r.asked[i].Add(1)
			p.SetURL(&url.URL{Scheme: "http", Host: both[i].Address})
			p.Out.Host = p.In.Host
		},
		// A replica that is gone: the proxy says so, asks it no more for a while,
		// and the caller tries again.
		ErrorHandler: func(w http.ResponseWriter, out *http.Request, _ error) {
			for i, s := range both {
				if out.URL.Host == s.Address {
					r.failed[i].Store(time.Now().UnixMilli())
				}
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	front := &http.Server{Handler: proxy}
	go front.Serve(listener)
	t.Cleanup(func() { front.Close() })
	for _, s := range both {
		s.start(t)
		s.Issuer = issuer
	}
	return r
}

// patience is how long a change may take to be felt by a replica. The contract
// says a second; a machine that is busy with other tests gets some more.
const patience = 5 * time.Second

// awaitBoth asks each replica by itself until its answer is right, and logs
// how long that took.
func (r *replicas) awaitBoth(t *testing.T, what, path string, right func(body string) bool) {
	t.Helper()
	begun := time.Now()
	for _, s := range []*server{r.server, r.other} {
		for !right(ask(t, s, path)) {
			if time.Since(begun) > patience {
				t.Fatalf("not felt within %s: %s", patience, what)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	t.Logf("%s was felt by both replicas after %s", what, time.Since(begun).Round(time.Millisecond))
}

func ask(t *testing.T, s *server, path string) string {
	t.Helper()
	response, err := http.Get("http://" + s.Address + path)
	if err != nil {
		t.Fatalf("asking a replica: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("asking a replica: %v", err)
	}
	return string(text)
}

// A sign-in whose every request meets the other replica works, and what one
// replica (or a command) changes is felt by the other within a second.
func TestTwoReplicasShareOnePostgreSQL(t *testing.T) {
	once(t)
	r := newReplicas(t)
	r.addUser(t, "ada", "admins")
	r.addUser(t, "eve", "admins") // the last administrator cannot be disabled
	secret := r.addClient(t, "app", "--redirect-uri", clientCallback)
	r.awaitBoth(t, "a client made by command", "/oauth2/authorize?client_id=app", func(page string) bool { return !strings.Contains(page, "invalid_client") })
	rp := r.newRelyingParty(t, "app", secret, "RS256")
	ada := r.newPerson(t, "ada")
	token, _, _, asked := rp.signIn(t, ada)
	if fmt.Sprint(asked) != "[sign-in enrol consent]" {
		t.Errorf("the pages were %v", asked)
	}
	rp.verify(t, token)
	for i := range r.asked {
		if r.asked[i].Load() < 5 {
			t.Errorf("replica %d answered %d requests: they did not take turns", i, r.asked[i].Load())
		}
	}
	fresh, err := rp.refresh(t.Context(), token)
	if err != nil {
		t.Fatalf("refreshing: %v", err)
	}
	var rotated struct{ KID string }
	r.runJSON(t, &rotated, "key", "rotate", "--now", "--json")
	r.awaitBoth(t, "a rotated key", "/.well-known/jwks.json", func(set string) bool { return strings.Contains(set, rotated.KID) })
	token, err = rp.refresh(t.Context(), fresh)
	if err != nil {
		t.Fatalf("refreshing after the rotation: %v", err)
	}
	rp.verify(t, token)
	r.run(t, "", "user", "disable", "ada")
	_, err = rp.refresh(t.Context(), token)
	refused(t, "refreshing for a disabled person", err, "invalid_grant", http.StatusBadRequest)
	page, err := ada.get(t.Context(), r.Issuer+"/")
	if err != nil || page.url.Path != "/login" {
		t.Fatalf("a disabled person is at %v, %v", page, err)
	}
}

// One of two replicas is killed in the middle of sign-ins; none is lost that
// is tried again.
func TestKilledReplicaLosesNoSignInThatIsRetried(t *testing.T) {
	once(t)
	r := newReplicas(t)
	secret := r.addClient(t, "app", "--redirect-uri", clientCallback, "--trusted")
	const people = 8
	for i := range people {
		r.addUser(t, fmt.Sprintf("person%d", i))
	}
	r.awaitBoth(t, "a client made by command", "/oauth2/authorize?client_id=app", func(page string) bool { return !strings.Contains(page, "invalid_client") })
	rp := r.newRelyingParty(t, "app", secret, "RS256")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var done atomic.Int64
	failed := make(chan error, people)
	for i := range people {
		p := r.newPerson(t, fmt.Sprintf("person%d", i))
		go func() { failed <- signInOften(ctx, rp, p, 25, &done) }()
	}
	reach := func(n int64) {
		for done.Load() < n && ctx.Err() == nil {
			<-time.After(5 * time.Millisecond)
		}
	}
	reach(40)
	r.other.kill()
	reach(100)
	r.other.start(t)
	for range people {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if done.Load() != people*25 {
		t.Fatalf("%d of %d sign-ins ended with tokens", done.Load(), people*25)
	}
}

// signInOften signs in again and again, each time in a browser of its own, and
// tries once more what met a replica that was gone.
func signInOften(ctx context.Context, rp *relyingParty, p *person, times int, done *atomic.Int64) error {
	for range times {
		for {
			err := signInOnce(ctx, rp, p)
			if err == nil {
				done.Add(1)
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", p.username, err)
			}
		}
	}
	return nil
}

// signInOnce is one whole sign-in, from the password to checked tokens.
func signInOnce(ctx context.Context, rp *relyingParty, p *person) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	p.browser.Jar = jar
	verifier := oauth2.GenerateVerifier()
	callback, _, err := p.authorize(ctx, rp.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
	if err != nil {
		return err
	}
	token, err := rp.Exchange(ctx, callback.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return err
	}
	raw, _ := token.Extra("id_token").(string)
	_, err = rp.verifier.Verify(ctx, raw)
	return err
}
