package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"peerage/identity/peeringdb"
)

// Values of PEERAGE_PEERINGDB.
const (
	peeringDBOff    = "off"
	peeringDBSignUp = "signup"
)

// enrolAny is the value of PEERAGE_PEERINGDB_ENROL that lets anybody in.
const enrolAny = "any"

// djangoPeeringDB is a seed's switch, which is true or false.
const djangoPeeringDB = "AUTH_PEERINGDB_ENABLED"

// seedPeeringDB puts that switch into our words.
func seedPeeringDB(env map[string]string) error {
	text := env[djangoPeeringDB]
	if text == "" {
		return nil
	}
	on, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		env[djangoPeeringDB] = ""
		return fmt.Errorf("%s: %q is not true or false", djangoPeeringDB, text)
	}
	env[djangoPeeringDB] = peeringDBOff
	if on {
		env[djangoPeeringDB] = peeringDBSignUp
	}
	return nil
}

// readParticipants reads a list of AS numbers, or the file that text names behind
// an @. In a file a # begins a comment.
func readParticipants(text string) (peeringdb.Participants, error) {
	if path, ok := strings.CutPrefix(text, "@"); ok {
		var err error
		if text, err = readSettingFile(path); err != nil {
			return nil, err
		}
	}
	list := peeringdb.Participants{}
	var faults []error
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, maxSettingFile+1)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		for _, word := range strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' }) {
			asn, err := parseASN(word)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			list[asn] = true
		}
	}
	if err := lines.Err(); err != nil {
		faults = append(faults, err)
	}
	return list, errors.Join(faults...)
}

// checkUpstream: what is sent there are codes and a secret.
func checkUpstream(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%q is not an https URL", text)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("must be https; http is for loopback hosts only")
	}
	return nil
}

func (s *Settings) peeringDBContradictions() (faults []error) {
	if s.PeeringDB == peeringDBOff || s.PeeringDB == "" {
		return nil
	}
	if s.PeeringDBClientID == "" || s.PeeringDBClientSecret == "" {
		faults = append(faults, fmt.Errorf("PEERAGE_PEERINGDB: %s needs PEERAGE_PEERINGDB_CLIENT_ID and PEERAGE_PEERINGDB_CLIENT_SECRET", s.PeeringDB))
	}
	if s.PeeringDB == peeringDBSignUp && s.Participants == "" && s.PeeringDBEnrol != enrolAny {
		faults = append(faults, errors.New("PEERAGE_PEERINGDB: signup needs PEERAGE_PARTICIPANTS, or PEERAGE_PEERINGDB_ENROL=any to let anybody in without groups"))
	}
	if s.PeeringDBMaxAge < s.PeeringDBRefresh {
		faults = append(faults, errors.New("PEERAGE_PEERINGDB_MAX_AGE: is less than PEERAGE_PEERINGDB_REFRESH, so that networks would be withheld between two checks"))
	}
	return faults
}

// peeringDBConfig is how we are registered at PeeringDB, and where it is.
func (s *Settings) peeringDBConfig() peeringdb.Config {
	config := peeringdb.Config{ClientID: s.PeeringDBClientID, ClientSecret: string(s.PeeringDBClientSecret), RedirectURL: s.Issuer + "/login/peeringdb/callback",
		AuthorizeURL: s.PeeringDBAuthorizeURL, TokenURL: s.PeeringDBTokenURL, RevokeURL: s.PeeringDBRevokeURL, ProfileURL: s.PeeringDBProfileURL,
		JWKSURL: s.PeeringDBJWKSURL, Issuer: s.PeeringDBIssuer}
	return config.Endpoints(s.PeeringDBURL)
}

// peeringDBPolicy is whom PeeringDB lets in.
func (s *Settings) peeringDBPolicy() peeringdb.Policy {
	p := peeringdb.Policy{EnrolAny: s.PeeringDBEnrol == enrolAny}
	if s.PeeringDBAdminASN != "" {
		p.AdminASN, _ = parseASN(s.PeeringDBAdminASN) // checked when it was read
	}
	return p
}
