package portal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"peerage/templates"
)

// wordsCall finds calls of the words' functions with a literal key.
var wordsCall = regexp.MustCompile(`\b(t|text|count) "([a-z0-9_.]+)"`)

// usedKeys returns every key that a template or a Go file of this package asks
// for: literals, the forms of plurals, and the families of error words.
func usedKeys(t *testing.T, c *catalogue) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	names, err := fs.Glob(templates.FS, "*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		src, err := fs.ReadFile(templates.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range wordsCall.FindAllStringSubmatch(string(src), -1) {
			addKey(used, c, m[1], m[2])
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			lit, isLit := call.Args[0].(*ast.BasicLit)
			if say, ok := call.Fun.(*ast.Ident); ok && say.Name == "Say" && isLit {
				key, _ := strconv.Unquote(lit.Value)
				used[key] = true
			}
			fun, ok := call.Fun.(*ast.SelectorExpr)
			if ok && isLit && lit.Kind == token.STRING && (fun.Sel.Name == "html" || fun.Sel.Name == "text" || fun.Sel.Name == "count") {
				key, _ := strconv.Unquote(lit.Value)
				addKey(used, c, fun.Sel.Name, key)
			}
			return true
		})
	}
	for m := time.January; m <= time.December; m++ {
		used["month."+strconv.Itoa(int(m))] = true
	}
	codes := []string{"other", "oauth", "invalid_request", "invalid_client", "unauthorized_client", "access_denied", "server_error", "temporarily_unavailable"}
	for fault := range ownFaults {
		codes = append(codes, fault)
	}
	for _, code := range codes {
		used["error."+code+".title"], used["error."+code+".text"] = true, true
	}
	for _, reason := range []Reason{
		ReasonRedirectURIUnregistered, ReasonRedirectURIMissing, ReasonDuplicateParameter, ReasonClientDisabled, ReasonRequestExpired,
		ReasonOtherBrowser, ReasonCrossOrigin, ReasonCookies, ReasonTooLarge, ReasonWrongMethod, ReasonSignOut,
		ReasonPeeringDBDenied, ReasonPeeringDBTaken, ReasonPeeringDBUnknown, ReasonPeeringDBOther, ReasonPeeringDBDisabled, ReasonPeeringDBFactor, ReasonPeeringDBAnswer, ReasonPeeringDBScope,
	} {
		used["reason."+string(reason)+".title"], used["reason."+string(reason)+".text"] = true, true
	}
	used["error.again"], used["error.again.password"] = true, true
	used["do.application"], used["do.application.plain"] = true, true
	for _, kind := range advice {
		used["do."+kind], used["do."+kind+".plain"] = true, true
	}
	return used
}

func addKey(used map[string]bool, c *catalogue, function, key string) {
	if function != "count" {
		used[key] = true
		return
	}
	for n := range 200 {
		used[key+"."+c.form(n)] = true
	}
}

func TestEveryKeyIsThereAndUsed(t *testing.T) {
	all, err := readCatalogues(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	for lang, c := range all {
		used := usedKeys(t, c)
		if len(used) < 100 {
			t.Fatalf("found only %d keys: the search is broken", len(used))
		}
		for key := range used {
			if _, ok := c.sentences[key]; !ok {
				t.Errorf("%s: no words for %s", lang, key)
			}
		}
		for key := range c.sentences {
			if !used[key] {
				t.Errorf("%s: nothing uses %s", lang, key)
			}
		}
	}
}

func TestCatalogueRefusesFaults(t *testing.T) {
	for name, content := range map[string]string{
		"no equals sign": "a.b\n",
		"key twice":      "a = b\na = c\n",
		"link":           "a = <a href=\"//x\">b</a>\n",
		"bare &":         "a = b & c\n",
	} {
		fsys := fstest.MapFS{"words/en.txt": {Data: []byte(content)}}
		if _, err := readCatalogues(fsys); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := readCatalogues(fstest.MapFS{"words/de.txt": {Data: []byte("a = b\n")}}); err == nil {
		t.Error("no English: accepted")
	}
}

func testWords(t *testing.T, content string) *catalogue {
	t.Helper()
	all, err := readCatalogues(fstest.MapFS{"words/en.txt": {Data: []byte(content)}})
	if err != nil {
		t.Fatal(err)
	}
	return all["en"]
}

func TestWordsEscapeArguments(t *testing.T) {
	c := testWords(t, "hello = <strong>Hello</strong> &amp; {who}\n")
	got, err := c.html("hello", "who", "<b>\u202e{who}")
	if want := "<strong>Hello</strong> &amp; <bdi>&lt;b&gt;{who}</bdi>"; err != nil || string(got) != want {
		t.Errorf("html: %q, %v; want %q", got, err, want)
	}
	text, err := c.text("hello", "who", "<b>\u202e")
	if want := "Hello & <b>"; err != nil || text != want {
		t.Errorf("text: %q, %v; want %q", text, err, want)
	}
	for _, args := range [][]any{{}, {"whom", "x"}, {"who"}, {1, "x"}} {
		if _, err := c.html("hello", args...); err == nil {
			t.Errorf("arguments %v: accepted", args)
		}
	}
	if _, err := c.html("bye"); err == nil {
		t.Error("unknown key: accepted")
	}
	if _, err := c.text("bye"); err == nil {
		t.Error("unknown key: accepted as text")
	}
}

func TestTimes(t *testing.T) {
	c, err := readCatalogues(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	for ago, want := range map[time.Duration]string{
		-time.Second:         "just now",
		-time.Hour:           "in a moment",
		0:                    "just now",
		61 * time.Second:     "1 minute ago",
		59 * time.Minute:     "59 minutes ago",
		2 * time.Hour:        "2 hours ago",
		30 * time.Hour:       "yesterday",
		6 * 24 * time.Hour:   "6 days ago",
		8 * 24 * time.Hour:   "11 March 2026",
		-40 * 24 * time.Hour: "28 April 2026",
	} {
		at := testNow.Add(-ago).In(time.FixedZone("", 7200))
		got, err := c["en"].when(at, testNow)
		if err != nil {
			t.Fatal(err)
		}
		if shown := markup.ReplaceAllString(string(got), ""); !strings.Contains(shown, ">"+want+"<") {
			t.Errorf("%v ago: %s, want %s", ago, shown, want)
		}
		if exact := at.UTC().Format("2006-01-02T15:04:05Z"); !strings.Contains(string(got), `datetime="`+exact+`"`) {
			t.Errorf("%v ago: %s lacks %s", ago, got, exact)
		}
	}
	if got, _ := c["en"].when(time.Time{}, testNow); got != "never" {
		t.Errorf("zero time: %q", got)
	}
}

func TestWaitIsRoundedUp(t *testing.T) {
	c, err := readCatalogues(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	for d, want := range map[time.Duration]string{
		0:                       "Wait 1 second, then try again.",
		1500 * time.Millisecond: "Wait 2 seconds, then try again.",
		60 * time.Second:        "Wait 60 seconds, then try again.",
		91 * time.Second:        "Wait 2 minutes, then try again.",
		14*time.Minute + 1:      "Wait 15 minutes, then try again.",
	} {
		if got, err := c["en"].wait(d); err != nil || string(got) != want {
			t.Errorf("%v: %q, %v; want %q", d, got, err, want)
		}
	}
}
