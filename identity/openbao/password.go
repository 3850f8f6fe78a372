package openbao

import (
	"context"
	"errors"

	"peerage/identity"
)

// HasPassword implements identity.Backend: everybody of a userpass mount.
func (b *Backend) HasPassword(context.Context, identity.User) (bool, error) { return true, nil }

// putPassword sends a new password with a token that may.
func (b *Backend) putPassword(ctx context.Context, token, username, password string) error {
	_, err := b.client.do(ctx, request{operation: "set_password", method: "POST", token: token,
		path: at("auth/{mount}/users/{}/password", b.Mount, username), body: map[string]string{"password": password}})
	if errors.Is(err, ErrForbidden) {
		return identity.ErrNotGranted
	}
	return err
}

// SetPassword implements identity.Backend. Only where the operator granted it
// to the service credential; else identity.ErrNotGranted. A lock ends too.
func (b *Backend) SetPassword(ctx context.Context, u identity.User, password string) error {
	if len(password) > maxPassword {
		return identity.ErrPasswordOverBytes
	}
	accessor, err := b.accessor.get(ctx)
	if err != nil {
		return err
	}
	token, err := b.token()
	if err == nil {
		err = b.putPassword(ctx, token, u.Username, password)
	}
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // the password is set: the rest belongs to it
	err = b.unlock(ctx, accessor, u.Username)
	_, out := b.store.SignOutEverywhere(ctx, u.Sub, false)
	return errors.Join(err, b.store.ForgiveAttempt(ctx, lockout(u.Username).Key, true), b.SignOutEverywhere(ctx, u), out)
}

// revokeTokens ends every token that a person got by their password, in
// peerage or elsewhere: OpenBao lets them live on with another password. API
// tokens are none of them.
func (b *Backend) revokeTokens(ctx context.Context, username string) error {
	_, err := b.service(ctx, request{operation: "revoke_tokens", method: "POST", body: map[string]bool{"sync": true},
		path: at("sys/leases/revoke-prefix/auth/{mount}/login/{}", b.Mount, username)})
	return err
}

// ChangePassword implements identity.Backend. The person changes it with the
// token of a whole login: the service credential need not be able to. The
// session that goes on gets another token where the new password alone gives
// one; the code of people with a second factor is used up, their session holds
// none from now on.
func (b *Backend) ChangePassword(ctx context.Context, u identity.User, c identity.PasswordChange) (identity.Changed, error) {
	if len(c.New) > maxPassword {
		return identity.Changed{}, identity.ErrPasswordOverBytes
	}
	login, err := b.prove(ctx, u, c.Current, c.Code)
	if err != nil {
		return identity.Changed{}, err
	}
	if err := b.putPassword(ctx, string(login.Token), u.Username, c.New); err != nil {
		b.giveUp(ctx, string(login.Token))
		return identity.Changed{}, err
	}
	ctx = context.WithoutCancel(ctx)
	if err := b.revokeTokens(ctx, u.Username); err != nil {
		b.log.WarnContext(ctx, "ending a person's other tokens at OpenBao after a change of their password", "error", err)
		b.giveUp(ctx, string(login.Token))
	}
	if err := b.endAPITokens(ctx, u.Sub); err != nil {
		b.log.WarnContext(ctx, "ending a person's API tokens at OpenBao after a change of their password", "error", err)
	}
	changed := identity.Changed{}
	if changed.Ended, err = b.store.EndOthers(ctx, u.Sub, c.Keep); err != nil || u.TOTP || c.Keep == "" {
		return changed, err
	}
	if login, err := b.Login(ctx, u.Username, c.New); err == nil {
		changed.Token, changed.Expires = login.Token, login.Expires
	}
	return changed, nil
}
