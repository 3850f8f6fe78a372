// Package passkeytest has a WebAuthn authenticator for tests: it makes
// passkeys and signs what a browser would, rightly or wrongly.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// Flags of authenticator data (WebAuthn section 6.1).
const (
	userPresent  = 0x01
	userVerified = 0x04
	attested     = 0x40
)

// Key is one passkey of an authenticator.
type Key struct {
	ID         []byte
	UserHandle []byte
	// Count is the signature counter of the last use; it goes up by itself
	// unless Frozen.
	Count  uint32
	Frozen bool
	// Origin and RPID are what the browser says where it is.
	Origin, RPID string
	// Unverified: only a touch, no PIN and no fingerprint.
	Unverified bool
	private    *ecdsa.PrivateKey
}

// options are those of creation and of request, as a page shows them.
type options struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		RPID      string `json:"rpId"`
		RP        struct {
			ID string `json:"id"`
		} `json:"rp"`
		User struct {
			ID string `json:"id"`
		} `json:"user"`
		UserVerification string `json:"userVerification"`
		Allow            []struct {
			ID string `json:"id"`
		} `json:"allowCredentials"`
	} `json:"publicKey"`
}

// Ask is what a page asks a passkey for.
type Ask struct {
	Challenge, RPID, UserVerification string
	Allow                             []string // credential ids
}

// Read reads the options that a page hands to its script.
func Read(t testing.TB, shown string) Ask {
	t.Helper()
	o := read(t, shown)
	ask := Ask{Challenge: o.PublicKey.Challenge, RPID: o.PublicKey.RPID, UserVerification: o.PublicKey.UserVerification}
	for _, a := range o.PublicKey.Allow {
		ask.Allow = append(ask.Allow, a.ID)
	}
	return ask
}

func read(t testing.TB, shown string) options {
	t.Helper()
	var o options
	if err := json.Unmarshal([]byte(shown), &o); err != nil || o.PublicKey.Challenge == "" {
		t.Fatalf("the page asks with %q (%v)", shown, err)
	}
	return o
}

// Create makes a passkey as the options ask and returns the browser's answer.
func Create(t testing.TB, shown, origin string) (*Key, string) {
	t.Helper()
	o := read(t, shown)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	handle, err := base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID)
	if err != nil {
		t.Fatalf("reading the user handle: %v", err)
	}
	k := &Key{ID: make([]byte, 16), UserHandle: handle, Origin: origin, RPID: o.PublicKey.RP.ID, private: private}
	rand.Read(k.ID)
	return k, k.Register(t, shown)
}

// Register is the answer to a registration with this key.
func (k *Key) Register(t testing.TB, shown string) string {
	t.Helper()
	o := read(t, shown)
	point, err := k.private.PublicKey.Bytes() // 4, x, y (SEC 1 section 2.3.3)
	if err != nil {
		t.Fatalf("writing a key: %v", err)
	}
	cose, err := webauthncbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		t.Fatalf("writing a key: %v", err)
	}
	data := k.data(attested)
	data = append(data, make([]byte, 16)...) // AAGUID
	data = binary.BigEndian.AppendUint16(data, uint16(len(k.ID)))
	data = append(append(data, k.ID...), cose...)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	if err != nil {
		t.Fatalf("writing an attestation: %v", err)
	}
	return k.answer(t, map[string]any{"clientDataJSON": encode(k.client(t, "webauthn.create", o.PublicKey.Challenge)), "attestationObject": encode(object), "transports": []string{"internal"}})
}

// Use is the answer to a challenge with this key.
func (k *Key) Use(t testing.TB, shown string) string {
	t.Helper()
	o := read(t, shown)
	if !k.Frozen {
		k.Count++
	}
	data, client := k.data(0), k.client(t, "webauthn.get", o.PublicKey.Challenge)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	if err != nil {
		t.Fatalf("signing: %v", err)
	}
	return k.answer(t, map[string]any{"clientDataJSON": encode(client), "authenticatorData": encode(data), "signature": encode(signature), "userHandle": encode(k.UserHandle)})
}

func (k *Key) data(flags byte) []byte {
	flags |= userPresent
	if !k.Unverified {
		flags |= userVerified
	}
	hash := sha256.Sum256([]byte(k.RPID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), k.Count)
}

func (k *Key) client(t testing.TB, kind, challenge string) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": k.Origin, "crossOrigin": false})
	if err != nil {
		t.Fatalf("writing client data: %v", err)
	}
	return data
}

func (k *Key) answer(t testing.TB, response map[string]any) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{"id": encode(k.ID), "rawId": encode(k.ID), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": response})
	if err != nil {
		t.Fatalf("writing an answer: %v", err)
	}
	return string(data)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
