package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// recorder keeps every answer that a tab gets. It holds each answer up until it
// has read it, for Chromium forgets those of a page that it has left.
type recorder struct {
	mu      sync.Mutex
	bodies  map[string]string // by method and address
	cookies map[string]bool   // values of the cookies that were there at any answer
}

// record begins to record what the tab gets.
func record(ctx context.Context, t *testing.T) *recorder {
	t.Helper()
	r := &recorder{bodies: map[string]string{}, cookies: map[string]bool{}}
	paused := make(chan *fetch.EventRequestPaused, 1000)
	if err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*fetch.EventRequestPaused); ok {
			paused <- e
		}
	}); err != nil {
		t.Fatalf("listening to the browser: %v", err)
	}
	if _, err := chromedp.Call(ctx, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{RequestStage: fetch.RequestStageResponse}}}); err != nil {
		t.Fatalf("recording answers: %v", err)
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-paused:
				r.keep(ctx, e)
			}
		}
	}()
	return r
}

func (r *recorder) keep(ctx context.Context, e *fetch.EventRequestPaused) {
	body, err := chromedp.Call(ctx, fetch.GetResponseBody, fetch.GetResponseBodyParams{RequestID: e.RequestID})
	cookies, _ := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{})
	r.mu.Lock()
	if err == nil { // a redirect has none
		r.bodies[e.Request.Method+" "+e.Request.URL] += string(body.Body)
	}
	for _, c := range cookies.Cookies {
		r.cookies[c.Value] = true
	}
	r.mu.Unlock()
	chromedp.Call(ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
}

// holdsNone fails when an answer of the server holds a secret or the value of
// a cookie.
func (r *recorder) holdsNone(t *testing.T, s *server, secrets map[string]string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	pages, code := 0, false
	for address, body := range r.bodies {
		if !strings.Contains(address, " "+s.Issuer+"/") {
			continue
		}
		pages++
		code = code || strings.Contains(body, "Enter your code")
		for what, secret := range secrets {
			if strings.Contains(body, secret) {
				t.Errorf("%s holds the %s", address, what)
			}
		}
		for value := range r.cookies {
			if len(value) > 20 && strings.Contains(body, value) {
				t.Errorf("%s holds the value of a cookie", address)
			}
		}
	}
	if pages < 10 || len(r.cookies) < 2 || !code {
		t.Errorf("only %d pages and %d cookies were seen (the page that asks for the code: %t)", pages, len(r.cookies), code)
	}
}
