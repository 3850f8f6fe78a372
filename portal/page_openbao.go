package portal

import "time"

// TokensPage lists a person's API tokens of OpenBao; the buttons action=create
// and action=revoke with accessor go to /identity/tokens. Faults:
// FaultNotFound, FaultForm, FaultBackendUnavailable.
type TokensPage struct {
	Base
	Elsewhere bool // the person's account is not in OpenBao
	Tokens    []TokenItem
	// Wrapping is the new token in its wrapping, shown this once; "" for none.
	Wrapping     string
	Namespace    string // of OpenBao, for the command that unwraps
	UnwrapBefore time.Time
	Expires      time.Time
	Wrong        Sentence // in words, beside Fault
	Done         string
}

func (*TokensPage) frame() frame { return frame{file: "tokens", house: true, place: placeAccount} }

// TokenItem is one API token.
type TokenItem struct {
	Accessor string
	State    Sentence
	Good     bool // it works
	Waits    bool // until UnwrapBefore
	Ended    bool
	Made     time.Time
	Expires  time.Time

	UnwrapBefore time.Time
}

// KubeconfigPage offers kubeconfigs; the form with namespace and download=1
// goes to /kubeconfig by GET. Faults: FaultForm, FaultNotAllowed,
// FaultBackendUnavailable.
type KubeconfigPage struct {
	Base
	Elsewhere bool // the person's account is not in OpenBao
	Server    string
	// Generated: the account in the cluster goes when the person signs out.
	Generated bool
	Namespace Field
	Wrong     Sentence // in words, beside Fault
	// ByLogin is the second tab: kubectl signs in here. File is "" while no
	// client is there for it.
	ByLogin bool
	File    string
}

func (*KubeconfigPage) frame() frame {
	return frame{file: "kubeconfig", house: true, place: placeAccount}
}

// Faulty are the fields to mend.
func (p *KubeconfigPage) Faulty() []Field { return faulty(p.Namespace) }

// CertsPage lists a person's client certificates; the forms action=sign with
// csr or file, action=issue and action=revoke with serial go to /certs. Faults:
// FaultNotFound, FaultForm, FaultNotAllowed, FaultBackendUnavailable.
type CertsPage struct {
	Base
	Elsewhere    bool // the person's account is not in OpenBao
	UserName     string
	Certificates []CertItem
	CSR, File    Field
	New          *NewCert
	Wrong        Sentence // in words, beside Fault
	Done         string
}

func (*CertsPage) frame() frame { return frame{file: "certs", house: true, place: placeAccount} }

// Faulty are the fields to mend.
func (p *CertsPage) Faulty() []Field { return faulty(p.CSR) }

// CertItem is one certificate.
type CertItem struct {
	Serial    string
	State     Sentence
	Good      bool
	Revocable bool
	Made      time.Time
	Expires   time.Time
}

// NewCert is a certificate that was just made, shown this once. Key is "" where
// the person has it.
type NewCert struct {
	Serial, Certificate, Chain, Key string
	Expires                         time.Time
}
