package openbao

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"peerage/identity"
	"peerage/store"
)

// entity is what OpenBao's identity store says of a person.
type entity struct {
	ID       string            `json:"id"`
	Metadata map[string]string `json:"metadata"`
	Disabled bool              `json:"disabled"`
	GroupIDs []string          `json:"group_ids"` // direct and inherited ones
	Aliases  []alias           `json:"aliases"`

	asked time.Time // before OpenBao said so
}

type alias struct {
	Name     string `json:"name"`
	Accessor string `json:"mount_accessor"`
}

// signsIn tells whether an account of that name signs in as this entity.
func (e entity) signsIn(username, accessor string) bool {
	return slices.ContainsFunc(e.Aliases, func(a alias) bool { return a.Accessor == accessor && strings.EqualFold(a.Name, username) })
}

// entityOf finds the entity of an account; ErrNotFound.
func (b *Backend) entityOf(ctx context.Context, username string) (entity, error) {
	accessor, err := b.accessor.get(ctx)
	if err != nil {
		return entity{}, err
	}
	return b.entityAt(ctx, username, accessor)
}

// entityAt finds the entity of an alias on any mount; ErrNotFound.
func (b *Backend) entityAt(ctx context.Context, username, accessor string) (entity, error) {
	asked := b.now()
	got, err := b.service(ctx, request{operation: "find_entity", method: "POST", path: at("identity/lookup/entity"),
		body: map[string]string{"alias_name": username, "alias_mount_accessor": accessor}})
	if err != nil {
		return entity{}, err
	}
	if len(got.Data) == 0 {
		return entity{}, &Error{Operation: "find_entity", Kind: ErrNotFound}
	}
	e := entity{asked: asked}
	return e, got.decode(&e)
}

// entityByID reads an entity; ErrNotFound.
func (b *Backend) entityByID(ctx context.Context, id string) (entity, error) {
	e := entity{asked: b.now()}
	got, err := b.service(ctx, request{operation: "read_entity", method: "GET", path: at("identity/entity/id/{}", id)})
	if err == nil {
		err = got.decode(&e)
	}
	return e, err
}

// askAccessor reads the accessor of the accounts' mount, which any token with a
// right there may.
func (b *Backend) askAccessor(ctx context.Context) (string, error) {
	return b.readMount(ctx, b.Mount, "userpass")
}

// askTokens reads the accessor of the mount of all tokens.
func (b *Backend) askTokens(ctx context.Context) (string, error) {
	return b.readMount(ctx, "token", "token")
}

// readMount reads the accessor of an auth mount. In a namespace that of tokens
// is of type ns_token.
func (b *Backend) readMount(ctx context.Context, name, kind string) (accessor string, err error) {
	var mount struct {
		Accessor string `json:"accessor"`
		Type     string `json:"type"`
	}
	got, err := b.service(ctx, request{operation: "read_mount", method: "GET", path: at("sys/internal/ui/mounts/auth/{mount}", name)})
	if err == nil {
		err = got.decode(&mount)
	}
	if err == nil && (mount.Accessor == "" || !strings.HasSuffix(mount.Type, kind)) {
		err = &Error{Operation: "read_mount", Kind: identity.ErrUnavailable, Reason: "the mount is not of type " + kind}
	}
	return mount.Accessor, err
}

// arrived makes sure that who gave a right password has a row, and that it is
// theirs. It remembers what is known of them by now.
func (b *Backend) arrived(ctx context.Context, username string, in loggedIn) (sub string, err error) {
	e, err := b.entityOf(ctx, username)
	if errors.Is(err, ErrNotFound) {
		// Somebody signed in, and a new mount of that name is not known yet.
		if _, again := b.accessor.again(ctx); again == nil {
			e, err = b.entityOf(ctx, username)
		}
	}
	if errors.Is(err, ErrNotFound) {
		err = &Error{Operation: "find_entity", Kind: identity.ErrUnavailable, Reason: "the person has no entity"}
	}
	if err != nil {
		return "", err
	}
	if in.EntityID != "" && in.EntityID != e.ID {
		return "", b.mismatch(ctx, username, e.ID, in.EntityID)
	}
	last, _, _ := b.last(e.ID)
	if err := b.row(ctx, username, e); err != nil {
		return "", err
	}
	if err := b.importConsents(ctx, e); err != nil {
		return "", err
	}
	groups, err := b.groupNames(ctx, e)
	if err != nil {
		return "", err
	}
	b.learned(ctx, e.ID, identity.State{Groups: groups, TOTP: in.Token == "", Disabled: e.Disabled}, e.asked, last.doubts)
	return e.ID, nil
}

