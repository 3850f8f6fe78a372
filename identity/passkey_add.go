package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"peerage/store"
)

const (
	// MaxPasskeys is how many passkeys a person may have.
	MaxPasskeys = 20
	// MaxPasskeyName is in characters.
	MaxPasskeyName = 64
)

// Passkeys lists a person's passkeys, the oldest first.
func (d *Directory) Passkeys(ctx context.Context, u User) ([]store.Passkey, error) {
	return d.store.Passkeys(ctx, u.Sub)
}

// PasskeyID writes a credential id for a form.
func PasskeyID(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

// BeginAddPasskey begins a registration in this browser and returns what its
// script hands to navigator.credentials.create. ErrNoPasskey: none can be
// added, here or any more.
func (d *Directory) BeginAddPasskey(ctx context.Context, b Browser, u User) (options string, err error) {
	if d.party == nil || b.ID == "" || u.NeedsLink || u.Passkeys >= MaxPasskeys {
		return "", ErrNoPasskey
	}
	owner, err := d.passkeyOwner(ctx, u)
	if err != nil {
		return "", err
	}
	// A device that holds one already says so instead of making a second.
	creation, session, err := d.party.BeginRegistration(owner, webauthn.WithExclusions(webauthn.Credentials(owner.credentials).CredentialDescriptors()))
	if err != nil {
		return "", fmt.Errorf("making a challenge: %w", err)
	}
	return d.putCeremony(ctx, b, PasskeyAdd, u.Sub, session, creation)
}

// AddPasskey registers the passkey that answers and returns the session's new
// secret. The caller has checked that a factor is fresh. ErrWrongPasskey,
// ErrNoPasskey.
func (d *Directory) AddPasskey(ctx context.Context, b Browser, v Visitor, name, response string) (secret string, err error) {
	if v.User.NeedsLink || v.User.Passkeys >= MaxPasskeys {
		return "", ErrNoPasskey
	}
	name = passkeyName(name)
	err = d.register(ctx, b, v.User, name, response)
	e := Event{Name: "passkey_add", User: v.User.Username, Sub: v.User.Sub, Result: resultOf(err), Detail: []slog.Attr{slog.String("name", name)}}
	if err != nil {
		e.Detail = append(e.Detail, slog.String("reason", reason(err)))
	}
	d.Audit.Event(ctx, e)
	if err != nil {
		return "", err
	}
	d.notify(ctx, v.User, MailPasskeyAdded)
	return d.strengthen(ctx, b, v.Session, ACRTwoFactors, "hwk", "user", "mfa")
}

// register is WebAuthn section 7.1. No attestation is asked for: which maker
// built a device says little, and asking costs privacy.
func (d *Directory) register(ctx context.Context, b Browser, u User, name, response string) error {
	if d.party == nil || len(response) > maxResponse {
		return &passkeyError{"unreadable", nil}
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(response))
	if err != nil {
		return &passkeyError{"unreadable", err}
	}
	session, err := d.takeCeremony(ctx, b, PasskeyAdd, u.Sub, parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return err
	}
	credential, err := d.party.CreateCredential(passkeyOwner{User: u}, session, parsed)
	if err != nil {
		return &passkeyError{"wrong_answer", err}
	}
	credential.Attestation = webauthn.CredentialAttestation{} // nothing is ever verified with it
	record, err := json.Marshal(passkeyRecord{u.Sub, *credential})
	if err != nil {
		return fmt.Errorf("keeping a passkey: %w", err)
	}
	err = d.store.AddPasskey(ctx, store.Passkey{ID: credential.ID, Sub: u.Sub, Name: name, Credential: record, SignCount: credential.Authenticator.SignCount})
	if errors.Is(err, store.ErrExists) {
		err = &passkeyError{"exists", err} // section 7.1 step 26
	}
	return err
}

// passkeyName is a name fit to be shown; "" stays so and the page finds words.
func passkeyName(typed string) string {
	name := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs) {
			return -1
		}
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, typed)), " ")
	if runes := []rune(name); len(runes) > MaxPasskeyName {
		name = strings.TrimSpace(string(runes[:MaxPasskeyName]))
	}
	return name
}

// RenamePasskey gives a passkey of a person, by PasskeyID, another name.
// store.ErrNotFound: it is not theirs, or gone.
func (d *Directory) RenamePasskey(ctx context.Context, u User, id, name string) error {
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return store.ErrNotFound
	}
	if err := d.store.RenamePasskey(ctx, u.Sub, raw, passkeyName(name)); err != nil {
		return err
	}
	d.personEvent(ctx, "user_update", u, slog.String("fields", "passkey_name"))
	return nil
}

// RemovePasskey removes a passkey of a person, by PasskeyID. The caller has
// checked that a factor is fresh. With the last second factor the recovery
// codes go too. store.ErrNotFound: it is not theirs, or gone.
func (d *Directory) RemovePasskey(ctx context.Context, u User, id string) error {
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return store.ErrNotFound
	}
	passkey, err := d.store.Passkey(ctx, raw)
	if err == nil && passkey.Sub != u.Sub {
		err = store.ErrNotFound
	}
	if err != nil {
		return err
	}
	err = d.store.RemovePasskey(ctx, u.Sub, raw, u.TOTP)
	if errors.Is(err, store.ErrNotFound) {
		return err // another tab was faster, and wrote the event
	}
	d.Audit.Event(ctx, Event{Name: "passkey_remove", User: u.Username, Sub: u.Sub, Result: resultOf(err), Detail: []slog.Attr{slog.String("name", passkey.Name)}})
	if err == nil {
		d.notify(ctx, u, MailPasskeyRemoved)
	}
	return err
}
