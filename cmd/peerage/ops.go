package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Words of /readyz.
const (
	readyOK   = "ok"
	readyOff  = "off"
	readyOld  = "stale"
	readyDown = "down"
)

// readiness is the answer of /readyz. What is not configured is off.
type readiness struct {
	Store     string `json:"store"`
	OpenBao   string `json:"openbao"`
	NetBox    string `json:"netbox"`
	PeeringDB string `json:"peeringdb"`
}

// pingTimeout bounds how long the store may take to count as there.
const pingTimeout = 2 * time.Second

// newRegistry holds the process's own metrics; each package adds its own.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func metricsHandler(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r})
}

// opsHandler serves the operations listener, which no stranger can reach. bao
// and peeringDB are the words for these.
func opsHandler(ping func(context.Context) error, bao, peeringDB func(context.Context) string, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pingTimeout)
		defer cancel()
		answer, status := readiness{readyOK, bao(ctx), readyOff, peeringDB(ctx)}, http.StatusOK
		if err := ping(ctx); err != nil {
			answer.Store, status = readyDown, http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(answer)
	})
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
