package portal_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// leaks keeps what a site sent and all secrets that it knows of, to find one
// in a place where it must not be.
type leaks struct {
	mu      sync.Mutex
	secrets map[string]string // value to kind
	sent    []sent
}

// sent is one piece of an answer.
type sent struct{ path, place, text string }

// mayStand says in which pieces a secret of a kind may be; what is missing
// here may be nowhere.
var mayStand = map[string]func(sent) bool{
	"cookie": func(s sent) bool { return s.place == "Set-Cookie" },
	"code": func(s sent) bool {
		return strings.HasPrefix(s.path, "/oauth2/authorize") && (s.place == "Location" || s.place == "body")
	},
	"token": func(s sent) bool { return s.path == "/oauth2/token" && s.place == "body" },
	"TOTP secret": func(s sent) bool {
		return (s.path == "/login/enrol" || s.path == "/identity/totp") && s.place == "body"
	},
	"recovery code": func(s sent) bool {
		return strings.HasPrefix(s.path, "/identity/recovery-codes") && s.place == "body"
	},
	"private key": func(s sent) bool { return strings.HasPrefix(s.path, "/certs") && s.place == "body" },
	"link": func(s sent) bool {
		// Of the page that it opens, which has it in the address of its form, and of the administrator's.
		return s.place == "body" && (strings.HasPrefix(s.path, "/recover/") || strings.HasPrefix(s.path, "/invite/") || strings.HasPrefix(s.path, "/verify-email/") || strings.HasPrefix(s.path, "/admin/users"))
	},
}

func (l *leaks) keep(kind, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.secrets == nil {
		l.secrets = map[string]string{}
	}
	if value != "" {
		l.secrets[value] = kind
	}
}

var codeInAnswer = regexp.MustCompile(`\bcode(?:=|" value=")([A-Za-z0-9_-]{43})\b`)

// see keeps an answer and finds out which secrets it hands out.
func (l *leaks) see(r *http.Response, body []byte) {
	path := r.Request.URL.Path
	for _, c := range r.Cookies() {
		l.keep("cookie", c.Value)
	}
	text := string(body)
	for _, place := range []string{r.Header.Get("Location"), text} {
		for _, found := range codeInAnswer.FindAllStringSubmatch(place, -1) {
			l.keep("code", found[1])
		}
	}
	if path == "/oauth2/token" {
		var answer map[string]any
		if json.Unmarshal(body, &answer) == nil {
			for _, name := range []string{"access_token", "refresh_token", "id_token"} {
				if token, ok := answer[name].(string); ok {
					l.keep("token", token)
				}
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, sent{path, "body", text})
	for name, values := range r.Header {
		l.sent = append(l.sent, sent{path, name, strings.Join(values, "\n")})
	}
}

// found names every secret that stands where it must not.
func (l *leaks) found(log string) (problems []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	pieces := append(slices.Clone(l.sent), sent{"the log", "log", log})
	for _, s := range pieces {
		// Enrolment shows its secret in groups of four.
		plain := strings.ReplaceAll(s.text, " ", "")
		for value, kind := range l.secrets {
			if may := mayStand[kind]; may != nil && may(s) {
				continue
			}
			if strings.Contains(s.text, value) || kind == "TOTP secret" && strings.Contains(plain, value) {
				problems = append(problems, fmt.Sprintf("a %s (%.4s…) stands in the %s of %s", kind, value, s.place, s.path))
			}
		}
	}
	return problems
}

// The scanner itself finds what it is to find.
func TestLeaksAreFound(t *testing.T) {
	l := &leaks{}
	l.keep("TOTP secret", "JBSWY3DPEHPK3PXP")
	l.keep("cookie", "cookie-secret")
	for _, s := range []sent{{"/identity", "body", "<code>JBSW Y3DP EHPK 3PXP</code>"}, {"/", "Location", "/?x=cookie-secret"}} {
		l.sent = []sent{s}
		if len(l.found("")) != 1 {
			t.Errorf("%q in the %s of %s goes unnoticed", s.text, s.place, s.path)
		}
	}
	l.sent = []sent{{"/login/enrol", "body", "JBSW Y3DP EHPK 3PXP"}, {"/", "Set-Cookie", "peerage=cookie-secret"}}
	if got := l.found(`{"msg":"cookie-secret"}`); len(got) != 1 {
		t.Errorf("one secret in the log and two where they belong give %q", got)
	}
}
