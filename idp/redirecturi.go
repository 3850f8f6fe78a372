package idp

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

const maxAddress = 2048

// Schemes that would run or show something in our own origin's place.
var dangerousSchemes = []string{"javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"}

// plainAddress tells whether text can be an address at all: printable ASCII
// without what browsers and parsers read in different ways.
func plainAddress(text string) bool {
	if text == "" || len(text) > maxAddress {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' || c == '"' || c == '<' || c == '>' || c == '`' {
			return false
		}
	}
	return true
}

// checkRegisteredURI says what is wrong with an address to be registered
// (RFC 6749 section 3.1.2, RFC 8252 section 7, RFC 9700 section 4.1.3).
func checkRegisteredURI(text string, native bool) error {
	if !plainAddress(text) {
		return errors.New("must be an absolute address of printable ASCII without spaces, quotes, backslash or fragment")
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.User != nil {
		return errors.New("must be an absolute address without user name")
	}
	if strings.Contains(u.Host, "*") {
		return errors.New("has a * in its host, which stands for nothing: addresses are compared as text")
	}
	switch scheme := strings.ToLower(u.Scheme); {
	case slices.Contains(dangerousSchemes, scheme):
		return errors.New("has a scheme that is never allowed")
	case scheme == "https" && u.Host != "":
		return nil
	case scheme == "http" && loopback(u):
		return nil
	case scheme == "http" || scheme == "https":
		return errors.New("must use https (http is allowed on 127.0.0.1, [::1] and localhost)")
	case !native:
		return errors.New("must use https; other schemes are for clients of application_type native")
	}
	return nil
}

func loopback(u *url.URL) bool {
	switch u.Hostname() {
	case "127.0.0.1", "::1", "localhost":
		return true
	}
	return false
}

// matchRedirectURI tells whether a request may be answered at this address:
// exact text, without any normalisation; beside that, for native clients, a
// registered loopback address with any port (RFC 8252 section 7.3). The
// library's own matcher decodes a second time and leaks codes to
// http://127.0.0.1%2Fcb%23@evil.example/; ours parses once and answers at the
// very text that it compared.
func matchRedirectURI(registered []string, native bool, given string) bool {
	if !plainAddress(given) {
		return false
	}
	if slices.Contains(registered, given) {
		return true
	}
	if !native {
		return false
	}
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "http" || u.User != nil || !loopback(u) || u.String() != given {
		return false
	}
	return slices.ContainsFunc(registered, func(text string) bool {
		r, err := url.Parse(text)
		return err == nil && r.Scheme == "http" && loopback(r) && r.User == nil && r.Hostname() == u.Hostname() &&
			r.EscapedPath() == u.EscapedPath() && r.RawQuery == u.RawQuery && r.ForceQuery == u.ForceQuery
	})
}

// origin is the scheme, host and port of an http(s) address, for CORS.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
