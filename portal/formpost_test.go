package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
)

// response_mode=form_post: a page with one form to the application, for
// answers and errors alike, whose policy does not hold the form back.
func TestFormPost(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	b := w.signedIn(t, "bob", "")
	page := b.Get(portaltest.Authorize("grafana", callback, "response_mode", "form_post", "state", hostileState))
	page = b.Submit(page, "decision", "allow")
	form := page.Forms[0]
	if page.Status != http.StatusOK || len(page.Forms) != 1 || form.Action != callback || form.Method != http.MethodPost || strings.Contains(page.Body, "<script") {
		t.Fatalf("allow gives %d:\n%s", page.Status, page.Body)
	}
	if form.Fields.Get("state") != hostileState || form.Fields.Get("iss") != w.Issuer || form.Fields.Has("error") || page.Header.Get("Content-Security-Policy") != wantFormPostPolicy {
		t.Errorf("the form holds %v under %q", form.Fields, page.Header.Get("Content-Security-Policy"))
	}
	if tokens := w.Redeem("grafana", "grafana-secret", form.Fields.Get("code"), callback); tokens.Status != http.StatusOK {
		t.Errorf("redeeming gives %d %s", tokens.Status, tokens.Body)
	}
	page = w.Browser().Get(portaltest.Authorize("grafana", callback, "response_mode", "form_post", "prompt", "none"))
	if len(page.Forms) != 1 || page.Forms[0].Fields.Get("error") != "login_required" || page.Forms[0].Fields.Get("state") != "state-1" || page.Error != "login_required" || page.Forms[0].Action != callback {
		t.Errorf("an error gives %s with %v", outcome(page), page.Forms)
	}
}

// prompt=select_account asks which account, and both answers work.
func TestChoiceOfAccount(t *testing.T) {
	w := newFlows(t)
	w.AddUser("ada")
	eve := w.AddUser("eve")
	b := w.signedIn(t, "ada", "")
	w.Clock.Advance(time.Second)
	ask := portaltest.Authorize("grafana", callback, "prompt", "select_account")
	page := b.Get(ask)
	if page.URL.Path != "/login" || !strings.Contains(page.Body, "ada Example") {
		t.Fatalf("the choice is %s:\n%s", page.URL, page.Body)
	}
	if got := b.Post(page.URL.RequestURI()+"&decision=continue", url.Values{}); got.URL.Path != "/login" {
		t.Fatalf("a decision in the address counts: %s", got.URL)
	}
	if page = b.Submit(page, "decision", "continue"); page.URL.Path != "/consent" || !strings.Contains(page.Body, "ada@example.net") {
		t.Fatalf("continue leads to %s", page.URL)
	}
	code(t, b.Submit(page, "decision", "allow"), callback)
	w.Clock.Advance(time.Second)
	page = b.Submit(b.Get(ask), "decision", "other")
	if page.URL.Path != "/login" || !strings.Contains(page.Body, `name="password"`) {
		t.Fatalf("other leads to %s", page.URL)
	}
	page = b.Submit(page, "username", "eve", "password", portaltest.Password)
	if page.URL.Path != "/consent" || !strings.Contains(page.Body, eve.Sub) {
		t.Errorf("eve's password leads to %s", page.URL)
	}
}

// An application that is switched off in the middle gets no answer.
func TestClientThatIsTakenAway(t *testing.T) {
	w := newFlows(t)
	w.AddUser("bob")
	b := w.Browser()
	page := b.Submit(b.Get(portaltest.Authorize("grafana", callback)), "username", "bob", "password", portaltest.Password)
	if err := w.Clients.SetSystem(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if page = b.Submit(page, "decision", "allow"); outcome(page) != "400 invalid_request" || page.Left != "" {
		t.Errorf("allow leads to %s, %q", outcome(page), page.Left)
	}
	if page = b.Get(portaltest.Authorize("grafana", callback)); page.Status != http.StatusBadRequest || page.Left != "" {
		t.Errorf("a new start leads to %s, %q", outcome(page), page.Left)
	}
}
