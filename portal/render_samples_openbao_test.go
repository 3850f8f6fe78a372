package portal

import (
	"time"

	"peerage/identity/openbao"
)

// sampleOpenBao are the pages of what people get from OpenBao.
func sampleOpenBao(ada Base, s func(string) string) map[string]Page {
	with := func(fault string) Base { b := ada; b.Fault = fault; return b }
	tokens := []TokenItem{
		{Accessor: s("9HvkgwCkP2QVCJnClcZRbosJ"), State: tokenStates[openbao.TokenWrapped], Waits: true, Made: testNow, Expires: testNow.Add(time.Hour), UnwrapBefore: testNow.Add(5 * time.Minute)},
		{Accessor: s("bhzU9SysSOoOlwG5TxHyb45u.3lgA9j"), State: tokenStates[openbao.TokenLive], Good: true, Made: testNow.Add(-20 * time.Minute), Expires: testNow.Add(40 * time.Minute)},
		{Accessor: s("Yk5rOnZJ0bTqkKqV4tqXyT1v"), State: tokenStates[openbao.TokenEnded], Ended: true, Made: testNow.Add(-3 * time.Hour), Expires: testNow.Add(-2 * time.Hour)},
	}
	certificates := []CertItem{
		{Serial: s("1e:c4:f2:71:70:f5:a6:60:44:f6:62:1f:27:a6:cc:d6:91:4f:78:e0"), State: certStates[openbao.CertificateValid], Good: true, Revocable: true, Made: testNow, Expires: testNow.AddDate(0, 0, 30)},
		{Serial: s("51:2e:4c:79:36:76:2b:fb:6d:56:94:a2:ad:d2:a6:fd:e1:bd:87:7a"), State: certStates[openbao.CertificateRevoked], Made: testNow.AddDate(0, 0, -3), Expires: testNow.AddDate(0, 0, 27)},
	}
	csr := func(fault Sentence) Field {
		return Field{Name: "csr", Kind: FieldArea, Label: Say("certs.csr"), Hint: Say("certs.csr.hint", "user", s("ada")), Fault: fault, Value: s("-----BEGIN CERTIFICATE REQUEST-----"), Rows: 6, Mono: true}
	}
	file := Field{Name: "file", Kind: FieldFile, Label: Say("certs.file"), Hint: Say("certs.file.hint")}
	namespace := func(fault Sentence) Field {
		return Field{Name: "namespace", Label: Say("kubeconfig.namespace"), Hint: Say("kubeconfig.namespace.hint"), Fault: fault, Value: s("dev"), Max: 63, Mono: true}
	}
	cluster := Cluster{Server: "https://kube.example.net:6443"}
	block := func(kind string) string {
		return "-----BEGIN " + kind + "-----\nMIIBjTCCATKgAwIBAgIUHsTycXD1pmBE9mIfJ6bM1pFPeOAwCgYIKoZIzj0EAwIw\nFTETMBEGA1UEAxMKRXhhbXBsZSBDQTAeFw0yNjExMjExNTM3MTFaFw0yNjEyMjEx\n-----END " + kind + "-----\n"
	}
	made := &NewCert{Serial: certificates[0].Serial, Certificate: block("CERTIFICATE"), Chain: block("CERTIFICATE"), Key: block("PRIVATE KEY"), Expires: testNow.AddDate(0, 0, 30)}
	signed := *made
	signed.Key = ""
	return map[string]Page{
		"tokens":               &TokensPage{Base: ada, Tokens: tokens},
		"tokens-new":           &TokensPage{Base: ada, Tokens: tokens[:1], Wrapping: "s.8Zr2FJfYhYz8t1cXwQmP0fZc.3lgA9j", Namespace: s("exchange"), UnwrapBefore: testNow.Add(5 * time.Minute), Expires: testNow.Add(time.Hour)},
		"tokens-none":          &TokensPage{Base: ada, Done: DoneTokenRevoked},
		"tokens-elsewhere":     &TokensPage{Base: ada, Elsewhere: true},
		"tokens-gone":          &TokensPage{Base: with(FaultNotFound), Tokens: tokens, Wrong: Say("bao.fault.not_theirs")},
		"tokens-down":          &TokensPage{Base: with(FaultBackendUnavailable), Tokens: []TokenItem{{Accessor: s("x"), State: tokenStates[openbao.TokenUnknown], Made: testNow, Expires: testNow.Add(time.Hour)}}},
		"kubeconfig":           &KubeconfigPage{Base: ada, Server: cluster.Server, Generated: true, Namespace: namespace(Sentence{})},
		"kubeconfig-kept":      &KubeconfigPage{Base: with(FaultForm), Server: cluster.Server, Namespace: namespace(Say("kubeconfig.fault.namespace"))},
		"kubeconfig-login":     &KubeconfigPage{Base: ada, Server: cluster.Server, ByLogin: true, File: loginKubeconfig(cluster, "https://id.example.net")},
		"kubeconfig-none":      &KubeconfigPage{Base: ada, Server: cluster.Server, ByLogin: true},
		"kubeconfig-elsewhere": &KubeconfigPage{Base: ada, Server: cluster.Server, Elsewhere: true},
		"kubeconfig-forbidden": &KubeconfigPage{Base: with(FaultNotAllowed), Server: cluster.Server, Generated: true, Namespace: namespace(Sentence{}), Wrong: Say("bao.fault.forbidden")},
		"certs":                &CertsPage{Base: ada, UserName: s("ada"), Certificates: certificates, CSR: csr(Sentence{}), File: file, Done: DoneCertRevoked},
		"certs-issued":         &CertsPage{Base: ada, UserName: s("ada"), Certificates: certificates[:1], CSR: csr(Sentence{}), File: file, New: made},
		"certs-signed":         &CertsPage{Base: ada, UserName: s("ada"), Certificates: certificates[:1], CSR: csr(Sentence{}), File: file, New: &signed},
		"certs-wrong":          &CertsPage{Base: with(FaultForm), UserName: s("ada"), CSR: csr(Say("certs.fault.name")), File: file},
		"certs-down":           &CertsPage{Base: with(FaultBackendUnavailable), UserName: s("ada"), CSR: csr(Sentence{}), File: file},
		"certs-elsewhere":      &CertsPage{Base: ada, UserName: s("ada"), Elsewhere: true},
		"confirm-renew":        &ConfirmPage{Base: Base{RequestID: ada.RequestID}, UserName: s("ada"), Return: "/kubeconfig?download=1", AskPassword: true, AskCode: true, Renew: true},
		"confirm-renew_one":    &ConfirmPage{Base: Base{RequestID: ada.RequestID}, UserName: s("ada"), Return: "/certs", AskPassword: true, Renew: true},
	}
}
