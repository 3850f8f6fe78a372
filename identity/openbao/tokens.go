package openbao

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"peerage/identity"
	"peerage/store"
)

const (
	// apiTokenTTL is how long an API token lives; its role allows no more.
	apiTokenTTL = time.Hour
	// unwrapWindow is how long a wrapped one waits for its person.
	unwrapWindow = 5 * time.Minute
	// MaxAPITokens is how many live ones a person may have.
	MaxAPITokens = 20
	// listTimeout bounds what is asked of all that a person has, one by one.
	listTimeout = DefaultTimeout
)

// ErrTooManyTokens: the person has MaxAPITokens already.
var ErrTooManyTokens = errors.New("the person has too many API tokens")

// ErrForeignAlias: API tokens of that name would be somebody else's.
var ErrForeignAlias = errors.New("the name belongs to another entity on the mount of tokens")

// WrappedToken is an API token in its wrapping, which is good once.
type WrappedToken struct {
	// Token unwraps: whoever has it first has the API token.
	Token        string
	UnwrapBefore time.Time
	Expires      time.Time // of the API token
}

// TokenState is what became of an API token.
type TokenState string

// States of API tokens.
const (
	TokenLive    TokenState = "live"
	TokenWrapped TokenState = "wrapped" // waits to be unwrapped
	TokenEnded   TokenState = "ended"
	TokenUnknown TokenState = "unknown" // OpenBao does not answer
)

// APIToken is one of a person's API tokens.
type APIToken struct {
	store.APIToken
	State TokenState
}

// CreateAPIToken makes a token that acts as the person for an hour, whatever
// becomes of their session. Errors: ErrTooManyTokens; ErrForeignAlias;
// identity.ErrNotGranted: they have no alias on the mount of tokens, and
// peerage may not make one; identity.ErrUnavailable.
func (b *Backend) CreateAPIToken(ctx context.Context, u identity.User) (WrappedToken, error) {
	made, row, err := b.createAPIToken(ctx, u)
	detail := []slog.Attr{}
	if err == nil {
		detail = append(detail, slog.String("accessor", row.Accessor))
		b.operations.WithLabelValues("create").Inc()
	}
	b.event(ctx, "token_create", u, err, detail...)
	return made, err
}

func (b *Backend) createAPIToken(ctx context.Context, u identity.User) (WrappedToken, store.APIToken, error) {
	if err := b.roomForToken(ctx, u); err != nil {
		return WrappedToken{}, store.APIToken{}, err
	}
	if err := b.tokenAlias(ctx, u); err != nil {
		return WrappedToken{}, store.APIToken{}, err
	}
	got, err := b.service(ctx, request{operation: "create_api_token", method: "POST", path: at("auth/token/create/{}", policyAPI), wrapTTL: "300s",
		body: map[string]string{"entity_alias": u.Username, "ttl": "1h", "display_name": u.Username}})
	if err == nil && (got.Wrap == nil || got.Wrap.Token == "" || got.Wrap.Wrapped == "") {
		err = &Error{Operation: "create_api_token", Kind: identity.ErrUnavailable, Reason: "an answer without wrapping"}
	}
	if err != nil {
		return WrappedToken{}, store.APIToken{}, err
	}
	now := b.now()
	row := store.APIToken{Accessor: got.Wrap.Wrapped, Sub: u.Sub, WrappingAccessor: got.Wrap.Accessor, UnwrapBefore: now.Add(unwrapWindow), ExpiresAt: now.Add(apiTokenTTL)}
	// The alias may have moved since it was looked at.
	state, err := b.lookUpAccessor(ctx, row.Accessor)
	if err == nil && state.EntityID != u.Sub {
		err = ErrForeignAlias
	}
	if err == nil {
		err = b.store.AddAPIToken(ctx, row)
	}
	if err != nil {
		// What is in no list could never be revoked by its person.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		return WrappedToken{}, store.APIToken{}, errors.Join(err, b.revokeAccessor(ctx, row.Accessor))
	}
	return WrappedToken{Token: got.Wrap.Token, UnwrapBefore: row.UnwrapBefore, Expires: row.ExpiresAt}, row, nil
}

// roomForToken bounds what one person can fill OpenBao with.
func (b *Backend) roomForToken(ctx context.Context, u identity.User) error {
	rows, err := b.store.APITokens(ctx, u.Sub)
	live := 0
	for _, row := range rows {
		if b.lives(row) {
			live++
		}
	}
	if err == nil && live >= MaxAPITokens {
		err = ErrTooManyTokens
	}
	return err
}

// lives tells whether a token may be alive as far as its row knows.
func (b *Backend) lives(row store.APIToken) bool {
	return row.EndedAt.IsZero() && b.now().Before(row.ExpiresAt)
}

