package identity

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"peerage/store"
)

// PasskeyUse is what the answer to a challenge may be used for: one given to
// confirm an act must not sign anybody in.
type PasskeyUse string

// Uses of a passkey.
const (
	// PasskeySignIn is the first and only factor; the answer tells who it is.
	PasskeySignIn PasskeyUse = "sign_in"
	// PasskeyAnswer is the second factor of a half-done sign-in.
	PasskeyAnswer PasskeyUse = "answer"
	// PasskeyConfirm shows that a signed-in person is there.
	PasskeyConfirm PasskeyUse = "confirm"
	// PasskeyAdd registers a new one.
	PasskeyAdd PasskeyUse = "add"
)

// ceremonyLifetime is how long a challenge waits for its answer (WebAuthn
// section 15.1 recommends five minutes).
const ceremonyLifetime = 5 * time.Minute

// passkeyError is a passkey that was not accepted; reason is one word for the
// log. It is an ErrWrongPasskey.
type passkeyError struct {
	reason string
	err    error
}

func (e *passkeyError) Error() string        { return fmt.Sprintf("%s: %s", ErrWrongPasskey, e.reason) }
func (e *passkeyError) Unwrap() error        { return e.err }
func (e *passkeyError) Is(target error) bool { return target == ErrWrongPasskey }

// newRelyingParty prepares WebAuthn for an issuer: its host is the RP ID, its
// origin the only one that counts. It is nil where browsers have no passkeys:
// an RP ID is a name, never an address (WebAuthn section 5.1.2).
func newRelyingParty(issuer, brand string) (*webauthn.WebAuthn, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, fmt.Errorf("reading the issuer: %w", err)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil || u.Host == "" {
		return nil, nil
	}
	party, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: brand, RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing passkeys: %w", err)
	}
	return party, nil
}

// PasskeysOffered tells whether passkeys can work here at all: the issuer
// must have a name.
func (d *Directory) PasskeysOffered() bool { return d.party != nil }

// passkeyRecord is what the store seals. It names the person, so that a row
// moved to somebody else opens nothing.
type passkeyRecord struct {
	Sub        string              `json:"sub"`
	Credential webauthn.Credential `json:"credential"`
}

// passkeyOwner implements webauthn.User.
type passkeyOwner struct {
	User
	credentials []webauthn.Credential
}

// WebAuthnID is the user handle: opaque, the same for good, at most 64 bytes
// whatever a backend has for subjects.
func (o passkeyOwner) WebAuthnID() []byte {
	sum := sha256.Sum256([]byte("peerage passkey " + o.Sub))
	return sum[:]
}

// WebAuthnName is what a device shows in its list of passkeys.
func (o passkeyOwner) WebAuthnName() string { return o.Username }

// WebAuthnDisplayName is the person's name where it is known.
func (o passkeyOwner) WebAuthnDisplayName() string {
	if o.Name != "" {
		return o.Name
	}
	return o.Username
}

// WebAuthnCredentials are the person's passkeys.
func (o passkeyOwner) WebAuthnCredentials() []webauthn.Credential { return o.credentials }

func (d *Directory) passkeyOwner(ctx context.Context, u User) (passkeyOwner, error) {
	list, err := d.store.Passkeys(ctx, u.Sub)
	if err != nil {
		return passkeyOwner{}, err
	}
	o := passkeyOwner{User: u}
	for _, p := range list {
		c, err := openRecord(p)
		if err != nil {
			return passkeyOwner{}, err
		}
		o.credentials = append(o.credentials, c)
	}
	return o, nil
}

func openRecord(p store.Passkey) (webauthn.Credential, error) {
	var record passkeyRecord
	if err := json.Unmarshal(p.Credential, &record); err != nil {
		return webauthn.Credential{}, fmt.Errorf("reading a passkey: %w", err)
	}
	if record.Sub != p.Sub {
		return webauthn.Credential{}, fmt.Errorf("reading a passkey of %s: it was made for somebody else", p.Sub)
	}
	return record.Credential, nil
}

// BeginPasskey begins a ceremony in this browser and returns what its script
// hands to navigator.credentials.get. u is nil for PasskeySignIn. verify
// demands user verification (a PIN, a fingerprint) and not only a touch; as
// the only factor it always is. ErrNoPasskey: the person has none.
func (d *Directory) BeginPasskey(ctx context.Context, b Browser, use PasskeyUse, u *User, verify bool) (options string, err error) {
	if d.party == nil || b.ID == "" {
		return "", ErrNoPasskey
	}
	sub, verification := "", protocol.VerificationPreferred
	if verify || u == nil {
		verification = protocol.VerificationRequired
	}
	var assertion *protocol.CredentialAssertion
	var session *webauthn.SessionData
	if u == nil {
		assertion, session, err = d.party.BeginDiscoverableLogin(webauthn.WithUserVerification(verification))
	} else {
		sub = u.Sub
		var owner passkeyOwner
		if owner, err = d.passkeyOwner(ctx, *u); err != nil {
			return "", err
		}
		if len(owner.credentials) == 0 {
			return "", ErrNoPasskey
		}
		assertion, session, err = d.party.BeginLogin(owner, webauthn.WithUserVerification(verification))
	}
	if err != nil {
		return "", fmt.Errorf("making a challenge: %w", err)
	}
	return d.putCeremony(ctx, b, use, sub, session, assertion)
}

