package portal

import (
	"fmt"
	"html/template"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"peerage/static"
)

// walk calls f for every element of the page.
func walk(n *html.Node, f func(*html.Node)) {
	if n.Type == html.ElementNode {
		f(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, f)
	}
}

func attr(n *html.Node, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

func textOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(textOf(c))
	}
	return b.String()
}

// show renders page and parses it again.
func show(t *testing.T, r *Renderer, page Page) *html.Node {
	t.Helper()
	w := httptest.NewRecorder()
	if err := r.Render(w, 200, page); err != nil {
		t.Fatal(err)
	}
	doc, err := html.Parse(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// toldText is the text of a page without what stands in its text areas, which
// comes back as it was typed.
func toldText(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Data != "textarea" {
			b.WriteString(toldText(c))
		}
	}
	return b.String()
}

func find(doc *html.Node, match func(*html.Node) bool) *html.Node {
	var found *html.Node
	walk(doc, func(n *html.Node) {
		if found == nil && match(n) {
			found = n
		}
	})
	return found
}

func findTag(doc *html.Node, tag string) *html.Node {
	return find(doc, func(n *html.Node) bool { return n.Data == tag })
}

func TestEveryPageIsSound(t *testing.T) {
	brands := map[string]Brand{
		"own":     {Name: "Example IX", Support: "noc@example.net"},
		"nobody":  {},
		"branded": {Name: `<b>IX</b> "&" ` + strings.Repeat("long ", 50), Logo: testLogo, Hue: new(int), Support: "https://help.example.net/?a=1&b=2"},
	}
	for brandName, brand := range brands {
		r := newTestRenderer(t, brand)
		for kind, s := range hostile {
			for name, page := range samplePages(t, s) {
				t.Run(brandName+"/"+kind+"/"+name, func(t *testing.T) { checkPage(t, show(t, r, page), page) })
			}
		}
		for name, page := range emptyPages() {
			t.Run(brandName+"/empty/"+name, func(t *testing.T) { checkPage(t, show(t, r, page), page) })
		}
	}
}

// checkPage says what is wrong with a page whatever its data are: something
// that the content security policy blocks, a field without a label, a reference
// to nothing, markup out of data.
func checkPage(t *testing.T, doc *html.Node, page Page) {
	t.Helper()
	ids, refs, labels := map[string]bool{}, []string{}, map[string]bool{}
	count := map[string]int{}
	walk(doc, func(n *html.Node) {
		count[n.Data]++
		switch n.Data {
		case "script":
			src, _ := attr(n, "src")
			if script := page.frame().script; script == "" || src != static.Path(script) || n.FirstChild != nil {
				t.Errorf("the script %q", src)
			}
		case "style", "iframe", "object", "base":
			t.Errorf("a %s element", n.Data)
		case "img":
			if src, _ := attr(n, "src"); !strings.HasPrefix(src, "data:image/") && !strings.HasPrefix(src, "/static/") {
				t.Errorf("a picture from %q", src)
			}
			if _, ok := attr(n, "alt"); !ok {
				t.Error("a picture without alt")
			}
		case "form":
			if m, _ := attr(n, "method"); m != "post" && m != "get" {
				t.Errorf("a form with method %q", m)
			} else if action, _ := attr(n, "action"); m == "get" && strings.Contains(action, "?") {
				t.Errorf("a form that loses the query of its action %q", action)
			}
		case "label":
			f, _ := attr(n, "for")
			labels[f] = true
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
				t.Errorf("attribute %s on %s", a.Key, n.Data)
			case a.Key == "id":
				if ids[a.Val] {
					t.Errorf("id %q stands twice", a.Val)
				}
				ids[a.Val] = true
			case a.Key == "aria-describedby":
				refs = append(refs, strings.Fields(a.Val)...)
			case a.Key == "href" && strings.HasPrefix(a.Val, "#"):
				refs = append(refs, a.Val[1:])
			}
			if strings.Contains(a.Val, "ZgotmplZ") {
				t.Errorf("attribute %s of %s was refused: %q", a.Key, n.Data, a.Val)
			}
		}
	})
	for _, ref := range refs {
		if !ids[ref] {
			t.Errorf("a reference to %q, which is not there", ref)
		}
	}
	walk(doc, func(n *html.Node) {
		if n.Data != "input" && n.Data != "select" && n.Data != "textarea" {
			return
		}
		if typ, _ := attr(n, "type"); typ == "hidden" {
			return
		}
		if id, _ := attr(n, "id"); id == "" || !labels[id] {
			t.Errorf("%s %q has no label", n.Data, id)
		}
		if _, ok := attr(n, "autocomplete"); !ok {
			t.Error("an input without autocomplete")
		}
		if typ, _ := attr(n, "type"); typ == "password" {
			if v, ok := attr(n, "value"); ok {
				t.Errorf("a password came back: %q", v)
			}
		}
	})
	for _, tag := range []string{"h1", "main", "title"} {
		if count[tag] != 1 {
			t.Errorf("%d %s elements", count[tag], tag)
		}
	}
	if got, _ := attr(findTag(doc, "main"), "data-error"); got != page.base().Fault {
		t.Errorf("data-error is %q, want %q", got, page.base().Fault)
	}
	shown := toldText(findTag(doc, "body")) + textOf(findTag(doc, "title"))
	if strings.ContainsAny(shown, "\u202e\u2066\u200f\x00\x1b") {
		t.Error("a direction mark or control character is shown")
	}
	if len(shown) > 9000 {
		t.Errorf("%d bytes of text: something long was not cut", len(shown))
	}
}

