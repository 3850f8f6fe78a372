package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/identity/openbao/baotest"
)

const keyInBao = "bao:secret/infra/portal/oidc#signing_key"

// keyOperator is an operator whose OpenBao may hold the signing key, and gave
// peerage the right to read it.
func keyOperator(t *testing.T) *operator {
	t.Helper()
	o := newOperator(t)
	o.bao.Do("POST", "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	policy, _ := o.run(0, "openbao", "bootstrap", "--operator-policy", "--signing-key-from", keyInBao)
	o.env = append(o.env, "BAO_TOKEN="+o.bao.Token("operator", policy))
	text, _ := o.run(0, "openbao", "bootstrap", "--signing-key-from", keyInBao)
	o.wants(text, "PUT sys/policies/acl/portal-signing-key", "peerage may read a signing key")
	_, token, _ := strings.Cut(text, "PEERAGE_BAO_TOKEN=")
	o.env = append(o.env, "PEERAGE_BAO_TOKEN="+strings.TrimSpace(token), "PEERAGE_SIGNING_KEY="+keyInBao)
	return o
}

// keep puts a text where the signing key is.
func (o *operator) keep(text string) {
	o.bao.Do("POST", "secret/data/infra/portal/oidc", map[string]any{"data": map[string]any{"signing_key": text, "clients": "[]"}})
}

func newKeyPEM(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

// server is one with the operator's settings.
func (o *operator) server() (*server, *logBuffer) {
	o.t.Helper()
	server, lines := testServer(o.t, o.env...)
	o.t.Cleanup(func() { server.close() })
	return server, lines
}

// wantKeys compares the keys, oldest first.
func wantKeys(t *testing.T, s *server, want ...string) {
	t.Helper()
	keys, err := s.store.PublicKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, k.Alg+" "+k.State)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the keys are %v, want %v", got, want)
	}
}

// The key comes from OpenBao at the start, and another one when the operator
// put it there. One of before never signs again, and what is no key changes
// nothing.
func TestSigningKeyFromOpenBao(t *testing.T) {
	o := keyOperator(t)
	first := newKeyPEM(t)
	o.keep(first)
	o.run(0, "migrate")
	text, _ := o.run(0, "check")
	o.wants(text, "openbao")
	s, lines := o.server()
	wantKeys(t, s, "ES256 active")

	o.keep("hush, this is no key")
	for range 3 {
		s.readSigningKey(t.Context())
	}
	wantKeys(t, s, "ES256 active")
	if n := strings.Count(lines.String(), "the signing key is not PEM"); n != 1 || strings.Contains(lines.String(), "hush") {
		t.Errorf("told %d times:\n%s", n, lines)
	}
	text, _ = o.run(1, "check")
	o.wants(text, keyInBao+": the signing key is not PEM")

	o.keep(newKeyPEM(t))
	s.readSigningKey(t.Context())
	wantKeys(t, s, "ES256 retired", "ES256 active")
	o.wants(lines.String(), "can be had again")
	o.keep(first)
	s.readSigningKey(t.Context())
	wantKeys(t, s, "ES256 retired", "ES256 active")

	o.bao.Do("DELETE", "sys/policies/acl/portal-signing-key", nil)
	s.readSigningKey(t.Context())
	wantKeys(t, s, "ES256 retired", "ES256 active")
	o.wants(lines.String(), "the service credential may not read it")
	text, _ = o.run(1, "check")
	o.wants(text, "the service credential may not read it")
}

// OpenBao is away when the server starts: it starts with the keys that it has,
// and fetches the key later.
func TestSigningKeyWhileOpenBaoIsAway(t *testing.T) {
	o := keyOperator(t)
	o.keep(newKeyPEM(t))
	proxy := baotest.NewProxy(t, o.bao.Addr)
	proxy.Hang()
	o.env = append(o.env, "BAO_ADDR="+proxy.Addr)
	s, lines := o.server()
	o.wants(lines.String(), "the keys that there are go on signing")
	if err := s.keys.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := s.store.PublicKeys(t.Context())
	if err != nil || len(before) != 3 {
		t.Fatalf("%d keys, %v", len(before), err)
	}
	proxy.Resume()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.credential.Run(ctx) })
	defer running.Wait()
	defer stop()
	s.credential.Doubt() // it would try again in five seconds
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(20 * time.Second); s.openBaoState(t.Context()) != readyOK; {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("there is no credential:\n%s", lines)
		}
	}
	s.readSigningKey(t.Context())
	after, err := s.store.PublicKeys(t.Context())
	if err != nil || len(after) != 4 {
		t.Fatalf("%d keys, %v\n%s", len(after), err, lines)
	}
}
