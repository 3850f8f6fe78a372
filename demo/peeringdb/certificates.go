package peeringdb

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// certificates are those of a server with TLS: its own authority, a good
// certificate and one that ended yesterday.
type certificates struct {
	roots         *x509.CertPool
	good, expired *tls.Certificate
}

const day = 24 * time.Hour

func newCertificates(now time.Time) (*certificates, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key for TLS: %w", err)
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Look-alike of PeeringDB"}, NotBefore: now.Add(-30 * day), NotAfter: now.Add(365 * day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making an authority for TLS: %w", err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, err
	}
	c := &certificates{roots: x509.NewCertPool()}
	c.roots.AddCert(parsed)
	for serial, ends := range map[int64]time.Time{2: now.Add(365 * day), 3: now.Add(-day)} {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: now.Add(-30 * day), NotAfter: ends,
			DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		raw, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), key)
		if err != nil {
			return nil, fmt.Errorf("making a certificate for TLS: %w", err)
		}
		made := &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
		if serial == 2 {
			c.good = made
		} else {
			c.expired = made
		}
	}
	return c, nil
}