func TestTypedValuesComeBack(t *testing.T) {
	r := newTestRenderer(t, Brand{})
	doc := show(t, r, &SignInPage{Base: Base{Fault: FaultWrongCredentials}, UserName: `a"b<c`, Request: "a b&c=d", Return: "/x?y=1&z=2"})
	byName := map[string]*html.Node{}
	walk(doc, func(n *html.Node) {
		if name, ok := attr(n, "name"); ok && n.Data == "input" {
			byName[name] = n
		}
	})
	if v, _ := attr(byName["username"], "value"); v != `a"b<c` {
		t.Errorf("user name came back as %q", v)
	}
	if v, _ := attr(byName["return"], "value"); v != "/x?y=1&z=2" {
		t.Errorf("return came back as %q", v)
	}
	if v, _ := attr(findTag(doc, "form"), "action"); v != "/login?request=a%20b%26c%3dd" {
		t.Errorf("form goes to %q", v)
	}
	for _, name := range []string{"username", "password"} {
		if v, _ := attr(byName[name], "aria-invalid"); v != "true" {
			t.Errorf("%s is not marked as wrong", name)
		}
	}
}

func TestLeavingKeepsTheAddress(t *testing.T) {
	r := newTestRenderer(t, Brand{})
	for _, target := range []string{
		privateUse,
		"https://app.example.net/cb?code=a.b-c_d~e&state=x%2By%20%22%27%3E&iss=https%3A%2F%2Fid.example.net",
		"http://127.0.0.1:51004/?code=1&state=a;b,c",
		"http://[::1]:8000/cb?code=1",
	} {
		doc := show(t, r, &LeavePage{Asker: NewAsker("App", "", target), Target: template.URL(target)})
		refresh := find(doc, func(n *html.Node) bool { v, _ := attr(n, "http-equiv"); return v == "refresh" })
		if v, _ := attr(refresh, "content"); v != "0;url="+target {
			t.Errorf("refresh is %q, want %q", v, target)
		}
		link := find(doc, func(n *html.Node) bool { c, _ := attr(n, "class"); return n.Data == "a" && c == "button primary" })
		if v, _ := attr(link, "href"); v != target {
			t.Errorf("link is %q, want %q", v, target)
		}
	}
}

