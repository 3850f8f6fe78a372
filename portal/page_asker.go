package portal

import (
	"net"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Asker is the application that sent a person here. Pages name it with its
// host, because a name is only what the application says of itself.
type Asker struct {
	Name string
	// Host is the host that the answer goes to; "" for a program on the
	// person's own device.
	Host string
	// Logo is a data: picture or a path below /static; anything else is not
	// shown, since the content security policy would block it.
	Logo string
}

// NewAsker names the application that gets its answer at redirectURI. Hosts in
// other scripts are shown in their ASCII form: letters that look alike would
// let one host pass for another.
func NewAsker(name, logo, redirectURI string) *Asker {
	a := &Asker{Name: name, Logo: logo}
	u, err := url.Parse(redirectURI)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return a // a private-use scheme stays on the device (RFC 8252 section 7.1)
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return a
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	a.Host = host
	return a
}

// Letter is the first letter of the name, for the picture of an application
// without a logo.
func (a Asker) Letter() string { return letter(a.Name) }

// letter returns the first letter or digit of name, in upper case.
func letter(name string) string {
	for _, r := range name {
		if r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return string(unicode.ToUpper(r))
		}
	}
	return "?"
}
