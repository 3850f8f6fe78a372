package idp

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	zcrypto "github.com/zitadel/oidc/v3/pkg/crypto"

	"peerage/store"
)

// maxTokenLife is the longest life of a signed token: a retired key stays in
// the key set for so long.
const maxTokenLife = 24 * time.Hour

// KeyRing signs tokens. Keys are rows, sealed at rest; this is their copy in
// memory, with the bytes of the key set made beforehand.
type KeyRing struct {
	store *store.Store
	now   func() time.Time
	log   *slog.Logger
	mu    sync.Mutex
	ring  atomic.Pointer[ring]
	// complete closes when there is an active key for every algorithm.
	complete  chan struct{}
	completed sync.Once

	usedMu sync.Mutex
	used   map[string]time.Time
}

type ring struct {
	active map[string]signing          // by algorithm
	public map[string]jose.JSONWebKey  // by kid: all that verify
	states map[string]store.SigningKey // by kid, for metrics
	jwks   document
}

// Types of the JWTs that we sign (the typ header), so that none passes for
// another (RFC 8725 section 3.11).
const (
	typeIDToken     = "JWT"
	typeAccessToken = "at+jwt"     // RFC 9068
	typeLogoutToken = "logout+jwt" // OIDC Back-Channel Logout section 2.4
)

type signing struct {
	kid     string
	signers map[string]jose.Signer // by typ
}

// NewKeyRing reads the keys of the store.
func NewKeyRing(ctx context.Context, s *store.Store, now func() time.Time, log *slog.Logger) (*KeyRing, error) {
	k := &KeyRing{store: s, now: now, log: log, used: map[string]time.Time{}, complete: make(chan struct{})}
	return k, k.Reload(ctx)
}

// Reload reads the keys again, after any process changed them.
func (k *KeyRing) Reload(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys, err := k.store.SigningKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the signing keys: %w", err)
	}
	r := &ring{active: map[string]signing{}, public: map[string]jose.JSONWebKey{}, states: map[string]store.SigningKey{}}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, row := range keys {
		r.states[row.KID] = row
		if !row.WithdrawnAt.IsZero() || row.State == store.KeyRetired && k.now().Sub(row.RetiredAt) > maxTokenLife {
			continue
		}
		var public jose.JSONWebKey
		if err := json.Unmarshal([]byte(row.PublicJWK), &public); err != nil {
			return fmt.Errorf("reading the public key %s: %w", row.KID, err)
		}
		r.public[row.KID] = public
		set.Keys = append(set.Keys, public)
		if row.State == store.KeyActive {
			if r.active[row.Alg], err = newSigning(row); err != nil {
				return err
			}
		}
	}
	if r.jwks, err = newDocument(set); err != nil {
		return err
	}
	k.ring.Store(r)
	if len(r.active) == len(algorithms) {
		k.completed.Do(func() { close(k.complete) })
	}
	return nil
}

// firstKeys is how long the very first requests wait for the very first keys.
const firstKeys = 10 * time.Second

// wait waits for the keys of a fresh installation, which are made while the
// server answers already: an RSA key takes longer than the whole start.
func (k *KeyRing) wait() *ring {
	select {
	case <-k.complete:
	default:
		timeout := time.NewTimer(firstKeys)
		defer timeout.Stop()
		select {
		case <-k.complete:
		case <-timeout.C:
		}
	}
	return k.ring.Load()
}

