package portal_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/portal/portaltest"
	"peerage/store"
)

// world is a site of which every answer is looked at: its headers at once, and
// at the end of the test whether any secret got out.
type world struct {
	*portaltest.Site
	leaks *leaks
	told  int // events that happened looked at
}

func newWorld(t *testing.T, o portaltest.Options) *world {
	t.Helper()
	w := &world{Site: portaltest.New(t, o), leaks: &leaks{}}
	w.leaks.keep("password", portaltest.Password)
	w.leaks.keep("client secret", "grafana-secret")
	w.leaks.keep("client secret", "wiki-secret")
	w.leaks.keep("password hash", "$argon2id$")
	w.Watch = func(r *http.Response, body []byte) {
		checkHeaders(t, w.Site, r)
		w.leaks.see(r, body)
	}
	t.Cleanup(func() {
		for _, problem := range w.leaks.found(w.Log.String()) {
			t.Error(problem)
		}
	})
	return w
}

// AddTOTP enrols a person and keeps an eye on the secret.
func (w *world) AddTOTP(u identity.User) string {
	secret := w.Site.AddTOTP(u)
	w.leaks.keep("TOTP secret", secret)
	return secret
}

// signIn signs in without an application, with the code of secret when it is
// not empty, and shows the page behind it.
func signIn(b *portaltest.Browser, name, secret string) *portaltest.Page {
	page := b.Submit(b.Get("/login"), "username", name, "password", portaltest.Password)
	if secret != "" && page.URL.Path == "/login/totp" {
		page = b.Submit(page, "code", b.Site.Code(secret))
		b.Site.Clock.Advance(time.Minute) // the next code is another one
	}
	return page
}

// signedIn is a new browser in which that person is signed in.
func (w *world) signedIn(t *testing.T, name, secret string) *portaltest.Browser {
	t.Helper()
	b := w.Browser()
	if page := signIn(b, name, secret); page.URL.Path != "/" || page.Status != http.StatusOK {
		t.Fatalf("signing in as %s leads to %s (%d, error %q)", name, page.URL, page.Status, page.Error)
	}
	return b
}

var shownSecret = regexp.MustCompile(`<code class="block">([A-Z2-7 ]+)</code>`)

// enrolmentSecret is the TOTP secret that an enrolment page shows.
func (w *world) enrolmentSecret(t *testing.T, page *portaltest.Page) string {
	t.Helper()
	found := shownSecret.FindStringSubmatch(page.Body)
	if found == nil {
		t.Fatalf("%s (%d, error %q) shows no secret to enrol", page.URL, page.Status, page.Error)
	}
	secret := strings.ReplaceAll(found[1], " ", "")
	w.leaks.keep("TOTP secret", secret)
	return secret
}

// happened compares the audit events since the last call with what is wanted:
// name, result, user and client, as far as they are there, oldest first. Each
// has a row and a line.
func (w *world) happened(t *testing.T, want ...string) {
	t.Helper()
	w.Directory.Audit.Flush()
	rows, err := w.Store.Events(t.Context(), store.EventFilter{Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(rows)
	lines := w.Log.Lines("audit")
	if len(lines) != len(rows) {
		t.Fatalf("%d rows of the audit trail, but %d lines", len(rows), len(lines))
	}
	var got []string
	for i, row := range rows[w.told:] {
		line := lines[w.told+i]
		if line["event"] != row.Event || line["user"] != row.Username || line["client"] != row.ClientID || line["result"] != row.Result || line["ip"] != row.IP || line["request_id"] != row.RequestID {
			t.Errorf("row %+v has the line %v", row, line)
		}
		got = append(got, strings.Join(strings.Fields(strings.Join([]string{row.Event, row.Result, row.Username, row.ClientID}, " ")), " "))
	}
	w.told = len(rows)
	if !slices.Equal(got, want) {
		t.Errorf("audit events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// skipEvents looks past what happened so far.
func (w *world) skipEvents() {
	w.Directory.Audit.Flush()
	w.told = len(w.Log.Lines("audit"))
}

// cookie is what the browser holds for the site under that name, "" for nothing.
func cookie(t *testing.T, b *portaltest.Browser, name string) string {
	t.Helper()
	for _, c := range b.Client.Jar.Cookies(mustParse(t, b.Site.Issuer)) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func mustParse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatalf("parsing %q: %v", address, err)
	}
	return u
}
