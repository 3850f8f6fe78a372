package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTraceSettings(t *testing.T) {
	for _, c := range []struct {
		env  string
		want traceSettings
	}{
		{"", traceSettings{}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=", traceSettings{}},
		// Nobody's business here while no endpoint is set: other programs read them.
		{"OTEL_SERVICE_NAME=x OTEL_TRACES_EXPORTER=console OTEL_EXPORTER_OTLP_PROTOCOL=http/json", traceSettings{}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", traceSettings{Endpoint: "http://127.0.0.1:4318/v1/traces", Protocol: "http/protobuf"}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=https://otel.example.net/in/ OTEL_TRACES_EXPORTER=otlp", traceSettings{Endpoint: "https://otel.example.net/in/v1/traces", Protocol: "http/protobuf"}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b:2/as/it/is", traceSettings{Endpoint: "http://b:2/as/it/is", Protocol: "http/protobuf"}},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b:2", traceSettings{Endpoint: "http://b:2/", Protocol: "http/protobuf"}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317 OTEL_EXPORTER_OTLP_PROTOCOL=grpc", traceSettings{Endpoint: "http://127.0.0.1:4317", Protocol: "grpc"}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=a:1 OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc", traceSettings{Endpoint: "a:1", Protocol: "grpc"}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=a:1 OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_INSECURE=TRUE", traceSettings{Endpoint: "a:1", Protocol: "grpc", Insecure: true}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1 OTEL_SDK_DISABLED=True", traceSettings{}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=nonsense OTEL_TRACES_EXPORTER=none", traceSettings{}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1 OTEL_PROPAGATORS=b3,tracecontext", traceSettings{Endpoint: "http://a:1/v1/traces", Protocol: "http/protobuf"}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1 OTEL_PROPAGATORS=none", traceSettings{Endpoint: "http://a:1/v1/traces", Protocol: "http/protobuf", IgnoreTraceparent: true}},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1 OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0.25 OTEL_EXPORTER_OTLP_HEADERS=a=b%20c,d=e OTEL_BSP_SCHEDULE_DELAY=100",
			traceSettings{Endpoint: "http://a:1/v1/traces", Protocol: "http/protobuf"}},
	} {
		s, err := readSettings(newSettingFlags(), strings.Fields(c.env))
		if diff := cmp.Diff(c.want, s.traces); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", c.env, err, diff)
		}
	}
}

// What OpenTelemetry's packages would pass over stops the start, and no fault
// shows what may be a secret.
func TestTraceSettingsFaults(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const url = "OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1"
	for env, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318":                                      "OTEL_EXPORTER_OTLP_ENDPOINT: is not a URL such as http://127.0.0.1:4318",
		"OTEL_EXPORTER_OTLP_ENDPOINT=ftp://a":                                             "OTEL_EXPORTER_OTLP_ENDPOINT: is not a URL such as http://127.0.0.1:4318",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://":                                      "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: is not a URL such as http://127.0.0.1:4318",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://me:hidden@a:1":                                "OTEL_EXPORTER_OTLP_ENDPOINT: must not have a user name; what proves who sends belongs into OTEL_EXPORTER_OTLP_HEADERS",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:1?key=hidden":                               "OTEL_EXPORTER_OTLP_ENDPOINT: must not have a query or fragment; what proves who sends belongs into OTEL_EXPORTER_OTLP_HEADERS",
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector OTEL_EXPORTER_OTLP_PROTOCOL=grpc":          `OTEL_EXPORTER_OTLP_ENDPOINT: "collector" is neither a URL nor of the form collector.example.net:4317`,
		url + " OTEL_EXPORTER_OTLP_PROTOCOL=http/json":                                    `OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" is not one of grpc, http/protobuf`,
		url + " OTEL_TRACES_EXPORTER=console":                                             `OTEL_TRACES_EXPORTER: "console" is not one of otlp, none`,
		url + " OTEL_EXPORTER_OTLP_HEADERS=authorization:hidden":                          "OTEL_EXPORTER_OTLP_HEADERS: entry 1 is not of the form name=value",
		url + " OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=b,c=%hidden":                          "OTEL_EXPORTER_OTLP_TRACES_HEADERS: the value of entry 2 is not percent-encoded",
		url + " OTEL_EXPORTER_OTLP_COMPRESSION=zstd":                                      `OTEL_EXPORTER_OTLP_COMPRESSION: "zstd" is not one of gzip, none`,
		url + " OTEL_EXPORTER_OTLP_INSECURE=yes":                                          `OTEL_EXPORTER_OTLP_INSECURE: "yes" is not one of true, false`,
		url + " OTEL_EXPORTER_OTLP_TIMEOUT=10s":                                           `OTEL_EXPORTER_OTLP_TIMEOUT: "10s" is not a whole number above 0`,
		url + " OTEL_BSP_MAX_QUEUE_SIZE=-1":                                               `OTEL_BSP_MAX_QUEUE_SIZE: "-1" is not a whole number above 0`,
		url + " OTEL_TRACES_SAMPLER=jaeger_remote":                                        `OTEL_TRACES_SAMPLER: "jaeger_remote" is not one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio`,
		url + " OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=25%":             `OTEL_TRACES_SAMPLER_ARG: "25%" is not a number from 0 to 1`,
		url + " OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=NaN": `OTEL_TRACES_SAMPLER_ARG: "NaN" is not a number from 0 to 1`,
		url + " OTEL_EXPORTER_OTLP_CERTIFICATE=" + empty:                                  "OTEL_EXPORTER_OTLP_CERTIFICATE: " + empty + " holds no certificate (PEM)",
		url + " OTEL_EXPORTER_OTLP_CLIENT_KEY=" + empty:                                   "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY: open : no such file or directory",
	} {
		_, err := readSettings(newSettingFlags(), strings.Fields(env))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\nfault %v\nwant  %s", env, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: the fault shows a secret: %v", env, err)
		}
	}
}

