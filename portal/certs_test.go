package portal_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"html"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"peerage/portal/portaltest"
)

var (
	shownCertificate = regexp.MustCompile(`(?s)<pre[^>]* id="certificate"[^>]*>(.*?)</pre>`)
	shownKey         = regexp.MustCompile(`(?s)<pre[^>]* id="key"[^>]*>(.*?)</pre>`)
)

// request is a certificate signing request in PEM, with its key.
func request(t *testing.T, name string) (csr string, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// uploads sends a file as the form of the page does.
func uploads(t *testing.T, b *portaltest.Browser, text string) *portaltest.Page {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range map[string]string{"action": "sign", "csr": ""} {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := form.CreateFormFile("file", "ada.csr")
	if err != nil {
		t.Fatal(err)
	}
	file.Write([]byte(text))
	form.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.Site.Issuer+"/certs", &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.Do(r)
}

func TestCertificatesPage(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "ada", "")
	csr, key := request(t, "ada")
	for name, sign := range map[string]func() *portaltest.Page{
		"pasted":   func() *portaltest.Page { return b.Submit(b.Get("/certs"), "action", "sign", "csr", csr) },
		"uploaded": func() *portaltest.Page { return uploads(t, b, csr) },
	} {
		page := sign()
		w.wants(t, name, page, "200")
		if _, err := tls.X509KeyPair([]byte(shown(t, page, shownCertificate)), key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if shownKey.MatchString(page.Body) {
			t.Errorf("%s: a key is shown", name)
		}
	}
	// With a key of ours: shown once, given as a file, stored nowhere.
	page := b.Submit(b.Get("/certs"), "action", "issue")
	certificate, secret := shown(t, page, shownCertificate), shown(t, page, shownKey)
	if _, err := tls.X509KeyPair([]byte(certificate), []byte(secret)); err != nil {
		t.Errorf("key and certificate: %v", err)
	}
	file := b.Submit(page, "key", secret)
	if !strings.HasPrefix(file.Body, secret+certificate) || file.Header.Get("Content-Disposition") != `attachment; filename="ada.pem"` {
		t.Errorf("the file is %s\n%s", file.Header, file.Body)
	}
	w.leaks.keep("private key", strings.Split(secret, "\n")[1])
	if strings.Contains(b.Get("/certs").Body, "PRIVATE KEY") || strings.Contains(w.Log.String(), strings.Split(secret, "\n")[1]) {
		t.Error("the key is still there")
	}
	page = b.Get("/certs")
	page = b.Submit(page, "action", "revoke", "serial", shown(t, page, serialField))
	if !strings.Contains(page.Body, "The certificate is revoked.") || !strings.Contains(page.Body, ">revoked<") {
		t.Errorf("revoking: %s", outcome(page))
	}
	crl := w.Browser().Get("/certs/crl")
	block, _ := pem.Decode([]byte(crl.Body))
	if crl.Status != 200 || block == nil || block.Type != "X509 CRL" {
		t.Fatalf("the list of revoked ones is %d %s", crl.Status, crl.Body)
	}
	if list, err := x509.ParseRevocationList(block.Bytes); err != nil || len(list.RevokedCertificateEntries) != 1 {
		t.Errorf("revoked are %v, %v", list, err)
	}
	w.wants(t, "another action", b.Post("/certs", url.Values{"action": {"forge"}}), "422 invalid_request")
}

// Requests in another's name, and what is none, come back with what was typed.
func TestCSRsThatAreRefused(t *testing.T) {
	w := newBaoWorld(t, "portal")
	b := w.signedIn(t, "ada", "")
	foreign, _ := request(t, "eve")
	own, _ := request(t, "ada")
	page := b.Post("/certs", url.Values{"action": {"sign"}, "csr": {foreign}})
	w.wants(t, "another's name", page, "422 invalid_request")
	if !strings.Contains(page.Body, "It names somebody or something else than you") || !strings.Contains(html.UnescapeString(page.Body), foreign) {
		t.Errorf("the form does not come back:\n%s", page.Body)
	}
	w.wants(t, "an upload in another's name", uploads(t, b, foreign), "422 invalid_request")
	w.wants(t, "nothing", b.Post("/certs", url.Values{"action": {"sign"}}), "422 invalid_request")
	w.wants(t, "a path", b.Post("/certs", url.Values{"action": {"sign"}, "csr": {"../../../etc/passwd"}}), "422 invalid_request")
	large := own + strings.Repeat("\n", 1<<20)
	w.wants(t, "a megabyte", b.Post("/certs", url.Values{"action": {"sign"}, "csr": {large}}), "413 invalid_request")
	w.wants(t, "an upload of a megabyte", uploads(t, b, large), "413 invalid_request")
	w.wants(t, "more than any request has", b.Post("/certs", url.Values{"action": {"sign"}, "csr": {own + strings.Repeat("\n", 20<<10)}}), "422 invalid_request")
	if strings.Contains(b.Get("/certs").Body, `name="serial"`) {
		t.Error("a certificate was made")
	}
	// The page that gives a key back as a file writes nothing but keys and certificates.
	for _, forged := range []string{"", "#!/bin/sh\n", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"} {
		w.wants(t, "the file "+forged, b.Once(http.MethodPost, "/certs/file", url.Values{"certificate": {forged}}, nil), "303 /certs")
	}
}
