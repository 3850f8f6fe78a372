package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/net/html"
)

// person sits before a browser without JavaScript: cookies, redirects, forms.
// Its methods return errors, because the kill test's people meet some.
type person struct {
	issuer, username string
	browser          *http.Client
	// secret is that of the authenticator app, "" before one is enrolled.
	secret string
	// code is the last code, which must not be sent twice.
	code string
}

// newPerson gives somebody a fresh browser.
func (s *server) newPerson(t *testing.T, username string) *person {
	t.Helper()
	p := &person{issuer: s.Issuer, username: username}
	p.freshBrowser(t)
	return p
}

func (p *person) freshBrowser(t *testing.T) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatalf("making a cookie jar: %v", err)
	}
	p.browser = &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// webPage is what the browser shows.
type webPage struct {
	status int
	url    *url.URL
	// left is the address outside the issuer that a redirect or a meta
	// refresh leads to.
	left  string
	fault string // data-error of main
	body  string
	forms []webForm
}

type webForm struct {
	action  string
	fields  url.Values
	buttons map[string]bool // name=value
}

// authorize opens an authorization request and answers every page as a person
// who wants to get in, until the browser leaves for the client. asked are the
// pages that came between: sign-in, enrol, code, confirm, consent, choose.
func (p *person) authorize(ctx context.Context, address string) (callback url.Values, asked []string, err error) {
	page, err := p.get(ctx, address)
	for range 10 {
		if err != nil {
			return nil, asked, err
		}
		if page.left != "" {
			to, err := url.Parse(page.left)
			if err != nil {
				return nil, asked, fmt.Errorf("leaving for %q: %w", page.left, err)
			}
			return to.Query(), asked, nil
		}
		var kind string
		if page, kind, err = p.answer(ctx, page); err == nil {
			asked = append(asked, kind)
		}
	}
	return nil, asked, fmt.Errorf("no end of pages: %v", asked)
}

var shownSecret = regexp.MustCompile(`<code class="block">([A-Z2-7 ]+)</code>`)

// answer does what a page asks for.
func (p *person) answer(ctx context.Context, page *webPage) (next *webPage, kind string, err error) {
	if page.fault != "" || page.status != http.StatusOK {
		return nil, "", &pageError{page.status, page.fault, page.url.Path}
	}
	for _, form := range page.forms {
		switch {
		case form.fields.Has("password"):
			next, err = p.submit(ctx, page, form, "username", p.username, "password", password)
			return next, "sign-in", err
		case form.fields.Has("code"):
			kind = "code"
			if shown := shownSecret.FindStringSubmatch(page.body); shown != nil {
				kind, p.secret = "enrol", strings.ReplaceAll(shown[1], " ", "")
			}
			if p.code, err = p.nextCode(); err != nil {
				return nil, "", err
			}
			next, err = p.submit(ctx, page, form, "code", p.code)
			return next, kind, err
		case form.buttons["decision=allow"]:
			kind = "confirm"
			if strings.HasPrefix(form.action, "/consent") {
				kind = "consent"
			}
			next, err = p.submit(ctx, page, form, "decision", "allow")
			return next, kind, err
		case form.buttons["decision=continue"]:
			next, err = p.submit(ctx, page, form, "decision", "continue")
			return next, "choose", err
		}
	}
	return nil, "", fmt.Errorf("the page %s asks for nothing known", page.url.Path)
}

// pageError is a page that tells of a fault.
type pageError struct {
	status      int
	fault, path string
}

// Error implements error.
func (e *pageError) Error() string {
	return fmt.Sprintf("%s answers %d %q", e.path, e.status, e.fault)
}

// nextCode is the app's code; the one of the coming half minute, which counts
// already, when the present one was used.
func (p *person) nextCode() (string, error) {
	now := time.Now()
	code, err := totp.GenerateCode(p.secret, now)
	if err == nil && code == p.code {
		code, err = totp.GenerateCode(p.secret, now.Add(30*time.Second))
	}
	if err != nil {
		return "", fmt.Errorf("making a code: %w", err)
	}
	return code, nil
}

func (p *person) get(ctx context.Context, address string) (*webPage, error) {
	return p.send(ctx, http.MethodGet, address, nil)
}

// submit fills a form (pairs are name, value) and sends it.
func (p *person) submit(ctx context.Context, page *webPage, form webForm, pairs ...string) (*webPage, error) {
	to, err := page.url.Parse(form.action)
	if err != nil {
		return nil, fmt.Errorf("the form's action: %w", err)
	}
	fields := url.Values{}
	for name, values := range form.fields {
		fields[name] = values
	}
	for i := 0; i < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	return p.send(ctx, http.MethodPost, to.String(), fields)
}

// send follows redirects until a page, or out of the issuer.
func (p *person) send(ctx context.Context, method, address string, form url.Values) (*webPage, error) {
	for range 10 {
		r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, fmt.Errorf("making a request: %w", err)
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", p.issuer)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		response, err := p.browser.Do(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		response.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", r.URL.Path, err)
		}
		location := response.Header.Get("Location")
		if location == "" {
			return readPage(r.URL, response.StatusCode, string(body))
		}
		next, err := r.URL.Parse(location)
		if err != nil {
			return nil, fmt.Errorf("redirected to %q: %w", location, err)
		}
		if !strings.HasPrefix(next.String(), p.issuer+"/") {
			return &webPage{status: response.StatusCode, url: r.URL, left: next.String()}, nil
		}
		method, address, form = http.MethodGet, next.String(), nil
	}
	return nil, errors.New("redirects without end")
}

func readPage(at *url.URL, status int, body string) (*webPage, error) {
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", at.Path, err)
	}
	page := &webPage{status: status, url: at, body: body}
	page.read(root, -1)
	return page, nil
}

// read collects what the element n holds; form is the index of the form
// around it, -1 for none.
func (p *webPage) read(n *html.Node, form int) {
	attributes := map[string]string{}
	for _, a := range n.Attr {
		attributes[a.Key] = a.Val
	}
	name := attributes["name"]
	switch {
	case n.Type != html.ElementNode:
	case n.Data == "main":
		p.fault = attributes["data-error"]
	case n.Data == "meta" && attributes["http-equiv"] == "refresh":
		_, p.left, _ = strings.Cut(attributes["content"], "url=")
	case n.Data == "form":
		form = len(p.forms)
		p.forms = append(p.forms, webForm{action: attributes["action"], fields: url.Values{}, buttons: map[string]bool{}})
	case n.Data == "input" && form >= 0 && name != "":
		p.forms[form].fields.Set(name, attributes["value"])
	case n.Data == "button" && form >= 0 && name != "":
		p.forms[form].buttons[name+"="+attributes["value"]] = true
	}
	for child := range n.ChildNodes() {
		p.read(child, form)
	}
}
