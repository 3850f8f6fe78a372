package portal_test

import (
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"peerage/identity"
	"peerage/portal/portaltest"
	"peerage/store"
)

// ofCommands are the events that no page makes, and the stories of the commands
// that make them.
var ofCommands = map[string]string{
	"settings_change": "serve.txtar", "backup": "backup.txtar", "restore": "backup.txtar",
}

// ofBackends are the events that only people of a server elsewhere make, and the
// tests that see them.
var ofBackends = map[string]string{
	"entity_mismatch": "../identity/openbao/signin_test.go", "token_create": "../identity/openbao/tokens_test.go",
	"kubeconfig_create": "../identity/openbao/kubernetes_test.go", "cert_issue": "../identity/openbao/certificates_test.go", "cert_revoke": "../identity/openbao/certificates_test.go",
}

// ofLaterParts are the events of parts that are not built: nothing may record
// them without a place in the lists above.
var ofLaterParts = []string{
	"netbox_refresh",
}

// No event is forgotten: it is driven above, told by a command's story or a
// backend's tests, or of a part that is not there.
func TestNoEventIsForgotten(t *testing.T) {
	var known []string
	for _, d := range drives {
		known = append(known, d.event)
	}
	elsewhere := maps.Clone(ofBackends)
	for event, story := range ofCommands {
		elsewhere[event] = "../cmd/peerage/testdata/script/" + story
	}
	for event, story := range elsewhere {
		known = append(known, event)
		text, err := os.ReadFile(story)
		if err != nil || !strings.Contains(string(text), event) {
			t.Errorf("%s does not tell of %s (%v)", story, event, err)
		}
	}
	known = slices.Sorted(slices.Values(append(known, ofLaterParts...)))
	if all := slices.Sorted(slices.Values(identity.EventNames)); !slices.Equal(known, all) {
		t.Errorf("there are the events\n%v\nknown to this test are\n%v", all, known)
	}
	code := sources(t)
	for _, event := range ofLaterParts {
		if strings.Contains(code, `"`+event+`"`) {
			t.Errorf("%s is recorded now: drive it", event)
		}
	}
}

// sources are the Go files that record events, without their tests and the
// lists of all events.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range []string{"../identity", "../idp", "../portal", "../cmd"} {
		err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || slices.Contains([]string{"event_names.go", "activity_words.go"}, filepath.Base(path)) {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// What strangers send reaches the log and the trail through every door they
// have: it forges no line, hides no text and has an end.
func TestLogInjection(t *testing.T) {
	w := newWorld(t, portaltest.Options{TrustedProxies: loopback(), Clients: "[" + grafana + "]"})
	hostile := map[string]string{
		"newline": "ada\nevent=login_success user=admin result=success", "return": "ada\r\nlevel=ERROR", "escape": "ada\x1b[2J\x1b]0;x\x07",
		"bidi": "ada\u202enimda\u2069", "separator": "ada\u2028event=x\u2029", "NUL": "ada\x00x", "no UTF-8": "ada\xff\xfe",
		"long": strings.Repeat("x", 60<<10), "megabyte": strings.Repeat("x", 1<<20),
	}
	for what, value := range hostile {
		t.Run(what, func(t *testing.T) {
			before := len(w.Log.Lines("audit"))
			b := w.Browser()
			b.Once(http.MethodPost, "/login", url.Values{"username": {value}, "password": {"x"}}, nil)
			b.Once(http.MethodGet, "/oauth2/authorize?client_id="+url.QueryEscape(value[:min(len(value), 20<<10)]), nil, nil)
			// A longer header is refused by net/http, before anything of ours.
			w.Token(value[:min(len(value), 20<<10)], "x", url.Values{"grant_type": {value}})
			w.Call(http.MethodPost, "/login", url.Values{"username": {"ada"}, "password": {"x"}}, func(r *http.Request) {
				header := strings.Map(func(c rune) rune { // what a client can send in a header at all
					if c < ' ' || c == 0x7f || c == unicode.ReplacementChar {
						return -1
					}
					return c
				}, value[:min(len(value), 20<<10)])
				r.Header.Set("User-Agent", header)
				r.Header.Set("X-Forwarded-For", header)
			})
			w.Directory.Audit.Flush()
			lines := w.Log.Lines("audit")[before:]
			if len(lines) < 2 {
				t.Fatalf("only %d events", len(lines))
			}
			for _, line := range append(lines, w.Log.Lines("request")...) {
				for key, v := range line {
					text, _ := v.(string)
					checkShown(t, key, text)
				}
			}
			rows, err := w.Store.Events(t.Context(), store.EventFilter{Limit: len(lines)})
			if err != nil || len(rows) != len(lines) {
				t.Fatalf("%d rows, %d lines, %v", len(rows), len(lines), err)
			}
			for _, row := range rows {
				for key, text := range map[string]string{"user": row.Username, "client": row.ClientID, "ip": row.IP, "detail": row.Detail, "result": row.Result} {
					checkShown(t, key, text)
				}
				if row.Result == "success" {
					t.Errorf("an event was forged: %+v", row)
				}
			}
		})
	}
}

func checkShown(t *testing.T, key, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
	}); i >= 0 && key != "stack" {
		t.Errorf("%s holds %q", key, text[i:min(len(text), i+8)])
	}
	if len([]rune(text)) > 600 {
		t.Errorf("%s has %d runes", key, len([]rune(text)))
	}
}
