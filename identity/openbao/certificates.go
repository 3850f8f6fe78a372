package openbao

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"peerage/identity"
	"peerage/store"
)

// operationSign's answers mean something of their own.
const operationSign = "sign_certificate"

// maxCertificates is how many of a person's certificates are listed.
const maxCertificates = 50

// serialShape is a serial number as OpenBao writes it; RFC 5280 section
// 4.1.2.2 has at most 20 bytes.
var serialShape = regexp.MustCompile(`^[0-9a-f]{2}(:[0-9a-f]{2}){0,20}$`)

// Issued is a certificate that was just made.
type Issued struct {
	Serial string
	// Certificate is the certificate and Chain what leads from it to the
	// authority, in PEM.
	Certificate string
	Chain       string
	// Key is the private key in PEM (PKCS #8) where one was made; it is stored
	// nowhere.
	Key       string
	NotBefore time.Time
	NotAfter  time.Time
}

// CertificateState is what a certificate is good for.
type CertificateState string

// States of certificates.
const (
	CertificateValid   CertificateState = "valid"
	CertificateExpired CertificateState = "expired"
	CertificateRevoked CertificateState = "revoked"
	CertificateUnknown CertificateState = "unknown" // OpenBao does not answer
)

// Certificate is one of a person's certificates.
type Certificate struct {
	store.Certificate
	State CertificateState
}

// SignCertificate has a request for a certificate signed, as the person: the
// role in OpenBao has the last word on names. Errors: ErrCSR, ErrCSRName,
// ErrCSRKey, which reach no server; ErrNoToken; ErrForbidden: OpenBao does not
// let this person; identity.ErrUnavailable.
func (b *Backend) SignCertificate(ctx context.Context, u identity.User, token []byte, csr string) (Issued, error) {
	return b.issued(ctx, u, "csr", func() (Issued, error) { return b.signCertificate(ctx, u, token, csr) })
}

// IssueCertificate makes a key and has a certificate for it signed. The key is
// in the answer and nowhere else.
func (b *Backend) IssueCertificate(ctx context.Context, u identity.User, token []byte) (Issued, error) {
	return b.issued(ctx, u, "key", func() (Issued, error) {
		if len(token) == 0 {
			return Issued{}, ErrNoToken
		}
		role, err := b.pkiRole.get(ctx)
		if err != nil {
			return Issued{}, err
		}
		csr, key, err := newKey(role, u.Username)
		if err != nil {
			return Issued{}, err
		}
		made, err := b.signCertificate(ctx, u, token, csr)
		made.Key = key
		return made, err
	})
}

func (b *Backend) issued(ctx context.Context, u identity.User, from string, issue func() (Issued, error)) (Issued, error) {
	made, err := issue()
	if errors.Is(err, ErrNoToken) {
		return Issued{}, err // nothing was tried: the person is asked for their password
	}
	b.event(ctx, "cert_issue", u, err, slog.String("serial", made.Serial), slog.String("from", from))
	if err != nil {
		return Issued{}, err
	}
	return made, nil
}

func (b *Backend) signCertificate(ctx context.Context, u identity.User, token []byte, text string) (Issued, error) {
	csr, err := parseCSR(text, u.Username)
	if err != nil {
		return Issued{}, err
	}
	got, err := b.asPerson(ctx, token, request{operation: operationSign, method: "POST", path: b.PKI.at("{mount}/sign/{}"),
		body: map[string]string{"csr": text, "common_name": u.Username}})
	if err != nil {
		return Issued{}, err
	}
	var given struct {
		Certificate string   `json:"certificate"`
		Chain       []string `json:"ca_chain"`
		Issuer      string   `json:"issuing_ca"`
		Serial      string   `json:"serial_number"`
	}
	if err := got.decode(&given); err != nil {
		return Issued{}, err
	}
	made, err := checkCertificate(given.Certificate, csr, u.Username)
	if err == nil && !serialShape.MatchString(given.Serial) {
		err = &Error{Operation: operationSign, Kind: identity.ErrUnavailable, Reason: "a serial number of another shape"}
	}
	if err == nil {
		err = b.store.AddCertificate(ctx, store.Certificate{Serial: given.Serial, Sub: u.Sub, CommonName: u.Username, NotBefore: made.NotBefore, NotAfter: made.NotAfter})
	}
	if err != nil {
		// What is in no list could never be revoked by its person.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, revoked := b.revokeSerial(ctx, given.Serial)
		return Issued{}, errors.Join(err, revoked)
	}
	chain := given.Chain
	if len(chain) == 0 && given.Issuer != "" {
		chain = []string{given.Issuer}
	}
	return Issued{Serial: given.Serial, Certificate: ended(given.Certificate), Chain: ended(strings.Join(chain, "\n")), NotBefore: made.NotBefore, NotAfter: made.NotAfter}, nil
}