// tokenAlias makes sure that a token of that name is this person's. Where the
// alias is missing OpenBao would make an entity of its own for it, which has
// none of their groups; where it is somebody else's the token would be theirs.
func (b *Backend) tokenAlias(ctx context.Context, u identity.User) error {
	accessor, err := b.tokens.get(ctx)
	if err != nil {
		return err
	}
	e, err := b.entityAt(ctx, u.Username, accessor)
	if errors.Is(err, ErrNotFound) {
		return b.makeTokenAlias(ctx, u, accessor)
	}
	if err != nil {
		return err
	}
	if e.ID != u.Sub {
		b.audit.Event(ctx, identity.Event{Name: "entity_mismatch", User: u.Username, Sub: u.Sub, Result: "failure",
			Detail: []slog.Attr{slog.String("entity", e.ID), slog.String("mount", "token")}})
		return ErrForeignAlias
	}
	return nil
}

// makeTokenAlias works where bootstrap --people was run.
func (b *Backend) makeTokenAlias(ctx context.Context, u identity.User, accessor string) error {
	token, err := b.token()
	if err != nil {
		return err
	}
	_, err = b.client.do(ctx, request{operation: "make_alias", method: "POST", path: at("identity/entity-alias"), token: token,
		body: map[string]string{"name": u.Username, "canonical_id": u.Sub, "mount_accessor": accessor}})
	if errors.Is(err, ErrForbidden) {
		return identity.ErrNotGranted
	}
	return err
}

// APITokens lists a person's tokens, the newest first. With
// identity.ErrUnavailable the list is what is known without OpenBao.
func (b *Backend) APITokens(ctx context.Context, u identity.User) ([]APIToken, error) {
	rows, err := b.store.APITokens(ctx, u.Sub)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	list := make([]APIToken, len(rows))
	for i, row := range rows {
		list[i] = APIToken{row, TokenEnded}
		if !b.lives(row) {
			continue
		}
		if err != nil {
			list[i].State = TokenUnknown
			continue
		}
		list[i].State, err = b.tokenState(ctx, row)
	}
	return list, err
}

// tokenState asks what became of a token that may be alive, and notes it.
func (b *Backend) tokenState(ctx context.Context, row store.APIToken) (TokenState, error) {
	_, err := b.lookUpAccessor(ctx, row.Accessor)
	if errors.Is(err, ErrNotFound) {
		return TokenEnded, b.store.MarkAPIToken(ctx, row.Accessor, false, true)
	}
	if err != nil {
		return TokenUnknown, err
	}
	if !row.UnwrappedAt.IsZero() || !b.now().Before(row.UnwrapBefore) {
		return TokenLive, nil
	}
	_, err = b.lookUpAccessor(ctx, row.WrappingAccessor)
	switch {
	case errors.Is(err, ErrNotFound):
		return TokenLive, b.store.MarkAPIToken(ctx, row.Accessor, true, false)
	case err != nil:
		return TokenUnknown, err
	}
	return TokenWrapped, nil
}

// RevokeAPIToken ends a token of that person. ErrNotTheirs: they have no such
// token. One that has ended already is no fault.
func (b *Backend) RevokeAPIToken(ctx context.Context, u identity.User, accessor string) error {
	row, err := b.store.APIToken(ctx, u.Sub, accessor)
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNotTheirs
	}
	detail := []slog.Attr{}
	if err == nil {
		detail = append(detail, slog.String("accessor", row.Accessor))
		err = b.endAPIToken(ctx, row)
	}
	if err == nil {
		b.operations.WithLabelValues("revoke").Inc()
	}
	b.event(ctx, "token_revoke", u, err, detail...)
	return err
}

// endAPIToken ends a token, and its wrapping where that may still be there.
func (b *Backend) endAPIToken(ctx context.Context, row store.APIToken) error {
	if err := b.revokeAccessor(ctx, row.Accessor); err != nil {
		return err
	}
	if b.now().Before(row.UnwrapBefore) {
		if err := b.revokeAccessor(ctx, row.WrappingAccessor); err != nil {
			return err
		}
	}
	return b.store.MarkAPIToken(ctx, row.Accessor, false, true)
}

// endAPITokens ends all tokens of a person: with a password that somebody else
// knew they may have been made.
func (b *Backend) endAPITokens(ctx context.Context, sub string) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	rows, err := b.store.APITokens(ctx, sub)
	for _, row := range rows {
		if b.lives(row) {
			err = errors.Join(err, b.endAPIToken(ctx, row))
		}
	}
	return err
}

// lookUpAccessor tells what a token is; ErrNotFound: it has ended. Of a token
// that ends at this very moment OpenBao has the accessor and no longer the token.
func (b *Backend) lookUpAccessor(ctx context.Context, accessor string) (tokenState, error) {
	got, err := b.service(ctx, request{operation: "look_up_accessor", method: "POST", path: at("auth/token/lookup-accessor"), ending: true,
		body: map[string]string{"accessor": accessor}})
	var state tokenState
	if err == nil {
		err = got.decode(&state)
	}
	if err == nil && state.Uses < 0 {
		err = &Error{Operation: "look_up_accessor", Kind: ErrNotFound, Reason: "used up"}
	}
	return state, err
}

// revokeAccessor ends a token; one that has ended is no fault.
func (b *Backend) revokeAccessor(ctx context.Context, accessor string) error {
	_, err := b.service(ctx, request{operation: "revoke_accessor", method: "POST", path: at("auth/token/revoke-accessor"), body: map[string]string{"accessor": accessor}})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
