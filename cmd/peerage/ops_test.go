package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOperations(t *testing.T) {
	down := errors.New("the disk is gone")
	for _, c := range []struct {
		path   string
		store  error
		bao    string
		status int
		body   string
	}{
		{"/healthz", nil, readyOff, 200, "ok\n"},
		{"/healthz", down, readyOff, 200, "ok\n"},
		{"/readyz", nil, readyOff, 200, `{"store":"ok","openbao":"off","netbox":"off","peeringdb":"off"}` + "\n"},
		{"/readyz", nil, readyDown, 200, `{"store":"ok","openbao":"down","netbox":"off","peeringdb":"off"}` + "\n"},
		{"/readyz", down, readyOK, 503, `{"store":"down","openbao":"ok","netbox":"off","peeringdb":"off"}` + "\n"},
		{"/nothing", nil, readyOff, 404, "404 page not found\n"},
	} {
		h := opsHandler(func(context.Context) error { return c.store }, func(context.Context) string { return c.bao }, func(context.Context) string { return readyOff }, metricsHandler(newRegistry()))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s with the store %v: %d %q, want %d %q", c.path, c.store, w.Code, w.Body, c.status, c.body)
		}
	}
}

func TestOperationsMetricsAndProfiles(t *testing.T) {
	off := func(context.Context) string { return readyOff }
	h := opsHandler(func(context.Context) error { return nil }, off, off, metricsHandler(newRegistry()))
	for path, want := range map[string]string{"/metrics": "process_start_time_seconds", "/debug/pprof/": "goroutine", "/debug/pprof/heap?debug=1": "heap profile"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d without %q", path, w.Code, want)
		}
	}
}

func TestLocalAddress(t *testing.T) {
	for listen, want := range map[string]string{":9464": "localhost:9464", "0.0.0.0:1": "localhost:1", "[::]:1": "localhost:1", "127.0.0.1:1": "127.0.0.1:1", "ops.example.net:1": "ops.example.net:1"} {
		if got := localAddress(listen); got != want {
			t.Errorf("localAddress(%q) = %q, want %q", listen, got, want)
		}
	}
}