// ended ends a text with one newline, as PEM files do.
func ended(text string) string { return strings.TrimRight(text, "\n") + "\n" }

// classifySign reads the answer to a request for a certificate. The request was
// looked at before: what the role does not like now is its kind of key.
func classifySign(status int, said func(string) bool, fault func(error, string) error) error {
	switch {
	case status == http.StatusForbidden:
		return fault(ErrForbidden, "")
	case said("not allowed by this role"):
		return fault(ErrCSRName, "")
	case said("role requires"), said("key type"), said("minimum"):
		return fault(ErrCSRKey, "")
	case status == http.StatusBadRequest, status == http.StatusNotFound:
		return fault(identity.ErrUnavailable, "the mount, its authority or the role is missing")
	}
	return fault(identity.ErrUnavailable, "internal error of the server")
}

// Certificates lists a person's certificates, the newest first. With
// identity.ErrUnavailable the list is what is known without OpenBao.
func (b *Backend) Certificates(ctx context.Context, u identity.User) ([]Certificate, error) {
	rows, err := b.store.Certificates(ctx, u.Sub, maxCertificates)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	list := make([]Certificate, len(rows))
	for i, row := range rows {
		list[i] = Certificate{row, CertificateValid}
		switch {
		case !row.RevokedAt.IsZero():
			list[i].State = CertificateRevoked
		case !b.now().Before(row.NotAfter):
			list[i].State = CertificateExpired
		case err != nil:
			list[i].State = CertificateUnknown
		default:
			err = b.certificateState(ctx, &list[i])
		}
	}
	return list, err
}

// certificateState asks whether somebody else revoked a certificate, and notes it.
func (b *Backend) certificateState(ctx context.Context, c *Certificate) error {
	var known struct {
		Revoked int64 `json:"revocation_time"` // seconds
	}
	c.State = CertificateUnknown
	// Anybody may ask this: it goes without a token.
	got, err := b.client.do(ctx, request{operation: "read_certificate", method: "GET", path: at("{mount}/cert/{}", b.PKI.Mount, c.Serial)})
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrForbidden) {
		err = &Error{Operation: "read_certificate", Kind: identity.ErrUnavailable, Reason: "the mount has no such certificate"}
	}
	if err == nil {
		err = got.decode(&known)
	}
	if err != nil {
		return err
	}
	c.State = CertificateValid
	if known.Revoked == 0 {
		return nil
	}
	c.State, c.RevokedAt = CertificateRevoked, time.Unix(known.Revoked, 0).UTC()
	return b.store.MarkRevoked(ctx, c.Serial, c.RevokedAt)
}

// RevokeCertificate revokes a certificate of that person. ErrNotTheirs: they
// have none of that serial number. One that is revoked is no fault.
func (b *Backend) RevokeCertificate(ctx context.Context, u identity.User, serial string) error {
	row, err := b.store.Certificate(ctx, u.Sub, serial)
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNotTheirs
	}
	if err == nil {
		var when time.Time
		if when, err = b.revokeSerial(ctx, row.Serial); err == nil {
			err = b.store.MarkRevoked(ctx, row.Serial, when)
		}
	}
	b.event(ctx, "cert_revoke", u, err, slog.String("serial", row.Serial))
	return err
}

// revokeSerial revokes whatever certificate has that number: whose it is, the
// caller knows.
func (b *Backend) revokeSerial(ctx context.Context, serial string) (when time.Time, err error) {
	var done struct {
		Time int64 `json:"revocation_time"` // seconds
	}
	got, err := b.service(ctx, request{operation: "revoke_certificate", method: "POST", path: at("{mount}/revoke", b.PKI.Mount), body: map[string]string{"serial_number": serial}})
	if err == nil {
		err = got.decode(&done)
	}
	return time.Unix(done.Time, 0).UTC(), err
}

// CRL is the list of the certificates that were revoked, in PEM (RFC 5280
// section 5). It is the same for everybody and no secret.
func (b *Backend) CRL(ctx context.Context) (string, error) { return b.crl.again(ctx) }

func (b *Backend) askCRL(ctx context.Context) (string, error) {
	var list struct {
		PEM string `json:"certificate"`
	}
	got, err := b.client.do(ctx, request{operation: "read_crl", method: "GET", path: at("{mount}/cert/crl", b.PKI.Mount)})
	if err == nil {
		err = got.decode(&list)
	}
	if err == nil && !strings.HasPrefix(list.PEM, "-----BEGIN X509 CRL-----") || errors.Is(err, ErrForbidden) || errors.Is(err, ErrNotFound) {
		err = &Error{Operation: "read_crl", Kind: identity.ErrUnavailable, Reason: "the mount has no list of revoked certificates"}
	}
	return ended(list.PEM), err
}
