package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	// opsWriteTimeout lets a profile of half a minute through.
	opsWriteTimeout = 3 * time.Minute
	// stopTimeout bounds how long requests in flight may take to finish.
	stopTimeout = 20 * time.Second
)

// serveOn serves on the listeners (ops may be nil), which it closes, until ctx
// ends or one of them fails.
func (s *server) serveOn(ctx context.Context, public, ops net.Listener, hup <-chan os.Signal) error {
	servers := []*http.Server{s.httpServer(s.handler, writeTimeout)}
	listeners := []net.Listener{public}
	if s.cert != nil {
		listeners[0] = tls.NewListener(public, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.cert.get})
	}
	if ops != nil {
		servers, listeners = append(servers, s.httpServer(s.ops, opsWriteTimeout)), append(listeners, ops)
	}
	background, stopJobs := context.WithCancel(context.WithoutCancel(ctx))
	defer stopJobs()
	s.log.InfoContext(ctx, "listening", "address", public.Addr().String(), "issuer", s.settings.Issuer, "operations", addressOf(ops), "version", version)
	stopped := make(chan struct{})
	go func() { s.jobs(background); close(stopped) }()
	failed := make(chan error, len(servers))
	for i, server := range servers {
		go func() { failed <- server.Serve(listeners[i]) }()
	}
	err := s.wait(ctx, hup, failed)
	s.stop(servers)
	stopJobs()
	<-stopped
	// What was signed since the last turn of the job.
	if flushErr := s.keys.FlushUse(context.WithoutCancel(ctx)); flushErr != nil {
		s.log.Error("writing when keys were used", "error", flushErr)
	}
	s.log.Info("stopped")
	return err
}

// wait returns when the process is asked to stop (nil) or cannot go on.
func (s *server) wait(ctx context.Context, hup <-chan os.Signal, failed <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			s.log.Info("stopping")
			return nil
		case <-hup:
			s.reload(ctx)
		case err := <-failed:
			return fmt.Errorf("serving: %w", err)
		}
	}
}

// stop closes the listeners and waits for requests in flight.
func (s *server) stop(servers []*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			s.log.Warn("requests in flight were cut off", "error", err)
			server.Close()
		}
	}
}

func (s *server) httpServer(h http.Handler, write time.Duration) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: write, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
}

func addressOf(l net.Listener) string {
	if l == nil {
		return "off"
	}
	return l.Addr().String()
}
