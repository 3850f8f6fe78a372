package openbao_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"peerage/identity"
	"peerage/identity/openbao"
	"peerage/identity/openbao/baotest"
)

// csr is a request for a certificate in PEM.
func csr(t *testing.T, key crypto.Signer, about x509.CertificateRequest) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &about, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func named(name string) x509.CertificateRequest {
	return x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// parsed reads the one certificate of a PEM text.
func parsed(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || len(rest) != 0 {
		t.Fatalf("no single certificate in %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *site) issued(u identity.User, session []byte) openbao.Issued {
	s.t.Helper()
	made, err := s.backend.IssueCertificate(s.t.Context(), u, session)
	if err != nil {
		s.t.Fatalf("IssueCertificate of %s: %v", u.Username, err)
	}
	return made
}

// certificates are the states of a person's certificates by serial number.
func (s *site) certificates(u identity.User) map[string]openbao.CertificateState {
	s.t.Helper()
	list, err := s.backend.Certificates(s.t.Context(), u)
	if err != nil {
		s.t.Fatalf("Certificates of %s: %v", u.Username, err)
	}
	states := map[string]openbao.CertificateState{}
	for _, c := range list {
		states[c.Serial] = c.State
	}
	return states
}

// A certificate with its key lets the person into a server that trusts the
// authority, until it is revoked and the list says so.
func TestIssuedCertificate(t *testing.T) {
	s, _ := newEngines(t, "portal", "dev")
	ada := s.known("ada")
	made := s.issued(ada, s.login("ada", password).Token)
	pair, err := tls.X509KeyPair([]byte(made.Certificate), []byte(made.Key))
	if err != nil {
		t.Fatalf("key and certificate: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(made.Chain)) {
		t.Fatalf("the chain is %q", made.Chain)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("a server would say: %v", err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("it is good for a server")
	}
	if leaf.Subject.CommonName != "ada" || !made.NotAfter.Equal(leaf.NotAfter) || time.Until(leaf.NotAfter) < 29*24*time.Hour {
		t.Errorf("it is of %s until %s", leaf.Subject, leaf.NotAfter)
	}
	if got := s.certificates(ada); len(got) != 1 || got[made.Serial] != openbao.CertificateValid {
		t.Errorf("the list is %v", got)
	}
	s.wantErr("revoking", s.backend.RevokeCertificate(t.Context(), ada, made.Serial), nil)
	s.wantErr("revoking again", s.backend.RevokeCertificate(t.Context(), ada, made.Serial), nil)
	if got := s.certificates(ada); got[made.Serial] != openbao.CertificateRevoked {
		t.Errorf("afterwards the list is %v", got)
	}
	list, err := s.backend.CRL(t.Context())
	s.wantErr("the list of revoked ones", err, nil)
	block, _ := pem.Decode([]byte(list))
	if block == nil {
		t.Fatalf("the list is %q", list)
	}
	crl, err := x509.ParseRevocationList(block.Bytes)
	if err != nil || len(crl.RevokedCertificateEntries) != 1 || crl.RevokedCertificateEntries[0].SerialNumber.Cmp(leaf.SerialNumber) != 0 {
		t.Errorf("revoked are %v, %v", crl.RevokedCertificateEntries, err)
	}
	if made, ended := s.events("cert_issue"), s.events("cert_revoke"); len(made) != 1 || len(ended) != 2 || strings.Contains(made[0].Detail, "PRIVATE") {
		t.Errorf("the audit trail tells %v and %v", made, ended)
	}
}

// What somebody revoked in OpenBao itself is listed as revoked, and what is
// over as expired.
func TestCertificatesAreWhatOpenBaoSays(t *testing.T) {
	s, _ := newEngines(t, "portal", "dev")
	ada := s.known("ada")
	session := s.login("ada", password).Token
	key := newKey(t)
	signed, err := s.backend.SignCertificate(t.Context(), ada, session, csr(t, key, named("ada")))
	s.wantErr("signing", err, nil)
	if leaf := parsed(t, signed.Certificate); signed.Key != "" || !key.PublicKey.Equal(leaf.PublicKey) {
		t.Errorf("the certificate is for another key, or there is one: %q", signed.Key)
	}
	s.bao.Do("POST", "pki/revoke", map[string]any{"serial_number": signed.Serial})
	other := s.issued(ada, session)
	if got := s.certificates(ada); got[signed.Serial] != openbao.CertificateRevoked || got[other.Serial] != openbao.CertificateValid {
		t.Errorf("the list is %v", got)
	}
	s.clock.Advance(31 * 24 * time.Hour)
	if got := s.certificates(ada); got[signed.Serial] != openbao.CertificateRevoked || got[other.Serial] != openbao.CertificateExpired {
		t.Errorf("a month later the list is %v", got)
	}
}

// A request that names somebody else, or something else, never reaches
// OpenBao: another person, a server, an address.
func TestCSRForSomebodyElsesName(t *testing.T) {
	s, _ := newEngines(t, "portal", "dev")
	ada := s.known("ada")
	s.known("eve")
	session := s.login("ada", password).Token
	key := newKey(t)
	site, err := url.Parse("spiffe://example.net/eve")
	if err != nil {
		t.Fatal(err)
	}
	for name, about := range map[string]x509.CertificateRequest{
		"another person":     named("eve"),
		"another case":       named("ADA"),
		"a name with a zero": named("ada\x00.example.net"),
		"another person too": {Subject: pkix.Name{CommonName: "ada"}, DNSNames: []string{"ada", "eve"}},
		"a server":           {Subject: pkix.Name{CommonName: "ada"}, DNSNames: []string{"portal.example.net"}},
		"everything":         {Subject: pkix.Name{CommonName: "ada"}, DNSNames: []string{"*"}},
		"an address":         {Subject: pkix.Name{CommonName: "ada"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}},
		"a mailbox":          {Subject: pkix.Name{CommonName: "ada"}, EmailAddresses: []string{"eve@example.net"}},
		"a URI":              {Subject: pkix.Name{CommonName: "ada"}, URIs: []*url.URL{site}},
	} {
		_, err := s.backend.SignCertificate(t.Context(), ada, session, csr(t, key, about))
		s.wantErr(name, err, openbao.ErrCSRName)
	}
	if got := s.certificates(ada); len(got) != 0 {
		t.Errorf("made were %v", got)
	}
	for name, about := range map[string]x509.CertificateRequest{"no name": {}, "the own name twice": {Subject: pkix.Name{CommonName: "ada", Organization: []string{"Root"}}, DNSNames: []string{"ada"}}} {
		made, err := s.backend.SignCertificate(t.Context(), ada, session, csr(t, key, about))
		s.wantErr(name, err, nil)
		if leaf := parsed(t, made.Certificate); leaf.Subject.String() != "CN=ada" {
			t.Errorf("%s: it is of %s", name, leaf.Subject)
		}
	}
}

func TestCSRThatIsNone(t *testing.T) {
	s, _ := newEngines(t, "portal", "dev")
	ada := s.known("ada")
	session := s.login("ada", password).Token
	good := csr(t, newKey(t), named("ada"))
	forged := []byte(good)
	block, _ := pem.Decode(forged)
	block.Bytes[len(block.Bytes)-1] ^= 1
	for name, text := range map[string]string{
		"nothing": "", "text": "hello", "a certificate": strings.ReplaceAll(good, "CERTIFICATE REQUEST", "CERTIFICATE"), "two": good + good,
		"a foreign signature": string(pem.EncodeToMemory(block)), "a megabyte": good + strings.Repeat(" ", 1<<20), "a path": "../../sys/seal",
	} {
		_, err := s.backend.SignCertificate(t.Context(), ada, session, text)
		s.wantErr(name, err, openbao.ErrCSR)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.backend.SignCertificate(t.Context(), ada, session, csr(t, weak, named("ada")))
	s.wantErr("a weak key", err, openbao.ErrCSRKey)
	_, modern, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.backend.SignCertificate(t.Context(), ada, session, csr(t, modern, named("ada")))
	s.wantErr("Ed25519", err, nil)
}

// Serial numbers stand in every certificate; nobody revokes another's with one.
func TestAnotherPersonsSerialIsRefused(t *testing.T) {
	s, _ := newEngines(t, "portal", "dev")
	ada, eve := s.known("ada"), s.known("eve")
	made := s.issued(ada, s.login("ada", password).Token)
	authority := s.bao.Do("GET", "pki/cert/ca", nil)["certificate"].(string)
	for _, serial := range []string{made.Serial, strings.ToUpper(made.Serial), "", "../../crl/rotate", "00", authority} {
		s.wantErr("revoking "+serial, s.backend.RevokeCertificate(t.Context(), eve, serial), openbao.ErrNotTheirs)
	}
	if got := s.certificates(ada); got[made.Serial] != openbao.CertificateValid || len(s.certificates(eve)) != 0 {
		t.Errorf("the lists are %v and %v", got, s.certificates(eve))
	}
}

// A role that lets anybody be anybody, or gives something else than was asked
// for, does not make the pages do it; check tells the operator.
func TestRoleThatIsTooFree(t *testing.T) {
	bao := baotest.Shared(t)
	bao.MountKubernetes(baotest.NewKubernetes(t), "portal", "dev")
	bao.MountPKI()
	bao.Do("POST", "pki/roles/people", map[string]any{"allow_any_name": true, "key_type": "rsa", "key_bits": 2048})
	s := newSite(t, bao, withEngines)
	ada := s.known("ada")
	session := s.login("ada", password).Token
	_, err := s.backend.SignCertificate(t.Context(), ada, session, csr(t, newKey(t), named("eve")))
	s.wantErr("another's name", err, openbao.ErrCSRName)
	_, err = s.backend.SignCertificate(t.Context(), ada, session, csr(t, newKey(t), named("ada")))
	s.wantErr("another kind of key", err, openbao.ErrCSRKey)
	made := s.issued(ada, session)
	if _, ok := parsed(t, made.Certificate).PublicKey.(*rsa.PublicKey); !ok {
		t.Error("the key is not of the role's kind")
	}
	wantFault := func(words string) {
		t.Helper()
		client, err := openbao.NewClient(openbao.Config{Address: bao.Addr, Namespace: bao.Namespace})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Inspect(t.Context(), openbao.Setup{Credential: openbao.ServiceCredential{Token: s.token}, Userpass: baotest.Mount, Engines: s.people.Engines})
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("check says %v, want %q", err, words)
		}
	}
	wantFault("lets people have certificates for other names than their own")
	bao.Do("DELETE", "kubernetes/roles/people", nil)
	bao.Do("DELETE", "pki/roles/people", nil)
	wantFault("correct PEERAGE_BAO_KUBERNETES")
	wantFault("correct PEERAGE_BAO_PKI")
}

// The rights that bootstrap gives for the engines are those of the pages and
// no more, for people and for peerage.
func TestEnginePolicies(t *testing.T) {
	s, _ := newEngines(t, "portal", "dev")
	s.add("ada", password)
	person := string(s.login("ada", password).Token)
	request := csr(t, newKey(t), named("eve"))
	for _, deed := range []struct {
		who, token, method, path string
		body                     any
		status                   int
	}{
		{"a person", person, "POST", "pki/sign/people", map[string]any{"csr": request, "common_name": "eve"}, 400},
		{"a person", person, "POST", "pki/sign/people", map[string]any{"csr": request, "common_name": "ada", "alt_names": "eve"}, 403},
		{"a person", person, "POST", "pki/issue/people", map[string]any{"common_name": "ada"}, 403},
		{"a person", person, "POST", "pki/sign-verbatim", map[string]any{"csr": request}, 403},
		{"a person", person, "POST", "pki/revoke", map[string]any{"serial_number": "00"}, 403},
		{"a person", person, "GET", "pki/roles/people", nil, 403},
		{"a person", person, "POST", "kubernetes/creds/people", map[string]any{"kubernetes_namespace": "dev", "cluster_role_binding": true}, 403},
		{"a person", person, "POST", "kubernetes/creds/people", map[string]any{"kubernetes_namespace": "dev"}, 200},
		{"a person", person, "POST", "auth/token/create/portal-api", map[string]any{}, 403},
		{"peerage", s.token, "POST", "pki/sign/people", map[string]any{"csr": request, "common_name": "ada"}, 403},
		{"peerage", s.token, "POST", "kubernetes/creds/people", map[string]any{"kubernetes_namespace": "dev"}, 403},
		{"peerage", s.token, "POST", "pki/roles/people", map[string]any{"allow_any_name": true}, 403},
		{"peerage", s.token, "GET", "pki/roles/people", nil, 200},
		{"peerage", s.token, "GET", "kubernetes/roles/people", nil, 200},
	} {
		if answer := s.bao.Call(deed.token, deed.method, deed.path, deed.body); answer.Status != deed.status {
			t.Errorf("%s: %s %s %v: %d %v, want %d", deed.who, deed.method, deed.path, deed.body, answer.Status, answer.Errors, deed.status)
		}
	}
}

// Without an engine at that path bootstrap says what to do.
func TestBootstrapWithoutPKI(t *testing.T) {
	bao := baotest.Shared(t)
	want := openbao.Bootstrap{Userpass: baotest.Mount, Issuer: "portal", AdminGroup: "admins", Engines: openbao.Engines{PKI: openbao.Role{Mount: "pki", Name: "people"}}}
	want.Token = bao.Token("operator", want.OperatorPolicy())
	client, err := openbao.NewClient(openbao.Config{Address: bao.Addr, Namespace: bao.Namespace})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Bootstrap(t.Context(), want); err == nil || !strings.Contains(err.Error(), "there is no PKI engine at pki") {
		t.Errorf("it says %v", err)
	}
	bao.MountPKI()
	done, err := client.Bootstrap(t.Context(), want)
	if err != nil || done.Token == "" {
		t.Fatalf("afterwards: %v", err)
	}
	again, err := client.Bootstrap(t.Context(), want)
	if err != nil || len(again.Calls) != 0 {
		t.Errorf("the second run changed %v, %v", again.Calls, err)
	}
	seen, err := client.Inspect(t.Context(), openbao.Setup{Credential: openbao.ServiceCredential{Token: done.Token}, Userpass: baotest.Mount, Engines: want.Engines})
	if err != nil || len(seen.Warnings) != 0 {
		t.Errorf("check says %v, %v", seen.Warnings, err)
	}
}