func TestFormPostHasOneButton(t *testing.T) {
	r := newTestRenderer(t, Brand{})
	doc := show(t, r, &FormPostPage{Asker: &Asker{Name: "App"}, Action: privateUse, Fields: []Hidden{{"code", "x"}, {"state", `"><b>`}}})
	if v, _ := attr(findTag(doc, "form"), "action"); v != privateUse {
		t.Errorf("form goes to %q", v)
	}
	got := ""
	walk(doc, func(n *html.Node) {
		if n.Data == "input" || n.Data == "button" {
			name, _ := attr(n, "name")
			value, _ := attr(n, "value")
			got += fmt.Sprintf("%s %s=%s\n", n.Data, name, value)
		}
	})
	if want := "input code=x\ninput state=\"><b>\nbutton =\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHeaderOffersOnlyWhatIsThere(t *testing.T) {
	r := newTestRenderer(t, Brand{})
	for _, v := range []Visitor{{}, {Networks: true}, {Admin: true}, {Networks: true, Admin: true}} {
		doc := show(t, r, &HomePage{Base: Base{Visitor: &v}})
		seen := map[string]int{}
		current := ""
		walk(doc, func(n *html.Node) {
			href, _ := attr(n, "href")
			seen[href]++
			if _, ok := attr(n, "aria-current"); ok {
				current = href
			}
		})
		if (seen["/networks"] > 0) != v.Networks || (seen["/admin"] > 0) != v.Admin {
			t.Errorf("%+v sees networks %d times, admin %d times", v, seen["/networks"], seen["/admin"])
		}
		if current != "/" {
			t.Errorf("current place is %q", current)
		}
	}
}

func TestHouseNeedsVisitor(t *testing.T) {
	r := newTestRenderer(t, Brand{})
	w := httptest.NewRecorder()
	if err := r.Render(w, 200, &HomePage{}); err == nil {
		t.Error("a page of the house was shown to nobody")
	}
	if w.Body.Len() != 0 || len(w.Header()) != 0 {
		t.Errorf("a failed page wrote %q and %v", w.Body, w.Header())
	}
}

func TestBrandIsShown(t *testing.T) {
	hue := 0
	doc := show(t, newTestRenderer(t, Brand{Name: "Example IX", Logo: testLogo, Hue: &hue, Support: "noc@example.net"}), &SignInPage{})
	for name, match := range map[string]func(*html.Node) bool{
		"style sheet of the hue": func(n *html.Node) bool { v, _ := attr(n, "href"); return v == "/static/brand.css?hue=0" },
		"logo":                   func(n *html.Node) bool { v, _ := attr(n, "src"); return n.Data == "img" && v == testLogo },
		"support contact":        func(n *html.Node) bool { v, _ := attr(n, "href"); return v == "mailto:noc@example.net" },
	} {
		if find(doc, match) == nil {
			t.Errorf("no %s", name)
		}
	}
	if got := textOf(findTag(doc, "title")); got != "Sign in · Example IX" {
		t.Errorf("title is %q", got)
	}
	doc = show(t, newTestRenderer(t, Brand{}), &SignInPage{})
	if n := find(doc, func(n *html.Node) bool { v, _ := attr(n, "href"); return strings.Contains(v, "brand.css") }); n != nil {
		t.Error("brand.css without a hue")
	}
	if find(doc, func(n *html.Node) bool { v, _ := attr(n, "class"); return v == "mark" }) == nil {
		t.Error("no mark without a logo")
	}
}

func TestNewRendererRefusesBrokenBrand(t *testing.T) {
	hue := 361
	for name, brand := range map[string]Brand{
		"logo elsewhere":     {Logo: "https://cdn.example.net/logo.png"},
		"logo is a script":   {Logo: "data:text/html;base64,PGI+"},
		"logo breaks out":    {Logo: `/static/x" onerror="alert(1)`},
		"hue":                {Hue: &hue},
		"support is a word":  {Support: "the NOC"},
		"support is script:": {Support: "javascript:alert(1)"},
	} {
		if _, err := NewRenderer(brand, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestNewAskerNamesTheHost(t *testing.T) {
	for uri, want := range map[string]string{
		"https://grafana.example.net/login":       "grafana.example.net",
		"https://git.example.net:8443/cb":         "git.example.net:8443",
		"https://grafana.example.net@evil.test/x": "evil.test",
		"https://\u0435\u0445ample.net/":          "xn--ample-ywe6i.net",
		"http://127.0.0.1:8000/":                  "",
		"http://[::1]:8000/":                      "",
		"http://localhost/":                       "",
		"https://[2001:db8::1]:8443/":             "[2001:db8::1]:8443",
		"com.example.app:/cb":                     "",
		"urn:ietf:wg:oauth:2.0:oob":               "",
		"%zz":                                     "",
	} {
		if got := NewAsker("x", "", uri).Host; got != want {
			t.Errorf("%s: host %q, want %q", uri, got, want)
		}
	}
}
