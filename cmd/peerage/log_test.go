package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
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
