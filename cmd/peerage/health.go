package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

type healthCommand struct{}

// healthTimeout is below the image's own limit for a health check.
const healthTimeout = 4 * time.Second

// Run asks the server of this machine whether it is ready.
func (healthCommand) Run(ctx context.Context, p *program) error {
	s, err := p.settings()
	if err != nil {
		return err
	}
	if s.OpsListen == "" {
		return errors.New("the operations listener is off (PEERAGE_OPS_LISTEN is empty): there is nobody to ask")
	}
	url := "http://" + localAddress(s.OpsListen) + "/readyz"
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	// Never by a proxy of the environment: the server is on this machine.
	client := &http.Client{Transport: &http.Transport{}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no server answers (%w); is it running, and does PEERAGE_OPS_LISTEN name its operations listener?", err)
	}
	defer response.Body.Close()
	var answer readiness
	if err := json.NewDecoder(io.LimitReader(response.Body, 4096)).Decode(&answer); err != nil {
		return fmt.Errorf("%s answers %s, which is not the answer of peerage", url, response.Status)
	}
	fmt.Fprintf(p.stdout, "store %s, openbao %s, netbox %s, peeringdb %s\n", answer.Store, answer.OpenBao, answer.NetBox, answer.PeeringDB)
	if response.StatusCode != http.StatusOK {
		return errors.New("the server is not ready")
	}
	return nil
}

// localAddress is where a listener on all addresses is found from here.
func localAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
