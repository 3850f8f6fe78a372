package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"peerage/identity/openbao"
)

// backendOpenBao is the value of PEERAGE_BACKEND for OpenBao.
const backendOpenBao = "openbao"

// checkOpenBao holds one of OpenBao's settings against what paths and
// addresses may be.
func (s *Settings) checkOpenBao(field setting) error {
	switch field.Name {
	case "BAO_ADDR":
		return openbao.CheckAddress(s.BaoAddr)
	case "BAO_NAMESPACE":
		return openbao.CheckMount(strings.TrimRight(s.BaoNamespace, "/"))
	case "PEERAGE_BAO_USERPASS":
		return openbao.CheckMount(s.BaoUserpass)
	}
	return fmt.Errorf("%s has no check", field.Name)
}

// inClear tells whether strangers may hear passwords and tokens on their way
// to OpenBao. Loopback is safe.
func inClear(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !isLoopback(u.Hostname())
}

// hasBaoCredential tells whether there is a service credential.
func (s *Settings) hasBaoCredential() bool { return s.BaoToken != "" || s.BaoRoleID != "" }

// implyOpenBao tells whether the backend is OpenBao without being named.
func (s *Settings) implyOpenBao() bool {
	return !s.given["PEERAGE_BACKEND"] && s.BaoAddr != "" && s.hasBaoCredential()
}

func (s *Settings) openBaoContradictions() (faults []error) {
	if (s.BaoRoleID == "") != (s.BaoSecretID == "") {
		faults = append(faults, errors.New("PEERAGE_BAO_ROLE_ID and PEERAGE_BAO_SECRET_ID: set both or none"))
	}
	if s.BaoToken != "" && s.BaoRoleID != "" {
		faults = append(faults, errors.New("PEERAGE_BAO_TOKEN and PEERAGE_BAO_ROLE_ID exclude each other"))
	}
	if s.BaoAddr == "" && !s.given["BAO_ADDR"] {
		if s.BaoToken != "" {
			faults = append(faults, errors.New("PEERAGE_BAO_TOKEN: BAO_ADDR must be set too"))
		}
		if s.BaoRoleID != "" {
			faults = append(faults, errors.New("PEERAGE_BAO_ROLE_ID: BAO_ADDR must be set too"))
		}
	}
	if s.Backend == backendOpenBao && (s.BaoAddr == "" || !s.hasBaoCredential()) {
		faults = append(faults, errors.New("PEERAGE_BACKEND: openbao needs BAO_ADDR, and PEERAGE_BAO_TOKEN or PEERAGE_BAO_ROLE_ID with PEERAGE_BAO_SECRET_ID"))
	}
	if s.BaoCACert != "" {
		if _, err := os.ReadFile(s.BaoCACert); err != nil {
			faults = append(faults, fmt.Errorf("BAO_CACERT: %w", err))
		}
	}
	return faults
}

// servable finds what a server lacks that a command can do without.
func (s *Settings) servable() error {
	if openbao.IsKVField(string(s.SigningKey)) && (s.BaoAddr == "" || !s.hasBaoCredential()) {
		return settingFaults{errors.New("PEERAGE_SIGNING_KEY: a key kept in OpenBao needs BAO_ADDR and the service credential")}
	}
	return nil
}

// baoCredential is the service credential of the settings.
func (s *Settings) baoCredential() openbao.ServiceCredential {
	return openbao.ServiceCredential{Token: string(s.BaoToken), RoleID: s.BaoRoleID, SecretID: string(s.BaoSecretID)}
}

// readBaoCredential reads the files of the service credential again; what is in
// no file is as it was.
func (s *Settings) readBaoCredential() (openbao.ServiceCredential, error) {
	given := s.baoCredential()
	for name, into := range map[string]*string{"PEERAGE_BAO_TOKEN": &given.Token, "PEERAGE_BAO_ROLE_ID": &given.RoleID, "PEERAGE_BAO_SECRET_ID": &given.SecretID} {
		if path := s.files[name]; path != "" {
			text, err := readSettingFile(path)
			if err != nil {
				return given, fmt.Errorf("%s: %w", name, err)
			}
			*into = text
		}
	}
	return given, nil
}

// openBaoClient makes the client of the settings.
func (s *Settings) openBaoClient() (*openbao.Client, error) {
	config := openbao.Config{Address: s.BaoAddr, Namespace: s.BaoNamespace}
	if s.BaoCACert != "" {
		authorities, err := os.ReadFile(s.BaoCACert)
		if err != nil {
			return nil, fmt.Errorf("BAO_CACERT: %w", err)
		}
		config.CACert = authorities
	}
	return openbao.NewClient(config)
}
