package identity_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"peerage/identity"
	"peerage/store"
	"peerage/store/storetest"
)

func newAudit(t *testing.T) (*identity.Audit, *store.Store, *logBuffer) {
	t.Helper()
	clock := storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	s, log := storetest.Open(t, storetest.WithClock(clock)), &logBuffer{}
	a := identity.NewAudit(s, slog.New(slog.NewTextHandler(log, nil)), clock.Now)
	t.Cleanup(a.Close)
	return a, s, log
}

func rows(t *testing.T, s *store.Store) []store.Event {
	t.Helper()
	events, err := s.Events(t.Context(), store.EventFilter{Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestEventHasLineAndRow(t *testing.T) {
	a, s, log := newAudit(t)
	ctx := from("192.0.2.1")(t.Context())
	a.Event(ctx, identity.Event{Name: "oidc_token", User: "ada", Sub: "sub-1", Client: "app", Result: "success",
		Detail: []slog.Attr{slog.String("grant", "code"), slog.Int("scopes", 2)}})
	line := log.String()
	for _, pair := range []string{"event=oidc_token", "user=ada", "client=app", "ip=192.0.2.1", "result=success", "grant=code", "scopes=2"} {
		if !strings.Contains(line, pair) {
			t.Errorf("the line lacks %s: %s", pair, line)
		}
	}
	a.Flush()
	got := rows(t, s)
	if len(got) != 1 || got[0].ID == "" {
		t.Fatalf("rows %+v", got)
	}
	got[0].ID = ""
	wantSame(t, "row", got[0], store.Event{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Event: "oidc_token", Username: "ada", Sub: "sub-1",
		ClientID: "app", IP: "192.0.2.1", Result: "success", Detail: "grant=code scopes=2", RequestID: "req-1"})
}

func TestHostileValuesAreHarmlessInLineAndRow(t *testing.T) {
	for what, value := range map[string]string{
		"newline":         "ada\nevent=login_success user=admin",
		"carriage return": "ada\r\nevent=login_success",
		"escape":          "ada\x1b[2J\x1b]0;x\x07",
		"C1 control":      "ada\u009b31m",
		"bidi override":   "ada\u202e\u2066nimda\u2069",
		"zero width":      "a\u200bd\ufeffa",
		"line separator":  "ada\u2028event=x\u2029",
		"NUL":             "ada\x00",
		"no UTF-8":        "ada\xff\xfe",
		"a megabyte":      strings.Repeat("ä", 1<<20),
		"pairs":           `ada result=success "quoted" \`,
	} {
		t.Run(what, func(t *testing.T) {
			a, s, log := newAudit(t)
			a.Event(t.Context(), identity.Event{Name: "login_failure", User: value, Client: value, Result: "failure", Detail: []slog.Attr{slog.String("reason", value)}})
			a.Flush()
			line := log.String()
			if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
				t.Errorf("the line is %d lines", strings.Count(line, "\n"))
			}
			if len(line) > 8<<10 {
				t.Errorf("the line has %d bytes", len(line))
			}
			got := rows(t, s)
			if len(got) != 1 {
				t.Fatalf("%d rows", len(got))
			}
			for field, text := range map[string]string{"line": strings.TrimSuffix(line, "\n"), "user": got[0].Username, "client": got[0].ClientID, "detail": got[0].Detail} {
				if i := strings.IndexFunc(text, func(r rune) bool {
					return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
				}); i >= 0 {
					t.Errorf("%s holds %q", field, text[i:min(len(text), i+8)])
				}
				if field != "line" && len([]rune(text)) > 600 {
					t.Errorf("%s has %d runes", field, len([]rune(text)))
				}
			}
			if strings.Contains(value, " ") && !strings.HasPrefix(got[0].Detail, `reason="`) {
				t.Errorf("the detail looks like several pairs: %s", got[0].Detail)
			}
			if strings.Count(line, " result=failure") != 1 || strings.Count(withoutQuoted(line), " result=") != 1 {
				t.Errorf("the line forges a result: %s", line)
			}
		})
	}
}

// withoutQuoted drops what stands in quotes.
func withoutQuoted(line string) string {
	var b strings.Builder
	quoted, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case !quoted:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"ada", "a\nb", "\x1b[0m", "\u202e", "\xff", strings.Repeat("x", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := identity.Clean(value)
		if len([]rune(got)) > 257 {
			t.Errorf("%d runes are left", len([]rune(got)))
		}
		if strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar || r == '\u202e' }) {
			t.Errorf("%q is left", got)
		}
		if again := identity.Clean(got); len([]rune(got)) <= 256 && again != got {
			t.Errorf("%q is cleaned again to %q", got, again)
		}
	})
}

func TestFlushAndCloseWriteEverything(t *testing.T) {
	a, s, _ := newAudit(t)
	const writers, each = 8, 120 // more than one batch
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for n := range each {
				a.Event(t.Context(), identity.Event{Name: "oidc_userinfo", User: fmt.Sprintf("user-%d-%d", i, n), Result: "success"})
			}
		})
	}
	all.Wait()
	a.Flush()
	if n := len(rows(t, s)); n != writers*each {
		t.Errorf("after Flush %d rows, want %d", n, writers*each)
	}
	a.Flush() // of nothing
	for range each {
		a.Event(t.Context(), identity.Event{Name: "oidc_token", Result: "success"})
	}
	a.Close()
	seen := map[string]bool{}
	for _, row := range rows(t, s) {
		seen[row.ID] = true
	}
	if len(seen) != writers*each+each {
		t.Errorf("after Close %d rows, want %d", len(seen), writers*each+each)
	}
}

func TestEventAfterCloseHasItsLine(t *testing.T) {
	a, s, log := newAudit(t)
	a.Close()
	a.Event(t.Context(), identity.Event{Name: "logout", User: "late", Result: "success"})
	a.Flush()
	a.Close()
	if !strings.Contains(log.String(), "event=logout user=late") {
		t.Errorf("no line: %s", log)
	}
	if n := len(rows(t, s)); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestHangingUpHidesNoEvent(t *testing.T) {
	a, s, _ := newAudit(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 64 {
		a.Event(ctx, identity.Event{Name: "login_failure", User: "ada", Result: "failure"})
	}
	a.Flush()
	if n := len(rows(t, s)); n != 64 {
		t.Errorf("%d rows of 64", n)
	}
}

func TestEventsWaitForOneAnotherOnlyAMoment(t *testing.T) {
	a, s, _ := newAudit(t)
	a.Event(t.Context(), identity.Event{Name: "logout", Result: "success"})
	deadline := time.Now().Add(10 * time.Second)
	for len(rows(t, s)) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("no row by itself")
		}
	}
}
