package portal_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"peerage/portal/portaltest"
	"peerage/store"
)

// trail adds n events, the newest called n-1, several at the same time.
func (w *world) trail(t *testing.T, n int) {
	t.Helper()
	var events []store.Event
	for i := range n {
		events = append(events, store.Event{ID: fmt.Sprintf("%05d", i), Time: w.Clock.Now().Add(time.Duration(i/3-n) * time.Second), Event: "oidc_userinfo",
			Username: fmt.Sprintf("person-%05d", i), ClientID: "app", IP: "198.51.100.7", Result: "success", Detail: "n=1"})
	}
	if err := w.Store.AddEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

var (
	shownPerson = regexp.MustCompile(`person-\d{5}`)
	nextPage    = regexp.MustCompile(`rel="next" href="([^"]+)"`)
	prevPage    = regexp.MustCompile(`rel="prev" href="([^"]+)"`)
)

func link(page *portaltest.Page, of *regexp.Regexp) string {
	found := of.FindStringSubmatch(page.Body)
	if found == nil {
		return ""
	}
	return strings.ReplaceAll(found[1], "&amp;", "&")
}

func TestEventsArePagedBothWays(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.operator(t)
	w.trail(t, 175)
	const only = "/admin/events?client=app"
	var pages [][]string
	page := b.Get(only)
	for {
		pages = append(pages, shownPerson.FindAllString(page.Body, -1))
		next := link(page, nextPage)
		if next == "" {
			break
		}
		w.trailGrows(t) // a page does not repeat rows because new ones came
		page = b.Get(next)
	}
	var all []string
	for i, list := range pages {
		if want := []int{50, 50, 50, 25}[min(i, 3)]; len(list) != want {
			t.Errorf("page %d has %d rows", i+1, len(list))
		}
		all = append(all, list...)
	}
	if len(pages) != 4 || len(all) != 175 || all[0] != "person-00174" || !slices.IsSortedFunc(all, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Fatalf("%d pages, %d rows", len(pages), len(all))
	}
	for i := 2; i >= 1; i-- {
		page = b.Get(link(page, prevPage))
		if got := shownPerson.FindAllString(page.Body, -1); !slices.Equal(got, pages[i]) {
			t.Errorf("back to page %d: %d rows from %v", i+1, len(got), got[:min(1, len(got))])
		}
	}
	if got := shownPerson.FindAllString(b.Get(only+"&user=&page=2").Body, -1); len(got) != 50 || got[0] != all[50-3] {
		t.Errorf("page=2 has %d rows", len(got))
	}
	for _, odd := range []string{"0", "-1", "x", "older.", "older.x.1", "sideways.1.1", "99999999999", "older.9223372036854775807.z"} {
		if page := b.Get(only + "&page=" + odd); page.Status != http.StatusOK {
			t.Errorf("page=%s: %d", odd, page.Status)
		}
	}
}

// trailGrows adds one newer event of the same application.
func (w *world) trailGrows(t *testing.T) {
	t.Helper()
	w.Clock.Advance(time.Second)
	e := store.Event{ID: "new" + w.Clock.Now().String(), Time: w.Clock.Now(), Event: "oidc_token", ClientID: "app"}
	if err := w.Store.AddEvents(t.Context(), []store.Event{e}); err != nil {
		t.Fatal(err)
	}
}

func TestEventFilterComesBackWithItsFaults(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.operator(t)
	w.trail(t, 3)
	for _, test := range []struct{ query, field, words string }{
		{"event=login", "event", "no event of that name"},
		{"ip=here", "ip", "not an IP address"},
		{"ip=192.0.2.0/24", "ip", "not an IP address"},
		{"from=yesterday", "from", "not a time"},
		{"to=2026-13-01", "to", "not a time"},
		{"from=1h&to=2h", "to", "must be later"},
		{"format=xml", "download", "CSV and JSON"},
		{"ip=here&format=csv", "ip", "not an IP address"},
	} {
		page := b.Get("/admin/events?" + test.query)
		if outcome(page) != "422 invalid_request" || !strings.Contains(page.Body, test.words) || !strings.Contains(page.Body, `href="#`+test.field+`"`) {
			t.Errorf("%s: %s, fault %q of %s is not shown", test.query, outcome(page), test.words, test.field)
		}
		if strings.Contains(page.Body, "person-0") {
			t.Errorf("%s: rows are shown all the same", test.query)
		}
		if value := strings.SplitN(strings.SplitN(test.query, "&", 2)[0], "=", 2)[1]; test.field != "download" && !strings.Contains(page.Body, `"`+value+`"`) {
			t.Errorf("%s: what was typed has gone", test.query)
		}
	}
	for query, rows := range map[string]int{"user=person-00001": 1, "user=+person-00001+": 1, "user=nobody": 0, "ip=198.51.100.7": 3, "event=oidc_userinfo&client=app": 3, "event=logout": 0, "to=1h": 0, "from=1h": 3} {
		_, table, _ := strings.Cut(b.Get("/admin/events?"+query).Body, "<table>")
		table, _, _ = strings.Cut(table, "</table>")
		if got := len(shownPerson.FindAllString(table, -1)); got != rows {
			t.Errorf("%s: %d rows, want %d", query, got, rows)
		}
	}
	if page := b.Get("/admin/events?user=nobody"); !strings.Contains(page.Body, "No event fits.") {
		t.Error("an empty list does not say so")
	}
}

func TestEventsAreDownloaded(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.operator(t)
	w.trail(t, 2300)
	formula := store.Event{ID: "z", Time: w.Clock.Now(), Event: "login_failure", Username: "=HYPERLINK(\"http://evil.example\")", ClientID: "app", Result: "failure"}
	if err := w.Store.AddEvents(t.Context(), []store.Event{formula}); err != nil {
		t.Fatal(err)
	}
	page := b.Get("/admin/events?client=app&format=csv")
	rows, err := csv.NewReader(strings.NewReader(page.Body)).ReadAll()
	if err != nil || len(rows) != 2302 || rows[1][2] != "'"+formula.Username || rows[2][2] != "person-02299" {
		t.Errorf("%d rows, %v, %v", len(rows), err, rows[:min(3, len(rows))])
	}
	if h := page.Header; h.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(h.Get("Content-Disposition"), `attachment; filename="peerage-events-`) || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", h)
	}
	var list []map[string]string
	page = b.Get("/admin/events?client=app&format=json&event=oidc_userinfo")
	if err := json.Unmarshal([]byte(page.Body), &list); err != nil || len(list) != 2300 || list[0]["user"] != "person-02299" || list[0]["n"] != "1" {
		t.Errorf("%d events, %v", len(list), err)
	}
	if head := b.Once(http.MethodHead, "/admin/events?format=csv", nil, nil); head.Status != http.StatusOK || head.Body != "" {
		t.Errorf("HEAD: %d with %d bytes", head.Status, len(head.Body))
	}
}

// Names that others chose are shown and do nothing.
func TestHostileEventIsHarmlessOnThePage(t *testing.T) {
	w := newWorld(t, portaltest.Options{})
	b := w.operator(t)
	b2 := w.Browser()
	b2.Submit(b2.Get("/login"), "username", "<script>alert(1)</script>\u202egnp", "password", "x")
	w.Directory.Audit.Flush()
	page := b.Get("/admin/events?event=login_failure")
	if strings.Contains(page.Body, "<script") || strings.Contains(page.Body, "\u202e") || !strings.Contains(page.Body, "&lt;script&gt;") {
		t.Error("a hostile user name is not shown as text")
	}
}
