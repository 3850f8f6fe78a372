package openbao

import (
	"context"
	"errors"
	"net/url"

	"peerage/identity"
	"peerage/store"
)

// MethodName is the TOTP login-MFA method that bootstrap makes.
const MethodName = "portal"

// totpMethods is where the TOTP methods of login-MFA are.
const totpMethods = "identity/mfa/method/totp"

// methodNames reads such a list: names by id. That there is none is no error.
func methodNames(got answer, err error) (map[string]string, error) {
	var list struct {
		KeyInfo map[string]struct {
			Name string `json:"name"`
		} `json:"key_info"`
	}
	if err == nil {
		err = got.decode(&list)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	names := map[string]string{}
	for id, method := range list.KeyInfo {
		names[id] = method.Name
	}
	return names, nil
}

// A second factor is two things in OpenBao: the secret, which it makes and
// never shows again, and a login enforcement for the person alone, which
// demands it. Without enforcement a secret does nothing; an enforcement without
// secret locks the person out. So the enforcement comes last and goes first.
func enforcement(entityID string) path { return at("identity/mfa/login-enforcement/totp-{}", entityID) }

// askMethod finds the TOTP method where the settings name none.
func (b *Backend) askMethod(ctx context.Context) (string, error) {
	if b.MethodID != "" {
		return b.MethodID, nil
	}
	names, err := methodNames(b.service(ctx, request{operation: "find_totp", method: "LIST", path: at(totpMethods)}))
	if err != nil {
		return "", err
	}
	for id, name := range names {
		if name == MethodName {
			return id, nil
		}
	}
	return "", &Error{Operation: "find_totp", Kind: identity.ErrUnavailable, Reason: "there is no TOTP method " + MethodName + ": run peerage openbao bootstrap"}
}

// enforced tells whether a code is demanded of a person.
func (b *Backend) enforced(ctx context.Context, entityID string) (bool, error) {
	got, err := b.service(ctx, request{operation: "read_enforcement", method: "GET", path: enforcement(entityID)})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	var e loginEnforcement
	if err == nil {
		err = got.decode(&e)
	}
	return err == nil && e.asks(entityID), err
}

// NewTOTP implements identity.Backend. The secret of an enrolment before, which
// was never proved, is destroyed; whoever calls keeps others away meanwhile.
func (b *Backend) NewTOTP(ctx context.Context, u identity.User) (secret string, err error) {
	enrolled, err := b.enforced(ctx, u.Sub)
	if err != nil {
		return "", err
	}
	if enrolled {
		b.suspect(u.Sub)
		return "", identity.ErrAlreadyEnrolled
	}
	// First what waits here: killed after the next line, the page must not show
	// a secret that OpenBao has no more.
	if err := b.store.RemoveTOTP(ctx, u.Sub); err != nil {
		return "", err
	}
	method, err := b.method.get(ctx)
	if err == nil {
		err = b.destroySecret(ctx, u.Sub)
	}
	if err != nil {
		return "", err
	}
	got, err := b.service(ctx, request{operation: "make_totp", method: "POST", path: at("identity/mfa/method/totp/admin-generate"),
		body: map[string]string{"method_id": method, "entity_id": u.Sub}})
	if err != nil {
		return "", err
	}
	var made struct {
		URL string `json:"url"`
	}
	if err := got.decode(&made); err != nil {
		return "", err // null: there is one already
	}
	if address, err := url.Parse(made.URL); err == nil {
		secret = address.Query().Get("secret")
	}
	if secret == "" {
		return "", &Error{Operation: "make_totp", Kind: identity.ErrUnavailable, Reason: "an answer without secret"}
	}
	return secret, nil
}

func (b *Backend) destroySecret(ctx context.Context, entityID string) error {
	method, err := b.method.get(ctx)
	if err != nil {
		return err
	}
	_, err = b.service(ctx, request{operation: "destroy_totp", method: "POST", path: at("identity/mfa/method/totp/admin-destroy"),
		body: map[string]string{"method_id": method, "entity_id": entityID}})
	return err
}

// ActivateTOTP implements identity.Backend. The right code was checked against
// the pending secret here: OpenBao checks none outside a login.
func (b *Backend) ActivateTOTP(ctx context.Context, u identity.User, step int64) error {
	if _, err := b.store.PendingTOTP(ctx, u.Sub); errors.Is(err, store.ErrNotFound) {
		return identity.ErrWrongCode
	} else if err != nil {
		return err
	}
	method, err := b.method.get(ctx)
	if err != nil {
		return err
	}
	_, err = b.service(ctx, request{operation: "enforce_totp", method: "POST", path: enforcement(u.Sub),
		body: map[string][]string{"mfa_method_ids": {method}, "identity_entity_ids": {u.Sub}, "auth_method_accessors": {}}})
	b.changed(u.Sub, true, err)
	if err != nil {
		return err
	}
	// The books here: the link is used up, and no secret stays.
	ctx = context.WithoutCancel(ctx)
	if err := b.store.ActivateTOTP(ctx, u.Sub, step); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return b.store.RemoveTOTP(ctx, u.Sub)
}

// RemoveTOTP implements identity.Backend.
func (b *Backend) RemoveTOTP(ctx context.Context, u identity.User) error {
	err := b.release(ctx, u.Sub)
	b.changed(u.Sub, false, err)
	if err != nil {
		return err
	}
	if err := b.destroySecret(ctx, u.Sub); err != nil {
		return err
	}
	return b.store.RemoveTOTP(ctx, u.Sub)
}

// release ends that a code is demanded of a person. OpenBao 2.6.2 forgets that
// an enforcement was deleted when it restarts, and would lock out who has no
// secret any more: so it is first made one of the mount of tokens, at which
// nobody signs in.
func (b *Backend) release(ctx context.Context, entityID string) error {
	enrolled, err := b.enforced(ctx, entityID)
	if err != nil {
		return err
	}
	if enrolled {
		method, err := b.method.get(ctx)
		if err != nil {
			return err
		}
		tokens, err := b.tokens.get(ctx)
		if err != nil {
			return err
		}
		if _, err := b.service(ctx, request{operation: "release_totp", method: "POST", path: enforcement(entityID),
			body: map[string][]string{"mfa_method_ids": {method}, "identity_entity_ids": {}, "auth_method_accessors": {tokens}}}); err != nil {
			return err
		}
	}
	_, err = b.service(ctx, request{operation: "release_totp", method: "DELETE", path: enforcement(entityID)})
	return err
}
