package idp_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
)

// pair is one parameter; a list keeps doubled ones and their order.
type pair struct{ name, value string }

func encodePairs(pairs []pair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value))
	}
	return b.String()
}

// hostileValues are put in the place of each parameter's.
var hostileValues = map[string]string{
	"empty": "", "number": "1", "negative": "-99999999999999999999", "JSON": `{"a":[1,null]}`, "list": "a b c", "64 KiB": strings.Repeat("A", 64<<10),
	"NUL": "a\x00b", "line breaks": "a\r\nSet-Cookie: x=y\r\n\r\n", "DEL": "\x7f", "not UTF-8": "\xff\xfe\xc0\xaf", "bidi": "\u202egnp.exe", "emoji": "😀",
	"markup": `"><script>alert(1)</script>`, "template": "{{.}}${7*7}", "SQL": "' OR 1=1; --", "path": "../../etc/passwd", "percent": "%00%zz%2F", "JWT": "eyJhbGciOiJub25lIn0.eyJhdWQiOlsxXX0.",
}

// hostileRequests are all variants of one file of testdata.
func hostileRequests(base []pair) map[string]string {
	requests := map[string]string{"as it is": encodePairs(base), "nothing": "", "not a form": "%zz=%zz&;&=", "semicolons": strings.ReplaceAll(encodePairs(base), "&", ";"),
		"a thousand parameters": encodePairs(base) + strings.Repeat("&x=y", 1000), "empty names": encodePairs(base) + "&=x&=y", "an array": encodePairs(base) + "&scope[]=x&scope[0]=y"}
	for i, p := range base {
		without := append(append([]pair{}, base[:i]...), base[i+1:]...)
		requests[p.name+" missing"] = encodePairs(without)
		requests[p.name+" doubled"] = encodePairs(append(append([]pair{}, base...), p))
		requests[p.name+" doubled with another"] = encodePairs(append(append([]pair{}, base...), pair{p.name, "another"}))
		requests[p.name+" in capitals"] = encodePairs(append(append([]pair{}, without...), pair{strings.ToUpper(p.name), p.value}))
		for what, value := range hostileValues {
			requests[p.name+" "+what] = encodePairs(append(append([]pair{}, without...), pair{p.name, value}))
		}
	}
	return requests
}

// Nothing that strangers send breaks the server, is echoed as markup or
// changes anything.
func TestHostileRequests(t *testing.T) {
	w := newWorld(t, deviceClients)
	ada := w.person("ada")
	b := w.signedIn(ada, identity.ACROneFactor)
	device := w.beginDevice("tv", "openid")
	tokens := w.tokens(b, "web", "scope", offline)
	values := strings.NewReplacer("{callback}", testClients["web"].callback, "{code}", w.code(b, "web"), "{refresh}", tokens.Str("refresh_token"),
		"{access}", tokens.Str("access_token"), "{hint}", tokens.Str("id_token"), "{user_code}", device.Str("user_code"))
	code := values.Replace("{code}")
	files, err := filepath.Glob("testdata/hostile/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatalf("%v, %v", files, err)
	}
	sent := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(string(text), "\n\n")
		var base []pair
		for line := range strings.Lines(body) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			base = append(base, pair{name, values.Replace(value)})
		}
		for line := range strings.Lines(head) {
			method, path, _ := strings.Cut(strings.TrimSpace(line), " ")
			for what, request := range hostileRequests(base) {
				sent++
				w.hostile(filepath.Base(file)+", "+method+", "+what, b, method, path, request)
			}
		}
	}
	if sent < 1000 {
		t.Errorf("only %d requests were sent", sent)
	}
	// Nothing changed.
	if !w.alive(b) {
		t.Error("the session is gone")
	}
	if info := w.UserInfo(tokens.Str("access_token")); info.Status != http.StatusOK || info.Str("sub") != ada.Sub {
		t.Errorf("the access token gives %d %s", info.Status, info.Body)
	}
	if consents, err := w.Store.Consents(t.Context(), ada.Sub); err != nil || len(consents) != 1 || !same(consents[0].Scopes, strings.Fields(offline)) {
		t.Errorf("consents %v, %v", consents, err)
	}
	w.Clock.Advance(5 * time.Second) // so many wrong secrets make even the right one wait
	if a := w.as("web", grantForm("web", code)); a.Status != http.StatusOK {
		t.Errorf("the code gives %d %s", a.Status, a.Body)
	}
	if a := w.as("web", refreshForm(tokens.Str("refresh_token"))); a.Status != http.StatusOK {
		t.Errorf("the refresh token gives %d %s", a.Status, a.Body)
	}
	wantOAuth(t, "the device", w.poll("tv", device.Str("device_code")), http.StatusBadRequest, "authorization_pending")
	if got := w.events("logout"); len(got) > 0 {
		t.Errorf("sign-outs: %v", got)
	}
	if strings.Contains(w.Log.String(), `"msg":"panic"`) {
		t.Error("a request made a handler panic")
	}
	w.calm()
}

// hostile sends one request, with the browser's cookies, and looks at the answer.
func (w *world) hostile(what string, b *portaltest.Browser, method, path, request string) {
	w.t.Helper()
	address, body := w.Issuer+path, ""
	if method == http.MethodGet {
		address += "?" + request
	} else {
		body = request
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		return // no client can send it
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	page := b.Do(r)
	if page.Status >= 500 {
		w.t.Errorf("%s: %d %.200s", what, page.Status, page.Body)
	}
	if strings.Contains(page.Body, "<script") || page.Header.Get("Set-Cookie") == "x=y" {
		w.t.Errorf("%s: the answer holds what was sent: %.200s", what, page.Body)
	}
	if page.Left != "" && !strings.HasPrefix(page.Left, testClients["web"].callback+"?") {
		w.t.Errorf("%s: leaves for %.200q", what, page.Left)
	}
	if len(page.Body) > 128<<10 {
		w.t.Errorf("%s: an answer of %d bytes", what, len(page.Body))
	}
}
