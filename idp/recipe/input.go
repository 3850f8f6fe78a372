package recipe

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"peerage/identity"
)

// Kind says what an answer may look like. Every kind is so narrow that an
// answer means nothing special in a shell, in YAML, INI, TOML, Python or
// Apache's configuration; the templates quote it all the same.
type Kind string

// The kinds of answers.
const (
	// KindURL is the address of a site with its path, https or on loopback.
	KindURL Kind = ""
	// KindOrigin is one without a path.
	KindOrigin Kind = "origin"
	// KindUpstream is the address of a server behind a proxy, also with http.
	KindUpstream Kind = "upstream"
	// KindWord is a name of letters, digits and _ . -
	KindWord Kind = "word"
	// KindGroup is the name of a group.
	KindGroup Kind = "group"
	// KindMembers is the name of a group whose members are let in: a network's
	// (as64500) too, which must never stand for administrators.
	KindMembers Kind = "members"
	// KindULID is made when there is none.
	KindULID Kind = "ulid"
)

const maxAddress = 1024

var (
	hostShape = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,62})\.?)+$`)
	pathShape = regexp.MustCompile(`^[A-Za-z0-9._~/-]*$`)
	portShape = regexp.MustCompile(`^[0-9]{1,5}$`)
	wordShape = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,31}$`)
	ulidShape = regexp.MustCompile(`^[0-7][0-9A-HJKMNP-TV-Z]{25}$`)
)

var (
	errAddress = errors.New("must be an address such as https://app.example.net, without user name, query and fragment")
	errScheme  = errors.New("must begin with https:// (http:// is for 127.0.0.1, [::1] and localhost)")
	errPath    = errors.New("must have no path behind the host name and port")
	errWord    = errors.New("must be 1 to 32 letters, digits and . _ - and begin with a letter")
	errULID    = errors.New("must be a ULID: 26 digits and capital letters")
	errMissing = errors.New("is needed")
)

// check says what is wrong with an answer and brings it into its one form.
func (in Input) check(value string) (string, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		if in.Optional {
			return "", nil
		}
		return "", errMissing
	}
	var err error
	switch in.Kind {
	case KindURL:
		return siteAddress(value)
	case KindOrigin:
		if value, err = siteAddress(value); err != nil {
			return "", err
		}
		if u, err := url.Parse(value); err != nil || u.Path != "" {
			return "", errPath
		}
	case KindUpstream:
		value, err = address(value)
	case KindWord:
		if !wordShape.MatchString(value) {
			err = errWord
		}
	case KindGroup:
		err = identity.CheckGroupName(value)
	case KindMembers:
		err = identity.CheckMembership(value)
	case KindULID:
		if value = strings.ToUpper(value); !ulidShape.MatchString(value) {
			err = errULID
		}
	default:
		err = errors.New("has a kind that is not known")
	}
	return value, err
}

// siteAddress is an address that people's browsers are sent to, without a
// slash at its end.
func siteAddress(text string) (string, error) {
	text, err := address(text)
	if err != nil {
		return "", err
	}
	if rest, insecure := strings.CutPrefix(text, "http://"); insecure && !loopback(rest) {
		return "", errScheme
	}
	return text, nil
}

// loopback looks at what stands behind the scheme of an address.
func loopback(rest string) bool {
	u, err := url.Parse("//" + rest)
	return err == nil && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" || u.Hostname() == "localhost")
}

// address takes scheme, host, port and path, of characters alone that every
// parser reads in the same way.
func address(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxAddress || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return "", errAddress
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return "", errScheme
	}
	if !soundHost(u) || u.RawPath != "" || !pathShape.MatchString(u.Path) || strings.Contains(u.Path, "//") {
		return "", errAddress
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return "", errAddress
		}
	}
	return strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/"), nil
}

func soundHost(u *url.URL) bool {
	if port := u.Port(); port != "" && !portShape.MatchString(port) || strings.HasSuffix(u.Host, ":") {
		return false
	}
	name := u.Hostname()
	if strings.Contains(name, ":") {
		ip, err := netip.ParseAddr(name)
		return err == nil && ip.Zone() == ""
	}
	return hostShape.MatchString(name)
}
