package idp_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// ourKey is a P-256 key that tests import as the active key of ES256, to sign
// what the site itself never would.
var ourKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

func pkcs8(key crypto.Signer) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// sign makes a JWT with a key of the site.
func (w *world) sign(claims any, typ string) string {
	w.t.Helper()
	if _, err := w.Keys.Import(w.t.Context(), pkcs8(ourKey())); err != nil {
		w.t.Fatal(err)
	}
	public := jose.JSONWebKey{Key: ourKey().Public()}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		w.t.Fatal(err)
	}
	kid := base64.RawURLEncoding.EncodeToString(thumbprint)
	options := (&jose.SignerOptions{}).WithHeader("kid", kid)
	if typ != "" {
		options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: ourKey()}, options)
	if err != nil {
		w.t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// claimsOf reads a JWT without checking it.
func claimsOf(token string) map[string]any {
	object, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA})
	if err != nil {
		return nil
	}
	var claims map[string]any
	if json.Unmarshal(object.UnsafePayloadWithoutVerification(), &claims) != nil {
		return nil
	}
	return claims
}
