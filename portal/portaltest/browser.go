package portaltest

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Browser keeps cookies, follows redirects within the site and reads pages
// as a person does: forms with their fields, what is wrong, where it goes on.
type Browser struct {
	Site   *Site
	Client *http.Client
	t      testing.TB
}

// Browser opens a fresh browser.
func (s *Site) Browser() *Browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatalf("making a cookie jar: %v", err)
	}
	return &Browser{Site: s, t: s.t, Client: &http.Client{Transport: s, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Page is what a browser shows.
type Page struct {
	Status int
	// URL is where the page is; Left is the address outside the site that a
	// redirect or a meta refresh leads to, "" while still here.
	URL    *url.URL
	Left   string
	Header http.Header
	Body   string
	// Error is data-error of main.
	Error string
	Title string
	Forms []Form
}

// Form is one form of a page.
type Form struct {
	Action, Method string
	Fields         url.Values
	// Buttons are name=value of its submit buttons.
	Buttons []string
}

// Get opens a path of the site (or an absolute address in it).
func (b *Browser) Get(address string) *Page {
	b.t.Helper()
	return b.Do(b.request(http.MethodGet, address, ""))
}

// Post sends a form to a path of the site, as the site's own page would.
func (b *Browser) Post(address string, form url.Values) *Page {
	b.t.Helper()
	r := b.request(http.MethodPost, address, form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.Do(r)
}

// Submit fills the page's form that has all these fields and sends it.
// Pairs are name, value.
func (b *Browser) Submit(p *Page, pairs ...string) *Page {
	b.t.Helper()
	for _, form := range p.Forms {
		if form.Method != http.MethodPost || !form.takes(pairs) {
			continue
		}
		for i := 0; i < len(pairs); i += 2 {
			form.Fields.Set(pairs[i], pairs[i+1])
		}
		return b.Post(p.URL.ResolveReference(mustParse(b.t, form.Action)).String(), form.Fields)
	}
	b.t.Fatalf("the page %s (%d, error %q) has no form that takes %v", p.URL, p.Status, p.Error, pairs)
	return nil
}

func (f Form) takes(pairs []string) bool {
	for i := 0; i < len(pairs); i += 2 {
		found := f.Fields.Has(pairs[i])
		for _, button := range f.Buttons {
			found = found || button == pairs[i]+"="+pairs[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

func (b *Browser) request(method, address, body string) *http.Request {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.Site.Issuer + address
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		b.t.Fatalf("making a request: %v", err)
	}
	return r
}

// Do sends a request and follows redirects until a page, or out of the site.
func (b *Browser) Do(r *http.Request) *Page {
	b.t.Helper()
	for range 20 {
		response, err := b.Client.Do(r)
		if err != nil {
			b.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		response.Body.Close()
		if err != nil {
			b.t.Fatalf("%s %s: reading: %v", r.Method, r.URL, err)
		}
		location := response.Header.Get("Location")
		if location == "" {
			return b.read(r.URL, response, string(body))
		}
		next := r.URL.ResolveReference(mustParse(b.t, location))
		if !strings.HasPrefix(next.String(), b.Site.Issuer+"/") {
			return &Page{Status: response.StatusCode, URL: r.URL, Left: location, Header: response.Header, Body: string(body)}
		}
		r = b.request(http.MethodGet, next.String(), "")
	}
	b.t.Fatalf("%s: redirects in a circle", r.URL)
	return nil
}

// Once sends a request and follows nothing; change may be nil. A form makes it
// a POST as the site's own page would send it.
func (b *Browser) Once(method, address string, form url.Values, change func(*http.Request)) *Page {
	b.t.Helper()
	r := b.request(method, address, form.Encode())
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if change != nil {
		change(r)
	}
	response, err := b.Client.Do(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, address, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatalf("%s %s: reading: %v", method, address, err)
	}
	return b.read(r.URL, response, string(body))
}

func (b *Browser) read(at *url.URL, response *http.Response, body string) *Page {
	b.t.Helper()
	p := &Page{Status: response.StatusCode, URL: at, Header: response.Header, Body: body}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		return p
	}
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		b.t.Fatalf("%s: %v", at, err)
	}
	p.walk(root, nil)
	return p
}

func (p *Page) walk(n *html.Node, form *Form) {
	if n.Type == html.ElementNode {
		switch n.Data {
		case "main":
			p.Error = attr(n, "data-error")
		case "title":
			if n.FirstChild != nil {
				p.Title = n.FirstChild.Data
			}
		case "meta":
			if strings.EqualFold(attr(n, "http-equiv"), "refresh") {
				_, p.Left, _ = strings.Cut(attr(n, "content"), "url=")
			}
		case "form":
			p.Forms = append(p.Forms, Form{Action: attr(n, "action"), Method: strings.ToUpper(attr(n, "method")), Fields: url.Values{}})
			form = &p.Forms[len(p.Forms)-1]
		case "input":
			if form != nil && (attr(n, "type") != "checkbox" || has(n, "checked")) {
				form.Fields.Set(attr(n, "name"), attr(n, "value"))
			}
		case "textarea":
			if form != nil {
				form.Fields.Set(attr(n, "name"), content(n))
			}
		case "select":
			if form != nil {
				form.Fields.Set(attr(n, "name"), selected(n))
			}
		case "button":
			if form != nil && attr(n, "name") != "" {
				form.Buttons = append(form.Buttons, attr(n, "name")+"="+attr(n, "value"))
			}
		}
	}
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		p.walk(child, form)
		if form != nil && n.Type == html.ElementNode && n.Data == "form" {
			form = &p.Forms[len(p.Forms)-1]
		}
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

func content(n *html.Node) string {
	if n.FirstChild == nil {
		return ""
	}
	return n.FirstChild.Data
}

// selected is the value of the chosen option, or of the first.
func selected(n *html.Node) string {
	value, first := "", true
	for o := n.FirstChild; o != nil; o = o.NextSibling {
		if o.Data == "option" && (first || has(o, "selected")) {
			value, first = attr(o, "value"), false
		}
	}
	return value
}

func mustParse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatalf("parsing %q: %v", address, err)
	}
	return u
}

// Query are the parameters of the address that the page leads out to.
func (p *Page) Query(t testing.TB) url.Values {
	t.Helper()
	return mustParse(t, p.Left).Query()
}
