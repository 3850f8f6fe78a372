package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// countingProxy passes requests on to OpenBao and notes which they are.
type countingProxy struct {
	through *httputil.ReverseProxy
	server  *http.Server

	mu   sync.Mutex
	seen map[string]int
}

// startCounting serves OpenBao at another address.
func startCounting(target string) (p *countingProxy, address string, err error) {
	if address, err = freeAddress(); err != nil {
		return nil, "", err
	}
	p = &countingProxy{through: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: target}), seen: map[string]int{}}
	p.server = &http.Server{Addr: address, Handler: p}
	go func() { _ = p.server.ListenAndServe() }() // until stop
	return p, address, nil
}

func (p *countingProxy) stop() { _ = p.server.Close() }

// ServeHTTP implements http.Handler.
func (p *countingProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	name := strings.Join(parts[:min(len(parts), 3)], "/") // without what names a person
	p.mu.Lock()
	p.seen[name]++
	p.mu.Unlock()
	p.through.ServeHTTP(w, r)
}

// take gives what was asked since the last time, without the question who
// leads, which is asked once a second by all together.
func (p *countingProxy) take() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.seen
	p.seen = map[string]int{}
	delete(seen, "sys/leader")
	return seen
}
