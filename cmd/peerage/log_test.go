package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"peerage/identity"
)

func TestLogLines(t *testing.T) {
	traceID, err := trace.TraceIDFromHex("4bf92f3577b34da6a3ce929d0e0e4736")
	if err != nil {
		t.Fatal(err)
	}
	spanID, err := trace.SpanIDFromHex("00f067aa0ba902b7")
	if err != nil {
		t.Fatal(err)
	}
	evil := "a\nlevel=ERROR msg=forged \x1b[2J\u2028\"b\" c=d"
	for _, c := range []struct {
		format string
		want   []string
	}{
		{"logfmt", []string{`level=INFO msg=hello who="a\nlevel=ERROR msg=forged \x1b[2J\u2028\"b\" c=d"`, " request_id=ABC trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7\n"}},
		{"json", []string{`"msg":"hello"`, `"request_id":"ABC","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"`}},
	} {
		t.Run(c.format, func(t *testing.T) {
			var out bytes.Buffer
			log := newLogger(&out, Settings{LogLevel: "info", LogFormat: c.format})
			ctx := identity.WithCaller(t.Context(), identity.Caller{RequestID: "ABC"})
			ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID}))
			log.InfoContext(ctx, "hello", "who", evil)
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("line %q lacks %q", out.String(), want)
				}
			}
			if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "\x1b") {
				t.Errorf("a value from outside broke the line: %q", out.String())
			}
			if c.format == "json" && !json.Valid(out.Bytes()) {
				t.Errorf("not JSON: %s", out.String())
			}
		})
	}
}

func TestLogLevel(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, Settings{LogLevel: "warn", LogFormat: "logfmt"})
	log.Info("quiet")
	log.With("part", "x").WithGroup("g").Warn("loud", "k", "v")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "msg=loud part=x g.k=v") {
		t.Errorf("lines at level warn: %q", got)
	}
}

// What the OIDC library repeats of a request in its log (through the default of
// slog, as serve wires it) forges no line there and does not fill the disk.
func TestLibraryLogInjection(t *testing.T) {
	var out bytes.Buffer
	handler := quietHandler{newLogger(&out, Settings{LogLevel: "info", LogFormat: "logfmt"}).Handler()}
	was := slog.Default()
	slog.SetDefault(slog.New(handler))
	defer slog.SetDefault(was)
	server, _ := testServer(t)
	defer server.close()
	told := 0
	for what, value := range map[string]string{
		"newline": "a\nlevel=ERROR msg=forged", "return": "a\r\nlevel=ERROR", "escape": "a\x1b[2J", "bidi": "a\u202eb\u2069", "separator": "a\u2028b",
		"long": strings.Repeat("x", 60<<10), "megabyte": strings.Repeat("x", 1<<20),
	} {
		out.Reset()
		r := httptest.NewRequest(http.MethodPost, "https://localhost/oauth2/token", strings.NewReader(url.Values{"grant_type": {value}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("app", "secret")
		server.handler.ServeHTTP(httptest.NewRecorder(), r)
		line := out.String()
		if line == "" {
			continue // refused before the library saw it
		}
		told++
		if strings.Count(line, "\n") != 1 || !strings.Contains(line, "unsupported_grant_type") || len(line) > 600 {
			t.Errorf("%s: %d bytes of log: %.300q", what, len(line), line)
		}
		if strings.Contains(line, `\n`) || strings.Contains(line, `\r`) || strings.Contains(line, `\x1b`) || strings.Contains(line, `\u20`) {
			t.Errorf("%s: control characters are shown: %q", what, line)
		}
	}
	if told < 3 {
		t.Errorf("the library told of %d grant types only", told)
	}
	out.Reset()
	slog.New(handler).With("who", "a\x1b[2J").WithGroup("g").Warn("told\u202e", "error", errors.New("b\nc"), "n", 7, slog.Group("deep", "v", "d\re"))
	if got := out.String(); !strings.HasSuffix(got, "level=WARN msg=told who=a[2J g.error=bc g.n=7 g.deep.v=de\n") {
		t.Errorf("the line is %q", got)
	}
}

// What libraries take for worth telling is a detail; their warnings are not.
func TestLibraryLog(t *testing.T) {
	var out bytes.Buffer
	for _, c := range []struct{ level, want string }{
		{"info", "level=WARN msg=loud part=x\n"},
		{"debug", "level=DEBUG msg=\"registered route\" part=x\n"},
	} {
		out.Reset()
		log := slog.New(quietHandler{newLogger(&out, Settings{LogLevel: c.level, LogFormat: "logfmt"}).Handler()}).With("part", "x")
		log.Info("registered route")
		log.Warn("loud")
		if got := out.String(); !strings.Contains(got, c.want) || strings.Contains(got, "registered route") != (c.level == "debug") {
			t.Errorf("lines at level %s: %q", c.level, got)
		}
	}
}
