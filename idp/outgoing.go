package idp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"peerage/tracing"
)

const (
	outgoingTimeout = 5 * time.Second
	maxOutgoing     = 64 << 10
)

// errForbiddenAddress: a client's address leads where we do not call.
var errForbiddenAddress = errors.New("the address is one that is never called")

// newOutgoing makes the client for addresses that a registered client names
// (jwks_uri, backchannel_logout_uri). It looks at the address at the
// time of dialling, after the name was resolved, so that a name cannot be
// checked as one address and called as another; it follows no redirect, waits
// a short time and goes through no proxy.
func newOutgoing() *http.Client {
	dialer := &net.Dialer{Timeout: outgoingTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return checkOutgoing(to.Addr())
	}}
	return &http.Client{
		Timeout:       outgoingTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: outgoingTimeout, ResponseHeaderTimeout: outgoingTimeout,
			MaxResponseHeaderBytes: 16 << 10, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute},
	}
}

// checkOutgoing: link-local addresses never (cloud metadata lives there), nor
// what is no single host. Private and loopback ones are the operator's choice:
// all clients here were registered by the operator.
func checkOutgoing(addr netip.Addr) error {
	addr = addr.Unmap()
	if addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() || addr.IsMulticast() || addr.IsUnspecified() || addr.IsInterfaceLocalMulticast() {
		return fmt.Errorf("%s: %w", addr, errForbiddenAddress)
	}
	return nil
}

// call sends a request in a span that is named by what the address is for: the
// address itself may hold the client's secrets. No traceparent goes along. The
// trace is ours; a client's server has no part in it, and could tell by its id
// which of its requests and ours belong together.
func call(client *http.Client, r *http.Request, purpose string) (*http.Response, error) {
	ctx, span := tracing.Child(r.Context(), trace.SpanKindClient, r.Method, purpose)
	if !span.IsRecording() {
		return client.Do(r)
	}
	defer span.End()
	span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Hostname()))
	response, err := client.Do(r.WithContext(ctx))
	if err != nil {
		tracing.Failed(span)
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
	if response.StatusCode >= 400 {
		tracing.Failed(span)
	}
	return response, nil
}

// fetch reads a small document; purpose says what for.
func fetch(ctx context.Context, client *http.Client, address, purpose string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	response, err := call(client, r, purpose)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxOutgoing+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", address, err)
	}
	if len(body) > maxOutgoing {
		return nil, fmt.Errorf("%s answers with more than %d bytes", address, maxOutgoing)
	}
	return body, nil
}