func newSigning(row store.SigningKey) (signing, error) {
	private, err := x509.ParsePKCS8PrivateKey(row.Private)
	if err != nil {
		return signing{}, fmt.Errorf("reading the signing key %s: %w", row.KID, err)
	}
	made := signing{row.KID, map[string]jose.Signer{}}
	for _, typ := range []string{typeIDToken, typeAccessToken, typeLogoutToken} {
		made.signers[typ], err = jose.NewSigner(
			jose.SigningKey{Algorithm: jose.SignatureAlgorithm(row.Alg), Key: jose.JSONWebKey{Key: private, KeyID: row.KID}},
			(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
		if err != nil {
			return signing{}, fmt.Errorf("using the signing key %s: %w", row.KID, err)
		}
	}
	return made, nil
}

// Ensure makes an active key for each algorithm that has none. Another
// replica may be faster: then its key counts.
func (k *KeyRing) Ensure(ctx context.Context) error { return k.fill(ctx, store.KeyActive) }

// Prepare makes a next key for each algorithm that has none, so that a
// rotation finds one that clients have already seen.
func (k *KeyRing) Prepare(ctx context.Context) error { return k.fill(ctx, store.KeyNext) }

func (k *KeyRing) fill(ctx context.Context, state string) error {
	has := map[string]bool{}
	for _, row := range k.ring.Load().states {
		if row.State == state {
			has[row.Alg] = true
		}
	}
	for _, alg := range algorithms {
		if has[alg] {
			continue
		}
		private, err := generateKey(alg)
		if err != nil {
			return fmt.Errorf("making a key for %s: %w", alg, err)
		}
		row, err := keyRow(private)
		if err != nil {
			return err
		}
		row.State = state
		if err := k.store.AddSigningKey(ctx, row); err != nil && !errors.Is(err, store.ErrExists) {
			return fmt.Errorf("keeping a key for %s: %w", alg, err)
		}
	}
	return k.Reload(ctx)
}

func generateKey(alg string) (crypto.Signer, error) {
	switch alg {
	case "RS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
}

// keyRow names a key by its thumbprint (RFC 7638), so that one key has one
// row however it came.
func keyRow(private crypto.Signer) (store.SigningKey, error) {
	alg := "RS256"
	switch private.(type) {
	case *ecdsa.PrivateKey:
		alg = "ES256"
	case ed25519.PrivateKey:
		alg = "EdDSA"
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("writing a signing key: %w", err)
	}
	jwk := jose.JSONWebKey{Key: private.Public(), Algorithm: alg, Use: "sig"}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("naming a signing key: %w", err)
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	public, err := json.Marshal(jwk)
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("writing a public key: %w", err)
	}
	return store.SigningKey{KID: jwk.KeyID, Alg: alg, Private: der, PublicJWK: string(public)}, nil
}

// sign makes a compact JWS of claims with the active key of an algorithm.
func (k *KeyRing) sign(alg, typ string, claims any) (string, error) {
	s, ok := k.wait().active[alg]
	if !ok {
		return "", fmt.Errorf("there is no active key for %s", alg)
	}
	token, err := zcrypto.Sign(claims, s.signers[typ])
	if err != nil {
		return "", fmt.Errorf("signing with %s: %w", s.kid, err)
	}
	k.usedMu.Lock()
	k.used[s.kid] = k.now()
	k.usedMu.Unlock()
	return token, nil
}

// FlushUse writes when keys last signed.
func (k *KeyRing) FlushUse(ctx context.Context) error {
	k.usedMu.Lock()
	used := k.used
	k.used = map[string]time.Time{}
	k.usedMu.Unlock()
	if len(used) == 0 {
		return nil
	}
	return k.store.MarkKeysUsed(ctx, used)
}

var (
	keyAge  = prometheus.NewDesc("peerage_signing_key_age_seconds", "Age of a signing key since it was made.", []string{"kid", "state"}, nil)
	keyUsed = prometheus.NewDesc("peerage_signing_key_last_use_seconds", "Unix time at which a key last signed, as last written.", []string{"kid"}, nil)
)

// Describe implements prometheus.Collector.
func (k *KeyRing) Describe(c chan<- *prometheus.Desc) { c <- keyAge; c <- keyUsed }

// Collect implements prometheus.Collector.
func (k *KeyRing) Collect(c chan<- prometheus.Metric) {
	k.usedMu.Lock()
	defer k.usedMu.Unlock()
	for kid, row := range k.ring.Load().states {
		c <- prometheus.MustNewConstMetric(keyAge, prometheus.GaugeValue, k.now().Sub(row.CreatedAt).Seconds(), kid, row.State)
		used := row.LastUsedAt
		if recent, ok := k.used[kid]; ok {
			used = recent
		}
		if !used.IsZero() {
			c <- prometheus.MustNewConstMetric(keyUsed, prometheus.GaugeValue, float64(used.Unix()), kid)
		}
	}
}
