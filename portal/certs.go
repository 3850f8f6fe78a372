package portal

import (
	"encoding/pem"
	"errors"
	"net/http"
	"strings"

	"peerage/identity"
	"peerage/identity/openbao"
)

// maxCSRUpload is more than any request for a certificate in its envelope.
const maxCSRUpload = openbao.MaxCSR + 1<<14

var certStates = map[openbao.CertificateState]Sentence{
	openbao.CertificateValid: Say("certs.state.valid"), openbao.CertificateExpired: Say("certs.state.expired"),
	openbao.CertificateRevoked: Say("certs.state.revoked"), openbao.CertificateUnknown: Say("certs.state.unknown"),
}

// certsPage lists a person's client certificates.
func (p *Portal) certsPage(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	return p.showCerts(w, r, v, &CertsPage{Done: r.FormValue("done")}, nil)
}

// showCerts shows the page with the list, and with what went wrong.
func (p *Portal) showCerts(w http.ResponseWriter, r *http.Request, v identity.Visitor, page *CertsPage, fault error) error {
	page.Base, page.Elsewhere, page.UserName = p.base(r, &v), !ofOpenBao(v), v.User.Username
	if page.Elsewhere {
		return p.render.Render(w, http.StatusOK, page)
	}
	page.CSR.Name, page.CSR.Kind, page.CSR.Label, page.CSR.Hint = "csr", FieldArea, Say("certs.csr"), Say("certs.csr.hint", "user", v.User.Username)
	page.CSR.Max, page.CSR.Rows, page.CSR.Mono = openbao.MaxCSR, 6, true
	page.File = Field{Name: "file", Kind: FieldFile, Label: Say("certs.file"), Hint: Say("certs.file.hint")}
	certificates, err := p.openbao.Certificates(r.Context(), v.User)
	for _, c := range certificates {
		page.Certificates = append(page.Certificates, CertItem{Serial: c.Serial, State: certStates[c.State], Good: c.State == openbao.CertificateValid,
			Revocable: c.State == openbao.CertificateValid || c.State == openbao.CertificateUnknown, Made: c.CreatedAt, Expires: c.NotAfter})
	}
	status := http.StatusOK
	if err = errors.Join(fault, err); err != nil {
		var ok bool
		if status, page.Wrong, ok = p.baoFault(r, &page.Base, err); !ok {
			return err
		}
		if errors.Is(err, openbao.ErrCSR) || errors.Is(err, openbao.ErrCSRName) || errors.Is(err, openbao.ErrCSRKey) {
			page.CSR.Fault, page.Wrong = page.Wrong, Sentence{}
		}
	}
	return p.render.Render(w, status, page)
}

// certs signs a request, makes a certificate with its key, or revokes one.
func (p *Portal) certs(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	csr, err := uploaded(w, r, "csr", maxCSRUpload)
	if err != nil {
		return err
	}
	var made openbao.Issued
	page := &CertsPage{}
	switch r.PostForm.Get("action") {
	case "sign":
		page.CSR.Value = csr
		made, err = p.openbao.SignCertificate(r.Context(), v.User, v.Session.BackendToken, csr)
	case "issue":
		made, err = p.openbao.IssueCertificate(r.Context(), v.User, v.Session.BackendToken)
	case "revoke":
		if err = p.openbao.RevokeCertificate(r.Context(), v.User, r.PostForm.Get("serial")); err == nil {
			return see(w, pathCerts+"?done="+DoneCertRevoked)
		}
	default:
		return errBadAction
	}
	if errors.Is(err, openbao.ErrNoToken) {
		return p.withoutToken(w, r, v)
	}
	if err == nil {
		page.CSR.Value = ""
		page.New = &NewCert{Serial: made.Serial, Certificate: made.Certificate, Chain: made.Chain, Key: made.Key, Expires: made.NotAfter}
	}
	return p.showCerts(w, r, v, page, err)
}

// certFile gives what the page has just shown back as one file. It comes from
// the form: nobody but the person has the key. Nothing else than certificates
// and keys is written, so that a forged form makes no file of its own.
func (p *Portal) certFile(w http.ResponseWriter, r *http.Request, v identity.Visitor) error {
	var text strings.Builder
	for _, part := range []struct{ field, kind string }{{"key", "PRIVATE KEY"}, {"certificate", "CERTIFICATE"}, {"chain", "CERTIFICATE"}} {
		for rest := []byte(r.PostForm.Get(part.field)); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type != part.kind {
				return see(w, pathCerts)
			}
			text.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
		}
	}
	if text.Len() == 0 {
		return see(w, pathCerts)
	}
	return p.download(w, v.User.Username+".pem", "application/x-pem-file", text.String())
}

// crl is the list of the revoked certificates, for servers that accept them:
// OpenBao itself often has no public address.
func (p *Portal) crl(w http.ResponseWriter, r *http.Request) error {
	list, err := p.openbao.CRL(r.Context())
	if err != nil {
		return err
	}
	return p.download(w, "crl.pem", "application/x-pem-file", list)
}
