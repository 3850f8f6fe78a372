// Package publicdata reads what PeeringDB tells everybody of networks, and
// keeps it in the store: names for people's eyes, and the ports at exchanges.
// PeeringDB allows few questions, and counts them by address.
package publicdata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"peerage/identity/peeringdb"
	"peerage/store"
	"peerage/tracing"
)

// DefaultURL is PeeringDB's own; another host would redirect, and a redirect
// loses the key.
const DefaultURL = "https://www.peeringdb.com/api"

const (
	// MaxASNs is how many networks may be asked for at once.
	MaxASNs = 150

	timeout = 60 * time.Second // large answers take PeeringDB long
	maxBody = 8 << 20
	maxName = 255 // of PeeringDB's own column

	// minuteRest is for refusals that do not say how long they last, and for
	// failures.
	minuteRest = time.Minute
	// keyRest: each 401 counts against this address, also for sign-ins.
	keyRest = time.Hour
	maxRest = 24 * time.Hour
)

// RestError: PeeringDB wants to be left alone, or does not answer as it should.
type RestError struct {
	// Reason is for administrators.
	Reason string
	// Wait is how long nothing may be asked.
	Wait time.Duration
}

// Error implements error.
func (e *RestError) Error() string { return "peeringdb: public data: " + e.Reason }

// errTooLarge: fewer networks must be asked for at once.
var errTooLarge = errors.New("peeringdb: public data: the answer is too large")

// Client asks PeeringDB's API. It keeps no pace; Cache does.
type Client struct {
	base, key string
	http      *http.Client
}

// NewClient makes a client of an API's base address (DefaultURL when empty)
// with a key or without. transport nil is the ordinary way out.
func NewClient(base, key string, transport http.RoundTripper) *Client {
	if base == "" {
		base = DefaultURL
	}
	if transport == nil {
		transport = http.DefaultTransport
	}
	return &Client{base: strings.TrimRight(base, "/"), key: key, http: &http.Client{Timeout: timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Names finds the names of networks. Those that PeeringDB does not know are
// missing.
func (c *Client) Names(ctx context.Context, asns []uint32) (map[uint32]string, error) {
	var rows []struct {
		ASN    json.Number `json:"asn"`
		Name   string      `json:"name"`
		Status string      `json:"status"`
	}
	if err := c.list(ctx, "net", "asn,name,status", asns, &rows); err != nil {
		return nil, err
	}
	asked, names := set(asns), map[uint32]string{}
	for _, row := range rows {
		asn, ok := asked.find(row.ASN)
		if name := peeringdb.CleanName(row.Name, maxName); ok && name != "" && row.Status == "ok" {
			names[asn] = name
		}
	}
	return names, nil
}

// Ports finds the networks' presences at all exchanges.
func (c *Client) Ports(ctx context.Context, asns []uint32) ([]store.PublicPort, error) {
	var rows []struct {
		ID          int64       `json:"id"`
		ASN         json.Number `json:"asn"`
		IXID        int64       `json:"ix_id"`
		Speed       int64       `json:"speed"`
		IPv4        *string     `json:"ipaddr4"`
		IPv6        *string     `json:"ipaddr6"`
		Operational bool        `json:"operational"`
		Status      string      `json:"status"`
	}
	if err := c.list(ctx, "netixlan", "id,asn,ix_id,speed,ipaddr4,ipaddr6,operational,status", asns, &rows); err != nil {
		return nil, err
	}
	asked := set(asns)
	var ports []store.PublicPort
	for _, row := range rows {
		asn, ok := asked.find(row.ASN)
		if !ok || row.ID <= 0 || row.IXID <= 0 || row.Speed < 0 || row.Status != "ok" {
			continue
		}
		ports = append(ports, store.PublicPort{ID: row.ID, ASN: asn, IXID: row.IXID, Speed: row.Speed,
			IPv4: parsed(row.IPv4, netip.Addr.Is4), IPv6: parsed(row.IPv6, netip.Addr.Is6), Operational: row.Operational})
	}
	return ports, nil
}

// list asks for rows of networks: always as a list, for one network alone that
// PeeringDB does not know would be a 404.
func (c *Client) list(ctx context.Context, object, fields string, asns []uint32, rows any) error {
	if len(asns) == 0 || len(asns) > MaxASNs {
		return fmt.Errorf("peeringdb: public data: %d networks at once, at most %d", len(asns), MaxASNs)
	}
	text := make([]string, len(asns))
	for i, asn := range asns {
		text[i] = strconv.FormatUint(uint64(asn), 10)
	}
	q := url.Values{"asn__in": {strings.Join(text, ",")}, "fields": {fields}}
	body, err := c.get(ctx, object, c.base+"/"+object+"?"+q.Encode())
	if err != nil {
		return err
	}
	var answer struct {
		Data *json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Data == nil {
		return &RestError{Reason: object + ": the answer is no list", Wait: minuteRest}
	}
	if err := json.Unmarshal(*answer.Data, rows); err != nil {
		return &RestError{Reason: object + ": the list is of another form", Wait: minuteRest}
	}
	return nil
}

func (c *Client) get(ctx context.Context, operation, address string) ([]byte, error) {
	ctx, span := tracing.Child(ctx, trace.SpanKindClient, "peeringdb", operation)
	defer span.End()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("peeringdb: public data: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "peerage")
	if c.key != "" {
		r.Header.Set("Authorization", "Api-Key "+c.key)
	}
	response, err := c.http.Do(r)
	if err != nil {
		tracing.Failed(span)
		return nil, &RestError{Reason: operation + ": " + cause(err), Wait: minuteRest}
	}
	defer response.Body.Close()
	span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case response.StatusCode != http.StatusOK:
		err = refusal(operation, response)
	case err != nil:
		err = &RestError{Reason: operation + ": the answer broke off", Wait: minuteRest}
	case len(body) > maxBody:
		err = errTooLarge
	case !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json"):
		err = &RestError{Reason: operation + ": the answer is no JSON", Wait: minuteRest}
	}
	if err != nil {
		tracing.Failed(span)
	}
	return body, err
}

// refusal says how long to wait. The words of PeeringDB's own 429 are useless
// ("available in 0 hours" for a minute), its header is right.
func refusal(operation string, response *http.Response) error {
	e := &RestError{Reason: fmt.Sprintf("%s answers %d", operation, response.StatusCode), Wait: minuteRest}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.Wait = min(time.Duration(seconds)*time.Second, maxRest)
	}
	if response.StatusCode == http.StatusUnauthorized {
		e.Reason += ": the API key does not count"
		e.Wait = max(e.Wait, keyRest)
	}
	return e
}

// cause is an error of net/http without the address.
func cause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return "no answer in time"
		}
		err = u.Err
	}
	return err.Error()
}

// asked are the networks of a question: others in its answer are left out.
type asked map[uint32]bool

func set(asns []uint32) asked {
	all := asked{}
	for _, asn := range asns {
		all[asn] = true
	}
	return all
}

func (a asked) find(n json.Number) (uint32, bool) {
	asn, err := strconv.ParseUint(n.String(), 10, 32)
	return uint32(asn), err == nil && a[uint32(asn)]
}

func parsed(text *string, is func(netip.Addr) bool) netip.Addr {
	if text == nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(*text)
	if err != nil || !is(a) || a.Zone() != "" {
		return netip.Addr{}
	}
	return a
}