// A receiver that is away for long costs one line a minute.
func TestTraceFaultsAreToldNowAndThen(t *testing.T) {
	var lines logBuffer
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	faults := &traceFaults{log: newLogger(&lines, Settings{LogLevel: "info", LogFormat: "logfmt"}), now: func() time.Time { return now }}
	for range 600 {
		faults.Handle(errors.New("connection refused"))
		now = now.Add(time.Second)
	}
	if n := strings.Count(lines.String(), "\n"); n != 10 {
		t.Errorf("%d lines in ten minutes:\n%s", n, lines.String())
	}
	if !strings.Contains(lines.String(), "level=WARN") || !strings.Contains(lines.String(), "failures_not_told=59") {
		t.Errorf("lines:\n%s", lines.String())
	}
}

// A receiver that takes the connection and never answers holds up neither the
// requests nor, for long, the end.
func TestHangingReceiverStopsNothing(t *testing.T) {
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hanging.Close() })
	for _, protocol := range []string{protocolHTTP, protocolGRPC} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			var lines logBuffer
			s := testSettings(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+hanging.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol)
			traces, err := startTraces(t.Context(), s.traces, newLogger(&lines, s), time.Now)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			// Twice what the queue holds, so that spans must be dropped.
			for range 4096 {
				_, span := traces.tracer().Start(t.Context(), "GET /login")
				span.End()
			}
			if taken := time.Since(begun); taken > time.Second {
				t.Errorf("4096 spans wait %s for the receiver", taken)
			}
			begun = time.Now()
			traces.stop()
			if taken := time.Since(begun); taken > traceFlushTimeout+2*time.Second {
				t.Errorf("the end waits %s", taken)
			}
			if !strings.Contains(lines.String(), "the last traces were not sent") {
				t.Errorf("the log says nothing of lost traces:\n%s", lines.String())
			}
		})
	}
}

func TestNothingIsTracedWithoutEndpoint(t *testing.T) {
	s := testSettings(t)
	traces, err := startTraces(t.Context(), s.traces, newLogger(&bytes.Buffer{}, s), time.Now)
	if err != nil || traces != nil || traces.tracer() != nil {
		t.Errorf("traces %v, %v", traces, err)
	}
	traces.stop()
}

func TestCheckTraces(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/traces" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
			http.Error(w, "no such thing\nfailed  made up", http.StatusNotFound)
		}
	}))
	defer receiver.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, c := range []struct{ env, word, text string }{
		{"", "off", "OTEL_EXPORTER_OTLP_ENDPOINT"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL, "ok", receiver.URL + "/v1/traces takes traces by http/protobuf"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + receiver.URL, "failed", "404"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=" + closed.URL, "failed", "connection refused"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=" + closed.URL + " OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "failed", "connection refused"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL + " OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "failed", "by grpc"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		got := checkTraces(ctx, testSettings(t, strings.Fields(c.env)...).traces)
		if got.Word != c.word || !strings.Contains(got.Text, c.text) || strings.Contains(got.Text, "\n") || ctx.Err() != nil {
			t.Errorf("%s: %+v", c.env, got)
		}
		cancel()
	}
}
