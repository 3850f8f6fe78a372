package openbao

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"

	"peerage/identity"
)

// A role that gives more than was asked for is found out by what it made.
func TestCertificateOfAnotherShapeIsRefused(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := func(about x509.Certificate, of *ecdsa.PrivateKey) string {
		t.Helper()
		about.SerialNumber, about.NotAfter, about.BasicConstraintsValid = big.NewInt(1), time.Now().Add(time.Hour), true
		der, err := x509.CreateCertificate(rand.Reader, &about, &about, &of.PublicKey, of)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	ada := pkix.Name{CommonName: "ada"}
	csr := &x509.CertificateRequest{Subject: ada, PublicKey: &key.PublicKey}
	if c, err := checkCertificate(made(x509.Certificate{Subject: ada, DNSNames: []string{"ada"}}, key), csr, "ada"); err != nil || c.Subject.CommonName != "ada" {
		t.Errorf("the right one: %v", err)
	}
	for name, text := range map[string]string{
		"nothing": "", "no certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"another name":       made(x509.Certificate{Subject: pkix.Name{CommonName: "eve"}}, key),
		"one more name":      made(x509.Certificate{Subject: ada, DNSNames: []string{"ada", "eve"}}, key),
		"a mailbox":          made(x509.Certificate{Subject: ada, EmailAddresses: []string{"eve@example.net"}}, key),
		"another's key":      made(x509.Certificate{Subject: ada}, other),
		"an authority's own": made(x509.Certificate{Subject: ada, IsCA: true}, key),
	} {
		if _, err := checkCertificate(text, csr, "ada"); !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
