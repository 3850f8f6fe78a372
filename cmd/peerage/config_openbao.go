package main

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"peerage/identity/openbao"
	"peerage/portal"
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
	case "PEERAGE_BAO_KUBERNETES":
		_, err := openbao.ParseRole(s.BaoKubernetes)
		return err
	case "PEERAGE_BAO_PKI":
		_, err := openbao.ParseRole(s.BaoPKI)
		return err
	case "PEERAGE_KUBE_API_URL":
		u, err := url.Parse(s.KubeAPIURL)
		if err != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("is not an address such as https://kube.example.net:6443")
		}
		return nil
	case "PEERAGE_KUBE_CA":
		_, err := authorities(s.KubeCA)
		return err
	}
	return fmt.Errorf("%s has no check", field.Name)
}

// authorities reads certificates in PEM, or base64 of it.
func authorities(text string) ([]byte, error) {
	given := []byte(text)
	if decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil {
		given = decoded
	}
	if block, _ := pem.Decode(given); block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("holds no certificate in PEM, or base64 of it")
	}
	return given, nil
}

// engines are the roles of the settings, which were checked.
func (s *Settings) engines() (e openbao.Engines, err error) {
	if e.Kubernetes, err = openbao.ParseRole(s.BaoKubernetes); err != nil {
		return e, fmt.Errorf("PEERAGE_BAO_KUBERNETES: %w", err)
	}
	if e.PKI, err = openbao.ParseRole(s.BaoPKI); err != nil {
		return e, fmt.Errorf("PEERAGE_BAO_PKI: %w", err)
	}
	return e, nil
}

// cluster is what kubeconfigs are for.
func (s *Settings) cluster() (portal.Cluster, error) {
	c := portal.Cluster{Server: s.KubeAPIURL}
	if s.KubeCA == "" {
		return c, nil
	}
	var err error
	if c.CA, err = authorities(s.KubeCA); err != nil {
		err = fmt.Errorf("PEERAGE_KUBE_CA: %w", err)
	}
	return c, err
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
	for name, value := range map[string]string{"PEERAGE_BAO_KUBERNETES": s.BaoKubernetes, "PEERAGE_BAO_PKI": s.BaoPKI} {
		if value != "" && s.BaoAddr == "" && !s.given["BAO_ADDR"] {
			faults = append(faults, fmt.Errorf("%s: BAO_ADDR must be set too", name))
		}
	}
	if s.BaoKubernetes != "" && s.KubeAPIURL == "" && !s.given["PEERAGE_KUBE_API_URL"] {
		faults = append(faults, errors.New("PEERAGE_BAO_KUBERNETES: PEERAGE_KUBE_API_URL must be set too"))
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
