package idp_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerage/idp"
	"peerage/store"
	"peerage/store/storetest"
)

// keyWorld is two rings over one database: two replicas.
type keyWorld struct {
	*store.Store
	clock    *storetest.Clock
	one, two *idp.KeyRing
}

func newKeyWorld(t *testing.T) keyWorld {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peerage.db")
	w := keyWorld{clock: storetest.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, ring := range []**idp.KeyRing{&w.one, &w.two} {
		var err error
		w.Store = storetest.Open(t, storetest.WithClock(w.clock), storetest.WithDatabase(path))
		if *ring, err = idp.NewKeyRing(t.Context(), w.Store, w.clock.Now, log); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// states are the keys as "algorithm state", sorted.
func (w keyWorld) states(t *testing.T) (list []string) {
	t.Helper()
	keys, err := w.PublicKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		list = append(list, k.Alg+" "+k.State)
	}
	slices.Sort(list)
	return list
}

func TestEnsureIsIdempotentOverReplicas(t *testing.T) {
	w := newKeyWorld(t)
	var all sync.WaitGroup
	for _, ring := range []*idp.KeyRing{w.one, w.two, w.one, w.two} {
		all.Go(func() {
			if err := ring.Ensure(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := w.states(t); !slices.Equal(got, []string{"ES256 active", "EdDSA active", "RS256 active"}) {
		t.Errorf("keys %v", got)
	}
	for _, ring := range []*idp.KeyRing{w.one, w.two} {
		if err := ring.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.states(t); !slices.Equal(got, []string{"ES256 active", "ES256 next", "EdDSA active", "EdDSA next", "RS256 active", "RS256 next"}) {
		t.Errorf("keys %v", got)
	}
}

// A key of the settings becomes active once: after it was retired, a restart
// with the same settings must not bring it back.
func TestRetiredKeyNeverBecomesActiveAgain(t *testing.T) {
	w := newKeyWorld(t)
	first, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(first)
	if err != nil {
		t.Fatal(err)
	}
	sec1 := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	inOneLine := bytes.ReplaceAll(sec1, []byte("\n"), []byte(`\n`))
	for _, text := range [][]byte{pkcs8(first), sec1, inOneLine, pkcs8(first)} { // one key, however it is written
		for _, ring := range []*idp.KeyRing{w.one, w.two} {
			if _, err := ring.Import(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := w.states(t); !slices.Equal(got, []string{"ES256 active"}) {
		t.Errorf("after importing one key: %v", got)
	}
	w.clock.Advance(time.Hour)
	if _, err := w.one.Import(t.Context(), pkcs8(second)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.two.Import(t.Context(), pkcs8(first)); err != nil {
		t.Fatal(err)
	}
	keys, err := w.PublicKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	active := 0
	for _, k := range keys {
		if k.State == store.KeyActive {
			active++
			if k.KID == keys[0].KID {
				t.Error("the retired key is active again")
			}
		}
	}
	if len(keys) != 2 || active != 1 {
		t.Errorf("keys %v", w.states(t))
	}
}

func TestParsePrivateKey(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("this Go does not make weak keys: %v", err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(ed.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what  string
		text  []byte
		fault string
	}{
		{"Ed25519", pkcs8(ed), ""},
		{"P-256", pkcs8(ourKey()), ""},
		{"RSA of 1024 bits", pkcs8(weak), "2048"},
		{"the same in PKCS #1", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(weak)}), "2048"},
		{"P-384", pkcs8(p384), "P-256"},
		{"a public key", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "not a private key"},
		{"no PEM", []byte("secret text"), "not PEM"},
		{"nothing", nil, "not PEM"},
		{"broken", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), "not a private key"},
	} {
		_, err := idp.ParsePrivateKey(c.text)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v", c.what, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret text") {
			t.Errorf("%s: the error quotes the key", c.what)
		}
	}
}

// A retired key verifies until everything it signed has expired, and no longer.
func TestRetiredKeyLeavesTheKeySet(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	b := w.signedIn(ada, "1")
	token := w.tokens(b, "es").Str("id_token")
	w.sign(map[string]any{}, "") // another key becomes active
	// With a hint that counts, somebody else must sign in.
	bob := w.person("bob")
	hintCounts := func() bool {
		return w.leads(w.signedIn(bob, "1").Get(authorize("es", "id_token_hint", token, "prompt", "none")), "es") == "login_required"
	}
	if !hintCounts() {
		t.Error("a key that retired just now verifies no more")
	}
	w.Clock.Advance(25 * time.Hour)
	if err := w.Keys.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if hintCounts() {
		t.Error("a key that retired a day ago still verifies")
	}
}
