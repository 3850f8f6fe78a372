package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestGracefulStop asks the server to stop while sign-ins wait for their
// argon2: all are answered, the store is closed cleanly, and the sessions that
// they began are good at the next server.
func TestGracefulStop(t *testing.T) {
	const people = 10
	s := newServer(t)
	s.start(t)
	var visitors []*person
	for i := range people {
		name := fmt.Sprintf("person%d", i)
		s.addUser(t, name)
		visitors = append(visitors, s.newPerson(t, name))
	}
	begun, answers := make(chan struct{}, people), make(chan error, people)
	var group sync.WaitGroup
	for _, v := range visitors {
		group.Go(func() { answers <- v.signInSlowly(t.Context(), begun) })
	}
	for range people {
		select {
		case <-begun:
		case <-time.After(20 * time.Second):
			t.Fatal("the server does not begin with the sign-ins")
		}
	}
	inFlight := people - len(answers)
	if code := s.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	group.Wait()
	for range people {
		if err := <-answers; err != nil {
			t.Errorf("a sign-in in flight: %v", err)
		}
	}
	if inFlight == 0 {
		t.Error("nothing was in flight when the server was asked to stop")
	}
	if log := s.log.tail(1 << 20); !strings.Contains(log, "msg=stopped") || strings.Contains(log, "cut off") || strings.Contains(log, "level=ERROR") {
		t.Error("the log does not tell of a clean stop")
	}
	s.checkClosed(t)
	s.checkIntegrity(t)

	s.start(t)
	for _, v := range visitors {
		page, err := v.get(t.Context(), s.Issuer+"/")
		if err != nil {
			t.Fatalf("opening the home page: %v", err)
		}
		if page.status != http.StatusOK || page.url.Path != "/" {
			t.Errorf("%s is no longer signed in: %s, %d", v.username, page.url, page.status)
		}
	}
}

// signInSlowly posts a right password. begun is told when the server reads it:
// it asks for the body (100 Continue) only once the handler runs.
func (p *person) signInSlowly(ctx context.Context, begun chan<- struct{}) error {
	transport := &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}
	p.browser.Transport = transport
	defer func() { p.browser.Transport = nil }()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: func() { begun <- struct{}{} }})
	form := url.Values{"username": {p.username}, "password": {password}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.issuer+"/login", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.issuer)
	r.Header.Set("Expect", "100-continue")
	response, err := p.browser.Do(r)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}
