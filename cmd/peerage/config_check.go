package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/smtp"
	"peerage/idp"
	"peerage/portal"
	"peerage/store"
)

// check holds one value against the rule that its field names. text is not
// empty. What comes back may have several lines.
func (s *Settings) check(field setting, text string) error {
	switch field.Check {
	case "issuer":
		return checkIssuer(text)
	case "address":
		return checkAddress(text)
	case "database":
		if store.IsPostgres(text) {
			if _, err := url.Parse(text); err != nil {
				return errors.New("is not an address such as postgres://user@host/peerage") // the error would show the password
			}
		}
	case "secret key":
		if len(text) < store.MinSecretKey {
			return fmt.Errorf("has %d bytes and needs at least %d; openssl rand -base64 48 makes a good one", len(text), store.MinSecretKey)
		}
	case "signing key":
		if openbao.IsKVField(text) {
			_, err := openbao.ParseKVField(text)
			return err
		}
		_, err := idp.ParsePrivateKey([]byte(text))
		return err
	case "clients":
		_, err := idp.ParseClients([]byte(text))
		return err
	case "openbao":
		return s.checkOpenBao(field)
	case "participants":
		_, err := readParticipants(text)
		return err
	case "asn":
		_, err := parseASN(text)
		return err
	case "upstream":
		return checkUpstream(text)
	case "group":
		return identity.CheckGroupName(text)
	case "at most 24h":
		if s.duration(field) > 24*time.Hour {
			return errors.New("may be at most 24h")
		}
	case "at least 1":
		if s.RateBurst < 1 {
			return errors.New("must be at least 1")
		}
	case "0-360":
		if *s.BrandHue < 0 || *s.BrandHue > 360 {
			return fmt.Errorf("%d is not between 0 and 360", *s.BrandHue)
		}
	case "brand":
		return checkBrand(portal.Brand{Name: text})
	case "logo":
		return checkBrand(portal.Brand{Logo: text})
	case "contact":
		return checkBrand(portal.Brand{Support: text})
	case "smtp":
		_, err := smtp.ParseServer(text)
		return err
	case "mail from":
		_, err := smtp.ParseFrom(text)
		return err
	case "hosts":
		return checkHosts(s.AllowedHosts)
	}
	return nil
}

func (s *Settings) duration(field setting) time.Duration {
	if field.Name == "PEERAGE_ID_TOKEN_TTL" {
		return s.IDTokenTTL
	}
	return s.AccessTokenTTL
}

// brand is what the pages are made with.
func (s Settings) brand() portal.Brand {
	return portal.Brand{Name: s.BrandName, Logo: s.BrandLogo, Hue: s.BrandHue, Support: s.SupportContact}
}

// checkBrand asks the pages whether they can show it.
func checkBrand(b portal.Brand) error {
	if _, err := portal.NewRenderer(b, time.Now); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "brand: "))
	}
	return nil
}

// contradictions finds settings that are right alone and not together.
func (s *Settings) contradictions() (faults []error) {
	if (s.TLSCert == "") != (s.TLSKey == "") {
		faults = append(faults, errors.New("PEERAGE_TLS_CERT and PEERAGE_TLS_KEY: set both or none"))
	}
	if s.OldSecretKey != "" && s.SecretKey == "" && !s.given["PEERAGE_SECRET_KEY"] {
		faults = append(faults, errors.New("PEERAGE_SECRET_KEY_OLD: PEERAGE_SECRET_KEY must be set too"))
	}
	if s.OldSecretKey != "" && s.OldSecretKey == s.SecretKey {
		faults = append(faults, errors.New("PEERAGE_SECRET_KEY_OLD: is the same as PEERAGE_SECRET_KEY"))
	}
	if s.OpsListen != "" && s.OpsListen == s.Listen && !strings.HasSuffix(s.Listen, ":0") {
		faults = append(faults, errors.New("PEERAGE_OPS_LISTEN: is the same as PEERAGE_LISTEN"))
	}
	if s.given["PEERAGE_SMTP_URL"] != s.given["PEERAGE_MAIL_FROM"] {
		faults = append(faults, errors.New("PEERAGE_SMTP_URL and PEERAGE_MAIL_FROM: set both or none"))
	}
	return append(append(faults, s.openBaoContradictions()...), s.peeringDBContradictions()...)
}

// checkIssuer holds the issuer against OIDC Discovery section 3 and against
// what we can serve: every advertised address follows it, text for text.
func checkIssuer(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not an https URL", text)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return errors.New("must not have a query or fragment")
	case u.User != nil:
		return errors.New("must not have a user name")
	case strings.HasSuffix(text, "/"):
		return errors.New("must not have a slash at its end")
	case u.Path != "":
		return errors.New("must not have a path: peerage needs a host name of its own")
	case strings.HasSuffix(u.Host, ":"), u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return errors.New("must leave out the usual port: browsers do, and passkeys compare the text")
	case u.Host != strings.ToLower(u.Host) || !strings.HasPrefix(text, u.Scheme+"://"):
		return errors.New("must be in lower case")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("must be https; http is for loopback hosts only")
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func checkAddress(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is not an address such as 127.0.0.1:8080", text)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q has no port between 0 and 65535", text)
	}
	return nil
}

var hostShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

func checkHosts(hosts []string) error {
	var faults []error
	for _, host := range hosts {
		if _, err := netip.ParseAddr(host); err != nil && !hostShape.MatchString(host) {
			faults = append(faults, fmt.Errorf("%q is not a host name in lower case, without port", host))
		}
	}
	return errors.Join(faults...)
}
