package openbao

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"strings"

	"peerage/identity"
)

// MaxCSR is the longest request for a certificate in bytes; one with an RSA key
// of 4096 bits has 1.7 kB.
const MaxCSR = 16 << 10

var (
	// ErrCSR: that is no request for a certificate, or it is not signed by its
	// own key.
	ErrCSR = errors.New("not a certificate signing request in PEM")
	// ErrCSRName: the request names somebody or something else than the person.
	ErrCSRName = errors.New("the certificate signing request names somebody else")
	// ErrCSRKey: the key of the request is too weak, or of a kind that the role
	// does not take.
	ErrCSRKey = errors.New("the key of the certificate signing request is not accepted")
)

// parseCSR reads a request for a certificate of that person (RFC 2986). The
// role of OpenBao looks at the names as well, if its operator told it to.
func parseCSR(text, username string) (*x509.CertificateRequest, error) {
	if len(text) > MaxCSR {
		return nil, ErrCSR
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" || strings.TrimSpace(string(rest)) != "" {
		return nil, ErrCSR
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		return nil, ErrCSR
	}
	if csr.Subject.CommonName != "" && csr.Subject.CommonName != username || !ownNames(csr.DNSNames, username) ||
		len(csr.EmailAddresses)+len(csr.IPAddresses)+len(csr.URIs) > 0 {
		return nil, ErrCSRName
	}
	if !strong(csr.PublicKey) {
		return nil, ErrCSRKey
	}
	return csr, nil
}

// ownNames tells whether names are the person's alone.
func ownNames(names []string, username string) bool {
	for _, name := range names {
		if name != username {
			return false
		}
	}
	return true
}

// strong tells whether a key is worth a certificate: the least that browsers
// and servers take today.
func strong(key any) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048 && key.N.BitLen() <= 8192
	case *ecdsa.PublicKey:
		return key.Curve.Params().BitSize >= 256
	case ed25519.PublicKey:
		return true
	}
	return false
}

// checkCertificate holds what the role made against what was asked: a role that
// is too free, or too kind, must not give a person another's name.
func checkCertificate(text string, csr *x509.CertificateRequest, username string) (*x509.Certificate, error) {
	strange := func(reason string) error {
		return &Error{Operation: operationSign, Kind: identity.ErrUnavailable, Reason: reason}
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, strange("an answer without certificate")
	}
	made, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, strange("a certificate that cannot be read")
	}
	key, comparable := made.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if made.IsCA || made.Subject.CommonName != username || !ownNames(made.DNSNames, username) || !comparable || !key.Equal(csr.PublicKey) ||
		len(made.EmailAddresses)+len(made.IPAddresses)+len(made.URIs) > 0 {
		return nil, strange("the role gave another certificate than was asked for")
	}
	return made, nil
}

// newKey makes a key of the kind that a role takes, and a request with it.
// OpenBao never sees the key.
func newKey(role pkiRole, username string) (csr, key string, err error) {
	var private crypto.Signer
	switch role.KeyType {
	case "rsa":
		private, err = rsa.GenerateKey(rand.Reader, max(role.KeyBits, 2048))
	case "ed25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default: // ec, any
		curve := map[int]elliptic.Curve{384: elliptic.P384(), 521: elliptic.P521()}[role.KeyBits]
		if curve == nil {
			curve = elliptic.P256()
		}
		private, err = ecdsa.GenerateKey(curve, rand.Reader)
	}
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: username}}, private)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), nil
}
