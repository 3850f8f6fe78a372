package portaltest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
)

// RoundTrip implements http.RoundTripper: it sends requests for the issuer to
// the listener, as a proxy that ends TLS does, and lets Watch see them.
func (s *Site) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context())
	if sent.Host == "" {
		sent.Host = r.URL.Host
	}
	listener, err := url.Parse(s.Address)
	if err != nil {
		return nil, err
	}
	sent.URL.Scheme, sent.URL.Host = listener.Scheme, listener.Host
	response, err := http.DefaultTransport.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	response.Request = r
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if s.Watch != nil {
		s.Watch(response, body)
	}
	return response, nil
}