// row makes the row of a person at their first sign-in, and keeps name and
// address as OpenBao has them later. A name whose entity is not the one of
// before belongs to somebody else now: to go on would hand them everything
// that the first person has at applications.
func (b *Backend) row(ctx context.Context, username string, e entity) error {
	fresh := b.profile(username, e)
	old, err := b.store.User(ctx, e.ID)
	if errors.Is(err, store.ErrNotFound) {
		err = b.store.CreateUser(ctx, fresh, "", nil)
		if !errors.Is(err, store.ErrExists) {
			return err
		}
		// By another sign-in at the same time, or by somebody else.
		if old, err = b.store.User(ctx, e.ID); errors.Is(err, store.ErrNotFound) {
			if old, err = b.store.UserByName(ctx, username); err == nil {
				return b.mismatch(ctx, username, old.Sub, e.ID)
			}
		}
	}
	if err != nil {
		return err
	}
	if old.Username != username || old.Origin != Origin {
		return b.mismatch(ctx, username, old.Sub, e.ID)
	}
	// An address that was verified here stays so until it is another one.
	fresh.EmailVerified = fresh.EmailVerified || old.EmailVerified && old.Email == fresh.Email
	if old.Name == fresh.Name && old.Email == fresh.Email && old.EmailVerified == fresh.EmailVerified {
		return nil
	}
	return b.store.PutProfile(ctx, fresh)
}

// profile is a person's row as OpenBao has it. What is no name or no address is
// left out rather than shown to applications.
func (b *Backend) profile(username string, e entity) store.User {
	u := store.User{Sub: e.ID, Origin: Origin, Username: username}
	if name := e.Metadata[b.NameKey]; identity.CheckName(name) == nil {
		u.Name = name
	}
	if email := e.Metadata[b.EmailKey]; identity.CheckEmail(email) == nil {
		u.Email, u.EmailVerified = email, b.EmailVerified && email != ""
	}
	return u
}

// mismatch refuses a sign-in whose entity is not the person's, for the audit
// trail to tell an administrator and nobody else.
func (b *Backend) mismatch(ctx context.Context, username, known, found string) error {
	b.audit.Event(ctx, identity.Event{Name: "entity_mismatch", User: username, Sub: known, Result: "failure",
		Detail: []slog.Attr{slog.String("entity", found)}})
	return identity.ErrWrongCredentials
}

// group is one of OpenBao's identity groups.
type group struct {
	Name    string `json:"name"`
	Members int    `json:"num_member_entities"`
}

// askGroups reads all groups: one call.
func (b *Backend) askGroups(ctx context.Context) (map[string]group, error) {
	var list struct {
		Info map[string]group `json:"key_info"`
	}
	got, err := b.service(ctx, request{operation: "list_groups", method: "LIST", path: at("identity/group/id")})
	if errors.Is(err, ErrNotFound) {
		return nil, nil // none at all
	}
	if err == nil {
		err = got.decode(&list)
	}
	return list.Info, err
}

// groupNames names a person's groups, sorted. A group of just now makes the
// list be read again; one that is gone has no name.
func (b *Backend) groupNames(ctx context.Context, e entity) ([]string, error) {
	known, err := b.groups.get(ctx)
	if err == nil && slices.ContainsFunc(e.GroupIDs, func(id string) bool { return known[id].Name == "" }) {
		known, err = b.groups.since(ctx, e.asked)
	}
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, id := range e.GroupIDs {
		if name := known[id].Name; name != "" {
			groups = append(groups, name)
		}
	}
	groups = identity.Emittable(groups)
	slices.Sort(groups)
	return slices.Compact(groups), nil
}