func (d *Directory) putCeremony(ctx context.Context, b Browser, use PasskeyUse, sub string, session *webauthn.SessionData, options any) (string, error) {
	document, err := json.Marshal(session)
	if err != nil {
		return "", fmt.Errorf("keeping a challenge: %w", err)
	}
	shown, err := json.Marshal(options)
	if err != nil {
		return "", fmt.Errorf("showing a challenge: %w", err)
	}
	c := store.Ceremony{Challenge: session.Challenge, Purpose: string(use), Sub: sub, Document: string(document)}
	return string(shown), d.store.PutCeremony(ctx, Hash(b.ID), c, ceremonyLifetime)
}

// takeCeremony uses up the challenge that a response answers. One of another
// browser, person or use is not touched.
func (d *Directory) takeCeremony(ctx context.Context, b Browser, use PasskeyUse, sub, challenge string) (webauthn.SessionData, error) {
	var session webauthn.SessionData
	c, err := d.store.TakeCeremony(ctx, Hash(b.ID), challenge, string(use))
	if errors.Is(err, store.ErrNotFound) || err == nil && c.Sub != sub {
		return session, &passkeyError{"no_challenge", nil}
	}
	if err != nil {
		return session, err
	}
	if err := json.Unmarshal([]byte(c.Document), &session); err != nil {
		return session, fmt.Errorf("reading a challenge: %w", err)
	}
	return session, nil
}

// maxResponse bounds what is parsed: a response has a few hundred bytes, a
// registration a few thousand.
const maxResponse = 32 << 10

// assert checks a passkey's answer to a challenge. sub is who must give it, ""
// for PasskeySignIn. It returns the passkey's person, with the groups of now,
// and whether the authenticator verified them. An ErrWrongPasskey comes with
// the person where they are known.
func (d *Directory) assert(ctx context.Context, b Browser, use PasskeyUse, sub, response string) (u User, verified bool, err error) {
	if d.party == nil || len(response) > maxResponse {
		return User{}, false, &passkeyError{"unreadable", nil}
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(response))
	if err != nil {
		return User{}, false, &passkeyError{"unreadable", err}
	}
	session, err := d.takeCeremony(ctx, b, use, sub, parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return User{}, false, err
	}
	passkey, err := d.store.Passkey(ctx, parsed.RawID)
	if errors.Is(err, store.ErrNotFound) || err == nil && sub != "" && passkey.Sub != sub {
		return User{}, false, &passkeyError{"unknown_passkey", nil}
	}
	if err != nil {
		return User{}, false, err
	}
	if u, err = d.User(ctx, passkey.Sub); errors.Is(err, store.ErrNotFound) {
		return User{}, false, &passkeyError{"unknown_passkey", nil}
	} else if err != nil {
		return User{}, false, err
	}
	if u.Disabled || u.NeedsLink {
		return u, false, &passkeyError{"not_allowed", nil}
	}
	owner, err := d.passkeyOwner(ctx, u)
	if err != nil {
		return u, false, err
	}
	credential, err := d.verify(owner, session, parsed)
	if err != nil {
		return u, false, &passkeyError{"wrong_answer", err}
	}
	return u, parsed.Response.AuthenticatorData.Flags.HasUserVerified(), d.usedPasskey(ctx, u, *credential, parsed.Response.AuthenticatorData.Counter)
}

// verify is WebAuthn section 7.2: challenge, origin, RP ID, flags, signature.
func (d *Directory) verify(owner passkeyOwner, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
	if len(session.UserID) > 0 {
		return d.party.ValidateLogin(owner, session, parsed)
	}
	_, credential, err := d.party.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return owner, nil }, session, parsed)
	return credential, err
}

// usedPasskey claims the signature counter in the store, so that a copied key
// is noticed whichever replica it comes to.
func (d *Directory) usedPasskey(ctx context.Context, u User, c webauthn.Credential, count uint32) error {
	c.Authenticator.CloneWarning = false
	record, err := json.Marshal(passkeyRecord{u.Sub, c})
	if err != nil {
		return fmt.Errorf("keeping a passkey: %w", err)
	}
	err = d.store.UsePasskey(ctx, c.ID, count, record)
	switch {
	case errors.Is(err, store.ErrSignCount):
		return &passkeyError{"sign_count", err}
	case errors.Is(err, store.ErrNotFound):
		return &passkeyError{"unknown_passkey", err}
	}
	return err
}
